"""The pages of the package: one for each file at its root, one for the public names of each of its folders.

Which names there are is read from the files, `__all__` of a folder; what they say comes from their docstrings.
"""

import ast
import re
from pathlib import Path

COMMANDS = {"check", "grade", "train"}  # at the root too, but started from the command line


def pages(package):
    """{name of a page: its text}, in reStructuredText. package: the folder of minijepa."""
    files = [path for path in sorted(package.glob("*.py")) if path.stem not in {"__init__", *COMMANDS}]
    folders = [path.parent for path in sorted(package.glob("*/__init__.py")) if names_of(path)]
    made = {f"api/{path.stem}.rst": page_of_file(path) for path in files}
    made |= {f"api/{folder.name}.rst": page_of_folder(folder) for folder in folders}
    text = heading("The package", "=")
    text += "The docstrings of the public names, as `minijepa` offers them. [source] shows the code of each.\n\n"
    for title, paths in (("One component, one file", files), ("Folders", folders)):
        text += heading(title, "-") + "".join(f"* :doc:`{path.stem}`: {summary(path)}\n" for path in paths) + "\n"
        text += ".. toctree::\n   :hidden:\n\n" + "".join(f"   {path.stem}\n" for path in paths) + "\n"
    return made | {"api/index.rst": text}


def shown_files(package):
    """The files whose code the pages show: those of which at least one function or class is documented."""
    found = set()
    for text in pages(package).values():
        for module in re.findall(r"^\.\. auto(?:function|class):: (\S+)\.\w+$", text, re.M):
            place = package.parent.joinpath(*module.split("."))
            found.add(place / "__init__.py" if place.is_dir() else place.with_suffix(".py"))
    return found


def page_of_file(path):
    """All public functions and classes of a file, in its order."""
    module = f"minijepa.{path.stem}"
    public = [name for name in definitions(path) if not name.startswith("_")]
    return heading(path.stem, "=") + described(module, path, public)


def page_of_folder(folder):
    """The names in a folder's `__all__`, file by file, in its order."""
    init = folder / "__init__.py"
    text = heading(folder.name, "=") + f".. automodule:: minijepa.{folder.name}\n\n"
    by_module = {}
    for name in names_of(init):
        module, original = origin(folder.parent, f"minijepa.{folder.name}", name)
        if module.split(".")[0] == "minijepa":  # pyplot, for example, has pages of its own
            by_module.setdefault(module, []).append(original)
    own = by_module.pop(f"minijepa.{folder.name}", [])
    text += described_names(f"minijepa.{folder.name}", init, own)
    for module, names in by_module.items():
        path = file_of(folder.parent, module)
        if "" in names:  # the file as a whole
            names = [name for name in definitions(path) if not name.startswith("_")]
        text += heading(module.removeprefix(f"minijepa.{folder.name}."), "-") + described(module, path, names)
    return text


def origin(package, module, name):
    """(module, name there) of the definition of a public name; (module, "") if the name is that of a module itself.

    Raises LookupError if no file of the package defines it.
    """
    while module.split(".")[0] == "minijepa" and name not in definitions(file_of(package, module)):
        before, (module, name) = (module, name), imports(file_of(package, module)).get(name, (module, name))
        if (module, name) == before:  # `from minijepa.family import mae` in minijepa/family/__init__.py
            if not file_of(package, f"{module}.{name}").is_file():
                raise LookupError(f"{module} offers {name!r}, and no file of the package defines it")
            return f"{module}.{name}", ""
    return module, name


def described(module, path, names):
    """The directives for the docstrings of a file and of its names."""
    return f".. automodule:: {module}\n   :no-index:\n\n" + described_names(module, path, names)


def described_names(module, path, names):
    """The directives for some names of a file; a constant is shown with its value."""
    text, known = "", definitions(path)
    for name in names:
        kind = known[name]
        if kind in ("function", "class"):
            text += f".. auto{kind}:: {module}.{name}\n" + "   :members:\n" * (kind == "class") + "\n"
        else:
            value = " ".join(kind.split())
            text += f".. py:data:: {name}\n   :module: {module}\n" + f"   :value: {value}\n" * (0 < len(value) < 300)
            text += "\n"
    return text


# --- what the files say ---


def definitions(path):
    """{name: "function", "class", or the text of its value} of what a file defines, in its order.

    The text is "" for a name that gets its value together with others.
    """
    source = path.read_text(encoding="utf-8")
    found = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef):
            found[node.name] = "function"
        elif isinstance(node, ast.ClassDef):
            found[node.name] = "class"
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                value = ast.get_source_segment(source, node.value) if isinstance(target, ast.Name) else ""
                found |= {each.id: value for each in ast.walk(target) if isinstance(each, ast.Name)}
    functions = {name: kind for name, kind in found.items() if kind in ("function", "class")}
    return functions | {name: kind for name, kind in found.items() if name not in functions}


def names_of(path):
    """`__all__` of a folder, [] where there is none."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return ast.literal_eval(node.value)
    return []


def imports(path):
    """{name: (module, its name there)} of what a file imports from others; the name is "" for a whole module."""
    found = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name: (node.module, alias.name) for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.asname or alias.name: (alias.name, "") for alias in node.names}
    return found


def file_of(package, module):
    """The file of a module. package: the folder of minijepa."""
    place = package.joinpath(*module.split(".")[1:])
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


def summary(path):
    """The first sentence of a docstring, as plain text of reStructuredText. path: a file, or a folder with its own."""
    path = Path(path) / "__init__.py" if path.is_dir() else path
    line = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))).split("\n")[0]
    return re.sub(r"([\\*`_|])", r"\\\1", line)


def heading(title, sign):
    title = re.sub(r"([*`_])", r"\\\1", title)
    return f"{title}\n{sign * len(title)}\n\n"
