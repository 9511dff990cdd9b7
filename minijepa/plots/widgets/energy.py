"""EnergyExplorer: an energy over two dimensions, computed before; move a slider and see the landscape change."""

import ipywidgets
import matplotlib
import numpy as np
from PIL import Image

from minijepa.plots.figures import BLUE, ORANGE, RED
from minijepa.plots.widgets import canvas
from minijepa.plots.widgets.explorer import Explorer


class EnergyExplorer(Explorer):
    """The map E(x, y) for a chosen target or latent, with its lowest point and a cut through the chosen row.

    energy: array [S_1, ..., S_n, Y, X], one axis per slider, then the rows (y) and columns (x) of the map.
    sliders: dict name -> the S_i values that the axis stands for. x, y: (name, values) of the map's axes, increasing.
    What `energy_landscape` returns over a plane, [U, V, B], fits as `.permute(2, 0, 1)` with {"image": range(B)}, v
    as x and u as y. The colours have one scale for all states: dark is low energy.
    pictures: function (state, row, column) -> one or two pairs (title, uint8 [3, H, W]), such as the question and
    the answer that a point of the map stands for; state: tuple of n indices, one per slider. With it the point
    (row, column) can be moved both ways, and its pictures stand next to the map.
    Raises ValueError where the sizes disagree or an energy is not finite.
    """

    alt = (
        "A map of the energy over two dimensions, dark where it is low, with a red frame at its lowest point; next to "
        "it the energy along the row with the white frame."
    )

    def __init__(self, energy, sliders, x, y, pictures=None):
        self.energy = np.asarray(energy, dtype=np.float32)
        expected = (*(len(values) for values in sliders.values()), len(y[1]), len(x[1]))
        if self.energy.shape != expected:
            raise ValueError(f"energy has shape {self.energy.shape}; sliders, y and x together say {expected}")
        if not np.isfinite(self.energy).all():
            raise ValueError("energy holds values that are not finite: give a finite number for every state")
        self.sliders, self.x, self.y, self.pictures = sliders, x, y, pictures
        self.low, self.high = float(self.energy.min()), float(self.energy.max())
        start, end = dict.fromkeys(sliders, 0), {name: len(values) - 1 for name, values in sliders.items()}
        states = [start, {**start, list(sliders)[-1]: end[list(sliders)[-1]]}, end]  # the last slider alone, then all
        point = {"row": len(y[1]) // 2} | ({"column": len(x[1]) // 2} if pictures else {})
        if pictures:
            self.alt = f"{self.alt[:-1]}; and what the orange point of the map stands for."
        self.examples = [(self.say(s), {**s, **point}) for i, s in enumerate(states) if s not in states[:i]]
        controls = {name: choose(name, values) for name, values in sliders.items()}
        controls["row"] = choose(f"point at {y[0]}" if pictures else f"cut at {y[0]}", y[1], point["row"])
        if pictures:
            controls["column"] = choose(f"point at {x[0]}", x[1], point["column"])
        super().__init__(**controls)

    def say(self, values):
        """The state of the sliders in words."""
        return ", ".join(f"{name} = {self.sliders[name][values[name]]:.3g}" for name in self.sliders)

    def draw(self, row, column=None, **values):
        """Picture and sentence of one state; every value is a number along its axis."""
        state = tuple(values[name] for name in self.sliders)
        surface = self.energy[state]  # [Y, X]
        scaled = (surface - self.low) / ((self.high - self.low) or 1)
        colours = (matplotlib.colormaps["viridis"](scaled)[..., :3] * 255).astype(np.uint8)  # [Y, X, 3]
        side = 260
        picture = Image.fromarray(colours[::-1]).resize((side, side), Image.Resampling.NEAREST)  # y grows upwards
        lowest = np.unravel_index(surface.argmin(), surface.shape)
        grid, flip = surface.shape, len(surface) - 1
        canvas.outline(picture, (flip - row, 0, 1, grid[1]), grid, "white", width=1)
        canvas.outline(picture, (flip - lowest[0], lowest[1], 1, 1), grid, RED)
        if column is not None:
            canvas.outline(picture, (flip - row, column, 1, 1), grid, ORANGE)
        parts = [canvas.panel(picture, f"across: {self.x[0]}, upwards: {self.y[0]}")]
        cut, ends = [(self.x[1], surface[row], ORANGE, "line")], (self.x[1][0], self.x[1][-1])
        title = f"energy against {self.x[0]}, at {self.y[0]} = {self.y[1][row]:.3g}"
        cursor = None if column is None else self.x[1][column]
        parts.append(canvas.plot(cut, (380, side), ends, (self.low, self.high), title, cursor))
        sentence = (
            f"{self.say(values)}: lowest energy {surface.min():.3g} at {self.x[0]} = {self.x[1][lowest[1]]:.3g}, "
            f"{self.y[0]} = {self.y[1][lowest[0]]:.3g}; highest {surface.max():.3g}."
        )
        if self.pictures:
            shown = zip(self.pictures(state, row, column), (BLUE, ORANGE), strict=False)
            parts.append(canvas.stack([canvas.panel(canvas.enlarge(p, 112), t, colour) for (t, p), colour in shown]))
            sentence += f" At the point: {surface[row, column]:.3g}."
        return canvas.side_by_side(parts), sentence


def choose(name, values, start=0):
    """A slider over numbers; its value is the index."""
    options = [(f"{v:.3g}", i) for i, v in enumerate(values)]
    return ipywidgets.SelectionSlider(options=options, value=start, description=name)
