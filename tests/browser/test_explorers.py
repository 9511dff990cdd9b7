"""The explorers in JupyterLab: every control, by mouse and by keyboard, changes the picture; nothing reports an error.

Then the same notebook as it would be committed, opened and not run: the still picture is there, and no error text.
"""

import json

import nbformat
import pytest
from driving import Live, complaints, content, drive, open_notebook, run_all

EXPLORERS = {
    "masks": """
from minijepa.datasets import shapeworld
from minijepa.plots.widgets import MaskExplorer

MaskExplorer(shapeworld(8, seed=0).images, scale=0.3)
""",
    "predictions": """
from minijepa import recipe
from minijepa.datasets import shapeworld
from minijepa.plots.widgets import PredictionExplorer

PredictionExplorer(recipe.build(), shapeworld(3, seed=0), shapeworld(30, seed=1), sizes=(2, 3, 8))
""",
    "plans": """
from minijepa.planning import Dynamics, FrameEncoder, Planner, WorldModel
from minijepa.plots.widgets import PlanExplorer
from minijepa.worlds import TwoRooms

places = [(0.2, 0.2), (0.8, 0.5), (0.3, 0.7)]
PlanExplorer(Planner(WorldModel(FrameEncoder(), Dynamics()), horizon=2), TwoRooms(), places, places[::-1], steps=8)
""",
}
CONTROLS = {"masks": 5, "predictions": 5, "plans": 3}


def write(folder, name, *sources):
    """A notebook of these code cells."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source.strip()) for source in sources])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, folder / f"{name}.ipynb")


@pytest.fixture(scope="module", params=EXPLORERS)
def live(request, new_page, lab):
    """A page with one live explorer; its state is whatever the last test left."""
    page = new_page()
    write(lab.folder, request.param, EXPLORERS[request.param])
    open_notebook(page, lab, f"{request.param}.ipynb")
    run_all(page)
    explorer = Live(page)
    explorer.name = request.param
    return explorer


def test_every_control_answers_to_mouse_and_keyboard(live, tmp_path):
    assert live.find(".noUi-handle").count() >= min(4, CONTROLS[live.name])
    waited = drive(live)
    live.page.screenshot(path=str(tmp_path / "after.png"))
    print(f"from key to picture: {sorted(round(1000 * t) for t in waited)} ms; screenshot in {tmp_path}")
    assert complaints(live.page) == []


def test_tab_leads_from_control_to_control(live):
    page, kinds = live.page, ".widget-hslider, .widget-toggle-buttons"
    page.locator(".jp-OutputArea .noUi-handle").first.focus()
    reached = set()
    for _ in range(12):
        reached.add(page.evaluate(f"document.activeElement.closest('{kinds}')?.innerText ?? ''"))
        page.keyboard.press("Tab")
    controls = page.locator(".jp-OutputArea").locator(kinds)
    assert controls.count() == CONTROLS[live.name]
    assert {controls.nth(i).inner_text() for i in range(CONTROLS[live.name])} <= reached


def test_an_impossible_wish_is_a_message(live):
    """The last step of the first slider of masks (all patches), of the second of predictions (8x8 blocks)."""
    if live.name == "plans":
        pytest.skip("every start, goal and step of a plan is possible")
    page = live.page
    names = page.locator(".jp-OutputArea .widget-label").all_inner_texts()
    page.locator(".jp-OutputArea .noUi-handle").nth(0 if "target scale" in names[0] else 1).focus()
    page.keyboard.press("Home")
    live.settle()
    assert live.changes(lambda: page.keyboard.press("End")) is not None
    live.settle()
    assert "Not possible" in page.locator(".jp-OutputArea [role=status]").inner_text()
    assert complaints(page) == []


def test_as_committed_it_is_a_still_picture(live, lab, new_page, normalise):
    """What somebody sees who opens the file before running it: no kernel knows its widgets."""
    committed = normalise(content(live.page))
    assert "widget-view" not in json.dumps(committed)
    name = f"committed-{len(list(lab.folder.iterdir()))}.ipynb"
    nbformat.write(committed, lab.folder / name)
    page = new_page()
    open_notebook(page, lab, name)
    image = page.locator(".jp-OutputArea img")
    image.wait_for()
    assert image.evaluate("i => i.decode().then(() => i.naturalWidth)") >= 600
    assert "Still picture" in image.get_attribute("alt"), "JupyterLab's sanitiser must leave the words in"
    shown = page.locator(".jp-Notebook").inner_text()
    assert "Error" not in shown and "Loading widget" not in shown
    assert complaints(page) == []
