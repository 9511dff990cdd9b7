"""Links that depend on where the book lies: to files of the repository, to a page's notebook, to Binder and Colab."""

import re
from html import escape
from pathlib import Path
from urllib.parse import quote

from docutils import nodes
from sphinx.util.osutil import relative_uri


def resolve(app, doctree, docname):
    """Give each link with the scheme `repo:` its place in the book; put a line of links below a notebook's title."""
    here = app.builder.get_target_uri(docname)
    for link in list(doctree.findall(nodes.reference)):
        if link.get("refuri", "").startswith("repo:"):
            link["refuri"] = relative_uri(here, place_of(app, link["refuri"][5:]))
            link["internal"] = True
    if str(app.env.doc2path(docname, base=False)).endswith(".ipynb"):
        title = next(iter(doctree.findall(nodes.title)))
        text = launch_line(app, docname, here)
        line = nodes.raw("", assignment(text) if docname.startswith("exercises/") else text, format="html")
        title.parent.insert(title.parent.index(title) + 1, line)


def place_of(app, path):
    """Where the book shows a file of the repository: its code, its page, or the file itself."""
    module = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    if path.endswith(".py") and getattr(app.env, "_viewcode_modules", {}).get(module):
        return app.builder.get_target_uri(f"_modules/{module.replace('.', '/')}")
    if f"files/{path}" in app.env.found_docs:
        return app.builder.get_target_uri(f"files/{path}")
    return f"download/{path}"


def assignment(launch):
    """HTML: what to do with an assignment, of which the book shows the tasks only. launch: its line of links."""
    return (
        '<div class="admonition note"><p class="admonition-title">An assignment</p>'
        "<p>Read it here. To write and check answers, open this notebook in JupyterLab: <code>make lab</code>, "
        f"on Windows <code>py tools\\course.py lab</code>.</p>{launch}</div>"
    )


def launch_line(app, docname, here):
    """HTML: the notebook to download, and where it can be opened if the repository has an address."""
    path = f"{docname}.ipynb"
    place, name = relative_uri(here, f"download/{path}"), Path(path).name
    links = [f'<a href="{escape(place)}" download="{escape(name)}">Download this notebook</a>']
    repository = app.config.REPOSITORY.rstrip("/").removesuffix(".git")
    note = ""
    if repository:
        owner, branch = repository.removeprefix("https://github.com/"), quote(app.config.BRANCH, safe="")
        binder = f"https://mybinder.org/v2/gh/{owner}/{branch}?urlpath=lab/tree/{quote(path)}"
        colab = f"https://colab.research.google.com/github/{owner}/blob/{branch}/{quote(path)}"
        links += [f'<a href="{escape(binder)}">Open in Binder</a>', f'<a href="{escape(colab)}">Open in Colab</a>']
        note = f" <span>In Colab, run this first: <code>%pip install git+{escape(repository)}</code></span>"
    return f'<p class="launch">{" ".join(links)}{note}</p>'


def check_address(app, config):
    """Say so where there is no address. Raises ValueError for one that Binder and Colab do not know."""
    address = config.REPOSITORY
    if address and not re.fullmatch(r"https://github\.com/[^/]+/[^/]+/?", address):
        raise ValueError(f"REPOSITORY in book/conf.py must be https://github.com/OWNER/NAME or empty, got {address!r}")
    if not address:
        print("No links to Binder and Colab: REPOSITORY in book/conf.py is empty.")


def setup(app):
    app.add_config_value("REPOSITORY", "", "html", str)
    app.add_config_value("BRANCH", "main", "html", str)
    app.connect("config-inited", check_address)
    app.connect("doctree-resolved", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
