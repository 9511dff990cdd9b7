"""Pictures of mask samplers: single masks as coloured patches, and how often each patch is drawn."""

import matplotlib.pyplot as plt
import torch
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch

from minijepa.plots.figures import BLUE, RED

KINDS = {"in neither": "#E6E6E6", "context: seen": BLUE, "in one target": RED, "in several targets": "#6B2500"}


def patch_kinds(context, targets, n):
    """What each patch is: 0 in neither, 1 context, 2 in one target, 3 in several. Returns int64 [N].

    context: int64 [K_c].
    targets: int64 [M, K_t].
    n: how many patches there are.
    """
    times = torch.bincount(targets.flatten(), minlength=n)  # [N]
    kind = torch.where(times > 0, times.clamp(max=2) + 1, 0)
    kind[context] = 1
    return kind


def mask_maps(table, grid):
    """Masks in rows, each a map of coloured patches, with a legend. Returns a Figure.

    table: dict row -> dict title -> (context [K_c], targets [M, K_t]).
    grid: (rows, columns) of patches.
    """
    width = len(next(iter(table.values())))
    size = 7.4 / width
    fig, axes = plt.subplots(len(table), width, figsize=(7.6, 1.1 * size * len(table) + 0.4), squeeze=False,
                             layout="constrained")  # fmt: skip
    for row, (name, masks) in zip(axes, table.items(), strict=True):
        row[0].set_ylabel(name, fontsize=9)
        for ax, (title, (context, targets)) in zip(row, masks.items(), strict=True):
            kind = patch_kinds(context, targets, grid[0] * grid[1])  # [N]
            ax.imshow(kind.view(grid).numpy(), cmap=ListedColormap(list(KINDS.values())), vmin=0, vmax=3)
            for s in range(1, grid[0]):
                ax.axhline(s - 0.5, color="white", lw=0.5)
            for s in range(1, grid[1]):
                ax.axvline(s - 0.5, color="white", lw=0.5)
            ax.set(xticks=[], yticks=[])
            ax.set_title(title, fontsize=9)
    patches = [Patch(color=colour, label=name) for name, colour in KINDS.items()]
    fig.legend(handles=patches, fontsize=9, frameon=False, loc="outside lower center", ncols=4)
    return fig


def heat_table(table, label, high):
    """Heat maps in rows, all on one colour scale from 0 to `high`. Returns a Figure.

    table: dict row -> dict title -> map [rows, columns].
    label: what the colours mean.
    """
    width = len(next(iter(table.values())))
    size = (2.2 * width + 0.8, 2.3 * len(table))
    fig, axes = plt.subplots(len(table), width, figsize=size, squeeze=False, layout="constrained")
    for row, (name, maps) in zip(axes, table.items(), strict=True):
        row[0].set_ylabel(name, fontsize=10)
        for ax, (title, values) in zip(row, maps.items(), strict=True):
            picture = ax.imshow(values.numpy(), vmin=0, vmax=high, cmap="viridis")
            ax.set(xticks=[], yticks=[])
            ax.set_title(title, fontsize=9)
    most = max(values.max() for maps in table.values() for values in maps.values())
    bar = {"label": label, "shrink": 0.8, "extend": "max" if most > high else "neither"}
    fig.colorbar(picture, ax=axes.ravel().tolist(), **bar)
    return fig
