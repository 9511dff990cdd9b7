"""The course's own notebooks in JupyterLab: run from the first cell to the last, then every explorer is played with.

Each notebook runs in full, so this takes minutes. A screenshot of every explorer is left in pytest's temporary folder.
"""

import re
import shutil
from pathlib import Path

import nbformat
import pytest
from driving import Live, complaints, drive, open_notebook, pictures_with_words, run_all

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def explorers(notebook):
    """Numbers of the cells that make an explorer, and so show it."""
    made = re.compile(r"\wExplorer\(")
    return [i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code" and made.search(cell.source)]


@pytest.mark.parametrize(
    "name, expected", [("00_start_here", 0), ("03_masks", 1), ("05_collapse", 1), ("07_energy", 2)]
)
def test_runs_and_answers(name, expected, lab, new_page, tmp_path):
    shutil.copy(NOTEBOOKS / f"{name}.ipynb", lab.folder)
    places = explorers(nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4))
    assert len(places) == expected
    page = new_page()
    open_notebook(page, lab, f"{name}.ipynb")
    run_all(page)
    assert complaints(page) == []
    for number in places:
        live = Live(page, number)
        waited = drive(live)
        assert min(waited) > 0 and live.find("[role=status]").inner_text()
        picture = tmp_path / f"{name}-cell{number}.png"
        live.cell.screenshot(path=str(picture))
        print(f"{picture}: from key to picture {sorted(round(1000 * t) for t in waited)} ms")
    assert complaints(page) == []


def test_opened_and_not_run_every_picture_has_its_words(lab, new_page):
    """What a screen reader finds in a notebook from elsewhere: JupyterLab does not trust it, and cleans its HTML."""
    name = "03_masks.ipynb"
    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
    shutil.copy(NOTEBOOKS / name, lab.folder / "opened.ipynb")
    page = new_page()
    open_notebook(page, lab, "opened.ipynb")
    assert not page.evaluate("window.jupyterapp.shell.currentWidget.content.model.cells.get(1).trusted")
    outputs = [(i, output) for i, cell in enumerate(notebook.cells) for output in cell.get("outputs", [])]
    expected = [(i, output.data["text/plain"]) for i, output in outputs if "text/html" in output.get("data", {})]
    assert len(expected) >= 10
    for number in dict(expected):
        shown = pictures_with_words(page, number)
        assert [alt for alt, _ in shown] == [alt for i, alt in expected if i == number]
        assert min(width for _, width in shown) >= 300, "the pixels are there too"
    assert complaints(page) == []
