"""One function per kind of figure of the course. Each takes plain tensors and returns a matplotlib Figure.

The colours are those of Okabe and Ito, which colour-blind readers can tell apart, always together with a marker, a line
style or a label; maps use viridis. In a notebook, end with `show(fig, alt, see)`, which gives the image its
alternative text and prints what to look for; elsewhere, use `fig.savefig`.
"""

import base64
import html
import io
import sys

import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image

from minijepa.machine.progress import live_front_end

ORANGE, SKY, GREEN, YELLOW, BLUE, RED, PINK, GREY = PALETTE = (
    "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#6B6B6B",
)  # fmt: skip
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 2)), (0, (6, 3)), (0, (3, 1)))
MARKERS = "osD^vPX*"


def show(fig, alt, see=None):
    """Put a figure into the notebook, with an alternative text, and print below it what to look for.

    Returns nothing. Outside a notebook only the sentences are printed.

    fig: a matplotlib Figure; it is closed.
    alt: one sentence that says what is drawn. It is also the text of the output, which the notebook tests compare.
    see: a sentence that says what the reader should look for, or None.
    """
    if in_notebook():
        from IPython.display import display

        display(described(png(fig), alt), raw=True)
    else:
        print(alt)
    if see:
        print(f"Look for: {see}")
    plt.close(fig)


def described(data, alt):
    """The output of a cell that holds an image and its alternative text: a dict of MIME types.

    The output is HTML because JupyterLab and nbconvert's usual template drop the alternative text of an image/png
    output: a screen reader would find nothing. Front ends show this much HTML even in a notebook that is not trusted.

    data: the bytes of a PNG.
    alt: the alternative text.
    """
    source = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    return {"text/html": f'<img alt="{html.escape(alt)}" style="max-width: 100%" src="{source}">', "text/plain": alt}


def png(fig):
    """The figure as PNG bytes with a palette of 256 colours: a third of the size, so that notebooks stay small."""
    full, small = io.BytesIO(), io.BytesIO()
    fig.savefig(full, format="png", dpi=100, bbox_inches="tight", facecolor="white")
    Image.open(full).convert("RGB").quantize(256).save(small, format="png", optimize=True)
    return small.getvalue()


