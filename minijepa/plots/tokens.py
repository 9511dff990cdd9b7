"""Pictures of patches as tokens: the numbers that a patch holds, and one map over all patches for some of them."""

import matplotlib.pyplot as plt
from matplotlib.patches import Rectangle

from minijepa.plots.figures import GREEN, ORANGE, PINK, SKY, to_numpy


def number_table(ax, values, patch_of):
    """Draw a table of numbers into `ax`, each cell in the colour of its patch.

    values: list of rows of numbers.
    patch_of: list of rows of the same form, the patch (0 to 3) that each number belongs to.
    """
    for r, row in enumerate(values):
        for c, value in enumerate(row):
            colour = (SKY, ORANGE, GREEN, PINK)[patch_of[r][c]] + "66"
            ax.add_patch(Rectangle((c, r), 1, 1, fc=colour, ec="white", lw=2))
            ax.text(c + 0.5, r + 0.5, f"{value:.0f}", ha="center", va="center")
    ax.set(xlim=(0, len(values[0])), ylim=(len(values), 0), aspect="equal", xticks=[], yticks=[])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def patch_maps(image, maps, grid, label, marked):
    """An image with some patches framed, and for each of them its row of `maps`, on one colour scale. Returns a Figure.

    image: uint8 [3, H, W].
    maps: [N, N], row i is the map of patch i over all N patches.
    grid: (rows, columns) of patches, rows x columns = N.
    label: what the colours mean.
    marked: dict name -> i, the patches to show.
    """
    width = 1 + len(marked)
    fig, axes = plt.subplots(1, width, figsize=(2.3 * width, 2.5), layout="constrained")
    axes[0].imshow(to_numpy(image))
    low, high = maps[list(marked.values())].aminmax()
    h, w = image.shape[1] // grid[0], image.shape[2] // grid[1]  # pixels of a patch
    for ax, (name, i) in zip(axes[1:], marked.items(), strict=True):
        row, column = divmod(i, grid[1])
        drawn = ax.imshow(maps[i].view(grid).numpy(), vmin=low, vmax=high)
        x, y = w * column - 0.5, h * row - 0.5
        for colour, lw in (("white", 4), ("black", 1.5)):  # seen on any background
            frame = {"fill": False, "ec": colour, "lw": lw}
            axes[0].add_patch(Rectangle((x, y), w, h, **frame))
            ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, **frame))
        ax.set_title(f"patch {name} (token {i})", fontsize=10)
        plate = {"fc": "white", "ec": "none", "alpha": 0.75, "pad": 1.5}
        axes[0].text(x + w + 1, y + h - 0.5, name, weight="bold", bbox=plate)
    for ax in axes:
        ax.set(xticks=[], yticks=[])
    fig.colorbar(drawn, ax=axes.tolist(), label=label)
    return fig
