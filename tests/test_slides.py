"""Slides: every marked notebook becomes one file that needs nothing else, and shows what was marked."""

import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest
from helpers import load_tool, planted
from hypothesis import given
from hypothesis import strategies as st

REPO = Path(__file__).parents[1]
build = load_tool("slides/build")
mathml = build.mathml
v4 = nbformat.v4


def read(path):
    return nbformat.read(path, as_version=4)


MARKED = [path for path in sorted((REPO / "notebooks").glob("*.ipynb")) if any(map(build.marked, read(path).cells))]


class Elements(HTMLParser):
    """All start tags of a page, with their attributes."""

    def __init__(self, html):
        super().__init__()
        self.found = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    handle_startendtag = handle_starttag


def outside(html):
    """What a browser would fetch to show a page: sources that are no data, style sheets, imports of styles."""
    found = []
    for tag, attributes in Elements(html).found:
        for name in ("src", "srcset", "poster", "data"):
            if name in attributes and not attributes[name].startswith("data:"):
                found.append(f"<{tag} {name}={attributes[name][:40]}>")
        if tag in ("link", "iframe", "object", "embed", "base"):
            found.append(f"<{tag}>")
    return found + re.findall(r"@import|url\((?!data:)[^)]*\)|\bfetch\(|XMLHttpRequest|\bimport\(", html)


def faults(html):
    """What a page of slides must not be."""
    sections = html.count("<section ")
    found = [f"{sections} slides, expected 6 to 25"] if not 6 <= sections <= 25 else []
    found += outside(html)
    for tag, attributes in Elements(html).found:
        if tag == "img" and not attributes.get("alt", "").strip():
            found.append("a picture without alternative text")
        if tag == "a" and not attributes.get("href", "").startswith(("http", "#")):
            found.append(f"a link that leads nowhere: {attributes.get('href')}")
    text = re.sub(r"(?s)<pre.*?</pre>|<code.*?</code>|<script.*?</script>|<style.*?</style>|<[^>]*>", "", html)
    return found + re.findall(r"\$[^$\n]{1,40}\$|FORMULA\d+|\*\*\w+|\\[a-z]{3,}", text)


def notebook(*cells):
    return v4.new_notebook(cells=list(cells))


def text(source, kind=None):
    return v4.new_markdown_cell(source, metadata={"slideshow": {"slide_type": kind}} if kind else {})


def code(*outputs, kind="slide"):
    return v4.new_code_cell("secret()", outputs=list(outputs), metadata={"slideshow": {"slide_type": kind}})


def picture(alt="A blue square", source="data:image/png;base64,iVBO"):
    data = {"text/html": f'<img alt="{alt}" src="{source}">', "text/plain": "A blue square.\nLook for: the blue."}
    return v4.new_output("display_data", data=data)


# --- every notebook ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", MARKED, ids=lambda path: path.name)
def test_slides_of_a_notebook(path):
    html = build.page(read(path), path.stem)
    assert faults(html) == []
    assert any(tag == "img" for tag, _ in Elements(html).found), "no picture"
    assert '<section class="title">' in html and '<section class="question">' in html
    for formula in re.findall(r"(?s)<math.*?</math>", html):
        ElementTree.fromstring(formula)
    assert len(html) < 1_500_000


def test_most_notebooks_are_marked_and_all_formulas_can_be_drawn():
    assert len(MARKED) >= 22
    for path in (REPO / "notebooks").glob("*.ipynb"):
        for cell in read(path).cells:
            text = re.sub(r"(?s)```.*?```|`[^`\n]*`", "", cell.source if cell.cell_type == "markdown" else "")
            for formula in build.FORMULA.findall(text):
                mathml("".join(formula))  # raises ValueError at TeX that it does not know


def test_marks_survive_the_notebook_builder():
    done = load_tool("build_notebooks").normalise(notebook(text("# T", "slide"), code(kind="subslide")))
    assert [build.marked(cell) for cell in done.cells] == ["slide", "subslide"]


# --- what a slide shows -----------------------------------------------------------------------------------


def kinds(*cells):
    return [(kind, heading) for kind, heading, _ in build.slides_of(notebook(*cells))]


def test_a_title_shows_promise_and_objectives_without_the_box():
    source = (
        "# 09 · T\n\n**You will see.**\n\n| | |\n|---|---|\n| Time | 2 minutes |\n\n**Objectives**\n\n1. one\n2. two"
    )
    ((kind, heading, html),) = build.slides_of(notebook(text(source, "slide")))
    assert (kind, heading) == ("title", "09 · T") and "You will see" in html and "minutes" not in html
    assert html.count("<li>") == 2


def test_a_subslide_shows_predictions_and_explanations_alone():
    source = (
        "## 3. Runs\n\nLong words before.\n\n**Predict.** Which?\n\n- (a) one\n- (b) two\n\n"
        "<details><summary>Answer</summary>\n\nhidden\n\n</details>\n\n## 4. After\n\nMore words.\n\n"
        "**What happened.** This.\n\n- one\n- two"
    )
    slides = build.slides_of(notebook(text(source, "subslide")))
    assert [slide[:2] for slide in slides] == [("question", "3. Runs"), ("text", "4. After")]
    shown = "".join(html for *_, html in slides)
    assert "Which?" in shown and shown.count("<li>") == 4
    assert "Long words" not in shown and "More words" not in shown and "hidden" not in shown
    whole = "".join(html for *_, html in build.slides_of(notebook(text(source, "slide"))))
    assert "Long words" in whole and "More words" in whole and "hidden" not in whole


