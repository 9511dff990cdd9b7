"""Pictures of worlds on a grid: numbers per cell as maps, and scores of several seeds as bars."""

import matplotlib.pyplot as plt
import numpy as np

from minijepa.plots.figures import PALETTE

HATCHES = ("", "//", "..", "xx", "\\\\", "++", "oo", "--")


def grid_maps(maps, label=None, columns=4, signed=True, marks=None):
    """Numbers per cell on the map, a panel each; walls are grey. Returns a Figure.

    maps: dict title -> [H, W], NaN in walls, as `GridRooms.on_map` makes them.
    label: of the colour scale, which all panels then share; None gives each panel its own, without a bar.
    signed: colours from -max to max with white at 0 (orange to purple); else viridis from the smallest value on.
    marks: dict title -> (row, column) of a cell to mark with a circle.
    """
    rows = -(-len(maps) // columns)
    width = min(columns, len(maps))
    size = (2.2 * width + (0.8 if label else 0), 2.4 * rows)
    fig, axes = plt.subplots(rows, width, figsize=size, squeeze=False, layout="constrained")
    values = {title: np.ma.masked_invalid(np.asarray(each)) for title, each in maps.items()}
    together = np.ma.concatenate([each.ravel() for each in values.values()])
    colours = plt.get_cmap("PuOr" if signed else "viridis").with_extremes(bad="#8a8a8a")
    for ax, (title, each) in zip(axes.flat, values.items(), strict=False):
        seen = together if label else each
        high = abs(seen).max() if signed else seen.max()
        picture = ax.imshow(each, cmap=colours, vmin=-high if signed else seen.min(), vmax=high)
        ax.set_title(title, fontsize=9)
        if marks and title in marks:
            row, column = marks[title]
            ax.plot(column, row, "o", mfc="none", mec="white", ms=11, mew=3.2)
            ax.plot(column, row, "o", mfc="none", mec="black", ms=11, mew=1.4)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
        ax.set_axis_on() if ax.images else ax.set_axis_off()
    if label:
        fig.colorbar(picture, ax=axes.ravel().tolist(), label=label, shrink=0.85)
    return fig


def seed_bars(table, ylabel, ceiling=None):
    """Means over seeds as grouped bars, with a dot for each seed. Returns a Figure.

    table: dict condition -> dict group -> numbers, one for each seed; the groups are those of the first condition.
    ceiling: a level to draw as a dotted line, named on the right, or None: (name, y).
    """
    groups = list(next(iter(table.values())))
    fig, ax = plt.subplots(figsize=(2.0 + 1.7 * len(groups), 3.5), layout="constrained")
    width = 0.84 / len(table)
    for j, (name, row) in enumerate(table.items()):
        x = np.arange(len(groups)) + (j - (len(table) - 1) / 2) * width
        means = [np.mean(row[group]) for group in groups]
        ax.bar(x, means, width, label=name, color=PALETTE[(4 + j) % 8], hatch=HATCHES[j % 8], edgecolor="white")
        for place, group in zip(x, groups, strict=True):
            ax.plot([place] * len(row[group]), row[group], "o", color="black", ms=3)
    if ceiling:
        ax.set_ylim(top=1.12 * ceiling[1])
        ax.axhline(ceiling[1], color="black", ls=":", lw=1)
        ax.text(len(groups) - 0.5, ceiling[1], ceiling[0], ha="right", va="bottom", fontsize=8)
    ax.axhline(0, color="black", lw=0.8)
    ax.set_xticks(range(len(groups)), groups)
    ax.set(ylabel=ylabel)
    ax.legend(fontsize=8, frameon=False, ncols=3, loc="upper left", bbox_to_anchor=(0, -0.1))
    return fig
