"""What every committed file must keep to: the course stays small, portable, and readable without a kernel.

Each guard returns its findings as a list; the last part of this file plants each fault to see it found.
"""

import importlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbval.plugin import get_sanitize_patterns

from minijepa.plots.figures import described

REPO = Path(__file__).parents[1]
NOTEBOOKS = sorted((REPO / "notebooks").glob("*.ipynb"))
SOLUTIONS = sorted((REPO / "solutions").glob("*/*.ipynb"))  # as strict as notebooks
EXERCISES = sorted((REPO / "exercises").glob("*/*.ipynb"))  # generated, never run
MEGABYTE, CELLS, WORDS = 1_000_000, 60, 3_000

# Written in pieces, so that this file is not its own first finding.
HOSTS = ["pypi" + ".org", "python" + "hosted", "download." + "pytorch", "anaconda" + ".org"]
HOSTS += ["deb." + "debian", "archive." + "ubuntu", "registry." + "npmjs"]
MACHINE_PATH = re.compile(r"(?<![\w.:/-])/(?:root|home|Users|work)/\w|[A-Z]:\\+Users\\|/tmp/" + "ipykernel")
LINK = re.compile(r"""\]\(<?([^)\s>]+)>?(?:\s+"[^"]*")?\)|(?:src|href)=["']([^"']+)["']""")
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|#|//", re.I)  # has a scheme, or stays on the page
SKIPS = re.compile(r"(?i)nbval[-_](skip|ignore[-_]output)")
REASON = re.compile(r"(?m)^# not (run|compared) because \w+")


def repository_files():
    """The files that are committed or about to be: git's list, without what .gitignore names."""
    if not shutil.which("git") or not (REPO / ".git").exists():
        pytest.skip("not a git checkout")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=REPO, capture_output=True, check=True).stdout.decode().split("\0")
    return [REPO / name for name in names if name and (REPO / name).is_file()]


# --- guards -----------------------------------------------------------------------------------------------


def strangers(text):
    """Hosts of package registries, and paths of somebody's machine."""
    return [host for host in HOSTS if host in text] + [match[0] for match in MACHINE_PATH.finditer(text)]


def broken_links(markdown, folder):
    """Relative links of a page in `folder` that lead nowhere. Code and formulas hold none."""
    text = re.sub(r"(?s)```.*?```|`[^`\n]*`|\$\$.*?\$\$|\$[^$\n]*\$", "", markdown)
    targets = [a or b for a, b in LINK.findall(text)]
    targets = [target.split("#")[0] for target in targets if not ELSEWHERE.match(target)]
    return [target for target in targets if not (folder / target.replace("%20", " ")).exists()]


def slug(heading):
    """The anchor that GitHub (and MyST) gives to a heading."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()  # of a link, its words
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def anchors(markdown):
    """The anchors of a page: its headings, and what has an id."""
    text = re.sub(r"(?s)```.*?```", "", markdown)
    return {slug(each) for each in re.findall(r"(?m)^#{1,6} (.+)$", text)} | set(
        re.findall(r"""id=["']([^"']+)""", text)
    )


def lost_anchors(markdown, folder, whole=True):
    """Links of a page in `folder` to an anchor of a Markdown page that is not there.

    whole: the text is a whole page, so that its links to itself can be checked as well (a cell of a notebook is not).
    """
    text = re.sub(r"(?s)```.*?```|`[^`\n]*`", "", markdown)
    found = []
    for target in (a or b for a, b in LINK.findall(text)):
        page, _, anchor = target.partition("#")
        if anchor and not page and whole and anchor not in anchors(markdown):
            found.append(target)
        elif anchor and page.endswith(".md") and not ELSEWHERE.match(target) and (folder / page).exists():
            found += [target] if anchor not in anchors((folder / page).read_text(encoding="utf-8")) else []
    return found


def running_text(notebook):
    """The markdown of a notebook without quizzes (`<details>`), the table of claims, and the list of papers."""
    text = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    for exempt in (
        r"(?s)<details>.*?</details>",
        r"(?m)^\| claim \|(?:.*\n\|)*.*$",
        r"(?ms)^\*\*Papers\.\*\*.*?(?=\n\n|\Z)|^## (?:\d+\W+)?Papers\b.*?(?=^## |^\*\*Next|\Z)",
    ):
        text = re.sub(exempt, "", text)
    return text


