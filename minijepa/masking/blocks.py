"""Which patches are seen and which must be predicted: I-JEPA's multi-block masks, a whole batch at once.

For each image: M target blocks B_1..B_M, and a context block B_x from which the targets are removed.
What makes it work (arXiv:2301.08243, section 3 and table 6): targets large enough to be about objects, and a context
that is rich but contains no target. This sampler always ends, reaches every patch, and never leaks a target into the
context; `published=True` gives the published sampler with its biases (published.py).
"""

import math
from functools import lru_cache

import torch

from minijepa.masking.published import published_block_masks
from minijepa.masking.sampling import Masks, check_request, check_scales, random_subset

TIE = 1e-9  # of a patch: what float arithmetic may add to or take from a side that is about to be rounded


def block_masks(
    batch,
    grid,
    *,
    n_targets=4,
    target_scale=(0.15, 0.2),
    target_aspect=(0.75, 1.5),
    context_scale=(0.85, 1.0),
    target_keep=None,
    context_keep=None,
    published=False,
    generator=None,
):
    """Sample multi-block masks. Defaults: the published settings of I-JEPA.

    batch: images B. grid: (rows H, columns W) of patches, N = H W.
    n_targets: blocks per image, M >= 1.
    target_scale, context_scale: fraction of the N patches, (low, high) in (0, 1].
    target_aspect: rows / columns, (low, high), > 0. Scale and aspect are drawn once per batch, places once per block.
    target_keep: keep at most so many random patches of each target block; None: all.
    context_keep: K_c, a random subset of the context; None: as many as the image with the shortest context has. Where
    the targets leave too few, the last targets move onto the first, one after the other, until enough are left.
    published: the published sampler, which ignores *_keep.
    Returns Masks on the CPU. Every patch is reached about equally often (`start_probabilities`).
    Raises ValueError if the request cannot be met for some size that may be drawn.
    Source: arXiv:2301.08243, appendix A.1 (multi-block masking).
    """
    check_scales(target_scale=target_scale, context_scale=context_scale)
    check_request(batch, grid, n_targets, target_aspect)
    if published:
        scales = target_scale, target_aspect, context_scale
        return Masks(*published_block_masks(batch, grid, n_targets, *scales, generator=generator))
    for name, count in (("target_keep", target_keep), ("context_keep", context_keep)):
        if count is not None and count < 1:
            raise ValueError(f"{name} must be at least 1 patch, or None for all there are, got {count}")
    rows, columns = grid
    n = rows * columns
    largest = largest_block(grid, target_scale, target_aspect)
    least = context_keep or max(1, n // 16)
    if largest + least > n:
        raise ValueError(
            f"a target block may take {largest} of the {n} patches of a {rows}x{columns} grid, which leaves fewer "
            f"than the {least} wanted as context: lower target_scale {tuple(target_scale)} or context_keep"
        )
    h, w = draw_block_size(grid, target_scale, target_aspect, generator)

    targets = place_blocks(batch * n_targets, grid, (h, w), generator).view(batch, n_targets, h * w)  # [B, M, h w]
    block = place_blocks(batch, grid, draw_block_size(grid, context_scale, (1.0, 1.0), generator), generator)
    inside = torch.zeros(batch, n, dtype=torch.bool).scatter_(1, block, True)  # [B, N]: the context block
    free = inside.scatter(1, targets.flatten(1), False)  # [B, N]: context block minus all targets
    if free.sum(dim=1).min() < least:
        targets, free = make_room(targets, inside, free, least)
    context = random_subset(free, context_keep, generator)  # [B, K_c]
    if target_keep is not None and target_keep < h * w:
        kept = random_subset(torch.ones_like(targets, dtype=torch.bool), target_keep, generator)  # [B, M, K_t]
        targets = targets.gather(2, kept)
    return Masks(context, targets)


def draw_block_size(grid, scale, aspect, generator=None):
    """One block size (h, w) in patches: area uniform in `scale`, h / w uniform in `aspect`, fitted to the grid."""
    u = torch.rand(2, generator=generator)  # two draws: the area does not decide the shape
    area = (scale[0] + float(u[0]) * (scale[1] - scale[0])) * grid[0] * grid[1]
    return block_size(grid, area, aspect[0] + float(u[1]) * (aspect[1] - aspect[0]))


def block_size(grid, area, ratio):
    """(h, w) with h w ~ area and h / w ~ ratio; where the grid cuts one side the other grows, so the area stays."""
    h = block_height(grid, area, ratio)
    return round(h), max(1, round(area / h))


def block_height(grid, area, ratio):
    """The height before rounding: sqrt(area ratio), kept where both sides are at least 1 and fit the grid."""
    low, high = max(1, area / grid[1]), max(1, min(grid[0], area))
    return min(max((area * ratio) ** 0.5, low), high)


def largest_block(grid, scale, aspect):
    """The most patches that a block of `draw_block_size` can have."""
    # while the height rounds to h the width only falls, so the lowest of those heights has the largest block
    heights = block_heights(grid, scale[1], aspect)
    # a width of exactly 17.5 may round to 18: the bound counts such ties upwards, whatever float makes of them
    return max(h * max(1, int(scale[1] * grid[0] * grid[1] / low + 0.5 + TIE)) for h, low, _ in heights)


def smallest_block(grid, scale, aspect):
    """The fewest patches that a block of `draw_block_size` can have."""
    heights = block_heights(grid, scale[0], aspect)
    return min(h * max(1, math.ceil(scale[0] * grid[0] * grid[1] / high - 0.5 - TIE)) for h, _, high in heights)


def block_heights(grid, scale, aspect):
    """Every height h of blocks of one area, and the range (low, high) of heights before rounding that give it."""
    lowest, highest = (block_height(grid, scale * grid[0] * grid[1], ratio) for ratio in aspect)
    for h in range(1, grid[0] + 1):
        if lowest - 0.5 <= h <= highest + 0.5:
            yield h, max(lowest, h - 0.5), min(highest, h + 0.5)


def place_blocks(count, grid, size, generator=None):
    """Place `count` blocks of `size` (h, w) on the grid (rows, columns), or of three sides on a grid of three axes.

    Returns token indices, int64 [count, h w], sorted.
    """
    first, offsets = torch.zeros(count, dtype=torch.int64), torch.zeros(1, dtype=torch.int64)
    for length, block in zip(grid, size, strict=True):
        # inverse transform sampling: the cumulative table turns a uniform number into a start
        u = torch.rand(count, generator=generator)
        starts = torch.searchsorted(cumulative_starts(length, block), u, right=True)
        first = first * length + starts  # [count]: the block's top left patch
        offsets = (offsets[:, None] * length + torch.arange(block)).flatten()  # [h], then [h w]
    return first[:, None] + offsets  # [count, h w]


def start_probabilities(length, block):
    """Where along an axis a block starts, p_s for s = 0..length - block, so that patches are covered evenly.

    With uniform starts a corner is rare: one start reaches the first patch of an axis, `block` starts reach the
    middle. Perfect evenness is impossible for blocks that do not tile the axis, so p climbs towards the maximum of
    sum_j log c_j, with c_j = sum of p_s over the starts whose block covers patch j. The step is that of expectation-
    maximisation, p_s <- p_s * (1 / length) * sum of 1 / c_j over the patches j of block s.
    length, block: of the axis and of the block's side, in patches.
    After 20 steps, for any length up to 32: c_j lies between .6 and 1.5 times its mean for blocks of at most half
    the axis; longer blocks must cover the middle always, and then no c_j is below .4 times the mean.
    Returns [length - block + 1] float64, sum 1.
    """
    starts = length - block + 1
    covers = torch.zeros(starts, length, dtype=torch.float64)
    for s in range(starts):
        covers[s, s : s + block] = 1
    p = torch.full((starts,), 1 / starts, dtype=torch.float64)
    for _ in range(20):
        p = p * (covers @ (1 / (p @ covers))) / length  # expectation-maximisation keeps the sum at 1
    return p


@lru_cache(maxsize=1024)
def cumulative_starts(length, block):
    """Cumulative `start_probabilities` without the final 1, for inverse transform sampling. [length - block]."""
    return start_probabilities(length, block).cumsum(0)[:-1].float().contiguous()


def make_room(targets, inside, free, least):
    """Leave at least `least` context patches per image by moving targets, last first, onto the image's first.

    targets: [B, M, K]; inside: bool [B, N], the context block; free: bool [B, N], what the targets leave of it.
    Returns (targets, free). If one target alone leaves too little, the context block is widened to the whole grid.
    """
    targets = targets.clone()
    short = free.sum(dim=1) < least  # [B]
    for keep in range(targets.shape[1] - 1, 0, -1):
        targets[short, keep:] = targets[short, :1]
        free = inside.scatter(1, targets.flatten(1), False)  # [B, N]
        short = free.sum(dim=1) < least
        if not short.any():
            return targets, free
    return targets, (inside | short[:, None]).scatter(1, targets.flatten(1), False)
