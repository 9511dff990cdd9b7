"""The pages for lecturers and the glossary: what they cite is there, in the section that they name."""

import re
from pathlib import Path

import nbformat
import pytest

REPO = Path(__file__).parents[1]
NOTEBOOKS = {path.name[:2]: path for path in sorted((REPO / "notebooks").glob("*.ipynb"))}
CITATION = re.compile(r"\[(\d\d),\s+(beginning|section\s+\d+)\]\(([^)]+)\)")


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


@pytest.mark.parametrize("path", NOTEBOOKS.values(), ids=lambda path: path.name)
def test_a_notebook_links_a_few_terms_once(path):
    notebook = nbformat.read(path, as_version=4)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    links = re.findall(r"\]\(\.\./docs/glossary\.md#([^)]+)\)", text)
    assert len(links) <= 7 and len(set(links)) == len(links)


# --- plans and polls ----------------------------------------------------------------------------------------


def teaching():
    return (REPO / "docs" / "teaching.md").read_text(encoding="utf-8")


def rows(markdown, heading):
    """The cells of the table below a heading, row by row, without its head."""
    section = re.split(r"(?m)^## ", markdown.split(f"\n## {heading}\n")[1])[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def minutes(cell):
    """The sum of all "(20 min)" of a cell."""
    return sum(int(number) for number in re.findall(r"\((\d+) min\)", cell))


def missing_sections(markdown, course):
    """Of a plan: "05, sections 1–4" that a notebook does not have."""
    named = re.findall(r"\b(\d\d), sections? (\d+)(?:–(\d+))?", markdown)
    wanted = [(n, k) for n, first, last in named for k in range(int(first), int(last or first) + 1)]
    return [f"{n}, section {k}" for n, k in wanted if k not in course.get(n, {})]


def test_plans_name_sections_that_exist_and_their_minutes_add_up(course):
    page = teaching()
    assert missing_sections(page, course) == [] != missing_sections("05, sections 11–14", course)
    for heading, whole in {"One lecture": 120, "One day": 360}.items():
        *parts, total = rows(page, heading)
        assert sum(int(row[0]) for row in parts) == int(total[0]) == whole, heading
    assert [minutes(row[1] + row[2]) for row in rows(page, "One week")] == [165] * 5
    weeks = rows(page, "Thirteen weeks")
    assert [row[0] for row in weeks] == [str(week) for week in range(1, 14)]
    assert [(minutes(row[1]), minutes(row[2])) for row in weeks] == [(110, 110)] * 13


def test_minutes_are_those_of_readme_boxes_and_assignments():
    readme = (REPO / "README.md").read_text(encoding="utf-8")
    computing = dict(re.findall(r"(?m)^\| \[(\d\d) .*\| ([\d½]+) min \|$", readme))
    page = (REPO / "exercises" / "README.md").read_text(encoding="utf-8")
    assignments = dict(re.findall(r"(?m)^\| \[(\d\d) .*\| (\d+) \|$", page))
    assert len(computing) > 20 and len(assignments) >= 10
    for first, stated, total, _, assignment in rows(teaching(), "Minutes and prerequisites"):
        number = first[1:3]
        box = nbformat.read(NOTEBOOKS[number], as_version=4).cells[0].source
        reading = re.search(r"(\d+) minutes\s+with\s+reading", box)[1]
        assert stated == computing.get(number, stated), number
        assert total.removeprefix("2 × ") == reading, number
        assert assignment == assignments.get(number, "–"), number


def test_each_notebook_has_misconceptions_with_a_section_and_two_polls():
    chapters = teaching().split("\n## Misconceptions and polls\n")[1].split("\n## ")[0].split("\n### ")[1:]
    assert [chapter[:2] for chapter in chapters] == [
        row[0][1:3] for row in rows(teaching(), "Minutes and prerequisites")
    ]
    for chapter in chapters:
        believed = re.findall(r'(?m)^- \*"', chapter)
        assert 2 <= len(believed) <= 4 and len(cited(chapter)) == len(believed), chapter[:20]
        assert {n for n, *_ in cited(chapter)} == {chapter[:2]}
        polls = re.split(r"(?m)^\*\*Poll \d\.\*\*", chapter)[1:]
        assert len(polls) == 2
        for poll in polls:
            question, fold, answer, end = poll.strip().split("\n\n")[:4]
            assert (fold, end) == ("<details><summary>Answer</summary>", "</details>")  # the question stands alone
            options = re.findall(r"\(([a-d])\)", question)
            assert options == list("abcd"[: len(options)]) and len(options) >= 3
            right = re.match(r"\*\*\(([a-d])\)\*\*", answer)[1]
            others = set(re.findall(r"\(([a-d])\)", answer)) - {right}
            assert others == set(options) - {right}, f"each wrong answer of {poll[:60]!r} tells something"


def test_the_checks_find_planted_faults(course):
    good = "[05, section 2](../notebooks/05_collapse.ipynb)"
    assert wrong_citations(good, course) == []
    assert wrong_citations(good.replace("section 2", "section 40"), course) != []
    assert wrong_citations(good.replace("[05", "[06"), course) != []
    entry = f"### RankMe\n\nA rank.\n\n*Also: effective rank. Explained in {good}.*\n"
    assert not_there(entries(entry), course) == []
    assert not_there(entries(entry.replace("RankMe", "Teleport")), course) == ["Teleport: 05, section 2"]
