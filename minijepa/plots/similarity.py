"""Which patches does a representation find alike? One patch of an image against all others."""

import matplotlib.pyplot as plt
from matplotlib.patches import Rectangle

from minijepa.plots.figures import BLUE, to_numpy


def self_similarity(images, maps, grid, patches, label):
    """Images with a framed patch, and on its right the similarity of all patches to it, one column per representation.

    images: uint8 [B, 3, H, W].
    maps: dict name -> similarities [B, N] of all patches to the framed one, on one colour scale.
    grid: (rows, columns) of patches, N of them.
    patches: B numbers, the framed patch of each image.
    label: what the colours mean.
    Returns a Figure.
    """
    b, _, h, w = images.shape
    p, q = h // grid[0], w // grid[1]
    low = min(float(each.min()) for each in maps.values())
    high = max(float(each.max()) for each in maps.values())
    size = (1.45 * (1 + len(maps)) + 0.9, 1.45 * b + 0.3)
    fig, axes = plt.subplots(b, 1 + len(maps), figsize=size, squeeze=False, layout="constrained")
    for i, (row, patch) in enumerate(zip(axes, patches, strict=True)):
        y, x = divmod(int(patch), grid[1])
        row[0].imshow(to_numpy(images[i]))
        corners = [(q * x - 0.5, p * y - 0.5, q, p)] + [(x - 0.5, y - 0.5, 1, 1)] * len(maps)
        for ax, similarities in zip(row[1:], maps.values(), strict=True):
            drawn = ax.imshow(similarities[i].view(grid).cpu().numpy(), vmin=low, vmax=high, cmap="viridis")
        for ax, (left, top, width, height) in zip(row, corners, strict=True):
            for colour, lw in (("white", 3.5), ("black", 1.5)):  # seen on any background
                ax.add_patch(Rectangle((left, top), width, height, fill=False, ec=colour, lw=lw))
            ax.set(xticks=[], yticks=[])
    for ax, name in zip(axes[0], ["image", *maps], strict=True):
        ax.set_title(name, fontsize=9)
    fig.colorbar(drawn, ax=axes.ravel().tolist(), label=label, shrink=0.85)
    return fig


def seed_points(scores, xlabel):
    """Scores of several seeds as points, one row per condition, one panel per question; a bar marks the mean. A Figure.

    scores: dict question -> dict condition -> list of numbers, one per seed; the same conditions for every question.
    xlabel: dict question -> name of its score.
    """
    conditions = list(next(iter(scores.values())))
    size = (2.5 * len(scores) + 1.3, 0.34 * len(conditions) + 1.1)
    fig, axes = plt.subplots(1, len(scores), figsize=size, sharey=True, squeeze=False, layout="constrained")
    for ax, (question, rows) in zip(axes[0], scores.items(), strict=True):
        for k, values in enumerate(rows.values()):
            mean = sum(values) / len(values)
            ax.plot([mean, mean], [k - 0.32, k + 0.32], color="black", lw=2)
            ax.plot(values, [k] * len(values), "o", color=BLUE, ms=5, alpha=0.8)
        ax.set(yticks=range(len(conditions)), yticklabels=conditions, xlabel=xlabel[question], title=question)
        ax.grid(axis="x", alpha=0.25)
    axes[0, 0].invert_yaxis()
    return fig
