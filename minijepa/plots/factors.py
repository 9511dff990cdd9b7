"""What survives: a matrix of scores, one row per encoder and one column per factor, and the cosines of pairs."""

import math

import matplotlib.pyplot as plt
import torch

from minijepa.plots.figures import to_numpy


def factor_matrix(panels, label="0: chance, 1: perfect", rules=()):
    """Matrices next to each other, each cell with its number; rows are named at the first one. A Figure.

    panels: dict title -> dict row -> dict factor -> score; all panels have the same rows and factors; a row that
    is {} in a panel after the first one stays blank there. Scores below 0 are drawn as 0. label: of the colour scale.
    rules: numbers of rows below which a line is drawn.
    """
    rows = list(next(iter(panels.values())))
    factors = list(panels[next(iter(panels))][rows[0]])
    size = ((0.95 if len(panels) == 1 else 0.62) * len(factors) * len(panels) + 3.2, 0.33 * len(rows) + 1)
    fig, axes = plt.subplots(1, len(panels), figsize=size, squeeze=False, layout="constrained")
    for ax, (title, table) in zip(axes[0], panels.items(), strict=True):
        scores = [[table[row].get(factor, math.nan) for factor in factors] for row in rows]
        values = torch.tensor(scores)  # [rows, factors]
        picture = ax.imshow(values.clamp(0, 1).numpy(), vmin=0, vmax=1, cmap="viridis", aspect="auto")
        for i, line in enumerate(values.tolist()):
            for j, value in enumerate(line):
                shown = "" if math.isnan(value) else f"{max(value, 0):.2f}".replace("0.", ".")
                ax.text(j, i, shown, ha="center", va="center", fontsize=8, color="black" if value > 0.6 else "white")
        for rule in rules:
            ax.axhline(rule - 0.5, color="white", lw=3)
        ax.set_xticks(range(len(factors)), factors, fontsize=9)
        ax.set_yticks(range(len(rows)), rows if ax is axes[0, 0] else [""] * len(rows), fontsize=9)
        ax.tick_params(length=0)
        ax.set_title(title, fontsize=10)
    fig.colorbar(picture, ax=axes[0].tolist(), label=label, shrink=0.8)
    return fig


def retrieval_matrix(cosines, images, sentences):
    """Cosines between captions (rows) and images (columns); the images stand above their columns. A Figure.

    cosines: [K, K], pair i in row and column i. images: uint8 [K, 3, H, W]. sentences: K strings.
    """
    k = len(images)
    fig = plt.figure(figsize=(0.62 * k + 4.2, 0.62 * k + 0.9))
    left, bottom, side = 0.36, 0.03, 0.62 / (0.62 * k + 4.2)
    high = 0.62 / (0.62 * k + 0.9)
    ax = fig.add_axes((left, bottom, k * side, k * high))
    picture = ax.imshow(cosines.numpy(), vmin=-1, vmax=1, cmap="viridis", aspect="auto")
    ax.set_yticks(range(k), sentences, fontsize=8)
    ax.set_xticks([])
    for i in range(k):
        above = fig.add_axes((left + (i + 0.04) * side, bottom + (k + 0.04) * high, 0.92 * side, 0.92 * high))
        above.imshow(to_numpy(images[i]))
        above.axis("off")
        ax.text(i, i, "x", ha="center", va="center", fontsize=9, color="black")
    fig.colorbar(picture, cax=fig.add_axes((left + k * side + 0.02, bottom, 0.02, k * high)), label="cosine")
    return fig
