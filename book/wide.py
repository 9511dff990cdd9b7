"""Wide figures of a guide, such as the recorded results: each in a box that scrolls by itself on a telephone."""

from docutils import nodes


def enclose(app, doctree):
    """Put each image that is a paragraph of its own into such a box; pages.py does so with the figures of notebooks."""
    for image in list(doctree.findall(nodes.image)):
        if isinstance(image.parent, nodes.paragraph) and len(image.parent.children) == 1:
            image.parent.replace_self(nodes.container("", image.deepcopy(), classes=["wide-figure"]))


def setup(app):
    app.connect("doctree-read", enclose)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