def in_notebook():
    """Whether this code runs in the kernel of a notebook."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return shell is not None and hasattr(shell, "kernel")


def to_numpy(image):
    """An image [3, H, W], uint8 in 0..255 or float in 0..1 -> the array [H, W, 3] that matplotlib draws."""
    return image.permute(1, 2, 0).cpu().numpy()


def image_grid(images, columns=8, titles=None, scale=1.1):
    """Small images in a grid.

    images: uint8 [N, 3, H, W].
    columns: images per row.
    titles: N strings, or None.
    scale: width of an image in inches.
    """
    rows = -(-len(images) // columns)
    fig, axes = plt.subplots(
        rows, columns, figsize=(columns * scale, rows * scale * (1.2 if titles else 1)), squeeze=False
    )
    for ax in axes.flat:
        ax.axis("off")
    for i, image in enumerate(images):
        axes.flat[i].imshow(to_numpy(image))
        if titles:
            axes.flat[i].set_title(titles[i], fontsize=8)
    return fig


def patch_mask(index, grid, size):
    """Which pixels belong to some patches: bool [H, W].

    index: token indices, int64 [K].
    grid: the patches in (rows, columns).
    size: (H, W), multiples of the grid.
    """
    flat = torch.zeros(grid[0] * grid[1], dtype=torch.bool)
    flat[index] = True
    flat = flat.view(grid)
    return flat.repeat_interleave(size[0] // grid[0], 0).repeat_interleave(size[1] // grid[1], 1)


def mask_gallery(images, masks, grid):
    """A row per image: the image, what the context encoder sees of it, and each target block that is predicted.

    images: uint8 [B, 3, H, W].
    masks: Masks with context [B, K_c] and targets [B, M, K_t].
    grid: the patches in (rows, columns).
    """
    m = masks.targets.shape[1]
    fig, axes = plt.subplots(len(images), 2 + m, figsize=(1.35 * (2 + m), 1.45 * len(images)), squeeze=False)
    for i, image in enumerate(images):
        panels = [
            torch.ones(image.shape[1:], dtype=torch.bool),
            patch_mask(masks.context[i], grid, image.shape[1:]),
        ]
        panels += [patch_mask(masks.targets[i, j], grid, image.shape[1:]) for j in range(m)]
        names = ["image", "context"] + [f"target {j + 1}" for j in range(m)]
        for ax, keep, name, colour in zip(axes[i], panels, names, [GREY, BLUE] + [RED] * m, strict=True):
            ax.imshow(to_numpy(torch.where(keep, image, torch.full_like(image, 225))))
            ax.set(xticks=[], yticks=[])
            for spine in ax.spines.values():
                spine.set(color=colour, linewidth=2)
            if i == 0:
                ax.set_title(name, fontsize=9)
    fig.tight_layout(pad=0.3)
    return fig


def heatmaps(maps, label):
    """Numbers on patch grids, next to each other on one colour scale that begins at 0.

    maps: dict title -> numbers [rows, columns], 0 or more.
    label: of the colour scale.
    """
    high = max(float(m.max()) for m in maps.values())
    fig, axes = plt.subplots(1, len(maps), figsize=(2.6 * len(maps) + 0.8, 2.8), squeeze=False, layout="constrained")
    for ax, (title, values) in zip(axes[0], maps.items(), strict=True):
        picture = ax.imshow(torch.as_tensor(values).cpu().numpy(), vmin=0.0, vmax=high, cmap="viridis")
        ax.set(xticks=[], yticks=[])
        ax.set_title(title, fontsize=9)
    fig.colorbar(picture, ax=axes[0].tolist(), label=label, shrink=0.85)
    return fig


def curves(lines, xlabel, ylabel, baselines=None, title=None, ax=None):
    """Up to eight lines over a common axis, with a legend.

    lines: dict name -> (x, y), two sequences of one length.
    xlabel, ylabel, title: of the axes.
    baselines: dict name -> y, drawn as horizontal lines.
    ax: the matplotlib axes to draw on; None makes a new figure.
    """
    fig, ax = (ax.figure, ax) if ax is not None else plt.subplots(figsize=(6.2, 3.6), layout="constrained")
    for i, (name, (x, y)) in enumerate(lines.items()):
        few = len(x) <= 30  # a marker on every point of a long curve would hide it
        ax.plot(
            x,
            y,
            color=PALETTE[(4 + i) % 8],
            ls=LINES[i],
            marker=MARKERS[i] if few else None,
            ms=5,
            label=name,
        )
    for i, (name, y) in enumerate((baselines or {}).items()):
        ax.axhline(y, color=GREY, ls=LINES[1 + i], lw=1.2, label=name)
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    ax.grid(alpha=0.25)
    ax.legend(fontsize=8, frameon=False)
    return fig


def probe_bars(table, chance=None):
    """Probe accuracies as grouped bars.

    table: dict encoder -> dict probe -> accuracy in [0, 1].
    chance: the accuracy of guessing, drawn as a dotted line, or None.
    """
    probes = list(next(iter(table.values())))
    fig, ax = plt.subplots(figsize=(1.6 + 1.35 * len(table), 3.4), layout="constrained")
    width = 0.8 / len(probes)
    for j, probe in enumerate(probes):
        x = np.arange(len(table)) + (j - (len(probes) - 1) / 2) * width
        values = [row[probe] for row in table.values()]
        ax.bar(
            x,
            values,
            width,
            label=probe,
            color=PALETTE[(4, 0, 2)[j % 3]],
            hatch=("", "//", "..")[j % 3],
            edgecolor="white",
        )
        for xi, value in zip(x, values, strict=True):
            ax.text(xi, value, f"{value:.2f}", ha="center", va="bottom", fontsize=8)
    if chance is not None:
        ax.axhline(chance, color="black", ls=":", lw=1, label="chance")
    ax.set_xticks(range(len(table)), table.keys())
    ax.set(ylabel="probe accuracy")
    ax.legend(fontsize=8, frameon=False, ncols=3, loc="upper left", bbox_to_anchor=(0, -0.1))
    return fig


def principal_colours(tokens):
    """The first three principal components of all tokens as colours: tokens [B, N, D] -> [B, N, 3] in [0, 1]."""
    flat = tokens.flatten(0, 1).float()
    flat = flat - flat.mean(dim=0)
    _, _, directions = torch.pca_lowrank(flat, q=3, center=False, niter=4)
    colours = flat @ directions  # [B * N, 3]
    low, high = colours.quantile(0.02, dim=0), colours.quantile(0.98, dim=0)
    return ((colours - low) / (high - low)).clamp(0, 1).view(*tokens.shape[:2], 3)


def patch_pca(images, tokens, grid):
    """Images, and below them the first three principal components of their patch tokens as red, green and blue.

    images: uint8 [B, 3, H, W].
    tokens: dict name -> tokens [B, N, D]; a row of maps for each name.
    grid: the patches in (rows, columns), N of them.
    """
    rows = 1 + len(tokens)
    fig, axes = plt.subplots(rows, len(images), figsize=(1.15 * len(images), 1.25 * rows), squeeze=False)
    for ax, image in zip(axes[0], images, strict=True):
        ax.imshow(to_numpy(image))
    for row, (name, values) in zip(axes[1:], tokens.items(), strict=True):
        for ax, colours in zip(row, principal_colours(values), strict=True):
            ax.imshow(colours.view(*grid, 3).cpu().numpy())
        row[0].set_ylabel(name, fontsize=8)
    axes[0, 0].set_ylabel("image", fontsize=8)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
    fig.tight_layout(pad=0.3)
    return fig


def neighbours(queries, found, titles):
    """Query images, and for each kind of feature their nearest neighbours.

    queries: uint8 [Q, 3, H, W].
    found: dict name of the features -> the neighbours, uint8 [Q, k, 3, H, W].
    titles: Q names, of each query's class.
    """
    k = next(iter(found.values())).shape[1]
    fig = plt.figure(figsize=(0.8 * (1.4 + k * len(found)), 0.84 * len(queries) + 0.3), layout="constrained")
    groups = fig.subfigures(1, 1 + len(found), width_ratios=[1.4] + [k] * len(found), wspace=0.04)
    shown = {"query": queries[:, None], **found}
    for group, (name, pictures) in zip(groups, shown.items(), strict=True):
        group.suptitle(name, fontsize=12)
        axes = group.subplots(len(queries), pictures.shape[1], squeeze=False)
        for ax, picture in zip(axes.flat, pictures.flatten(0, 1), strict=True):
            ax.imshow(to_numpy(picture))
            ax.set(xticks=[], yticks=[])
        if name == "query":
            for ax, title in zip(axes[:, 0], titles, strict=True):
                ax.set_ylabel(title, fontsize=10)
    return fig


class LiveCurve:
    """A callback for `fit` that redraws the curve of one recorded column during the run.

    It draws only where a reader can watch (a live front end); the notebook's final figure shows the same curve.

    column: a name in the history's rows.
    baselines: dict name -> y, drawn as horizontal lines.
    every: steps between two drawings.
    """

    def __init__(self, column, baselines=None, every=25):
        self.column, self.baselines, self.every = column, baselines, every
        self.points, self.handle = ([], []), None

    def __call__(self, step, model, row):
        if self.column in row:
            self.points[0].append(step)
            self.points[1].append(row[self.column])
        if step % self.every or not self.points[0] or not in_notebook() or not live_front_end():
            return
        from IPython.display import display

        fig = curves({self.column: self.points}, "step", self.column, self.baselines)
        drawn = described(png(fig), f"{self.column} against the step, up to step {step}.")
        if self.handle is None:
            self.handle = display(drawn, raw=True, display_id=True)
        else:
            self.handle.update(drawn, raw=True)
        plt.close(fig)

    def close(self):
        """Remove the live figure, before the final one is shown."""
        if self.handle is not None:
            self.handle.update({"text/plain": ""}, raw=True)
