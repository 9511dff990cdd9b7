"""What a page mentions in passing, as links: papers, notebooks and their sections, public names of the package."""

import ast
import posixpath
import re

from docutils import nodes
from sphinx.util.osutil import relative_uri

PAPER_OR_NOTEBOOK = re.compile(
    r"arXiv:(?P<paper>\d{4}\.\d{4,5})|\b[Nn]otebook\s(?P<number>\d\d)\b(?:,\ssection\s(?P<section>\d+)\b)?"
)
NAME = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*(?:\(\))?")
NO_PROSE = (nodes.reference, nodes.literal, nodes.literal_block, nodes.title, nodes.math, nodes.math_block, nodes.raw)


def link(app, doctree, docname):
    """Make links of a page's mentions, in place."""
    link_sections(app, doctree, docname)
    link_papers_and_notebooks(app, doctree, docname)
    if not docname.startswith("api/"):
        link_names(app, doctree, docname)


def link_sections(app, doctree, docname):
    """Lead a link such as "05, section 2" there. Sources name no place: GitHub knows none in a notebook."""
    here = app.builder.get_target_uri(docname)
    for found in doctree.findall(nodes.reference):
        section = re.search(r"\bsections? (\d+)", found.astext())
        uri = found.get("refuri", "")
        if section and re.search(r"(?:^|/)\d\d\w*\.html$", uri) and ":" not in uri:
            target = posixpath.normpath(posixpath.join(posixpath.dirname(here), uri))
            found["refuri"] += anchor(app, target.removesuffix(".html"), section[1])


def anchor(app, docname, number):
    """The place of a section in a page, such as "#the-loss"; "" if the page has none of this number."""
    for entry in app.env.tocs[docname].findall(nodes.reference):
        if entry.astext().startswith(f"{number}. "):
            return entry["anchorname"]
    return ""


def link_papers_and_notebooks(app, doctree, docname):
    """Link "arXiv:2301.08243", and "notebook 08" where one notebook has the number and it is another page."""
    here = app.builder.get_target_uri(docname)
    for text in [text for text in doctree.findall(nodes.Text) if is_prose(text)]:
        pieces, end = [], 0
        for match in PAPER_OR_NOTEBOOK.finditer(text):
            if match["paper"]:
                place = {"refuri": f"https://arxiv.org/abs/{match['paper']}"}
            else:
                pages = [name for name in app.env.found_docs if name.startswith(f"notebooks/{match['number']}")]
                if len(pages) != 1 or pages == [docname]:
                    continue
                place = {"refuri": relative_uri(here, app.builder.get_target_uri(pages[0])), "internal": True}
                if match["section"]:
                    place["refuri"] += anchor(app, pages[0], match["section"])
            pieces += [nodes.Text(text[end : match.start()]), nodes.reference("", match[0], **place)]
            end = match.end()
        if end:
            text.parent.replace(text, [*pieces, nodes.Text(text[end:])])


def is_prose(node):
    """Whether a node is in running text and in no link, code, formula or title."""
    while node.parent is not None:
        node = node.parent
        if isinstance(node, NO_PROSE):
            return False
    return True


def link_names(app, doctree, docname):
    """Link inline code that names one public function or class, unless the page gives the name another meaning."""
    here, public, own = app.builder.get_target_uri(docname), public_names(app), own_names(doctree)
    for code in [code for code in doctree.findall(nodes.literal) if is_prose(code)]:
        text = code.astext()
        parts = text.removesuffix("()").split(".")
        if not NAME.fullmatch(text) or parts[0] in own:
            continue
        found = [entry for name, entry in public.get(parts[-1], []) if set(parts) <= set(name.split("."))]
        if len(found) == 1 and found[0].objtype in ("function", "class"):
            place = relative_uri(here, app.builder.get_target_uri(found[0].docname)) + "#" + found[0].node_id
            linked = nodes.reference("", "", internal=True, refuri=place, classes=["name"])
            code.parent.replace(code, linked)
            linked.append(code)


def public_names(app):
    """{last part of a name: [(whole name, where it is described)]} of all that the pages of the package describe."""
    found = {}
    for name, entry in app.env.domains["py"].objects.items():
        if not entry.aliased and entry.objtype != "module":
            found.setdefault(name.split(".")[-1], []).append((name, entry))
    return found


def own_names(doctree):
    """The names that the programs of a page define: functions, classes, arguments and variables."""
    names = set()
    for block in doctree.findall(nodes.literal_block):
        try:
            tree = ast.parse(block.astext())
        except SyntaxError:  # an output or a diagram
            continue
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                names.add(node.name)
            elif isinstance(node, ast.arg):
                names.add(node.arg)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
    return names


def setup(app):
    app.connect("doctree-resolved", link)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
