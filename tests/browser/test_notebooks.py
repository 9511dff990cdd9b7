"""The course's own notebooks in JupyterLab: run from the first cell to the last, then every explorer is played with.

Each notebook runs in full, so this takes minutes. A screenshot of every explorer is left in pytest's temporary folder.
"""

import re
import shutil
from pathlib import Path

import nbformat
import pytest
from driving import Live, complaints, drive, open_notebook, run_all

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
