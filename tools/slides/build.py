"""Slides of the notebooks, one file each, from the cells that are marked for it and the outputs as committed.

    python tools/slides/build.py                      every notebook with marked cells, into slides/
    python tools/slides/build.py notebooks/05*.ipynb  these

A cell is marked by its metadata, `"slideshow": {"slide_type": "slide"}` (JupyterLab: Property Inspector, Slide Type).
Nothing is run. A file needs no network, no server and nothing next to it: pictures are inside, formulas are MathML, and
the arrow keys are some lines of script in template.html. Print it from a browser to get a PDF.

- A marked code cell shows its pictures and the sentence that describes them, else what it printed; never its code.
- A marked text is shown whole ("slide"), or only its predictions and explanations ("subslide"): the paragraphs from
  **Predict**, **What happened** or "The answer is (b)" on. The box of a title and the quizzes are left out, and long
  texts are continued on a further slide.
"""

import argparse
import re
import sys
from html import escape
from pathlib import Path
from string import Template

import nbformat
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

sys.path.insert(0, str(Path(__file__).resolve().parent))
from mathml import mathml  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = Path(__file__).with_name("template.html")
WORDS = 140  # on one slide, or so
FORMULA = re.compile(r"\$\$(.+?)\$\$|(?<![\\$])\$(?!\s)([^$]+?)(?<!\s)\$(?!\d)", re.S)
MARKDOWN = MarkdownWithMath(renderer=IPythonRenderer(escape=False, exclude_anchor_links=True))  # as nbconvert's pages
CODE = r"(?s)(```.*?```|`[^`\n]*`)"
LINK = re.compile(CODE + r"|(?<!!)\[((?:[^\]`]|`[^`\n]*`)*)\]\((?!https?:)[^)]*\)")  # one into the repository
PICTURE = re.compile(r"<img\b[^>]*>")
HEADING = re.compile(r"(?m)^#{1,3} .*")
QUESTION = re.compile(r"\*\*Predict|\*\*By hand|\*\*Read off")
ANSWER = re.compile(r"\*\*What happened|(?:The|the) answer is |\(?\*\*\(?[a-d]\)\*?\*?|\*\*[A-D]\w*\.\*\* ")


def marked(cell):
    """How a cell is marked for the slides: "slide", "subslide" or None."""
    kind = cell.metadata.get("slideshow", {}).get("slide_type")
    return kind if kind in ("slide", "subslide") else None


def to_html(markdown):
    """Text of a notebook as HTML: formulas as MathML; links into the repository, which lead nowhere here, as words."""
    formulas = []

    def keep(match):
        formulas.append(mathml(match[1] or match[2], display=bool(match[1])))
        return f"FORMULA{len(formulas) - 1}ALUMROF"

    markdown = LINK.sub(lambda match: match[1] or match[2], markdown)
    parts = re.split(CODE, markdown)  # every second part is code
    parts[::2] = [FORMULA.sub(keep, part) for part in parts[::2]]
    html = MARKDOWN.render("".join(parts))
    return re.sub(r"FORMULA(\d+)ALUMROF", lambda match: formulas[int(match[1])], html)


def pieces(markdown):
    """Paragraphs, lists item by item, tables, formulas and blocks of code of a text, in order."""
    blocks = re.split(r"(```.*?```|\$\$.*?\$\$)", markdown, flags=re.S)
    found = []
    for k, block in enumerate(blocks):
        for part in [block] if k % 2 else re.split(r"\n[ \t]*\n|\n(?=(?:[-*]|\d+\.) )|\n(?=#)", block):
            if part.strip():
                found.append(part.strip("\n"))
    return found


def slide(kind, heading, html):
    """One slide as (kind, heading, HTML of what stands below the heading)."""
    return kind, heading, html


