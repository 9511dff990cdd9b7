"""Where lines end: each option of a question has a line of its own, and short code is on one line."""

import re
from html import unescape

from docutils import nodes
from markdown_it import MarkdownIt

from book.formulas import mathml

SHORT = 12  # signs of inline code that are never parted, such as `--P`
FIRST = re.compile(r"(?<=[?:.])\s+(?=(\(?)a\)\s)")  # the gap before "(a)" or "a)" that follows a question
SUMMARY = re.compile(r"(?s)<summary>(.*?)</summary>")


def arrange(app, doctree):
    """Set the lines of a page, in place."""
    for code in doctree.findall(nodes.literal):
        if len(code.astext()) <= SHORT:
            code["classes"].append("short")
    for paragraph in list(doctree.findall(nodes.paragraph)):
        part_options(paragraph)
    for raw in [raw for raw in doctree.findall(nodes.raw) if "<summary>" in raw.astext()]:
        text = SUMMARY.sub(lambda match: f"<summary>{summary(match[1])}</summary>", raw.astext())
        raw.parent.replace(raw, nodes.raw(text, text, format="html"))


def part_options(paragraph):
    """Start a line before each option of a paragraph that ends with a question and its options."""
    gaps = gaps_of(paragraph.astext())
    end = 0
    for text in [text for text in paragraph.findall(nodes.Text)]:
        start, end = end, end + len(text)
        inside = [(a - start, b - start) for a, b in gaps if start <= a and b <= end]
        if not inside or text.parent is not paragraph:
            continue
        pieces, last = [], 0
        for a, b in inside:
            pieces += [nodes.Text(text[last:a]), nodes.raw("", "<br>", format="html")]
            last = b
        paragraph.replace(text, [*pieces, nodes.Text(text[last:])])


def gaps_of(text):
    """(start, end) of the white space before each option: after a question, "(a)", "(b)" and so on, in this order."""
    first = FIRST.search(text)
    if first is None:
        return []
    gaps, letter = [first.span()], "b"
    opening = re.escape(first[1])
    while found := re.compile(rf"\s+(?={opening}{letter}\)\s)").search(text, gaps[-1][1]):
        gaps.append(found.span())
        letter = chr(ord(letter) + 1)
    return gaps if len(gaps) > 1 else []


def summary(text):
    """HTML of the question of a quiz. text: what is between the tags, where Markdown leaves its marks as they are."""
    for start, end in reversed(gaps_of(text)):
        text = f"{text[:start]}<br>{text[end:]}"
    text = re.sub(r"\$([^$\n]+)\$", lambda match: mathml(unescape(match[1]), display=False), text)
    return MarkdownIt("commonmark", {"html": True}).renderInline(text)


def setup(app):
    app.connect("doctree-read", arrange)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
