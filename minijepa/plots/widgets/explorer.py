"""What all explorers share: controls that redraw a picture, and a still picture for readers without a kernel."""

import base64
import html

import ipywidgets

from minijepa.plots.figures import GREY, described
from minijepa.plots.widgets import canvas


class Explorer:
    """Controls and the picture they change. As the last line of a cell, an explorer shows itself.

    controls: ipywidgets with a `value`, by name; all of them can be tabbed to and moved with the arrow keys.
    A subclass gives `alt`, one sentence that says what the picture shows; `examples`, the states of the still
    picture; and `draw(**values) -> (PIL picture, sentence)`, quick enough for a slider. A ValueError of `draw` is
    shown as a message in place of the picture: impossible settings are part of the exploration.
    """

    alt = ""
    examples = ()

    def __init__(self, **controls):
        self.controls = controls
        self.screen = ipywidgets.HTML()
        for name, control in controls.items():
            control.style.description_width = "initial"
            control.layout.margin = "2px 18px 2px 0"
            control.description = control.description or name
            control.observe(self.refresh, names="value")
        bar = ipywidgets.Box(list(controls.values()), layout={"flex_flow": "row wrap"})
        self.box = ipywidgets.VBox([bar, self.screen])
        self.refresh()

    def draw(self, **values):
        """(picture, sentence) of a state. Subclasses give it; this one raises NotImplementedError."""
        raise NotImplementedError

    def render(self, **values):
        """`draw`, or a message where that is impossible."""
        try:
            return self.draw(**values)
        except ValueError as error:
            return canvas.message(str(error)), f"Not possible: {error}"

    def refresh(self, change=None):
        """Draw the state of the controls."""
        picture, sentence = self.render(**{name: control.value for name, control in self.controls.items()})
        data = base64.b64encode(canvas.png(picture)).decode()
        # the size is given, and decoding is not put off, so that the page neither jumps nor flickers
        self.screen.value = (
            f'<img alt="{html.escape(self.alt)}" width="{picture.width}" height="{picture.height}" decoding="sync" '
            f'style="max-width: 100%; height: auto" src="data:image/png;base64,{data}">'
            f'<div role="status" style="line-height: 1.4; max-width: 60em">{html.escape(sentence)}</div>'
        )

    def still(self):
        """One picture of all `examples`, for readers without a kernel."""
        parts = [canvas.words("Still picture: run the notebook to move the controls.", 620, 11, GREY)]
        for title, values in self.examples:
            picture, sentence = self.render(**values)
            width = max(picture.width, 620)
            said = [] if sentence.startswith("Not possible") else [canvas.words(sentence, width, 11)]
            parts.append(canvas.stack([canvas.words(title, width, 13), picture, *said], gap=3))
        return canvas.stack(parts, gap=16)

    def _repr_mimebundle_(self, include=None, exclude=None):
        """The live widget, and for readers without a kernel the still picture and its description.

        Front ends take the richest form that they can show. The text is the same on every machine.
        """
        text = f"{self.alt} Still picture of {len(self.examples)} states; run the cell to move the controls."
        return {**self.box._repr_mimebundle_(), **described(canvas.png(self.still(), small=True), text)}
