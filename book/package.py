"""What autodoc shows of the package: the docstrings by docstrings.py, and no member that says nothing of its own."""

import inspect

from book.docstrings import to_rst


def rewrite(app, what, name, thing, options, lines):
    """Make a docstring reStructuredText, in place."""
    lines[:] = to_rst(lines, names_of(thing))


def names_of(thing):
    """The arguments of a function; the fields and the constructor's arguments of a class."""
    names = set(getattr(thing, "__annotations__", {})) if inspect.isclass(thing) else set()
    try:
        return names | set(inspect.signature(thing).parameters) - {"self"}
    except (TypeError, ValueError):
        return names


def skip(app, what, name, thing, skipped, options):
    """Leave out the fields of a named tuple, of which Python says only their numbers."""
    return True if (getattr(thing, "__doc__", None) or "").startswith("Alias for field number") else None


def setup(app):
    app.connect("autodoc-process-docstring", rewrite)
    app.connect("autodoc-skip-member", skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
