"""Links that depend on where the book lies: to files of the repository, to a page's notebook, to Binder and Colab."""

from html import escape
from pathlib import Path
from urllib.parse import quote

from docutils import nodes
from sphinx.util import logging
from sphinx.util.osutil import relative_uri

logger = logging.getLogger(__name__)


def resolve(app, doctree, docname):
    """Give each link with the scheme `repo:` its place in the book; put a line of links below a notebook's title."""
    here = app.builder.get_target_uri(docname)
    for link in list(doctree.findall(nodes.reference)):
        if link.get("refuri", "").startswith("repo:"):
            link["refuri"] = relative_uri(here, place_of(app, link["refuri"][5:]))
            link["internal"] = True
    if str(app.env.doc2path(docname, base=False)).endswith(".ipynb"):
        title = next(iter(doctree.findall(nodes.title)))
        line = nodes.raw("", launch_line(app, docname, here), format="html")
        title.parent.insert(title.parent.index(title) + 1, line)


def place_of(app, path):
    """Where the book shows a file of the repository: its code, its page, or the file itself."""
    module = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    if path.endswith(".py") and getattr(app.env, "_viewcode_modules", {}).get(module):
        return app.builder.get_target_uri(f"_modules/{module.replace('.', '/')}")
    if f"files/{path}" in app.env.found_docs:
        return app.builder.get_target_uri(f"files/{path}")
    return f"download/{path}"


def launch_line(app, docname, here):
    """HTML: the notebook to download, and where it can be opened if the repository has an address."""
    path = f"{docname}.ipynb"
    place, name = relative_uri(here, f"download/{path}"), Path(path).name
    links = [f'<a href="{escape(place)}" download="{escape(name)}">Download this notebook</a>']
    repository = app.config.repository.rstrip("/").removesuffix(".git")
    note = ""
    if repository:
        owner, branch = repository.removeprefix("https://github.com/"), quote(app.config.branch, safe="")
        binder = f"https://mybinder.org/v2/gh/{owner}/{branch}?urlpath=lab/tree/{quote(path)}"
        colab = f"https://colab.research.google.com/github/{owner}/blob/{branch}/{quote(path)}"
        links += [f'<a href="{escape(binder)}">Open in Binder</a>', f'<a href="{escape(colab)}">Open in Colab</a>']
        note = f" <span>In Colab, run this first: <code>%pip install git+{escape(repository)}</code></span>"
    return f'<p class="launch">{" ".join(links)}{note}</p>'


def check_address(app, config):
    """Raises ValueError for an address that Binder and Colab do not know; says so where there is none."""
    config.add("repository", config._raw_config.get("REPOSITORY", ""), "html", str)
    config.add("branch", config._raw_config.get("BRANCH", "main"), "html", str)
    address = config.repository
    if address and not address.startswith("https://github.com/"):
        raise ValueError(f"REPOSITORY in book/conf.py must be https://github.com/OWNER/NAME or empty, got {address!r}")
    if not address:
        logger.info("The book has no links to Binder and Colab: REPOSITORY in book/conf.py is empty.")


def setup(app):
    app.connect("config-inited", check_address)
    app.connect("doctree-resolved", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
