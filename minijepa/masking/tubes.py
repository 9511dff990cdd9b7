"""Which tubelets of a clip are seen and which must be predicted: V-JEPA's tubes, the future, and two controls.

Neighbouring frames are nearly alike, so a patch hidden at one moment can be copied from the next. V-JEPA therefore
hides *tubes*: a region of the frame at all times. As in 2-D the samplers draw a whole batch at once, always end,
give every clip equally many tokens, and never leak a target into the context.
Source: V-JEPA (arXiv:2404.08471, section 3.2 and appendix); the published sampler is in `published.py`.
"""

import torch

from minijepa.masking.blocks import block_height, draw_block_size, largest_block, make_room, place_blocks
from minijepa.masking.published import published_tube_masks
from minijepa.masking.sampling import Masks, check_request, check_scales, random_subset

SHORT_RANGE = {"n_blocks": 8, "scale": (0.15, 0.15)}  # V-JEPA's two specifications, used together in every step
LONG_RANGE = {"n_blocks": 2, "scale": (0.7, 0.7)}


def tube_masks(
    batch,
    grid,
    *,
    n_blocks=8,
    scale=(0.15, 0.15),
    aspect=(0.75, 1.5),
    duration=1.0,
    context_keep=None,
    target_keep=None,
    published=False,
    generator=None,
):
    """Multi-block masks of a clip: the union of `n_blocks` boxes is predicted, the rest is seen.

    batch: clips B. grid: (times T, rows H, columns W) of tubelets. scale: area of a block as a share of the H W
    places, (low, high) in (0, 1]; aspect: rows / columns. duration: length of a block as a share of T in (0, 1];
    with 1, V-JEPA's choice, blocks are tubes. Size and duration are drawn once per batch, places per clip and block.
    context_keep, target_keep: how many are kept, a random subset: of the H W tubes if they last, else of the
    tokens; None: as many as the poorest clip of the batch has. A clip whose blocks cover too much gets its last
    blocks moved onto its first, one after the other, until enough is left to be seen.
    Returns Masks, context [B, K_c], targets [B, 1, K_t]: one target, the union, unlike I-JEPA's M separate blocks.
    published=True: the published sampler (which ignores *_keep), with its loss of late frames.
    Raises ValueError if the request cannot be met for some size that may be drawn.
    """
    check_grid(batch, grid)
    check_scales(scale=scale, duration=(duration, duration))
    check_request(batch, grid[1:], n_blocks, aspect)
    if published:
        return Masks(*published_tube_masks(batch, grid, n_blocks, scale, aspect, duration, generator=generator))
    long = max(1, round(duration * grid[0]))
    units = (1, *grid[1:]) if long == grid[0] else tuple(grid)  # what is hidden or kept as one: a tube, or a token
    n, depth = units[0] * units[1] * units[2], 1 if units[0] == 1 else long
    largest = largest_block(grid[1:], scale, aspect) * depth
    smallest = smallest_block(grid[1:], scale, aspect) * depth
    least = max(1, n // 16) if context_keep is None else context_keep
    if least < 1 or largest + least > n:
        raise ValueError(
            f"a block may take {largest} of the {n} {'tubes' if units[0] == 1 else 'tokens'} of a {tuple(grid)} grid, "
            f"which leaves fewer than the {least} wanted as context (at least 1): lower scale {tuple(scale)}, "
            f"duration {duration} or context_keep"
        )
    if target_keep is not None and not 1 <= target_keep <= smallest:
        raise ValueError(
            f"target_keep must lie in 1..{smallest}, the smallest block that scale {tuple(scale)} and duration "
            f"{duration} allow on a {tuple(grid)} grid, got {target_keep}"
        )
    size = (depth, *draw_block_size(grid[1:], scale, aspect, generator))
    blocks = place_blocks(batch * n_blocks, units, size, generator).view(batch, n_blocks, -1)  # [B, M, h w]
    everywhere = torch.ones(batch, n, dtype=torch.bool)
    seen = everywhere.scatter(1, blocks.flatten(1), False)  # [B, n]
    if seen.sum(dim=1).min() < least:
        blocks, seen = make_room(blocks, everywhere, seen, least)
    context = random_subset(seen, context_keep, generator)  # [B, k_c] units
    target = random_subset(~seen, target_keep, generator)  # [B, k_t] units
    if units[0] == 1:
        context, target = along_time(context, grid), along_time(target, grid)  # [B, T k] tokens
    return Masks(context, target.unsqueeze(1))


def random_tubes(batch, grid, *, context_keep, target_keep, generator=None):
    """Single places of the frame, hidden at all times: tubes without blocks, one patch thick.

    batch: clips. grid: (times, rows, columns). context_keep + target_keep <= rows * columns, counted in tubes, both
    >= 1. Returns Masks, targets [B, 1, T target_keep]. Raises ValueError otherwise.
    """
    check_grid(batch, grid)
    context, target = random_split(batch, grid[1] * grid[2], context_keep, target_keep, "tubes", grid, generator)
    return Masks(along_time(context, grid), along_time(target, grid).unsqueeze(1))


def random_tubelets(batch, grid, *, context_keep, target_keep, generator=None):
    """Single tokens anywhere in the clip: the control that leaves every hidden one a neighbour in time to copy from.

    batch: clips. grid: (times, rows, columns). context_keep + target_keep <= times * rows * columns, both >= 1.
    Returns Masks, targets [B, 1, target_keep]. Raises ValueError otherwise.
    """
    check_grid(batch, grid)
    n = grid[0] * grid[1] * grid[2]
    context, target = random_split(batch, n, context_keep, target_keep, "tokens", grid, generator)
    return Masks(context, target.unsqueeze(1))


def causal_masks(batch, grid, *, seen, context_keep=None, target_keep=None, generator=None):
    """The past is seen, the future predicted: tokens at the first `seen` times are context, the later ones targets.

    batch: clips. grid: (times, rows, columns). seen: 1..times - 1. context_keep, target_keep: a random subset of so
    many tokens of either; None: all. Returns Masks, targets [B, 1, K_t]. Raises ValueError if there are not so many.
    """
    check_grid(batch, grid)
    if not 1 <= seen < grid[0]:
        raise ValueError(f"seen must lie in 1..{grid[0] - 1} of the {grid[0]} times, got {seen}")
    per_time = grid[1] * grid[2]
    past = torch.arange(grid[0] * per_time).expand(batch, -1) < seen * per_time  # [B, N]
    for name, keep, most in (
        ("context_keep", context_keep, seen * per_time),
        ("target_keep", target_keep, (grid[0] - seen) * per_time),
    ):
        if keep is not None and not 1 <= keep <= most:
            raise ValueError(f"{name} must lie in 1..{most}, the tokens there are, or be None, got {keep}")
    context = random_subset(past, context_keep, generator)
    return Masks(context, random_subset(~past, target_keep, generator).unsqueeze(1))


# --- the pieces ---


def random_split(batch, n, context_keep, target_keep, unit, grid, generator=None):
    """Two disjoint random subsets of 0..n-1 per row, sorted: [batch, context_keep] and [batch, target_keep].

    Raises ValueError if there are not so many.
    """
    if context_keep < 1 or target_keep < 1 or context_keep + target_keep > n:
        raise ValueError(
            f"context_keep {context_keep} and target_keep {target_keep} must be at least 1 and together at most "
            f"the {n} {unit} of a {tuple(grid)} grid"
        )
    order = torch.rand(batch, n, generator=generator).argsort(dim=1)  # [B, n]
    context, target = order[:, :context_keep], order[:, context_keep : context_keep + target_keep]
    return context.sort(dim=1).values, target.sort(dim=1).values


def along_time(tubes, grid):
    """Places in the frame to tokens of the clip, at all times: int64 [B, k] -> [B, T k], time-major, sorted."""
    times = torch.arange(grid[0])[:, None] * (grid[1] * grid[2])  # [T, 1]
    return (tubes[:, None] + times).flatten(1)  # [B, T, k] -> [B, T k]


def smallest_block(grid, scale, aspect):
    """The fewest patches that a block of `draw_block_size` can have."""
    area = scale[0] * grid[0] * grid[1]
    lowest, highest = (block_height(grid, area, ratio) for ratio in aspect)
    # while the height rounds to h the width only falls, so the highest of those heights has the smallest block
    return min(
        h * max(1, round(area / min(highest, h + 0.5)))
        for h in range(1, grid[0] + 1)
        if lowest - 0.5 <= h <= highest + 0.5
    )


def check_grid(batch, grid):
    """The grid must be three positive numbers with at least two places in the frame, the batch at least one clip."""
    if batch < 1 or len(grid) != 3 or min(grid) < 1 or grid[1] * grid[2] < 2:
        raise ValueError(
            f"a clip's masks need batch >= 1 and a grid (times, rows, columns) with at least 2 places per time, "
            f"got {batch} and {tuple(grid)}"
        )
