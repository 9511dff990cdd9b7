"""Formulas as MathML, made while the book is built: the browser draws them, without a script and without a network."""

import re
from html import escape

from docutils.nodes import SkipNode
from latex2mathml.converter import convert
from sphinx.util import logging

REPLACED = {r"\\arg(?![A-Za-z])": r"\\operatorname{arg}"}  # what the converter does not know
logger = logging.getLogger(__name__)


def mathml(tex, display):
    """A formula as a <math> element. Raises ValueError for a command that the converter does not know.

    tex: what stands between the dollars. display: on a line of its own.
    """
    for pattern, known in REPLACED.items():
        tex = re.sub(pattern, known, tex)
    made = convert(tex, display="block" if display else "inline")
    unknown = re.findall(r"\\[A-Za-z]+", re.sub(r"<[^>]*>", " ", made))
    if unknown:
        raise ValueError(f"{', '.join(unknown)} in the formula {tex!r} is unknown to latex2mathml")
    return made.replace("<math ", f'<math alttext="{escape(tex)}" ', 1)


def draw(translator, node, display):
    try:
        formula = mathml(node.astext().strip(), display)
    except Exception as error:  # the converter raises many kinds
        logger.warning("%s: %s", type(error).__name__, error, location=node)
        formula = f"<code>{escape(node.astext())}</code>"
    translator.body.append(f'<div class="math">{formula}</div>\n' if display else formula)


def inline(translator, node):
    draw(translator, node, display=False)
    raise SkipNode


def block(translator, node):
    draw(translator, node, display=True)
    raise SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
