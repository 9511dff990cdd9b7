"""What a student gets of a shared machine: a notebook runs within one core, and the hub page says what was measured."""

import json
import os
import re
import sys

import nbformat
import pytest
from helpers import REPO

sys.path.insert(0, str(REPO / "tools" / "bench"))

import notebooks as bench  # noqa: E402

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="only Linux lets a program choose its cores"
)
CORE = min(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0


def notebook(folder, *cells):
    """A small notebook of these cells."""
    path = folder / "small.ipynb"
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    nbformat.write(nbformat.v4.new_notebook(cells=[*map(nbformat.v4.new_code_cell, cells)], metadata=kernel), path)
    return path


def test_a_kernel_with_one_core_computes_with_one_thread(tmp_path):
    small = notebook(
        tmp_path,
        "import minijepa, os, torch",
        f"assert os.sched_getaffinity(0) == {{{CORE}}}, os.sched_getaffinity(0)",
        "assert torch.get_num_threads() == 1, torch.get_num_threads()",
        "held = bytearray(400_000_000); import time; time.sleep(1)",
    )
    row = bench.run(small, {CORE})
    assert row["own"] > 0.4 and row["memory"] > row["own"], row
    assert 0 < row["processor"] <= row["minutes"] + 0.02, row  # one core gives no more than the clock


def test_a_notebook_of_the_course_runs_within_one_core():
    row = bench.run(REPO / "notebooks" / "02_vision_transformer.ipynb", {CORE})
    assert row["processor"] <= row["minutes"] + 0.02 and row["memory"] < 3


def test_a_notebook_that_fails_or_hangs_is_no_measurement(tmp_path):
    before = os.sched_getaffinity(0)
    with pytest.raises(RuntimeError, match="(?s)ended with an error.*no such thing"):
        bench.run(notebook(tmp_path, "raise ValueError('no such thing')"), {CORE})
    with pytest.raises(RuntimeError, match="ended with an error"):
        bench.run(notebook(tmp_path, "import time", "time.sleep(600)"), {CORE}, limit=5)
    assert os.sched_getaffinity(0) == before  # the limit is the child's, not ours


def test_a_new_row_replaces_the_old_one_of_the_same_limits(tmp_path):
    row = {"notebook": "a", "cores": 1, "sharing": 1}
    row |= {"minutes": 1.0, "processor": 0.9, "memory": 1.0, "own": 0.5}
    for each in (row, {**row, "cores": 2, "minutes": 0.6}, {**row, "sharing": 4}, {**row, "minutes": 1.2}):
        bench.store(tmp_path / "rows.json", each)
    rows = json.loads((tmp_path / "rows.json").read_text(encoding="utf-8"))["rows"]
    assert [(each["cores"], each["sharing"], each["minutes"]) for each in rows] == [
        (1, 1, 1.2),
        (1, 4, 1.0),
        (2, 1, 0.6),
    ]
    assert bench.table(rows)[-1] == "| a | 0.9 | 0.6 | 1.0 | 0.5 |"
    assert bench.crowd(rows)[-1] == "| a | 1 | 4 | 1.0 | 3.6 |"  # four kernels on one core


@pytest.mark.parametrize("path", sorted((REPO / "notebooks").glob("*.ipynb")), ids=lambda path: path.name)
def test_a_notebook_takes_no_more_memory_than_its_box_states(path):
    box = nbformat.read(path, as_version=4).cells[0].source
    rows = json.loads(bench.RESULTS.read_text(encoding="utf-8"))["rows"]
    measured = [row["memory"] for row in rows if row["notebook"] == path.stem]
    assert measured and max(measured) < float(re.search(r"\| Memory \| below ([\d.]+) GB", box)[1])


def test_the_page_shows_what_was_measured():
    page = (REPO / "docs" / "hub.md").read_text(encoding="utf-8")
    rows = json.loads(bench.RESULTS.read_text(encoding="utf-8"))["rows"]
    assert "\n".join(bench.table(rows)) in page and "\n".join(bench.crowd(rows)) in page
    assert len(bench.crowd(rows)) > 3
    assert {row["notebook"] for row in rows} == {path.stem for path in (REPO / "notebooks").glob("*.ipynb")}
    limit = float(page.split("A limit of ")[1].split(" GB")[0])
    assert max(row["memory"] for row in rows) < limit
