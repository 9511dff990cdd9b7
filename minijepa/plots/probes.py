"""Pictures of what probes read: maps and boxes under images, and scores before and after."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle

from minijepa.plots.figures import BLUE, GREY


def map_rows(rows, width=1.25):
    """Images or maps in titled rows, one column per image. Returns the Figure; its axes are in row order.

    rows: dict name -> (pictures, settings); a picture is an array [H, W, 3] or a map [H, W], settings are imshow's.
    width: of one picture, in inches.
    """
    columns = len(next(iter(rows.values()))[0])
    fig, axes = plt.subplots(len(rows), columns, figsize=(width * columns, width * len(rows)), squeeze=False)
    for line, (name, (pictures, settings)) in zip(axes, rows.items(), strict=True):
        line[0].set_ylabel(name, fontsize=8)
        for ax, picture in zip(line, pictures, strict=True):
            ax.imshow(np.asarray(picture), **settings)
            ax.set(xticks=[], yticks=[])
    fig.tight_layout(pad=0.3)
    return fig


def draw_boxes(ax, boxes, colour):
    """Draw frames around objects into an axis that shows their image.

    boxes: [M, 4], x0 y0 x1 y1 in pixel edges; empty ones are left out.
    """
    for x0, y0, x1, y1 in (boxes - 0.5).tolist():
        if x1 > x0:
            ax.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, ec=colour, lw=1.5))


def paired_scores(scores, names, xlabel):
    """Two scores per question as points on a line: a circle for the first, a square for the second. A Figure.

    scores: dict question -> (first, second), numbers in [0, 1]. names: what first and second are.
    """
    fig, ax = plt.subplots(figsize=(6.4, 0.3 * len(scores) + 0.8), layout="constrained")
    for k, ends in enumerate(scores.values()):
        ax.plot(ends, (k, k), color=GREY, lw=2, zorder=1)
    for end, (name, colour, marker) in enumerate(zip(names, (GREY, BLUE), "os", strict=True)):
        values = [ends[end] for ends in scores.values()]
        ax.plot(values, range(len(values)), marker, color=colour, ms=9, label=name)
    ax.set(yticks=range(len(scores)), yticklabels=list(scores), xlim=(0, 1), xlabel=xlabel)
    ax.invert_yaxis()
    ax.legend(frameon=False, fontsize=8, loc="lower right")
    return fig
