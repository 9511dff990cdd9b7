"""Marking without nbgrader: restored checks, limits, and submissions that are broken, empty or hostile."""

import json

import nbformat
import pytest

from minijepa import grade
from minijepa.checks.grading.kernel import Limits, Sandbox

pytestmark = pytest.mark.assignments
STUBBORN = "    while True:\n        try:\n            time.sleep(9)\n        except BaseException:\n            pass"
LIMITS = Limits(seconds=5, megabytes=2048)


def flags(name, **more):
    base = {"schema_version": 3, "grade": False, "solution": False, "locked": False, "grade_id": name}
    return {"nbgrader": {**base, **more}}


def code(source, name=None, **more):
    return nbformat.v4.new_code_cell(source, metadata=flags(name, **more) if name else {})


def small(one="def one():\n    return 1", two="def two():\n    return 2", **changes):
    """A small assignment with two graded answers and one in words; `changes` replaces the text of other cells."""
    cells = [
        code("import os, sys, time", "given", locked=True),
        code(one, "one", solution=True),
        code(
            "assert one() == 1, 'one is 1'\n### BEGIN HIDDEN TESTS\nassert one() is not True\n### END HIDDEN TESTS",
            "check-one",
            grade=True,
            locked=True,
            points=2,
        ),
        code(two, "two", solution=True),
        code("assert two() == 2, 'two is 2'", "check-two", grade=True, locked=True, points=3),
        nbformat.v4.new_markdown_cell("my words", metadata=flags("words", grade=True, solution=True, points=4)),
    ]
    for cell in cells:
        cell.source = changes.get(cell.metadata.nbgrader.grade_id, cell.source)
    return nbformat.v4.new_notebook(cells=cells)


SOURCES = {("01_small", "small.ipynb"): small()}


def marked(notebook, path="small.ipynb", limits=LIMITS):
    content = notebook if isinstance(notebook, bytes) else nbformat.writes(notebook).encode()
    return grade.mark(path, content, SOURCES, limits)


def points(result):
    return [row["points"] for row in result["cells"]]


def test_right_wrong_and_blank():
    perfect = marked(small())
    assert points(perfect) == [2, 3] and perfect["points"] == perfect["of"] == 5 and perfect["notes"] == []
    assert perfect["to_read"] == [{"cell": "words", "of": 4, "points": None, "text": "my words"}]
    stub = "raise NotImplementedError()"
    half = marked(small(two=stub, words="YOUR ANSWER HERE"))
    assert points(half) == [2, 0] and "two" in half["cells"][1]["message"] and half["to_read"][0]["points"] == 0


def test_tampered_deleted_and_hidden_checks_are_restored():
    assert points(marked(small(one="def one():\n    return True"))) == [0, 3]  # the hidden test says no
    changed = marked(small(one="def one():\n    return 7", **{"check-one": "pass"}))
    assert points(changed) == [0, 3] and changed["notes"] == ["check-one was changed and is restored"]
    notebook = small(one="def one():\n    return 7")
    del notebook.cells[2]
    gone = marked(notebook)
    assert points(gone) == [0, 3] and gone["notes"] == ["check-one was missing"]
    notebook = small(one="def one():\n    return 7")
    notebook.cells[2].metadata.nbgrader.update(points=100, locked=False)
    assert marked(notebook)["points"] == 3


def test_added_cells_run_where_they_stand_and_a_copied_answer_counts_as_added():
    notebook = small(one="def one():\n    return helper()")
    notebook.cells.insert(1, code("def helper():\n    return 1"))
    assert points(marked(notebook)) == [2, 3]
    notebook = small(two="raise NotImplementedError()")
    notebook.cells.insert(4, code("def two():\n    return 2", "two", solution=True))
    assert points(marked(notebook)) == [2, 3]
    notebook = small()
    notebook.cells[1].cell_type = "markdown"  # JupyterLab's Y and M keys are easily hit
    notebook.cells[1].pop("outputs"), notebook.cells[1].pop("execution_count")
    assert points(marked(notebook)) == [2, 3]


