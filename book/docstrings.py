"""The docstrings of the course as reStructuredText, so that autodoc shows them as they were meant.

They are plain text: paragraphs, `code`, shapes in [brackets], formulas and diagrams that are indented, and arguments as
"name: what it is", often several in a line. Read as reStructuredText, half of them would warn and the rest would lose
their stars and underscores. So each becomes paragraphs, literal blocks, and a list of its arguments.
"""

import ast
import re
import textwrap

WIDTH = 120  # of a line: one that ends earlier, with a sentence, ends a paragraph
OPENING = re.compile(r"(?<=[.)\]]) (?=(?:Returns|Raises|Sources?:) ?)")
INLINE = re.compile(
    r"`(?P<code>[^`]+)`"
    r"|(?P<arxiv>arXiv:\d{4}\.\d{4,5})"
    r"|(?P<shape>\[(?=[^\[\]]*(?:[A-Z0-9]|\.\.\.|\*))[^\[\]`]+\])"
    r"|(?P<name>\b[A-Za-z]\w*_\w+\b(?:\([^()]*\))?)"
)


def to_rst(lines, names=()):
    """Lines of reStructuredText. lines: of a docstring, without its indentation; names: of the arguments."""
    out = []
    for block, indented in blocks(lines):
        if indented:
            out += [".. code-block:: python" if is_code(block) else "::", "", *("    " + line for line in block), ""]
            continue
        for paragraph in paragraphs(block):
            number = re.match(r"(\d+\.|-) ", paragraph)
            if number:
                out += [f"{number[0]}{inline(paragraph[number.end() :])}", ""]
                continue
            for name, text in arguments(paragraph, names):
                if name:
                    quoted = ", ".join(f"``{each}``" for each in name.split(", "))
                    out += [f"* {quoted}: {inline(text)}", ""]
                else:
                    out += [guarded(inline(text.removesuffix(";") + "." * text.endswith(";"))), ""]
    return [*out, ""]


def blocks(lines):
    """(lines, whether they are indented) of each part of a docstring: what is indented by four spaces is kept as is."""
    found, gap = [], True
    for line in lines:
        if not line.strip():
            gap = True
            continue
        indented = line.startswith("    ")
        if found and found[-1][1] == indented and (indented or not gap):
            found[-1][0].extend([""] * gap + [line])
        else:
            found.append(([line], indented))
        gap = False
    return found


def is_code(lines):
    """Whether an indented block is a program, and not a diagram or a formula."""
    try:
        body = ast.parse(textwrap.dedent("\n".join(lines))).body
    except SyntaxError:
        return False
    return not all(isinstance(node, ast.Expr) and not isinstance(node.value, ast.Call) for node in body)


def paragraphs(lines):
    """The paragraphs of some lines: a new one after a line that ends early, with its sentence, and before a number."""
    found = []
    for line in lines:
        words = line.split()
        early = found and found[-1][-1][-1:] in ".:" and len(found[-1][-1]) + 1 + len(words[0]) < WIDTH - 8
        if not found or early or re.match(r"(\d+\.|-) ", line) or re.match(r"(Returns|Raises|Sources?:)\b", line):
            found.append([])
        found[-1].append(line.strip())
    return [part for paragraph in found for part in OPENING.split(" ".join(paragraph))]


def arguments(paragraph, names):
    """(names, text) of each argument that a paragraph explains; ("", text) of what it says besides."""
    if not names:
        return [("", paragraph)]
    name = "(?:" + "|".join(map(re.escape, sorted(names, key=len, reverse=True))) + ")"
    pieces = re.split(rf"(?:^|(?<=[.;:)]) )\*{{0,2}}({name}(?:, (?:and )?{name})*): ", paragraph)
    found = [("", pieces[0])] if pieces[0] else []
    return found + list(zip(pieces[1::2], pieces[2::2], strict=True))


def inline(text):
    """A paragraph with its code, shapes and names in literal type, papers as links, and everything else as it is."""
    out, end = [], 0
    for match in INLINE.finditer(text):
        out.append(escaped(text[end : match.start()]))
        end = match.end()
        if match["arxiv"]:
            out.append(f"`{match[0]} <https://arxiv.org/abs/{match[0][6:]}>`__")
        else:
            out.append(f"``{match['code'] or match[0]}``")
        before, after = text[: match.start()][-1:], text[end : end + 1]
        if before and not before.isspace():  # markup needs a gap, which "\ " is without being seen
            out.insert(-1, r"\ ")
        if after and not after.isspace():
            out.append(r"\ ")
    return "".join([*out, escaped(text[end:])])


def escaped(text):
    """Text in which no sign means anything to reStructuredText."""
    return re.sub(r"([\\*`_|<>:])", r"\\\1", text)


def guarded(text):
    """A paragraph whose first sign begins no list, table or directive."""
    return text if re.match(r"[\w`\\(\"']", text) and not re.match(r"\w+[.)] ", text) else "\\ " + text
