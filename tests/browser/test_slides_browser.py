"""Slides in a real browser: keys move, every slide fits on its page, and nothing is fetched."""

import importlib.util
from pathlib import Path

import nbformat
import pytest

REPO = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def build():
    spec = importlib.util.spec_from_file_location("build", REPO / "tools" / "slides" / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", sorted((REPO / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_slides(browser, build, path, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    if not any(map(build.marked, notebook.cells)):
        pytest.skip("no cell is marked as a slide")
    page = tmp_path / "slides.html"
    page.write_text(build.page(notebook, path.stem), encoding="utf-8")
    tab = browser.new_page(viewport={"width": 960, "height": 540})
    asked, wrong = [], []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    tab.goto(page.as_uri())
    count = len(build.slides_of(notebook))
    assert tab.evaluate("slides.length") == count
    too_full = """slides.map((slide, i) => [i + 1, slide.querySelector("div")])
        .filter(([i, box]) => box.scrollHeight > box.clientHeight + 1 || box.scrollWidth > box.clientWidth + 1)
        .map(([i]) => i)"""
    assert tab.evaluate(too_full) == [], "slides that do not fit"
    assert tab.evaluate("Math.min(...slides.map((s) => parseInt(s.querySelector('div').style.fontSize)))") >= 18
    for key, expected in [("ArrowRight", 2), ("End", count), ("ArrowRight", count), ("Home", 1), ("ArrowLeft", 1)]:
        tab.keyboard.press(key)
        assert tab.evaluate("document.querySelectorAll('section.now').length") == 1
        assert tab.evaluate("now + 1") == expected and tab.evaluate("location.hash") == f"#{expected}"
    assert [url for url in asked if not url.startswith("data:")] == [page.as_uri()] and wrong == []
    tab.close()
