"""An assignment as a student meets it: open the exercise, write an answer, run the check, read what it says."""

import shutil
from pathlib import Path

import nbformat
import pytest
from driving import KERNEL, content, open_notebook

REPO = Path(__file__).parents[2]
NAME = "03_masks/masks.ipynb"
NOTEBOOK = "window.jupyterapp.shell.currentWidget.content"
WRONG = """def block_indices(top, left, height, width, grid):
    rows = torch.arange(top, top + height)
    columns = torch.arange(left, left + width)
    return (rows[:, None] * grid[0] + columns).flatten()
"""


@pytest.fixture(scope="module")
def page(new_page, lab):
    """The exercise, open in JupyterLab, its imports run."""
    page = new_page()
    shutil.copy(REPO / "exercises" / NAME, lab.folder)
    open_notebook(page, lab, "masks.ipynb")
    page.wait_for_function(f"{KERNEL}?.status === 'idle'")
    run(page, "given-1")
    return page


def number_of(page, name):
    """The place of the cell that nbgrader knows by this name."""
    names = [cell.metadata.get("nbgrader", {}).get("grade_id") for cell in content(page).cells]
    return names.index(name)


def go_to(page, name):
    """Scroll to a cell and make it the active one. Returns its place."""
    place = number_of(page, name)
    page.evaluate(f"{NOTEBOOK}.scrollToItem({place}, 'center').then(String)")
    page.evaluate(f"{NOTEBOOK}.activeCellIndex = {place}")
    return place


def run(page, name):
    """Run one cell and wait for its end. Returns the text that it shows."""
    place = go_to(page, name)
    page.evaluate("window.jupyterapp.commands.execute('notebook:run-cell').then(String)")
    cell = f"{NOTEBOOK}.model.cells.get({place}).toJSON()"
    page.wait_for_function(f"{KERNEL}.status === 'idle' && {cell}.execution_count > 0")
    outputs = content(page).cells[place].outputs
    return "\n".join(o.get("text") or "\n".join(o.get("traceback", [])) for o in outputs)


def write(page, name, code):
    """Click into a cell, select all, and type an answer."""
    place = go_to(page, name)
    page.locator(f".jp-Cell[data-windowed-list-index='{place}'] .cm-content").click()
    page.keyboard.press("ControlOrMeta+A")
    page.keyboard.insert_text(code)
    run(page, name)


def test_an_empty_answer_is_told_so(page):
    run(page, "block_indices")
    assert "still empty" in run(page, "check-block_indices")


def test_a_wrong_answer_gets_its_hint_and_no_lines_of_the_checker(page):
    write(page, "block_indices", WRONG)
    shown = run(page, "check-block_indices")
    assert "not right yet" in shown and "`columns` patches further, not `rows`" in " ".join(shown.split())
    assert "Traceback" not in shown and "report.py" not in shown
    assert page.get_by_text("not right yet").first.is_visible()


def test_the_right_answer_passes(page):
    solution = nbformat.read(REPO / "solutions" / NAME, as_version=4)
    answer = next(c for c in solution.cells if c.metadata.get("nbgrader", {}).get("grade_id") == "block_indices")
    write(page, "block_indices", answer.source)
    assert run(page, "check-block_indices").strip() == "block_indices: right, all 5 cases."


def test_a_check_cannot_be_edited_by_accident(page):
    place = go_to(page, "check-block_indices")
    assert content(page).cells[place].metadata.editable is False
    page.locator(f".jp-Cell[data-windowed-list-index='{place}'] .cm-content").click()
    page.keyboard.insert_text("pass #")
    assert content(page).cells[place].source == "check.block_indices(block_indices)"
