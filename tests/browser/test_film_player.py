"""Films: the player by keyboard, on a page and in JupyterLab; the strip alone where no script may run."""

import nbformat
import numpy as np
import pytest
from driving import complaints, content, open_notebook, run_all

from minijepa.plots.film import film_html

PANEL = np.stack([np.full((4, 6), 60 * i, np.uint8) for i in range(4)])  # 4 frames of 4 x 6 pixels
FILM = [[PANEL]], ["one"]
ALT = 'A square < a circle, growing "brighter".'
CELL = f"""
import numpy as np
from minijepa.plots import film

film([[np.stack([np.full((4, 6), 60 * i, np.uint8) for i in range(4)])]], ["one"], {ALT!r}, milliseconds=30)
"""


def play(page, figure):
    """By keyboard alone: two frames on with the slider, then play, then pause."""
    picture, slider, place = figure.locator("div > img"), figure.locator("input"), figure.locator("output")
    strip = [image.get_attribute("src") for image in figure.locator(":scope > img").all()]
    assert picture.get_attribute("src") == strip[0]
    figure.locator("button").focus()
    page.keyboard.press("Tab")
    assert slider.evaluate("input => input === document.activeElement")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert picture.get_attribute("src") == strip[2] and place.text_content() == " frame 3 of 4"
    assert picture.get_attribute("alt") == f"{ALT} frame 3 of 4"
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Space")
    assert figure.locator("button").text_content() == "Pause"
    seen = set()
    for _ in range(500):
        seen.add(place.text_content())
        if len(seen) == len(strip):
            break
        page.wait_for_timeout(10)
    assert len(seen) == len(strip), "playing shows all frames"
    page.keyboard.press("Space")
    stopped = slider.input_value()
    page.wait_for_timeout(150)
    assert figure.locator("button").text_content() == "Play" and slider.input_value() == stopped


def test_on_a_page(new_page):
    page = new_page()
    page.set_content(2 * film_html(*FILM, ALT, milliseconds=30))
    assert page.locator("figure > div").count() == 2  # one player for each film, however often the script ran
    figure = page.locator("figure").first
    assert figure.locator("div > img").evaluate("image => image.width") == 480
    play(page, figure)
    assert page.errors == []


def test_without_scripts_the_strip_stays(browser):
    page = browser.new_page(java_script_enabled=False)
    page.set_content(film_html(*FILM, ALT))
    assert page.locator("figure > img").count() == 4 and page.locator("button").count() == 0
    assert page.locator("figure > img").last.is_visible()
    page.close()


@pytest.fixture(scope="module")
def notebook(lab):
    """A notebook with a film, not run yet; its cells are in the window for sure."""
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL.strip())])
    made.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(made, lab.folder / "film.ipynb")
    return made


def test_in_jupyterlab_after_a_run(lab, notebook, new_page, tmp_path):
    page = new_page()
    open_notebook(page, lab, "film.ipynb")
    run_all(page)
    figure = page.locator(".jp-OutputArea figure")
    figure.locator("button").wait_for()
    play(page, figure)
    page.screenshot(path=str(tmp_path / "player.png"))
    print(f"screenshot in {tmp_path}")
    assert complaints(page) == []
    assert len(content(page).cells) == 1, "no key of the player reached the notebook's own commands"


def test_in_jupyterlab_before_anyone_trusts_the_notebook(lab, notebook, new_page, tmp_path):
    output = nbformat.v4.new_output("display_data", data={"text/html": film_html(*FILM, ALT), "text/plain": ALT})
    notebook.cells[0].outputs, notebook.cells[0].execution_count = [output], 1
    nbformat.write(notebook, lab.folder / "opened.ipynb")
    page = new_page()
    open_notebook(page, lab, "opened.ipynb")
    area = page.locator(".jp-OutputArea")
    area.locator("img").last.wait_for()
    assert [image.get_attribute("alt") for image in area.locator("img").all()] == [
        f"frame {i} of 4" for i in range(1, 5)
    ]
    assert area.locator("img").last.is_visible() and ALT in area.inner_text()
    assert area.locator("button, input").count() == 0, "no dead player, and no question about scripts"
    page.screenshot(path=str(tmp_path / "strip.png"))
    print(f"screenshot in {tmp_path}")
    assert complaints(page) == []
