"""What a student does with a notebook in JupyterLab: opens it, runs it, moves the controls of an explorer."""

import json
import re
import time

import nbformat

# what JupyterLab itself reports without a network or on its first start; not ours
NOISE = re.compile(r"favicon|ERR_|status of 404|extension", re.I)
NOTEBOOK = "window.jupyterapp.shell.currentWidget.content"
KERNEL = "window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel"


def open_notebook(page, lab, path):
    """Load it in JupyterLab and wait until its cells are there."""
    page.goto(lab.url(path), wait_until="domcontentloaded")
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    page.wait_for_function("window.jupyterapp.shell.currentWidget?.context?.isReady")


def run_all(page):
    """Run > Run All Cells; resolves when the last cell is done. From now on the kernel's errors are noted.

    What a slider's callback reports belongs to no cell, so JupyterLab shows it nowhere: we listen ourselves.
    """
    page.wait_for_function(f"{KERNEL}?.status === 'idle'")
    page.evaluate(
        f"""() => {{
            window.kernelErrors = [];
            {KERNEL}.iopubMessage.connect((_, m) => {{
                if (m.header.msg_type === 'error' || m.content.name === 'stderr')
                    window.kernelErrors.push(m.content.evalue ?? m.content.text);
            }});
        }}"""
    )
    page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells').then(String)")


def content(page):
    """The notebook as JupyterLab would save it."""
    text = page.evaluate("JSON.stringify(window.jupyterapp.shell.currentWidget.content.model.toJSON())")
    return nbformat.from_dict(json.loads(text))


def complaints(page):
    """Errors in the outputs, from the kernel at any time, and in the browser's console."""
    outputs = [output for cell in content(page).cells for output in cell.get("outputs", [])]
    found = [o.get("evalue") or o.text for o in outputs if o.output_type == "error" or o.get("name") == "stderr"]
    # JupyterLab asks each new kernel for its widgets; one that has not imported ipywidgets yet answers so
    found += [text for text in page.evaluate("window.kernelErrors ?? []") if not text.startswith("No such comm")]
    return found + [error for error in page.errors if not NOISE.search(error)]


def pictures_with_words(page, number):
    """Of each picture that a cell's outputs show: (alternative text, width in its own pixels)."""
    page.evaluate(f"{NOTEBOOK}.scrollToItem({number}, 'start').then(String)")
    images = page.locator(f".jp-Cell[data-windowed-list-index='{number}'] .jp-OutputArea img")
    images.first.wait_for()
    return images.evaluate_all("all => Promise.all(all.map(i => i.decode().then(() => [i.alt, i.naturalWidth])))")


class Live:
    """The explorer in a cell of a page: what it shows, and whether that has changed.

    JupyterLab keeps only the cells near the window in the page, so the cell is scrolled to first.
    """

    def __init__(self, page, number=0):
        self.page = page
        page.evaluate(f"{NOTEBOOK}.scrollToItem({number}, 'start').then(String)")
        self.cell = page.locator(f".jp-Cell[data-windowed-list-index='{number}']")
        self.image = self.cell.locator(".jp-OutputArea .widget-html img")
        self.image.wait_for()
        self.settle()

    def shown(self):
        return self.image.get_attribute("src")

    def changes(self, act, seconds=60):
        """Do something and wait for another picture. Returns the seconds it took, None if it stays the same."""
        before, start = self.shown(), time.perf_counter()
        act()
        while time.perf_counter() - start < seconds:
            if self.shown() != before:
                return time.perf_counter() - start
            self.page.wait_for_timeout(20)
        return None

    def settle(self):
        """Wait until the last of several changes has been drawn."""
        idle = f"{KERNEL}.status === 'idle'"
        while self.changes(lambda: None, seconds=0.6) is not None or not self.page.evaluate(idle):
            pass

    def find(self, what):
        """Parts of the explorer, by their CSS selector."""
        return self.cell.locator(".jp-OutputArea").locator(what)


def drive(live):
    """Move every slider by mouse and by keyboard, press every button; each must change the picture.

    Returns the seconds from key to picture.
    """
    page, waited, handles = live.page, [], live.find(".noUi-handle")
    for i in range(handles.count()):
        handle = handles.nth(i)
        box, track = handle.bounding_box(), handle.locator("xpath=ancestor::*[contains(@class,'noUi-target')]")
        room = track.bounding_box()
        # to the half of the track where the handle is not
        right = box["x"] + box["width"] / 2 < room["x"] + room["width"] / 2
        x, y = room["x"] + room["width"] * (0.8 if right else 0.2), box["y"] + box["height"] / 2

        def drag(box=box, x=x, y=y):
            page.mouse.move(box["x"] + box["width"] / 2, y)
            page.mouse.down()
            page.mouse.move(x, y, steps=4)
            page.mouse.up()

        assert live.changes(drag) is not None, f"slider {i} does not answer to the mouse"
        live.settle()
        key = "ArrowLeft" if right else "ArrowRight"
        steps = 0
        handle.focus()
        while (took := live.changes(lambda key=key: page.keyboard.press(key), seconds=2)) is None:
            steps += 1  # a small step may round to the same picture
            assert steps < 15, f"slider {i} does not answer to the keyboard"
        waited.append(took)
        page.keyboard.press("Home")  # small blocks leave room for what the other controls do
        live.settle()
    buttons = live.find(".widget-toggle-buttons button")
    for i in reversed(range(buttons.count())):
        buttons.nth(i).focus()
        assert live.changes(lambda: page.keyboard.press("Space")) is not None, f"button {i} does not answer to a key"
        live.settle()
    return waited