def test_a_code_cell_shows_pictures_and_their_sentence_or_what_it_printed_and_never_code():
    printed = v4.new_output("stream", name="stdout", text="kNN ~0.31 <b>\n")
    cells = [text("## 2. Here\n\nwords"), code(printed, picture()), code(printed)]
    (first, second) = build.slides_of(notebook(*cells))
    assert first[:2] == ("picture", "2. Here") and "Look for: the blue." in first[2] and "kNN" not in first[2]
    assert second[:2] == ("text", "2. Here") and "kNN ~0.31 &lt;b&gt;" in second[2]
    assert "secret" not in first[2] + second[2]
    assert kinds(code(kind="skip")) == [] and kinds(code()) == []


def test_the_number_of_a_section_begins_no_list():
    html = build.page(notebook(text("## 1. A *word*\n\nwords", "slide")), "T")
    assert "<h2>1. A <em>word</em></h2>" in html and "<ol" not in html


def test_unmarked_cells_give_the_heading_and_no_slide():
    assert kinds(text("## 1. One\n\n**Predict.** What?"), text("**What happened.** That.", "subslide")) == [
        ("text", "1. One")
    ]


WORD_LISTS = st.lists(st.integers(1, 60).map(lambda n: " ".join(["word"] * n)), min_size=1, max_size=30)


@given(WORD_LISTS)
def test_long_texts_are_continued_and_nothing_is_lost(parts):
    found = build.portions(parts)
    assert sum(found, []) == parts and all(found)
    assert all(sum(len(part.split()) for part in portion) <= build.WORDS + 60 for portion in found)
    total = sum(len(part.split()) for part in parts)
    assert len(found) <= -(-total // build.WORDS)


@given(st.lists(st.sampled_from(["words here", "- item", "2. item", "| a | b |\n|---|---|\n| c | d |", "$$x = 1$$"])))
def test_pieces_and_join_keep_the_text(parts):
    assert "".join("".join(build.pieces(build.join(parts))).split()) == "".join("".join(parts).split())


def test_links_into_the_repository_become_words():
    html = build.to_html(
        "[a term](../docs/glossary.md#a) and [a paper](https://arxiv.org/abs/1) in `[code](x.md)` [`f`](f.py)"
    )
    assert "a term and" in html and 'href="https://arxiv.org/abs/1"' in html and "glossary" not in html
    assert "[code](x.md)" in html and "<code>f</code>" in html and "f.py" not in html


# --- formulas ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tex, inner",
    [
        ("x", "<mi>x</mi>"),
        (r"\hat s_y", '<msub><mover accent="true"><mi>s</mi><mo stretchy="false">^</mo></mover><mi>y</mi></msub>'),
        (r"\frac12", "<mfrac><mn>1</mn><mn>2</mn></mfrac>"),
        (r"\frac{a}{10}", "<mfrac><mi>a</mi><mn>10</mn></mfrac>"),
        ("x_1^2", "<msubsup><mi>x</mi><mn>1</mn><mn>2</mn></msubsup>"),
        (r"\sum_j a", '<mrow><munder><mo movablelimits="true">∑</mo><mi>j</mi></munder><mi>a</mi></mrow>'),
        (r"\text{a < b}", "<mtext>a &lt; b</mtext>"),
        (r"\mathbb R^{12}", "<msup><mi>ℝ</mi><mn>12</mn></msup>"),
        ("x'", '<msup><mi>x</mi><mo class="prime">′</mo></msup>'),
        ("-1", "<mrow><mo>−</mo><mn>1</mn></mrow>"),
    ],
)
def test_formulas(tex, inner):
    assert re.sub(r"^<math[^>]*>|</math>$", "", mathml(tex)) == inner


@pytest.mark.parametrize("tex", [r"\begin{x}", r"\unknown", "{x", "x}", "a & b", r"\mathbb q"])
def test_other_tex_is_refused_by_name(tex):
    with pytest.raises(ValueError, match="mathml.py does not know"):
        mathml(tex)


def test_a_formula_says_its_tex_and_code_and_money_are_none():
    html = build.to_html("Take $a_1 < b$, `$x$` and 5 $ or 6 $.")
    assert 'alttext="a_1 &lt; b"' in html and html.count("<math") == 1 and "$x$" in html


# --- the tests themselves ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cell",
    [
        code(picture(source="https://x.y/z.png")),
        code(picture(alt=" ")),
        text("![words](other.png)", "slide"),
        text('<iframe src="data:text/html,x"></iframe>', "slide"),
    ],
)
def test_faults_are_found(cell):
    sound = [text(f"## {n}. T\n\nwords", "slide") for n in range(1, 8)]
    assert faults(build.page(notebook(*sound), "T")) == []
    assert faults(build.page(notebook(*sound, cell), "T")) != []
    assert faults(build.page(notebook(*sound[:5]), "T")) != []


def test_planted_bugs_are_found():
    loses = planted(build, "found[-1].append(piece)\n        words", "words")
    assert sum(loses.portions(["a b", "c d"]), []) != ["a b", "c d"]
    shows = planted(build, r"""re.sub(r"(?s)<details>.*?</details>|^---$", "", source, flags=re.M)""", "source")
    assert "hidden" in str(shows.slides_of(notebook(text("## 1. T\n\n<details>hidden</details>", "slide"))))