def too_long(notebook):
    """Of a notebook: more cells or words than a class hour holds."""
    words = len(running_text(notebook).split())
    found = [f"{len(notebook.cells)} cells, at most {CELLS}"] if len(notebook.cells) > CELLS else []
    return found + ([f"{words} words, at most {WORDS}"] if words > WORDS else [])


def not_a_clean_run(notebook):
    """Cells not run once, in order, without errors or warnings; and what editors leave in the metadata."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    counts = [cell.execution_count for cell in cells]
    found = [] if counts == list(range(1, len(cells) + 1)) else [f"execution counts {counts}"]
    outputs = [output for cell in cells for output in cell.outputs]
    found += [f"error {output.ename}" for output in outputs if output.output_type == "error"]
    found += [f"stderr {output.text[:60]!r}" for output in outputs if output.get("name") == "stderr"]
    found += ["metadata.widgets"] if "widgets" in notebook.metadata else []
    kernel = notebook.metadata.get("kernelspec", {}).get("name")
    return found + ([f"kernel {kernel}, expected python3"] if kernel != "python3" else [])


def pictures_without_words(notebook):
    """Pictures whose alternative text a reader would not get, and those without a sentence as text/plain."""
    found = []
    for number, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            kinds = [kind for kind in data if kind.startswith("image/")]
            found += [f"cell {number}: {kind}, which JupyterLab shows without words; use plots.show" for kind in kinds]
            images = re.findall(r"<img\b[^>]*>", data.get("text/html", ""))
            players = re.findall(r"<audio\b[^>]*>", data.get("text/html", ""))
            if any(not re.search(r'\baria-label="\s*[^"\s]', player) for player in players):
                found.append(f"cell {number}: a player without a name; use plots.listen")
            for image in images:
                if not re.search(r'\balt="\s*[^"\s]', image):
                    found.append(f"cell {number}: an <img> without alternative text")
            sentence = data.get("text/plain", "").strip()
            if (kinds or images or players) and (not sentence or sentence.startswith(("<Figure size", "<IPython"))):
                found.append(f"cell {number}: text/plain is {sentence!r}, expected a sentence")
    return found


def code_faults(notebook):
    """Lines that end in a semicolon (nbval shows what it hides), cells not compared without a reason."""
    found = []
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            ends = [line for line in cell.source.splitlines() if line.rstrip().endswith(";")]
            found += [f"cell {number}: ends with a semicolon: {line.strip()}" for line in ends]
        tags = " ".join(cell.metadata.get("tags", []))
        if SKIPS.search(tags + cell.source) and not REASON.search(cell.source):
            found.append(f"cell {number}: excepted from nbval without '# not run (or compared) because ...'")
    return found


def late_import(notebook):
    """What is imported before minijepa, which must come first (machine/threads.py), Python's own library aside."""
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    names = [name for name in re.findall(r"(?m)^(?:import|from) (\w+)", code) if name not in sys.stdlib_module_names]
    return [f"{names[0]} is imported before minijepa"] if names and names[0] != "minijepa" else []


def private_imports(notebook):
    """What a notebook imports from inside a folder of minijepa, where files may be moved.

    Its root files are the picture of the method and stay where they are; of a folder the names in `__all__` are public,
    and the folders inside it.
    """
    found = []
    for cell in notebook.cells:
        for module, names in re.findall(r"(?m)^\s*from (minijepa[\w.]*) import (\([^)]*\)|.*)", cell.source):
            folder = REPO.joinpath(*module.split("."))
            if folder.is_dir() and cell.cell_type == "code":
                public = [
                    *importlib.import_module(module).__all__,
                    *(each.name for each in folder.iterdir() if each.is_dir()),
                ]
                names = [name.split(" as ")[0].strip() for name in re.sub(r"[()]|#.*", "", names).split(",")]
                found += [f"{name} is not public in {module}" for name in names if name and name not in public]
            elif cell.cell_type == "code" and folder.parent != REPO / "minijepa":
                found.append(f"{module} is a file inside a folder: import from {module.rpartition('.')[0]}")
    return found


def already_run(notebook):
    """Of an exercise: outputs or execution counts."""
    cells = enumerate(notebook.cells)
    return [f"cell {n}: has run" for n, cell in cells if cell.get("outputs") or cell.get("execution_count")]


