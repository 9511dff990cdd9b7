"""The book: built once without a warning; every link leads somewhere; nothing is loaded from elsewhere."""

import json
import re
import subprocess
import sys
from functools import lru_cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from helpers import REPO, built_book

MISSING = "builds the book; `make test` installs it where it can be had, or pip install -e '.[book]'"
pytest.importorskip("sphinx", reason=MISSING)
pytest.importorskip("myst_nb", reason=MISSING)
pytest.importorskip("furo", reason=MISSING)
pytest.importorskip("latex2mathml", reason=MISSING)
pytest.importorskip("ziamath", reason=MISSING)

import docutils.core  # noqa: E402
from docutils import nodes  # noqa: E402

import minijepa  # noqa: E402
from book import docstrings, folds, formulas, lines, links, mentions, pages  # noqa: E402

NOTEBOOKS = sorted((REPO / "notebooks").glob("*.ipynb"))
EXERCISES = sorted((REPO / "exercises").glob("*/*.ipynb"))
ELSEWHERE = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?//|(?!data:)[a-z][a-z0-9+.-]*:", re.I)
LOADS = {"src", "srcset", "poster", "data", "background"}  # attributes whose file a page loads by itself
IN_CSS = re.compile(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)")


class Page(HTMLParser):
    """What a page is made of: its `anchors`, `links`, `loaded` files, `images` without words, and its text."""

    def __init__(self, text):
        super().__init__()
        self.anchors, self.links, self.loaded, self.silent, self.words = set(), [], [], [], []
        self.shown, self.inside = 0, None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = {name: value or "" for name, value in attributes}
        self.inside = tag if tag in ("script", "style") else self.inside
        self.anchors |= {attributes[name] for name in ("id", "name") if name in attributes}
        self.loaded += [attributes[name] for name in LOADS & set(attributes) if tag != "object" or name == "data"]
        self.loaded += css(attributes.get("style", ""))
        if tag == "link" and not {"next", "prev", "index", "search", "canonical"} & set(attributes["rel"].split()):
            self.loaded.append(attributes["href"])
        elif tag in ("a", "area", "link") and "href" in attributes:
            self.links.append(attributes["href"])
        elif tag == "form":
            self.links.append(attributes.get("action", ""))
        elif tag == "img":
            self.shown += 1
            self.silent += [] if attributes.get("alt", "").strip() else [attributes.get("src")]

    def handle_endtag(self, tag):
        self.inside = None if tag == self.inside else self.inside

    def handle_data(self, data):
        if self.inside == "style":
            self.loaded += css(data)
        elif self.inside is None:
            self.words.append(data)


def css(text):
    """What a style sheet loads."""
    return [url or other for url, other in IN_CSS.findall(text)]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return built_book(tmp_path_factory)


@pytest.fixture(scope="module")
def site(built):
    """The folder of the site."""
    assert (built / "html" / "index.html").is_file(), (built / "log.txt").read_text(encoding="utf-8")
    return built / "html"


