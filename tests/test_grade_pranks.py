"""Marks that must not be lost: whatever one cell does, others keep their marks; files that editors have changed."""

import codecs
import copy
import json
from pathlib import Path

import nbformat
import pytest
from test_grade import LIMITS, SOURCES, code, flags, marked, points, small

from minijepa import grade
from minijepa.checks.grading.kernel import Limits

pytestmark = pytest.mark.assignments
REPO = Path(__file__).parents[1]
ONE, TWO = "def one():\n    return 1", "def two():\n    return helper() + 1\n\n\ndef helper():\n    return 1"

# each at the end of the first answer, whose own function is right
PRANKS = {
    "quit": "quit()",
    "exit": "exit()",
    "quit, the kernel kept": "quit(True)",
    "sys.exit": "sys.exit()",
    "os._exit": "os._exit(0)",
    "os.kill": "os.kill(os.getpid(), 9)",
    "later": "import threading\nthreading.Timer(0.4, os._exit, [1]).start()\ntime.sleep(0.1)",
    "stdout": "sys.stdout.close()\nsys.stderr.close()",
    "no file": "os.close(1)\nos.close(2)\nos.chdir('/')",
    "builtins": "import builtins\nbuiltins.AssertionError = None\nbuiltins.__import__ = None",
    "accident": "max = 3\nlist = [1, 2]",
    "a module": "time.time = None\noperator.eq = lambda a, b: False",
    "a given name": "operator = None",
    "deleted": "del operator, os, sys",
    "shadows": "open('operator.py', 'w').write('1 / 0')\nos._exit(0)",
    "modules": "sys.modules.clear()",
    "for ever": "while True:\n    time.sleep(0.1)",
    "a thread": "import threading\nthreading.Thread(target=exec, args=['while True: pass'], daemon=True).start()",
    "kernel": "get_ipython().run_cell = None\nget_ipython().events.register('pre_run_cell', lambda *a: os._exit(1))",
    "recursion": "sys.setrecursionlimit(60)",
    "warnings": "import warnings\nwarnings.simplefilter('error')\nwarnings.warn('x')",
}


def graded(one, two=TWO, limits=LIMITS, **changes):
    """The marks of a submission to an assignment whose second check uses what the first cell gives."""
    checks = {"check-one": "time.sleep(0.3)\nassert one() == 1", "given": "import os, sys, time, operator"}
    checks["check-two"] = "time.sleep(0.3)\nassert operator.eq(two(), 2) and max(list((1, 2))) == 2, 'two is 2'"
    source = small(two=TWO, **checks)
    notebook = copy.deepcopy(source)
    notebook.cells[1].source, notebook.cells[3].source = one, two
    return grade.mark("small.ipynb", nbformat.writes(notebook).encode(), {("01_small", "small.ipynb"): source}, limits)


@pytest.mark.parametrize("prank", PRANKS)
def test_a_prank_in_one_answer_costs_no_other_its_marks(prank):
    result = graded(f"{ONE}\n\n\n{PRANKS[prank]}", limits=Limits(seconds=3, megabytes=2048))
    assert points(result)[1] == 3, result
    assert points(result)[0] == 2, "even its own function is right"


@pytest.mark.parametrize("prank", ["operator.eq = None", "sys.stdout.close()", "os._exit(0)", "quit()"])
def test_a_function_that_does_harm_when_it_is_checked_costs_no_other_its_marks(prank):
    result = graded(f"def one():\n    {prank}\n    return 7")
    assert points(result) == [0, 3]


def test_memory_that_one_answer_keeps_is_not_missing_for_another():
    two = "def two():\n    return len(bytearray(500 * 2**20)) and 2"
    result = graded(f"{ONE}\nhog = bytearray(b'x') * (600 * 2**20)", two, Limits(seconds=20, megabytes=1000))
    assert points(result) == [2, 3]


def test_what_passes_only_by_itself_is_said():
    result = graded(f"{ONE}\noperator = None")
    assert any("check-two" in note and "by itself" in note for note in result["notes"])
    assert graded(ONE)["notes"] == []


