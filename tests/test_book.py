"""The book: built once without a warning, every link leads somewhere, nothing is loaded from elsewhere, all is in it."""

import json
import re
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

from book import api, docstrings, formulas, links, pages  # noqa: E402

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
        assert not re.search(r"(?:import|fetch|importScripts)\s*\(?\s*['\"`]https?:|\.src\s*=\s*['\"`]https?:", text), path


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
    import minijepa

    for name in minijepa.__all__:
        thing = getattr(minijepa, name)
        if hasattr(thing, "__qualname__"):
            assert f"{thing.__module__}.{thing.__qualname__}" in anchors, name
    assert "minijepa.masking.blocks.block_masks" in anchors and "minijepa.vit.SIZES" not in anchors


def test_every_recorded_figure_is_on_its_page(site, read):
    page = (site / "results.html").read_text(encoding="utf-8")
    figures = sorted((REPO / "docs" / "results").glob("*.png"))
    assert len(figures) > 20 and [path.stem for path in figures if f'id="{path.stem.replace("_", "-")}"' not in page] == []


# --- the pieces -------------------------------------------------------------------------------------------


def test_the_parts_are_those_of_the_readme():
    headings = re.findall(r"^\| (?:\*\*)?([IV]+\. .+?)(?:\*\*)? \|", (REPO / "README.md").read_text(encoding="utf-8"), re.M)
    assert headings == list(pages.PARTS)[: len(headings)] and len(headings) >= 3