def assignment_form(notebook):
    """What an assignment must have: time, objectives, a box per exercise, help, marks in words, an extension."""
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    wanted = ["| time |", "| you need |", "| marks |", "**Afterwards you will be able to**", "\n## Open extension"]
    found = [f"lacks {words.strip()!r}" for words in wanted if words not in text]
    sections = re.split(r"(?m)^## ", text)[1:]
    exercises = [section for section in sections if section.startswith("Exercise ")]
    questions = [section for section in sections if section.startswith("Question ")]
    found += [] if 4 <= len(exercises) <= 6 else [f"{len(exercises)} exercises, expected 4 to 6"]
    found += [] if questions else ["no question in words"]
    for section in exercises:
        title = section.split("\n")[0]
        if not re.search(r"\| difficulty \| minutes \| trains \|\n\|---\|---\|---\|\n\| [●○]{5} \| \d+ \| \w", section):
            found.append(f"{title}: no box with difficulty, minutes and what it trains")
        if "**Specification.**" not in section:
            found.append(f"{title}: no specification in words")
    found += [] if text.count("<details>") >= 3 else ["help for fewer than three typical errors"]
    minutes = sum(int(m) for m in re.findall(r"(?m)^\| (?:[●○]{5}|\d+) \| (\d+) \|", text))
    stated = int((re.search(r"\| time \| (\d+) minutes", text) or [0, 0])[1])
    agree = stated and 45 <= stated <= 90 and abs(minutes - stated) <= 10
    return found + (
        [] if agree else [f"{stated} minutes are stated, the boxes add up to {minutes}; 45 to 90 are wanted"]
    )


def not_from_photographs(notebook):
    """Of a notebook that asks for `course_data`, `course_sound` or `course_record`: a committed run that had
    neither the photographs nor the recordings."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    printed = "\n".join(output.get("text", "") for cell in cells for output in cell.outputs)
    lines = re.findall(r"(?m)^data in use: (.*)$", printed)
    real = ("CIFAR-10,", "Free Spoken Digit Dataset,", "a heart record from aeon")
    found = [f"not a run on real data: {line[:60]!r}" for line in lines if not line.startswith(real)]
    asks = any(re.search(r"\bcourse_(data|sound|record)\(", cell.source) for cell in cells)
    return found + (["no line says which data were in use"] if asks and not lines else [])


def findings_in(notebook):
    """All of the above that concern a notebook's cells."""
    guards = (
        too_long,
        not_a_clean_run,
        pictures_without_words,
        code_faults,
        not_from_photographs,
        private_imports,
        late_import,
    )
    return [finding for guard in guards for finding in guard(notebook)]


# --- every file -------------------------------------------------------------------------------------------


def test_no_large_files():
    sizes = {path: path.stat().st_size for path in repository_files() if path.suffix != ".safetensors"}
    assert {str(path): size for path, size in sizes.items() if size > MEGABYTE} == {}


def test_no_registry_hosts_and_no_machine_paths():
    found = {}
    for path in repository_files():
        content = path.read_bytes()
        if b"\0" not in content:  # text
            found[str(path.relative_to(REPO))] = strangers(content.decode("utf-8"))
    assert {path: words for path, words in found.items() if words} == {}


def test_links_between_pages_lead_somewhere():
    pages = {path: path.read_text(encoding="utf-8") for path in repository_files() if path.suffix == ".md"}
    found = {
        str(path): broken_links(text, path.parent) + lost_anchors(text, path.parent) for path, text in pages.items()
    }
    assert {path: links for path, links in found.items() if links} == {}


# --- every notebook ---------------------------------------------------------------------------------------


def links_of(notebook, folder):
    """Links of a notebook in `folder` that lead nowhere."""
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    lost = [f"no anchor {target}" for text in texts for target in lost_anchors(text, folder, whole=False)]
    return lost + [f"link to {target}" for text in texts for target in broken_links(text, folder)]