def of_text(source, heading, only_said=False):
    """The slides of a text below a heading. only_said: only its predictions and explanations."""
    groups, opened = [], not only_said  # groups: [kind, heading, pieces]
    title = source.startswith("# ")
    for piece in pieces(re.sub(r"(?s)<details>.*?</details>|^---$", "", source, flags=re.M)):
        if HEADING.match(piece):
            heading, opened = re.sub(r"^#+ ", "", piece), not only_said
            if opened:
                groups.append(["title" if piece.startswith("# ") else "text", heading, []])
            continue
        asks = QUESTION.match(piece)
        if asks or ANSWER.match(piece):
            if only_said or words_of(groups) > WORDS // 2:
                groups.append(["text", heading, []])
            opened = True
        if opened and not (title and piece.startswith("|")):  # the box with times
            if not groups:
                groups.append(["text", heading, []])
            groups[-1][2].append(piece)
            groups[-1][0] = "question" if asks else groups[-1][0]
    found = []
    for kind, name, parts in groups:
        for k, part in enumerate([parts] if kind == "title" else portions(parts)):
            found.append(slide(kind, name + " (continued)" * (k > 0), to_html(join(part))))
    return [each for each in found if each[2].strip()]


def words_of(groups):
    """Words of the last group."""
    return sum(len(piece.split()) for piece in groups[-1][2]) if groups else 0


def portions(parts):
    """Pieces in portions of about equally many words, and not many more than WORDS."""
    counts = [len(piece.split()) for piece in parts]
    share = sum(counts) / max(1, -(-sum(counts) // WORDS))
    found, words = [[]], 0
    for piece, count in zip(parts, counts, strict=True):
        if found[-1] and words + count / 2 > share * len(found):
            found.append([])
        found[-1].append(piece)
        words += count
    return found


def join(parts):
    """Pieces as one text again: items of a list stay together, other pieces are paragraphs."""
    text = ""
    for piece in parts:
        item = re.match(r"(?:[-*]|\d+\.) ", piece)
        text += (
            "\n" if item and re.search(r"(?m)^\s*(?:[-*]|\d+\.) .*\Z", text.split("\n\n")[-1], re.S) else "\n\n"
        ) + piece
    return text.strip()


def of_output(cell, heading):
    """The slides of a marked code cell: one for each picture, else one of what it printed."""
    found, printed = [], ""
    for output in cell.outputs:
        data = output.get("data", {})
        for picture in PICTURE.findall(data.get("text/html", "")):
            sentence = data.get("text/plain", "")
            seen = re.search(r"(?s)Look for:.*", sentence)
            found.append(slide("picture", heading, f"{picture}\n<p>{escape(seen[0] if seen else sentence)}</p>"))
        printed += output.get("text", "") if output.output_type == "stream" else ""
    looks = re.search(r"Look for:[^\n]*", printed)
    if found and looks:  # the sentence is printed below the picture
        kind, name, html = found[0]
        found[0] = slide(kind, name, re.sub(r"<p>.*</p>", f"<p>{escape(looks[0].strip())}</p>", html, flags=re.S))
    return found or ([slide("text", heading, f"<pre>{escape(printed.strip())}</pre>")] if printed.strip() else [])


def slides_of(notebook):
    """All slides of a notebook, as (kind, heading, HTML)."""
    found, heading = [], ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            found += of_text(cell.source, heading, only_said=marked(cell) == "subslide") if marked(cell) else []
            heading = re.sub(r"^#+ ", "", ([heading] + HEADING.findall(cell.source))[-1])
        elif marked(cell):
            found += of_output(cell, heading)
    return found


def page(notebook, name):
    """A notebook's slides as one page of HTML."""
    slides = slides_of(notebook)
    title = slides[0][1] if slides and slides[0][0] == "title" else name
    parts = []
    for number, (kind, heading, html) in enumerate(slides, start=1):
        level = "h1" if kind == "title" else "h2"
        foot = f"<footer><span>minijepa · {escape(title)}</span><span>{number} / {len(slides)}</span></footer>"
        heading = to_html(re.sub(r"^(\d+)\.", r"\1\\.", heading))  # "1." begins no list here
        heading = re.sub(r"</?p>", "", heading).strip()
        parts.append(
            f'<section class="{kind}">\n<{level}>{heading}</{level}>\n<div>\n{html}\n</div>\n{foot}\n</section>'
        )
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(title=escape(title), slides="\n".join(parts))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=Path)
    parser.add_argument("--out", type=Path, default=ROOT / "slides", help="the folder to write into (slides/)")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for path in arguments.notebooks or sorted((ROOT / "notebooks").glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        if not any(map(marked, notebook.cells)):
            print(f"{path.name}: no cell is marked as a slide")
            continue
        target = arguments.out / f"{path.stem}.html"
        target.write_text(page(notebook, path.stem), encoding="utf-8")
        print(f"{target}: {len(slides_of(notebook))} slides")


if __name__ == "__main__":
    main()