@pytest.fixture(scope="module")
def read(site):
    """A function: path -> Page."""
    return lru_cache(None)(lambda path: Page(path.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def html(site):
    """All pages."""
    return sorted(site.rglob("*.html"))


def broken(page, path, site, read):
    """Links of a page that lead to no file of the site, or to no place in it."""
    found = []
    for link in page.links:
        if ELSEWHERE.match(link):
            continue
        parts = urlsplit(link)
        target = Path(path.parent, unquote(parts.path)).resolve() if parts.path else path
        if not target.is_file() or site not in target.parents:
            found.append(link)
        elif parts.fragment and target.suffix == ".html" and unquote(parts.fragment) not in read(target).anchors:
            found.append(link)
    return found


def from_elsewhere(loaded, folder):
    """Files that a page or style sheet in this folder loads and that are not in the site."""
    local = [name for name in loaded if not name.startswith(("data:", "#"))]
    return [name for name in local if ELSEWHERE.match(name) or not (folder / unquote(urlsplit(name).path)).is_file()]


# --- the whole site ---------------------------------------------------------------------------------------


def test_it_is_built_without_a_warning(built):
    log = (built / "log.txt").read_text(encoding="utf-8")
    assert (built / "exit.txt").read_text() == "0" and "WARNING" not in log, log
    assert "html/index.html" in log.replace("\\", "/")  # says where it is


def test_every_link_and_every_anchor_is_there(html, site, read):
    assert {path.name: found for path in html if (found := broken(read(path), path, site, read))} == {}
    assert sum(len(read(path).links) for path in html) > 1000


def test_nothing_is_loaded_from_elsewhere(html, site, read):
    """A page, its style sheets and scripts: everything lies in the folder, which also works from a USB stick."""
    assert {path.name: found for path in html if (found := from_elsewhere(read(path).loaded, path.parent))} == {}
    sheets = sorted(site.rglob("*.css"))
    texts = {path: css(path.read_text(encoding="utf-8")) for path in sheets}
    assert {path.name: found for path in sheets if (found := from_elsewhere(texts[path], path.parent))} == {}
    assert len(sheets) > 2 and any("STIXTwoMath" in name for names in texts.values() for name in names)


def test_no_script_names_an_address_to_load(site):
    """Scripts may name addresses in comments and namespaces, but import or fetch none."""
    for path in site.rglob("*.js"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"(?:import|fetch|importScripts)\s*\(?\s*['\"`]https?:|\.src\s*=\s*['\"`]https?:", text), (
            path
        )


def test_every_picture_has_its_words(html, read):
    assert {path.name: read(path).silent for path in html if read(path).silent} == {}


def test_every_notebook_is_in_it_with_all_its_pictures(site, read):
    first = read(site / "index.html")
    for path in NOTEBOOKS + EXERCISES:
        name = path.relative_to(REPO).with_suffix("")
        page = read(site / f"{name}.html")
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        outputs = [output for cell in cells for output in cell.get("outputs", [])]
        shown = ["".join(output.get("data", {}).get("text/html", "")).count("<img ") for output in outputs]
        assert page.shown == sum(shown), name
        assert any(cell["cell_type"] == "code" for cell in cells)
        words = re.sub(r"\s", "", "".join(page.words))
        code = [re.sub(r"\s", "", "".join(cell["source"])) for cell in cells if cell["cell_type"] == "code"]
        assert [text[:60] for text in code if text not in words] == [], name
    for path in NOTEBOOKS:
        assert f"notebooks/{path.stem}.html" in first.links


def test_a_notebook_can_be_downloaded_as_it_is_committed(site, read):
    for path in NOTEBOOKS + EXERCISES:
        name = path.relative_to(REPO)
        (link,) = [link for link in read(site / name.with_suffix(".html")).links if link.endswith(".ipynb")]
        assert ((site / name).parent / link).read_bytes() == path.read_bytes()


def test_printed_outputs_are_there_and_what_to_look_for_is_text(site):
    seen = 0
    for path in NOTEBOOKS:
        page = (site / "notebooks" / f"{path.stem}.html").read_text(encoding="utf-8")
        words = re.sub(r"\s", "", "".join(Page(page).words))
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            for output in cell.get("outputs", []):
                for line in "".join(output.get("text", "")).splitlines():
                    assert re.sub(r"\s", "", line) in words, (path.name, line)
                    seen += line.startswith("Look for: ")
        assert "<span></span>Look for:" not in page and not re.search(r"\nLook for: ", page)
    assert seen > 50


def test_every_public_name_has_its_place(site, read):
    anchors = {anchor for path in (site / "api").glob("*.html") for anchor in read(path).anchors}
    for name in minijepa.__all__:
        thing = getattr(minijepa, name)
        if hasattr(thing, "__qualname__"):
            assert f"{thing.__module__}.{thing.__qualname__}" in anchors, name
    assert {"minijepa.masking.blocks.block_masks", "minijepa.family.METHODS", "minijepa.training.fit.fit"} <= anchors


def test_every_recorded_figure_is_on_its_page(site, read):
    page = (site / "results.html").read_text(encoding="utf-8")
    figures = sorted((REPO / "docs" / "results").glob("*.png"))
    assert (
        len(figures) > 20 and [path.stem for path in figures if f'id="{path.stem.replace("_", "-")}"' not in page] == []
    )


# --- how it reads -----------------------------------------------------------------------------------------


def article(path):
    """The HTML of a page without the navigation around it."""
    return re.search(r"(?s)<article.*?</article>", path.read_text(encoding="utf-8"))[0]


def open_answers(text):
    """How many cells follow a prediction, in its section, without being folded. text: the HTML of a page."""
    predicted, found = False, 0
    for match in re.finditer(r'<strong>(Predict\b)|<section|<details class="answer|<div class="cell ', text):
        if match[1]:
            predicted = True
        elif match[0].startswith("<div"):
            found += predicted
        else:
            predicted = False
    return found


def test_the_answer_to_every_prediction_is_folded(site):
    texts = {path.stem: article(site / "notebooks" / f"{path.stem}.html") for path in NOTEBOOKS}
    assert {name: number for name, text in texts.items() if (number := open_answers(text))} == {}
    assert sum(text.count('<details class="answer">') for text in texts.values()) > 150
    planted = '<section><p><strong>Predict.</strong> x</p><div class="cell docutils">'
    assert open_answers(planted) == 1 and open_answers(planted.replace("<div", '<details class="answer"><div')) == 0


def test_what_to_look_for_stands_below_its_figure(site):
    seen = 0
    for path in NOTEBOOKS:
        for output in article(site / "notebooks" / f"{path.stem}.html").split('<div class="cell_output')[1:]:
            if 'class="look-for"' in output:
                assert "<img " in output.split('class="look-for"')[0], (path.name, output[:300])
                seen += 1
    assert seen > 100


def test_the_code_of_a_figure_is_folded_where_it_only_draws(site):
    texts = [article(site / "notebooks" / f"{path.stem}.html") for path in NOTEBOOKS]
    folded = [part for text in texts for part in text.split('<details class="figure-code">')[1:]]
    assert len(folded) > 15
    for part in folded:
        program = part.split("</details>")[0]
        assert "plots" in program and '<span class="k">assert</span>' not in program


def test_a_link_to_a_section_leads_to_its_heading(site):
    seen = 0
    for name in ("docs/glossary", "docs/teaching"):
        for target, section in re.findall(
            r'href="\.\./(notebooks/[^"]*)"[^>]*>(?:<[^>]*>)?\d\d, section (\d+)', article(site / f"{name}.html")
        ):
            page, _, place = target.partition("#")
            heading = re.search(rf'<section id="{re.escape(place)}">(?:\s*<span[^>]*></span>)*\s*<h2>(\d+)\.',
                                (site / page).read_text(encoding="utf-8"))  # fmt: skip
            assert place and heading and heading[1] == section, (name, target, section)
            seen += 1
    assert seen > 200


def test_papers_notebooks_and_names_are_links(site):
    for path in [*site.glob("notebooks/*.html"), *site.glob("docs/*.html"), *site.glob("exercises/*/*.html")]:
        text = re.sub(r"(?s)<(a|pre|code|math|h\d|summary)\b.*?</\1>", "", article(path))
        assert re.findall(r".{20}arXiv:\d.{10}", text) == [], path.name
    page = article(site / "notebooks" / "05_collapse.html")
    assert 'href="https://arxiv.org/abs/2210.02885">arXiv:2210.02885</a>' in page
    assert 'href="08_vjepa_clips.html">notebook 08</a>' in page
    assert re.search(r'href="\.\./api/diagnosis\.html#minijepa\.diagnosis\.diagnose_tokens"><code', page)


def test_an_assignment_says_first_where_it_is_done(site):
    for path in EXERCISES:
        text = article(site / path.relative_to(REPO).with_suffix(".html"))
        first = text[text.index("</h1>") : text.index("</h1>") + 200]
        assert 'class="admonition' in first and "make lab" in text.split("</div>")[0], path.name
    assert "An assignment" not in article(site / "notebooks" / "05_collapse.html")


def test_an_explorer_is_announced_before_its_words(site):
    for name, words in (
        ("03_masks", "Drag the controls"),
        ("05_collapse", "you choose the step"),
        ("07_energy", "Move the orange point"),
        ("16_planning", "Choose a goal yourself"),
    ):
        text = article(site / "notebooks" / f"{name}.html")
        assert -1 < text.rindex("In the book: still pictures") < text.index(words) < text.rindex("Still picture of")


def test_no_formula_is_left_as_text(site):
    for path in [*site.glob("notebooks/*.html"), *site.glob("docs/*.html"), *site.glob("exercises/*/*.html")]:
        text = re.sub(r"(?s)<(pre|code|math|script|style)\b.*?</\1>", "", article(path))
        assert re.findall(r".{0,30}\$.{0,30}", re.sub(r"<[^>]*>", "", text)) == [], path.name


def broken_formulas(markdown):
    """Formulas of several lines of which one begins as a list, heading or quotation does. Code is no formula."""
    text = re.sub(r"(?s)```.*?```|`(?:[^`\n]|\n(?!\s*\n))*`", "", markdown)
    found = re.findall(r"(?s)\$\$.+?\$\$|(?<![\\$])\$(?! )(?:[^$\n]|\n(?!\s*\n))+\$", text)
    starts = re.compile(r"\n\s*(?:[-+*>](?:\s|$)|\d+[.)]\s|#{1,6}\s|[=-]+\s*(?:\n|$))")
    return [formula for formula in found if starts.search(formula)]


def test_no_formula_is_broken_by_its_lines():
    assert broken_formulas("$a\n- b$ and $$x\n= 1$$") == ["$a\n- b$"] and broken_formulas("$$x\n=\ny$$")
    assert broken_formulas("$a - b$\n- costs `$\n- 1$`\n\n$$a\n-b$$") == []
    for path in [*sorted((REPO / "docs").rglob("*.md")), *NOTEBOOKS, *EXERCISES]:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".ipynb":
            cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown"]
            text = "\n\n".join("".join(cell["source"]) for cell in cells)
        assert broken_formulas(text) == [], path.name


# --- the pieces -------------------------------------------------------------------------------------------


def block(kind):
    """A block: "P" a prediction, "C" a cell, "W" what happened, "l" a list, "s" a section, "n" or else text."""
    if kind == "C":
        return nodes.container("", nb_element="cell_code")
    if kind in "ls":
        return {"l": nodes.bullet_list, "s": nodes.section}[kind]()
    bold = {"P": "Predict.", "W": "What happened."}.get(kind)
    first = [nodes.strong("", bold)] if bold else [nodes.Text("Now more." if kind == "n" else "Some words.")]
    return nodes.paragraph("", "", *first)


@pytest.mark.parametrize(
    ("kinds", "folded"),
    [
        ("tPCCWlt", "CCWl"),  # what happened, and its list
        ("PtCtCWt", "CtCW"),  # words between the cells
        ("PCttC", "Ct"),  # no heading: the first block is the answer
        ("PClt", "Cl"),
        ("PCtPC", "C"),  # that block leads to the next prediction
        ("PCntt", "C"),
        ("PCs", "C"),
        ("PCPCW", "C"),
        ("tCt", None),
        ("Pts", None),
    ],
)
def test_a_fold_holds_the_cells_and_the_answer(kinds, folded):
    span = folds.answer([block(kind) for kind in kinds], 0)
    assert (span and kinds[slice(*span)]) == folded


def test_a_cell_only_draws_if_it_asserts_prints_and_leaves_nothing():
    draws = "fig = plots.curves(lines)\nplots.show(fig, 'alt', 'look')"
    assert folds.only_draws(draws, ["fig = 1\nfig", "x = fig"])  # another fig
    assert not folds.only_draws(draws, ["y = 1", "fig.savefig('a')"])
    for line in ("assert lines", "print(lines)", "import torch"):
        assert not folds.only_draws(f"{draws}\n{line}", [])
    assert not folds.only_draws("fig = plots.curves(lines)", [])
    assert not folds.only_draws(f"def f():\n    return 1\n{draws}", ["f()"])


def test_options_have_lines_of_their_own():
    made = lines.summary("Is it <b>healthy</b>?\n(a) yes (b) $k$ `f` (c) (a) trusts")
    assert made.startswith("Is it <b>healthy</b>?<br>(a) yes<br>(b) <math ") and "<br>(c) (a) trusts" in made
    assert "<code>f</code>" in made
    for text in ("Predict f(s, a) or (b)?", "Why? (a) one only", "In (a) it is, in (b) not. (b) first"):
        assert lines.gaps_of(text) == []
    assert len(lines.gaps_of("What? a) one b) two c) three")) == 3


def test_a_page_keeps_names_of_its_own():
    text = "def pool(x):\n    z = x\nclass A: pass"
    code = nodes.literal_block(text, text)
    assert mentions.own_names(nodes.section("", code, nodes.literal_block("1 +", "1 +"))) == {"pool", "x", "z", "A"}


def test_the_parts_are_those_of_the_readme():
    headings = re.findall(
        r"^\| (?:\*\*)?([IV]+\. .+?)(?:\*\*)? \|", (REPO / "README.md").read_text(encoding="utf-8"), re.M
    )
    assert headings == list(pages.PARTS)[: len(headings)] and len(headings) >= 3


TEXT = """The energy of each target, [B, M, K_t]: low where *both* fit.

    x --> encoder --> s_x
    y --> teacher --> s_y

x, y: images [B, C, H, W]. masks: Masks; its |targets| are hidden_.
Returns a float: `mean` of them. Raises ValueError for a context_scale of 0. Source: I-JEPA (arXiv:2301.08243).

    model = JEPA(encoder)

1. The first bias
   of two.
2. The second."""


def test_a_docstring_keeps_its_shapes_diagrams_and_arguments():
    text = "\n".join(docstrings.to_rst(TEXT.split("\n"), {"x", "y", "masks"}))
    assert text.startswith(r"The energy of each target, ``[B, M, K_t]``\ \: low where \*both\* fit.")
    assert "::\n\n        x --> encoder --> s_x\n        y --> teacher --> s_y\n" in text
    assert "\n* ``x``, ``y``: images ``[B, C, H, W]``\\ .\n" in text
    assert "\n* ``masks``: Masks; its \\|targets\\| are hidden\\_.\n" in text
    assert "\nReturns a float\\: ``mean`` of them.\n" in text
    assert "\nRaises ValueError for a ``context_scale`` of 0.\n" in text
    assert "`arXiv:2301.08243 <https://arxiv.org/abs/2301.08243>`__\\ )" in text
    assert ".. code-block:: python\n\n        model = JEPA(encoder)\n" in text
    assert "\n1. The first bias of two.\n" in text and "\n2. The second.\n" in text


@pytest.mark.parametrize(
    "text", [TEXT, "* a star_, a |bar|, `code`, :role:`x` and x_t\\", "- 1\n\n- 2", "a. b) .. c::", "::"]
)
def test_docutils_finds_nothing_to_warn_of_in_a_docstring(text):
    lines = docstrings.to_rst(text.split("\n"), {"x"})
    settings = {"report_level": 1, "halt_level": 1, "file_insertion_enabled": False, "_disable_config": True}
    docutils.core.publish_doctree("\n".join(lines), settings_overrides=settings)


def test_every_formula_of_the_course_is_known():
    made = formulas.mathml(r"\arg\max_a \tfrac{1}{2} \lVert \hat s_y \rVert", display=True)
    assert made.startswith("<math ") and 'display="block"' in made and "\\" not in re.sub(r'alttext="[^"]*"', "", made)
    with pytest.raises(ValueError, match=r"\\unheardof"):
        formulas.mathml(r"a + \unheardof", display=False)


def test_a_link_to_a_file_finds_its_code_and_code_is_no_link(tmp_path):
    made = pages.Book(tmp_path / "source", tmp_path / "extra")
    here = REPO / "notebooks" / "02_vision_transformer.ipynb"
    text = "see [`vit.py`](../minijepa/vit.py), [03](03_masks.ipynb), [x](https://a.b), `[a](../minijepa/vit.py)`"
    assert made.linked_text(text, here) == text.replace("](../minijepa/vit.py),", "](repo:minijepa/vit.py),")
    assert made.linked == {REPO / "minijepa" / "vit.py"}


def test_a_picture_becomes_a_file_with_its_size_and_a_frame_of_a_film_keeps_its_width(tmp_path):
    made = pages.Book(tmp_path / "source", tmp_path / "extra")
    data = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
    html = f'<img alt="a &lt; b" style="max-width: 100%" src="data:image/png;base64,{data}">'
    text, number = made.pictures(html, REPO / "notebooks" / "x.ipynb", 3)
    assert number == 4 and (tmp_path / "extra" / "figures" / "x-4.png").read_bytes()[:4] == b"\x89PNG"
    assert 'alt="a &lt; b"' in text and 'src="../figures/x-4.png" width="1" height="1" loading="lazy"' in text
    text, _ = made.pictures(html[:-1] + ' width="244">', REPO / "notebooks" / "x.ipynb", 0)
    assert text.startswith("<img ") and 'width="244"' in text and "lazy" not in text


def test_what_is_gone_from_the_course_goes_from_the_book(tmp_path):
    made = pages.Book(tmp_path / "source", tmp_path / "extra")
    old = tmp_path / "source" / "notebooks" / "99_gone.ipynb"
    old.parent.mkdir(parents=True)
    old.write_text("{}")
    made.write_all()
    assert not old.exists() and (tmp_path / "source" / "index.md").is_file()


class Application:
    """As much of Sphinx as the line of links needs."""

    class config:
        REPOSITORY, BRANCH = "", "main"


def test_a_notebook_can_be_opened_elsewhere_once_the_repository_has_an_address():
    app = Application()
    line = links.launch_line(app, "notebooks/03_masks", "notebooks/03_masks.html")
    assert 'href="../download/notebooks/03_masks.ipynb" download="03_masks.ipynb"' in line
    assert "Binder" not in line and "Colab" not in line
    app.config.REPOSITORY = "https://github.com/someone/minijepa"
    line = links.launch_line(app, "notebooks/03_masks", "notebooks/03_masks.html")
    assert 'href="https://mybinder.org/v2/gh/someone/minijepa/main?urlpath=lab/tree/notebooks/03_masks.ipynb"' in line
    assert "https://colab.research.google.com/github/someone/minijepa/blob/main/notebooks/03_masks.ipynb" in line
    assert "%pip install git+https://github.com/someone/minijepa" in line


@pytest.mark.parametrize(
    ("address", "seen"),
    [
        ("", "No links to Binder and Colab"),
        ("https://github.com/someone/minijepa", "mybinder.org/v2/gh/someone/minijepa/main"),
        ("https://example.org/minijepa", "REPOSITORY in book/conf.py must be"),
    ],
)
def test_the_address_stands_in_one_place(tmp_path, address, seen):
    """A small book of one notebook, built with an address in the place of the one in conf.py."""
    source, site = tmp_path / "source", tmp_path / "site"
    source.mkdir()
    (source / "index.md").write_text("# Book\n\n```{toctree}\nnotebook\n```\n")
    cell = {"cell_type": "markdown", "id": "a", "metadata": {}, "source": "# One"}
    (source / "notebook.ipynb").write_text(
        json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    )
    command = [sys.executable, "-m", "sphinx", "-q", "-c", REPO / "book", "-D", f"REPOSITORY={address}", source, site]
    done = subprocess.run([str(each) for each in command], capture_output=True, text=True)
    page = site / "notebook.html"
    words = done.stdout + done.stderr + (page.read_text(encoding="utf-8") if page.exists() else "")
    assert seen in words and ("colab.research" in words) == ("github" in address)
    assert (done.returncode == 0) == ("example" not in address)


# --- planted faults ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ('<a href="gone.html">x</a>', "link"),
        ('<a href="#nowhere">x</a>', "link"),
        ('<a href="other.html#nowhere">x</a>', "link"),
        ('<a href="../outside.html">x</a>', "link"),
        ('<form action="gone.html"></form>', "link"),
        ('<script src="https://cdn.example/mathjax.js"></script>', "load"),
        ('<script src="gone.js"></script>', "load"),
        ('<link rel="stylesheet" href="//cdn.example/a.css">', "load"),
        ('<link rel="preconnect" href="https://fonts.example">', "load"),
        ("<style>@import 'https://fonts.example/a.css';</style>", "load"),
        ('<p style="background: url(https://a.example/b.png)">x</p>', "load"),
        ('<iframe src="https://video.example"></iframe>', "load"),
        ('<img src="other.html">', "words"),
        ('<img alt=" " src="other.html">', "words"),
    ],
)
def test_a_planted_fault_is_found(tmp_path, fault, kind):
    site = tmp_path / "site"
    site.mkdir()
    (tmp_path / "outside.html").write_text("")
    (site / "other.html").write_text('<p id="here">x</p>')
    sound = '<p id="top"><a href="other.html#here">x</a><a href="#top">y</a><a href="https://a.example">z</a></p>'
    sound += '<img alt="a" src="other.html"><script src="data:,"></script>'
    for text, number in ((sound, 0), (sound + fault, 1)):
        (site / "page.html").write_text(text)
        page = Page(text)
        found = {"link": broken(page, site / "page.html", site, lambda path: Page(path.read_text()))}
        found |= {"load": from_elsewhere(page.loaded, site), "words": page.silent}
        assert {kind: len(each) for kind, each in found.items()} == {"link": 0, "load": 0, "words": 0, kind: number}
