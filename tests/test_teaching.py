"""The pages for lecturers and the glossary: what they cite is there, in the section that they name."""

import re
from pathlib import Path

import nbformat
import pytest

REPO = Path(__file__).parents[1]
NOTEBOOKS = {path.name[:2]: path for path in sorted((REPO / "notebooks").glob("*.ipynb"))}
CITATION = re.compile(r"\[(\d\d), (beginning|section \d+)\]\(([^)]+)\)")


def sections(notebook):
    """{number: text} of a notebook, 0 before section 1; what follows the numbered sections is left out."""
    found, number = {}, 0
    for cell in notebook.cells:
        for part in re.split(r"(?m)^(?=## )", cell.source if cell.cell_type == "markdown" else "\n" + cell.source):
            heading = re.match(r"## (?:(\d+)\.)?", part) if cell.cell_type == "markdown" else None
            number = number if heading is None else int(heading[1]) if heading[1] else None
            found[number] = found.get(number, "") + part + "\n"
    found.pop(None, None)
    return found


def plain(text):
    """Words only: without marks, hyphens or line ends, in lower case."""
    return re.sub(r"[\s\-_–]+", " ", re.sub(r"[*`]", "", text)).lower()


@pytest.fixture(scope="module")
def course():
    """{notebook's number: its sections}."""
    return {number: sections(nbformat.read(path, as_version=4)) for number, path in NOTEBOOKS.items()}


def cited(markdown):
    """(number of the notebook, of the section, link) of each citation of a page."""
    return [
        (n, int(where.split()[-1]) if where != "beginning" else 0, link)
        for n, where, link in CITATION.findall(markdown)
    ]


def wrong_citations(markdown, course):
    """Citations of a section that the notebook does not have, or with a link to another notebook."""
    return [
        f"{n}, {section}: {link}"
        for n, section, link in cited(markdown)
        if section not in course.get(n, {}) or not link.startswith(f"../notebooks/{n}_")
    ]


def entries(markdown):
    """(term, text, other names, notebook, section) of each entry of the glossary."""
    found = []
    for part in re.split(r"(?m)^### ", markdown)[1:]:
        term, text, last = part.split("\n## ")[0].strip().split("\n\n")
        also = re.search(r"\*Also: (.*?)\. Explained", last)
        ((n, section, _),) = cited(last)
        found.append((term, text, re.split(r", ", also[1]) if also else [], n, section))
    return found


def not_there(found, course):
    """Entries whose section contains neither the term nor another name of it."""
    lost = []
    for term, _, also, n, section in found:
        text = plain(course[n][section])
        if not any(plain(name) in text for name in (term, *also)):
            lost.append(f"{term}: {n}, section {section}")
    return lost


@pytest.mark.parametrize("page", ["glossary.md", "teaching.md"])
def test_pages_cite_sections_that_exist(page, course):
    assert wrong_citations((REPO / "docs" / page).read_text(encoding="utf-8"), course) == []


def test_each_term_is_in_the_section_that_its_entry_names(course):
    found = entries((REPO / "docs" / "glossary.md").read_text(encoding="utf-8"))
    assert len(found) > 200 and not_there(found, course) == []


def test_entries_are_short_sorted_and_unique():
    found = entries((REPO / "docs" / "glossary.md").read_text(encoding="utf-8"))
    names = [re.sub(r"[-’']", " ", term).casefold() for term, *_ in found]
    assert names == sorted(names) and len(set(names)) == len(names)
    assert [term for term, text, *_ in found if len(text.split()) > 75] == []


def test_each_notebook_links_terms_where_it_uses_them_first():
    for path in NOTEBOOKS.values():
        notebook = nbformat.read(path, as_version=4)
        text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
        links = re.findall(r"\]\(\.\./docs/glossary\.md#([^)]+)\)", text)
        assert 1 <= len(links) <= 7 and len(set(links)) == len(links), f"{path.name}: {links}"


def test_the_checks_find_planted_faults(course):
    good = "[05, section 2](../notebooks/05_collapse.ipynb)"
    assert wrong_citations(good, course) == []
    assert wrong_citations(good.replace("section 2", "section 40"), course) != []
    assert wrong_citations(good.replace("[05", "[06"), course) != []
    entry = f"### RankMe\n\nA rank.\n\n*Also: effective rank. Explained in {good}.*\n"
    assert not_there(entries(entry), course) == []
    assert not_there(entries(entry.replace("RankMe", "Teleport")), course) == ["Teleport: 05, section 2"]
