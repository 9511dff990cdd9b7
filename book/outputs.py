"""What the cells printed, made legible: the sentence that says what to look for is text, not a line of a program."""

import re

from docutils import nodes

LOOK = re.compile(r"^Look for: .*$", re.M)


def spoken(app, doctree):
    """Split each printed output at its lines "Look for: ...", which become paragraphs."""
    for printed in list(doctree.findall(nodes.literal_block)):
        text = printed.astext()
        if "stream" not in printed.get("classes", []) or not LOOK.search(text):
            continue
        pieces, end = [], 0
        for match in LOOK.finditer(text):
            pieces += [like(printed, text[end : match.start()]), looking(match[0])]
            end = match.end()
        pieces.append(like(printed, text[end:]))
        printed.parent.replace(printed, [piece for piece in pieces if piece is not None])


def like(printed, text):
    """A printed output with another text, None without one."""
    text = text.strip("\n")
    return nodes.literal_block(text, text, **printed.attributes) if text else None


def looking(text):
    return nodes.paragraph("", "", nodes.strong("", "Look for:"), nodes.Text(text[9:]), classes=["look-for"])


def setup(app):
    app.connect("doctree-read", spoken)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