def test_a_wrong_answer_stays_wrong_and_a_blank_is_not_tried_twice(monkeypatch):
    assert points(graded("def one():\n    return 7", "def two():\n    return 7")) == [0, 0]
    started = []
    start = grade.Sandbox.start
    monkeypatch.setattr(grade.Sandbox, "start", lambda self: (started.append(1), start(self)))
    stub = "    # YOUR CODE HERE\n    raise NotImplementedError()"
    assert points(graded(f"def one():\n{stub}", f"def two():\n{stub}")) == [0, 0]
    assert len(started) == 1


def test_what_an_answer_needs():
    from minijepa.checks.grading.alone import needed

    cells = [
        (True, "import torch\nfrom minijepa.checks import masks as check"),
        (False, "x = quit()\n@cache\ndef one(a, *, b=SCALE):\n    return helper(a) + [x for x in a][0]\nquit()"),
        (True, "check.show_one(one)"),
        (False, "def helper(i):\n    return i + COUNT[0]\n\nCOUNT = []\nCOUNT[0] = 3\ncheck = None; torch.x = 1"),
        (False, "from functools import cache\nSCALE, other = 2, 3\nunused = 4\nsum = 0\n%matplotlib inline"),
        (False, "def broken(:"),
    ]
    program = needed(cells, "check.one(one, sum([torch]))")
    assert program == [
        "import torch\nfrom minijepa.checks import masks as check",
        "@cache\ndef one(a, *, b=SCALE):\n    return helper(a) + [x for x in a][0]",
        "def helper(i):\n    return i + COUNT[0]\nCOUNT = []\nCOUNT[0] = 3",
        "from functools import cache\nSCALE, other = (2, 3)",
    ]


@pytest.mark.parametrize("text", ["(" * 50_000, "-" * 100_000 + "1", "1" + "+1" * 100_000, "a" + ".b" * 100_000, "\0"])
def test_a_text_that_breaks_parsers_is_no_cell(text):
    from minijepa.checks.grading.alone import needed

    needed([(False, text)], "one()")


# --- files that editors and tools have changed ---


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: codecs.BOM_UTF8 + text.encode(),
        lambda text: text.encode("utf-16"),
        lambda text: text.encode("utf-16-le"),
        lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\\n", "\\r\\n").encode(),
        lambda text: codecs.BOM_UTF8 + text.replace("\n", "\r\n").encode(),
    ],
    ids=["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "crlf", "crlf in cells", "bom and crlf"],
)
def test_encodings_and_line_endings(encode):
    text = json.dumps(small(one="def one():\n    'ä ≥ 漢'\n    return 1"), indent=1, ensure_ascii=False)
    result = marked(encode(text))
    assert points(result) == [2, 3] and result["notes"] == [] and result["to_read"][0]["text"] == "my words"


def test_letters_that_are_no_utf_8_cost_nothing_and_are_said():
    text = json.dumps(small(words="schön"), ensure_ascii=False)
    result = marked(text.encode("cp1252"))
    assert points(result) == [2, 3] and any("UTF-8" in note for note in result["notes"])


def stripped(notebook):
    for cell in notebook.cells:
        cell["metadata"] = {}
    return notebook


def words_of(result):
    return {row["cell"]: (row["points"], row["text"]) for row in result["to_read"]}


def assignment():
    """The sources of a real assignment, and a submission with all its answers."""
    path = REPO / "solutions" / "03_masks" / "masks.ipynb"
    sources = {("03_masks", "masks.ipynb"): nbformat.read(path, 4)}
    notebook = nbformat.read(REPO / "exercises" / "03_masks" / "masks.ipynb", 4)
    for cell, solved in zip(notebook.cells, sources["03_masks", "masks.ipynb"].cells, strict=True):
        if cell.metadata.get("nbgrader", {}).get("solution"):
            cell.source = solved.source
    by_name = {cell.metadata.get("nbgrader", {}).get("grade_id"): cell for cell in notebook.cells}
    by_name["question-loss"].source, by_name["question-design"].source = "my first", "my second"
    return sources, notebook


