"""The notebooks as web pages, without a kernel: every picture has its words, every explorer is there as a picture.

Checked for nbconvert's default template, "lab", and for "classic". What "lab" drops, the alternative texts of image/png
outputs, JupyterLab drops too, so this is also what a screen reader finds in a notebook that is opened and not run.
"""

import base64
import re
from functools import lru_cache
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from nbconvert import HTMLExporter

from minijepa.plots.figures import described

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
NOTHING_SAID = "No description has been provided for this image"  # nbconvert's own, where there is no text
# a live widget: as such where the notebook holds its state, else the text that stands for one
LIVE = re.compile(r"vnd\.jupyter\.widget-(?:view|state)\+json|Loading widget|Error displaying widget|\b[VH]Box\(")
FAILED = re.compile(r"output_error|output_stderr|application/vnd\.jupyter\.(?:stderr|error)|Traceback \(most")


class Reader(HTMLParser):
    """What a page holds: `images`, (alternative text, source) of each; `shell`, the markup without text and scripts."""

    def __init__(self, page):
        super().__init__()
        self.images, self.shell, self.text, self.inside = [], [], [], None
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "img":
            self.images.append((attributes.get("alt") or "", attributes.get("src") or ""))
        if tag in ("script", "style"):
            self.inside = tag
        self.shell.append(" ".join(attributes.get(name) or "" for name in ("class", "type", "data-mime-type")))

    def handle_endtag(self, tag):
        self.inside = None if tag == self.inside else self.inside

    def handle_data(self, data):
        if self.inside is None:
            self.text.append(data)


@lru_cache
def exporter(template):
    return HTMLExporter(template_name=template)


def convert(notebook, template):
    return exporter(template).from_notebook_node(notebook)[0]


def explorers(notebook):
    """Outputs of the cells that make an explorer, and so show it."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [cell.outputs for cell in cells if re.search(r"\wExplorer\(", cell.source)]


def pictures(output):
    """The pictures that an output holds, each as base64."""
    data = output.get("data", {})
    inside = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", data.get("text/html", ""))
    return inside + ([data["image/png"].replace("\n", "")] if "image/png" in data else [])


def findings(notebook):
    """What a reader of the page would miss or stumble over, as sentences."""
    found, outputs = [], [output for cell in notebook.cells for output in cell.get("outputs", [])]
    for template in ("lab", "classic"):
        reader = Reader(convert(notebook, template))
        shown = {source.replace("\n", "").removeprefix("data:image/png;base64,"): alt for alt, source in reader.images}
        for alt, source in reader.images:
            if not alt.strip() or alt == NOTHING_SAID:
                found.append(f"{template}: an image without alternative text: {source[:40]}")
        lost = [output for output in outputs if any(picture not in shown for picture in pictures(output))]
        found += [f"{template}: a picture that is not on the page: {output.data}" for output in lost]
        for cell in explorers(notebook):
            alts = [shown.get(picture, "") for output in cell for picture in pictures(output)]
            if not any("Still picture" in alt for alt in alts):
                found.append(f"{template}: an explorer without its still picture: {alts}")
        found += [f"{template}: {match}" for where in (reader.shell, reader.text) for match in broken("\n".join(where))]
    return found


def broken(text):
    """Places of live widgets, errors and warnings in a page's text or attributes."""
    return [match[0] for kind in (LIVE, FAILED) for match in kind.finditer(text)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_as_a_web_page(path):
    assert findings(nbformat.read(path, as_version=4)) == []


@pytest.mark.parametrize("name", ["03_masks", "05_collapse", "07_energy"])
def test_the_notebooks_with_explorers_are_known_by_them(name):
    (path,) = [path for path in NOTEBOOKS if path.stem == name]
    assert explorers(nbformat.read(path, as_version=4)), "else the test above looks for no still picture"


# --- planted faults ---------------------------------------------------------------------------------------

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


def sound():
    """A notebook with a picture and an explorer, as they are committed."""
    v4, cells = nbformat.v4, []
    for source, alt in (("show()", 'A square: a < b, "so".'), ("SomeExplorer(2)", "A map. Still picture of 2 states")):
        output = v4.new_output("execute_result", data=described(PIXEL + alt.encode(), alt), execution_count=1)
        cells.append(v4.new_code_cell(source, execution_count=1, outputs=[output]))
    return v4.new_notebook(cells=cells)


def view(notebook):
    """A live widget and nothing beside it."""
    data = {"application/vnd.jupyter.widget-view+json": {"model_id": "a", "version_major": 2, "version_minor": 0}}
    notebook.cells[0].outputs[0].data = nbformat.from_dict({**data, "text/plain": "VBox(children=())"})


def view_with_state(notebook):
    """The same as JupyterLab saves it, with the state of its widgets."""
    view(notebook)
    model = {"model_name": "VBoxModel", "model_module": "@jupyter-widgets/controls", "state": {}}
    kind = "application/vnd.jupyter.widget-state+json"
    notebook.metadata.widgets = nbformat.from_dict({kind: {"state": {"a": model}, "version_major": 2}})


def fail(notebook):
    error = nbformat.v4.new_output("error", ename="ValueError", evalue="no", traceback=["Traceback (most recent"])
    notebook.cells[0].outputs.append(error)


def warn(notebook):
    notebook.cells[0].outputs.append(nbformat.v4.new_output("stream", name="stderr", text="careful"))


def no_words(notebook):
    notebook.cells[0].outputs[0].data["text/html"] = '<img src="a.png">'


def empty_words(notebook):
    notebook.cells[0].outputs[0].data["text/html"] = '<img alt=" " src="a.png">'


def words_as_metadata(notebook):
    """As image/png: only "classic" shows the words then."""
    output = notebook.cells[0].outputs[0]
    output.data = nbformat.from_dict({"image/png": base64.b64encode(PIXEL).decode(), "text/plain": "A square."})
    output.metadata = nbformat.from_dict({"image/png": {"alt": "A square."}})


def hidden_picture(notebook):
    """A richer form of the output, which pages prefer, without the picture."""
    words_as_metadata(notebook)
    notebook.cells[0].outputs[0].data["text/html"] = "see above"


FAULTS = {
    "no alternative text": (no_words, "lab: an image without alternative"),
    "an empty one": (empty_words, "lab: an image without alternative"),
    "one that the default template drops": (words_as_metadata, "lab: an image without alternative"),
    "a picture behind other words": (hidden_picture, "not on the page"),
    "no still picture": (lambda nb: nb.cells[1].outputs.clear(), "without its still picture"),
    "a live widget": (view, "VBox"),
    "a live widget and its state": (view_with_state, "widget-view"),
    "an error": (fail, "Traceback"),
    "a warning": (warn, "stderr"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault):
    notebook = sound()
    assert findings(notebook) == []
    plant, words = FAULTS[fault]
    plant(notebook)
    assert words in "\n".join(findings(notebook))
