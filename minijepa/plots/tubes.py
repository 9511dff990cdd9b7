"""Masks of clips, drawn: what is hidden at each time, and numbers per tubelet spread over the pixels of a clip."""

import numpy as np
import torch

from minijepa.plots.figures import GREY, ORANGE, plt


def over_pixels(values, grid, size):
    """Numbers per token [N], N = times x rows x columns of `grid`, -> [T, H, W] of `size`: each covers its tubelet.

    Raises ValueError where the sides of the clip are no multiples of the grid's.
    """
    if any(pixels % tokens for pixels, tokens in zip(size, grid, strict=True)):
        raise ValueError(f"a clip of {tuple(size)} cannot be cut into a grid of {tuple(grid)}: use multiples")
    cube = values.view(grid)
    for axis, (pixels, tokens) in enumerate(zip(size, grid, strict=True)):
        cube = cube.repeat_interleave(pixels // tokens, axis)
    return cube


def keep_tubelets(clip, index, grid, hidden=90):
    """The clip with grey in place of all tubelets but some.

    clip: uint8 [T, H, W] grey or [T, H, W, 3]. index: tokens kept, [K]. hidden: the grey, 0 to 255.
    Returns a new tensor of the same shape.
    """
    clip, n = torch.as_tensor(clip), grid[0] * grid[1] * grid[2]
    keep = over_pixels(torch.zeros(n, dtype=torch.bool).index_fill(0, index, True), grid, clip.shape[:3])
    return torch.where(keep if clip.ndim == 3 else keep[..., None], clip, torch.full_like(clip, hidden))


def frame_tubelet(clip, token, grid, colour=(255, 255, 255)):
    """The clip with a frame, one pixel wide, just inside one tubelet. clip: uint8 [T, H, W, 3]. token: its index."""
    clip, place = torch.as_tensor(clip).clone(), np.unravel_index(int(token), grid)
    sides = [pixels // tokens for pixels, tokens in zip(clip.shape[:3], grid, strict=True)]
    times, rows, columns = (slice(k * side, (k + 1) * side) for k, side in zip(place, sides, strict=True))
    tubelet = clip[times, rows, columns]  # a view: writing to it draws
    inside = tubelet[:, 1:-1, 1:-1].clone()
    tubelet[:] = torch.tensor(colour, dtype=torch.uint8)
    tubelet[:, 1:-1, 1:-1] = inside
    return clip


def tube_gallery(clip, masks, grid):
    """One clip under several masks: a row per mask, a column per time of the grid, the first frame of each tubelet.

    Tubelets to be predicted are orange and hatched, those that are neither seen nor asked for are grey.
    clip: uint8 [T, H, W]. masks: dict name -> Masks, whose first clip is drawn: context [B, K_c], targets [B, M, K_t].
    grid: (times, rows, columns). Returns a Figure.
    """
    each = clip.shape[0] // grid[0]
    fig, axes = plt.subplots(
        1 + len(masks), grid[0], figsize=(1.15 * grid[0] + 1.3, 1.2 * (1 + len(masks))), squeeze=False,
        layout="constrained",
    )  # fmt: skip
    rows = {"clip": None, **masks}
    for axes_of_row, (name, mask) in zip(axes, rows.items(), strict=True):
        seen = torch.zeros(grid[0] * grid[1] * grid[2])  # 0: seen, 1: hidden, 2: to be predicted
        if mask is not None:
            seen += 1
            seen[mask.context[0]] = 0
            seen[mask.targets[0].flatten()] = 2
        for time, ax in enumerate(axes_of_row):
            ax.imshow(clip[time * each].numpy(), cmap="gray", vmin=0, vmax=255)
            cover(ax, seen.view(grid)[time], clip.shape[1:])
            ax.set(xticks=[], yticks=[])
            if name == "clip":
                ax.set_title(f"time {time + 1}", fontsize=9)
        axes_of_row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
    return fig


def cover(ax, kinds, size):
    """Draw the hidden places of one time over its frame. kinds: [rows, columns], 1 hidden, 2 to be predicted."""
    high, wide = size[0] / kinds.shape[0], size[1] / kinds.shape[1]
    for row, column in np.argwhere(kinds.numpy() > 0):
        asked = kinds[row, column] == 2
        look = {"fc": ORANGE, "hatch": "///"} if asked else {"fc": GREY}
        corner = (column * wide - 0.5, row * high - 0.5)
        ax.add_patch(plt.Rectangle(corner, wide, high, ec="white" if not asked else "black", lw=0.4, **look))
