"""Which tubelets of a clip are seen and which must be predicted: V-JEPA's tubes, the future, and two controls.

Neighbouring frames are nearly alike, so a patch hidden at one moment can be copied from the next. V-JEPA therefore
hides *tubes*: a region of the frame at all times. As in 2-D the samplers draw a whole batch at once, always end,
give every clip the same number of tokens, and never leak a target into the context.
Source: V-JEPA (arXiv:2404.08471, section 3.2 and appendix); the published sampler is in `published.py`.
"""

import torch

from minijepa.masking.blocks import draw_block_size, largest_block, make_room, place_blocks, smallest_block
from minijepa.masking.published import published_tube_masks
from minijepa.masking.sampling import Masks, check_request, check_scales, random_split, random_subset

SHORT_RANGE = {"n_blocks": 8, "scale": (0.15, 0.15)}  # V-JEPA's two specifications, used together in every step
LONG_RANGE = {"n_blocks": 2, "scale": (0.7, 0.7)}


def tube_masks(
    batch,
    grid,
    *,
    n_blocks=8,
    scale=(0.15, 0.15),
    aspect=(0.75, 1.5),
    context_keep=None,
    target_keep=None,
    published=False,
    generator=None,
):
    """Multi-block masks of a clip: the union of `n_blocks` tubes is predicted, the rest is seen.

    batch: clips B.
    grid: (times T, rows H, columns W) of tubelets. A tube is a block of the H W places, at all times.
    scale: area of a block as a fraction of the places, (low, high) in (0, 1].
    aspect: rows / columns, (low, high). The size is drawn once per batch, places per clip and block.
    context_keep, target_keep: how many tubes are kept, a random subset; None: as many as the clip with the fewest has.
    Where the blocks cover too much, the last ones move onto the first, one after the other, until enough is left.
    published: the published sampler (which ignores *_keep), with its loss of late frames.
    Returns Masks, context [B, K_c], targets [B, 1, K_t]: one target, the union, unlike I-JEPA's M separate blocks.
    Raises ValueError if the request cannot be met for some size that may be drawn.
    """
    check_grid(batch, grid)
    frame = tuple(grid[1:])
    check_scales(scale=scale)
    check_request(batch, frame, n_blocks, aspect)
    if published:
        return Masks(*published_tube_masks(batch, grid, n_blocks, scale, aspect, generator=generator))
    n, largest = frame[0] * frame[1], largest_block(frame, scale, aspect)
    smallest = smallest_block(frame, scale, aspect)
    least = max(1, n // 16) if context_keep is None else context_keep
    if least < 1 or largest + least > n:
        raise ValueError(
            f"a block may take {largest} of the {n} tubes of a {tuple(grid)} grid, which leaves fewer than the {least} "
            f"wanted as context (at least 1): lower scale {tuple(scale)} or context_keep"
        )
    if target_keep is not None and not 1 <= target_keep <= smallest:
        raise ValueError(
            f"target_keep must lie in 1..{smallest}, the smallest block that scale {tuple(scale)} allows on a "
            f"{tuple(grid)} grid, got {target_keep}"
        )
    size = draw_block_size(frame, scale, aspect, generator)
    blocks = place_blocks(batch * n_blocks, (1, *frame), (1, *size), generator).view(batch, n_blocks, -1)  # [B, M, h w]
    everywhere = torch.ones(batch, n, dtype=torch.bool)
    seen = everywhere.scatter(1, blocks.flatten(1), False)  # [B, H W]
    if seen.sum(dim=1).min() < least:
        blocks, seen = make_room(blocks, everywhere, seen, least)
    context = random_subset(seen, context_keep, generator)  # [B, k_c] tubes
    target = random_subset(~seen, target_keep, generator)  # [B, k_t] tubes
    return Masks(along_time(context, grid), along_time(target, grid).unsqueeze(1))  # [B, T k_c], [B, 1, T k_t] tokens


def random_tubes(batch, grid, *, context_keep, target_keep, generator=None):
    """Single places of the frame, hidden at all times: tubes without blocks, one patch thick.

    batch: clips B. grid: (times T, rows, columns) of tubelets.
    context_keep, target_keep: how many tubes, each at least 1, together at most rows * columns.
    Returns Masks, targets [B, 1, T target_keep]. Raises ValueError otherwise.
    """
    check_grid(batch, grid)
    context, target = random_split(batch, grid[1] * grid[2], context_keep, target_keep, "tubes", grid, generator)
    return Masks(along_time(context, grid), along_time(target, grid).unsqueeze(1))


def random_tubelets(batch, grid, *, context_keep, target_keep, generator=None):
    """Single tokens anywhere in the clip: the control in which hidden tokens have neighbours in time to copy from.

    batch: clips B. grid: (times, rows, columns) of tubelets.
    context_keep, target_keep: how many tokens, each at least 1, together at most times * rows * columns.
    Returns Masks, targets [B, 1, target_keep]. Raises ValueError otherwise.
    """
    check_grid(batch, grid)
    n = grid[0] * grid[1] * grid[2]
    context, target = random_split(batch, n, context_keep, target_keep, "tokens", grid, generator)
    return Masks(context, target.unsqueeze(1))


def causal_masks(batch, grid, *, seen, context_keep=None, target_keep=None, generator=None):
    """The past is seen, the future predicted: tokens at the first `seen` times are context, the later ones targets.

    batch: clips B. grid: (times, rows, columns) of tubelets.
    seen: how many times are context, 1..times - 1.
    context_keep, target_keep: a random subset of so many tokens of either; None: all.
    Returns Masks, targets [B, 1, K_t]. Raises ValueError if there are not so many.
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


def along_time(tubes, grid):
    """Places in the frame to tokens of the clip, at all times: int64 [B, k] -> [B, T k], time-major, sorted."""
    times = torch.arange(grid[0])[:, None] * (grid[1] * grid[2])  # [T, 1]
    return (tubes[:, None] + times).flatten(1)  # [B, T, k] -> [B, T k]


def check_grid(batch, grid):
    """The grid must be three positive numbers with at least two places in the frame, the batch at least one clip."""
    if batch < 1 or len(grid) != 3 or min(grid) < 1 or grid[1] * grid[2] < 2:
        raise ValueError(
            f"a clip's masks need batch >= 1 and a grid (times, rows, columns) with at least 2 places per time, "
            f"got {batch} and {tuple(grid)}"
        )