@pytest.mark.parametrize("path", NOTEBOOKS + SOLUTIONS, ids=lambda path: path.name)
def test_notebook(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    findings = findings_in(notebook) + links_of(notebook, path.parent)
    assert findings + (assignment_form(notebook) if path in SOLUTIONS else []) == []


@pytest.mark.parametrize("path", EXERCISES, ids=lambda path: path.name)
def test_exercise(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert already_run(notebook) + code_faults(notebook) + late_import(notebook) == []
    assert private_imports(notebook) + links_of(notebook, path.parent) == []


def test_only_measured_numbers_the_data_line_and_pixels_may_differ_between_two_runs():
    rules = get_sanitize_patterns((REPO / "tests" / "nbval_sanitize.cfg").read_text(encoding="ascii"))
    assert len(rules) == 3

    def compared(text):
        for pattern, replacement in rules:
            text = re.sub(pattern, replacement, text)
        return text

    assert compared("kNN ~0.431 (chance 0.100), ~-1.5e-03, ~43%") == "kNN ~N (chance 0.100), ~N, ~N"
    assert compared("steps 300, about 12.5") == "steps 300, about 12.5"
    on_cifar, on_shapes = "a\ndata in use: CIFAR-10, 3\nb 1", "a\ndata in use: ShapeWorld\nb 1"
    assert compared(on_cifar) == compared(on_shapes) != compared("a\ndata in use: CIFAR-10\nb 2")
    here, there, other = (
        described(data, alt)["text/html"] for data, alt in ((b"abc", "A map"), (b"de", "A map"), (b"abc", "A plot"))
    )
    assert compared(here) == compared(there) != compared(other)
    played = [f'<audio aria-label="{name}" src="data:audio/wav;base64,{data}">' for name, data in ("ab", "ac", "db")]
    assert compared(played[0]) == compared(played[1]) != compared(played[2])


# --- the guards themselves --------------------------------------------------------------------------------


def sound():
    """A notebook without a fault: a text, a printed line and a picture."""
    v4 = nbformat.v4
    picture = v4.new_output(
        "display_data",
        data={
            "text/html": '<img alt="A blue square" src="data:image/png;base64,iVBO">',
            "text/plain": "A square, blue.",
        },
    )
    printed = v4.new_output("stream", name="stdout", text="2\n")
    cells = [v4.new_markdown_cell("# Title")]
    cells.append(v4.new_code_cell("print(2)", execution_count=1, outputs=[printed]))
    cells.append(v4.new_code_cell("show()", execution_count=2, outputs=[picture]))
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


FAULTS = {
    "too many cells": lambda nb: nb.cells.extend(nbformat.v4.new_markdown_cell("a") for _ in range(60)),
    "too many words": lambda nb: nb.cells[0].update(source="word " * 3001),
    "shapes in place of photographs": lambda nb: (
        nb.cells[1]
        .outputs[0]
        .update(text="data in use: ShapeWorld (procedural), 9 training images, because CIFAR-10 is not on disk\n")
    ),
    "machine voices in place of recordings": lambda nb: (
        nb.cells[1]
        .outputs[0]
        .update(text="data in use: synthetic words, because the Free Spoken Digit Dataset, ... is not on disk\n")
    ),
    "no word on the sounds": lambda nb: nb.cells[1].update(source="sounds = course_sound()"),
    "a pulse in place of the record": lambda nb: (
        nb.cells[1].outputs[0].update(text="data in use: a procedural pulse (7,501 values), because ... aeon\n")
    ),
    "a player without a name": lambda nb: nb.cells[2].outputs[0].data.update({"text/html": "<audio controls></audio>"}),
    "a player without a sentence": lambda nb: (
        nb.cells[2].outputs[0].update(data={"text/html": '<audio aria-label="five" controls></audio>'})
    ),
    "no word on the data": lambda nb: nb.cells[1].update(source="train, heldout = course_data()"),
    "never run": lambda nb: nb.cells[1].update(execution_count=None),
    "run twice": lambda nb: nb.cells[2].update(execution_count=3),
    "stderr": lambda nb: nb.cells[1].outputs[0].update(name="stderr"),
    "error": lambda nb: nb.cells[1].outputs.append(nbformat.v4.new_output("error", ename="E", evalue="e")),
    "widgets": lambda nb: nb.metadata.update(widgets={}),
    "own kernel": lambda nb: nb.metadata.kernelspec.update(name="mine"),
    "no alternative text": lambda nb: nb.cells[2].outputs[0].data.update({"text/html": '<img src="a.png">'}),
    "an empty one": lambda nb: nb.cells[2].outputs[0].data.update({"text/html": '<img alt=" " src="a.png">'}),
    "words that JupyterLab drops": lambda nb: nb.cells[2].outputs[0].data.update({"image/png": "iVBO"}),
    "no sentence": lambda nb: nb.cells[2].outputs[0].data.pop("text/plain"),
    "a figure's repr": lambda nb: nb.cells[2].outputs[0].data.update({"text/plain": "<Figure size 1x1>"}),
    "torch before minijepa": lambda nb: nb.cells[1].update(source="import os\nimport torch\nimport minijepa"),
    "a file inside a folder": lambda nb: nb.cells[1].update(source="from minijepa.training.muon import Muon"),
    "a name that is not public": lambda nb: nb.cells[1].update(
        source="from minijepa.masking import (\n    make_room,\n)"
    ),
    "semicolon": lambda nb: nb.cells[1].update(source="print(2);\nprint(3)"),
    "skipped by tag": lambda nb: nb.cells[1].metadata.update(tags=["nbval-skip"]),
    "skipped by comment": lambda nb: nb.cells[1].update(source="# NBVAL_IGNORE_OUTPUT\nprint(2)"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_guards_find_a_planted_fault(fault):
    notebook = sound()
    assert findings_in(notebook) == []
    FAULTS[fault](notebook)
    assert findings_in(notebook) != []


def test_quizzes_claims_and_papers_are_no_running_text():
    words = "word " * 2_000
    exempt = f"<details><summary>{words}</summary>\n{words}</details>\n\n| claim | where |\n|---|---|\n| {words}| 1 |\n"
    for papers in (f"**Papers.** {words}", f"## Papers\n\n- {words}"):
        notebook = sound()
        notebook.cells[0].update(source=f"# Title\n\n{words}\n\n{exempt}\n{papers}\n\n**Next:** more")
        assert too_long(notebook) == [] and "**Next:** more" in running_text(notebook)
    photographs = sound()
    photographs.cells[1].outputs[0].update(text="data in use: CIFAR-10, 9 training and 9 held-out images\n")
    assert findings_in(photographs) == []


def test_a_reason_excuses_a_cell_from_the_comparison():
    notebook = sound()
    notebook.cells[1].update(source="# NBVAL_SKIP\n# not run because it needs a GPU\nprint(2)")
    assert findings_in(notebook) == []


def assignment():
    """The text of an assignment without a fault."""
    box = "| difficulty | minutes | trains |\n|---|---|---|\n| ●○○○○ | 10 | x |\n**Specification.** y\n"
    head = "# T\n| time | 50 minutes |\n| you need | n |\n| marks | 9 |\n**Afterwards you will be able to**\n"
    parts = [f"## Exercise {n} · t\n{box}<details>h</details>\n" for n in range(1, 5)]
    tail = "## Question 5 · q\n| marks | minutes |\n|---|---|\n| 4 | 10 |\n\n## Open extension\n"
    return head + "".join(parts) + tail


@pytest.mark.parametrize(
    "right, wrong",
    [
        ("| time | 50", "| time | 300"),
        ("| time |", "| minutes |"),
        ("**Afterwards", "*Afterwards"),
        ("## Exercise 3 ·", "## Problem 3 ·"),
        ("●○○○○ | 10", "easy | 10"),
        ("**Specification.** y", ""),
        ("<details>", "<p>"),
        ("## Question", "## Remark"),
        ("## Open extension", ""),
    ],
)
def test_the_guard_of_assignments_finds_a_planted_fault(right, wrong):
    def form(text):
        return assignment_form(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)]))

    assert form(assignment()) == []
    assert right in assignment() and form(assignment().replace(right, wrong)) != []


def test_the_guard_finds_an_exercise_that_has_run():
    assert already_run(sound()) and not already_run(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")]))


@pytest.mark.parametrize("text", ["https://" + HOSTS[0] + "/x", "see /" + "home/ann", "C:\\" + "Users\\ann"])
def test_the_guards_find_strangers(text):
    assert strangers(text)
    assert not strangers("runs/home/x, https://example.org/home/x and data/work/y are nobody's")


def test_the_guards_find_broken_links(tmp_path):
    (tmp_path / "there.md").touch()
    text = "[a](there.md) [b](there.md#part) [c](https://x.y/z) [d](#part) `[e](code.md)` ![f](%s)"
    assert broken_links(text % "there.md", tmp_path) == []
    assert broken_links(text % "gone.png", tmp_path) == ["gone.png"]
    assert broken_links('<img src="gone.svg" alt="">', tmp_path) == ["gone.svg"]


def test_the_guards_find_lost_anchors(tmp_path):
    (tmp_path / "terms.md").write_text(
        "# Terms\n\n### McNemar's *test*, 2\n\n<a id='own'></a>\n```\n# no heading\n```\n"
    )
    there = "[a](terms.md#mcnemars-test-2) [b](terms.md#own) [c](terms.md) [d](other.md#x) `[e](terms.md#gone)`"
    assert lost_anchors(there, tmp_path) == []
    assert lost_anchors("[a](terms.md#no-heading) [b](terms.md#Own)", tmp_path) == [
        "terms.md#no-heading",
        "terms.md#Own",
    ]
    assert lost_anchors("# Here\n[a](#here) [b](#there)", tmp_path) == ["#there"]
    assert lost_anchors("[b](#there)", tmp_path, whole=False) == []