@pytest.mark.parametrize(
    "one, status",
    [
        ("def one():\n    while True:\n        pass", "time"),
        (f"def one():\n{STUBBORN}", "time"),
        ("def one():\n    sys.exit()", "error"),
        ("def one():\n    os._exit(0)", "died"),
        ("def one():\n    return bytearray(3 * 2**30)", "error"),
        ("def one():\n    os.kill(os.getpid(), 9)", "died"),
    ],
)  # fmt: skip
def test_a_hostile_answer_costs_its_own_marks_alone(one, status):
    limits = Limits(seconds=4, megabytes=1024)
    result = marked(small(one=one), limits=limits)
    assert points(result) == [0, 3]
    if not (status == "error" and "bytearray" in one):  # how a system says no to 3 GB differs
        assert result["cells"][0]["status"] == status


def test_pranks_at_the_top_of_a_cell_stop_nothing():
    for prank in (
        "exit()",
        "print('x' * 30_000_000)",
        "import shutil; shutil.rmtree(os.getcwd())",
        "1 +",
        "%%bash\nfalse",
    ):
        result = marked(small(two=f"def two():\n    return 2\n{prank}" if prank != "1 +" else "1 +"))
        assert points(result)[0] == 2, prank
        assert points(result)[1] == (0 if prank in ("1 +", "exit()") else 3) or prank == "exit()", prank
        assert all(len(row["message"]) <= 2000 for row in result["cells"])


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"\xff\xfe", b'{"cells": 3}', b'{"nbformat": 4, "cells": []}'])
def test_broken_and_empty_files_get_their_marks(content):
    result = marked(content)
    assert result["points"] == 0 and (result["of"] == 5 or not result["assignment"])
    assert result["assignment"] == "01_small"  # by the file's name
    assert marked(content, "ann.ipynb")["assignment"] is None
    assert grade.mark("ann.ipynb", content, SOURCES, LIMITS, wanted="01_small")["of"] == 5


def test_a_renamed_file_is_known_by_its_cells():
    assert grade.find_source(grade.Path("ann.ipynb"), small(), SOURCES) == ("01_small", "small.ipynb")


def test_the_command_line_writes_a_table_and_json_and_reads_all_files_first(tmp_path, capsys):
    folder = tmp_path / "solutions" / "01_small"
    folder.mkdir(parents=True)
    nbformat.write(small(), folder / "small.ipynb")
    first, second, out = tmp_path / "a.ipynb", tmp_path / "b.ipynb", tmp_path / "marks.json"
    nbformat.write(small(two=f"import os\nos.remove({str(second)!r})\ndef two():\n    return 3"), first)
    nbformat.write(small(), second)
    arguments = [str(first), str(second), "--solutions", str(tmp_path / "solutions"), "--json", str(out)]
    assert grade.main(arguments) == 0
    shown = capsys.readouterr().out
    assert "2/5" in shown and "5/5" in shown and "check-two: 0/3, error" in shown and "two is 2" in shown
    assert [result["points"] for result in json.loads(out.read_text(encoding="utf-8"))] == [2, 5]


def test_a_failure_of_the_marking_itself_is_shown_and_the_run_goes_on(tmp_path, capsys, monkeypatch):
    def broken(path, *rest):
        raise RuntimeError("no kernel")

    folder = tmp_path / "01_small"
    folder.mkdir()
    nbformat.write(small(), folder / "small.ipynb")
    monkeypatch.setattr(grade, "mark", broken)
    assert grade.main([str(folder / "small.ipynb")] * 2 + ["--solutions", str(tmp_path)]) == 0
    assert capsys.readouterr().out.count("NOT MARKED, look at this file: RuntimeError: no kernel") == 2


def test_the_command_line_refuses_what_is_not_there(tmp_path, capsys):
    for arguments in ([str(tmp_path / "no.ipynb")], [__file__, "--solutions", str(tmp_path)]):
        with pytest.raises(SystemExit) as caught:
            grade.main(arguments)
        assert caught.value.code == 2


def test_after_a_crash_the_cells_before_are_run_again():
    with Sandbox(Limits(seconds=5, megabytes=2048)) as kernel:
        assert kernel.run("x = 41")[0] == "ok"
        assert kernel.run("import os; os._exit(1)")[0] == "died"
        assert kernel.run("assert x + 1 == 42")[0] == "ok"
        assert kernel.run("while True: pass", replay=False)[0] == "time"
        assert kernel.run("assert x == 41")[0] == "ok"
