"""Pictures of energies. Panels of different models never share a scale: their energies cannot be compared.

Each function takes plain tensors and returns a matplotlib Figure; end with `plots.show`.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle

from minijepa.plots.figures import BLUE, GREY, ORANGE, RED, to_numpy


def energy_histograms(pairs):
    """Histograms of the energies of compatible and of shuffled pairs, a panel per model, each with its own scale.

    pairs: dict title -> (compatible [B], shuffled [B]).
    """
    fig, axes = plt.subplots(1, len(pairs), figsize=(3.1 * len(pairs), 2.7), squeeze=False, layout="constrained")
    for ax, (title, (low, high)) in zip(axes[0], pairs.items(), strict=True):
        low, high = low.cpu().numpy(), high.cpu().numpy()
        bins = np.linspace(min(low.min(), high.min()), max(low.max(), high.max()), 31)
        ax.hist(low, bins, color=BLUE, alpha=0.55, label="compatible")
        ax.hist(high, bins, color=RED, histtype="step", lw=1.8, label="shuffled")
        ax.set(xlabel="energy (own scale)", yticks=[])
        ax.set_title(title, fontsize=9)
        ax.ticklabel_format(axis="x", style="sci", scilimits=(-2, 2))
        ax.tick_params(axis="x", labelsize=7)
    axes[0, 0].set_ylabel("images")
    axes[0, 0].legend(fontsize=8, frameon=False)
    return fig


def surprise_gallery(images, maps, index):
    """Images above their surprise maps, with one patch framed in all of them.

    images: uint8 [B, 3, H, W].
    maps: dict name -> [B, rows, columns]; each map has its own scale, dark is low.
    index: int64 [B], the patch to frame in each image.
    """
    rows = 1 + len(maps)
    fig, axes = plt.subplots(rows, len(images), figsize=(1.15 * len(images), 1.2 * rows), squeeze=False)
    grid = next(iter(maps.values())).shape[1:]
    side = images.shape[2] / grid[0], images.shape[3] / grid[1]
    for column, (image, place) in enumerate(zip(images, index.tolist(), strict=True)):
        row, col = divmod(place, grid[1])
        axes[0, column].imshow(to_numpy(image))
        frame = {"fill": False, "edgecolor": ORANGE, "linewidth": 2}
        axes[0, column].add_patch(Rectangle((col * side[1] - 0.5, row * side[0] - 0.5), side[1], side[0], **frame))
        for ax, values in zip(axes[1:, column], maps.values(), strict=True):
            ax.imshow(values[column].cpu().numpy(), cmap="viridis")
            ax.add_patch(Rectangle((col - 0.5, row - 0.5), 1, 1, **frame))
    for ax, name in zip(axes[:, 0], ["image", *maps], strict=True):
        ax.set_ylabel(name, fontsize=8)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
    fig.tight_layout(pad=0.3)
    return fig


def energy_planes(planes, u, v, labels, marks=None):
    """Energy over a 2-D plane of candidates, a panel per model with its own colour bar; a ring at the lowest point.

    planes: dict title -> [U, V].
    u, v: the numbers along the two axes; u is drawn upwards. labels: names of the axes, (u, v).
    marks: dict name -> (u, v), points to name, or None.
    """
    fig, axes = plt.subplots(1, len(planes), figsize=(3.5 * len(planes), 3.0), squeeze=False, layout="constrained")
    u, v = (np.asarray([float(number) for number in axis]) for axis in (u, v))
    for ax, (title, plane) in zip(axes[0], planes.items(), strict=True):
        values = plane.cpu().numpy()
        picture = ax.pcolormesh(v, u, values, cmap="viridis", shading="nearest")
        row, column = np.unravel_index(values.argmin(), values.shape)
        ax.plot(v[column], u[row], "o", mfc="none", mec=ORANGE, mew=2.5, ms=12, label="lowest")
        for name, (at_u, at_v) in (marks or {}).items():
            ax.plot(at_v, at_u, "+", color="white", mew=1.5, ms=8)
            ax.annotate(name, (at_v, at_u), (4, 4), textcoords="offset points", fontsize=8, color="white")
        ax.set(xlabel=labels[1], ylabel=labels[0])
        ax.set_title(title, fontsize=9)
        bar = fig.colorbar(picture, ax=ax, shrink=0.85)
        bar.formatter.set_powerlimits((-2, 2))
        bar.ax.tick_params(labelsize=7)
    axes[0, 0].legend(fontsize=7, loc="lower right", facecolor=GREY, labelcolor="white", framealpha=0.6)
    return fig