def test_a_notebook_without_metadata_keeps_its_marks_and_its_words():
    sources, notebook = assignment()
    notebook.cells.insert(3, code("%matplotlib inline"))
    notebook.cells.insert(0, nbformat.v4.new_markdown_cell("Ann"))
    result = grade.mark("ann.ipynb", nbformat.writes(stripped(notebook)).encode(), sources, Limits())
    assert (result["assignment"], result["points"], result["of"]) == ("03_masks", 14, 14)
    assert words_of(result) == {"question-loss": (None, "my first"), "question-design": (None, "my second")}
    assert any("names" in note and "question-loss" in note for note in result["notes"])
    assert not any("missing" in note or "changed" in note for note in result["notes"])


def collected(notebook):
    """What is read of a submission, without running a cell: (words, notes)."""
    from minijepa.checks.grading.cells import assemble, with_names

    sources, _ = assignment()
    source = sources["03_masks", "masks.ipynb"]
    cells, notes = assemble(with_names(notebook, source), source)
    texts = {c.metadata.nbgrader.grade_id: t for c, t in cells if c is not None and c.cell_type == "markdown"}
    return texts, notes


def test_an_answer_in_words_is_found_wherever_it_was_written():
    _, notebook = assignment()
    at = [i for i, cell in enumerate(notebook.cells) if cell.source == "my first"][0]
    notebook.cells[at].source = "YOUR ANSWER HERE"
    below = copy.deepcopy(notebook)
    below.cells.insert(at + 1, nbformat.v4.new_markdown_cell("below it"))
    assert collected(below)[0]["question-loss"] == "below it"
    assert collected(stripped(below))[0]["question-loss"] == "below it"
    above = copy.deepcopy(notebook)
    above.cells[at - 1].source += "\n\nMy answer stands here."
    assert "My answer stands here." in collected(above)[0]["question-loss"]
    assert collected(notebook)[0]["question-loss"] == "YOUR ANSWER HERE"
    deleted = copy.deepcopy(notebook)
    del deleted.cells[at]
    texts, notes = collected(stripped(deleted))
    assert texts["question-loss"] == "" and texts["question-design"] == "my second"
    assert any("question-loss" in note and "by hand" in note for note in notes)


def test_half_of_the_metadata():
    _, notebook = assignment()
    for cell in notebook.cells[::2]:
        cell["metadata"] = {}
    texts, notes = collected(notebook)
    assert texts == {"question-loss": "my first", "question-design": "my second"}
    assert not any("missing" in note for note in notes)


def test_a_name_that_stands_twice_is_said_before_the_batch_and_the_rest_is_marked(tmp_path, capsys):
    (tmp_path / "01_small").mkdir()
    nbformat.write(SOURCES["01_small", "small.ipynb"], tmp_path / "01_small" / "small.ipynb")
    notebook = small(two="raise NotImplementedError()")
    notebook.cells.insert(4, code("def two():\n    return 2", "two", solution=True))
    nbformat.write(notebook, tmp_path / "ann.ipynb")
    nbformat.write(small(), tmp_path / "bob.ipynb")
    arguments = [str(tmp_path / "ann.ipynb"), str(tmp_path / "bob.ipynb"), "--solutions", str(tmp_path)]
    assert grade.main([*arguments, "--json", str(tmp_path / "marks.json")]) == 0
    shown = capsys.readouterr()
    assert "ann.ipynb: the cell two occurs 2 times" in shown.err and "bob" not in shown.err
    marks = json.loads((tmp_path / "marks.json").read_text(encoding="utf-8"))
    assert [result["points"] for result in marks] == [5, 5] and "two" in marks[0]["notes"][0]


def test_a_copied_answer_in_words_is_read_too():
    notebook = small(words="first")
    notebook.cells.append(nbformat.v4.new_markdown_cell("second", metadata=flags("words", grade=True, solution=True)))
    assert marked(notebook)["to_read"][0]["text"] == "first\n\nsecond"
