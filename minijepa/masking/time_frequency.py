"""Which part of a spectrogram is hidden: all bands for a few times, or few bands at all times.

    a moment  [rows, w]    every frequency of a short time: hidden as if somebody had coughed
    a band    [h, columns] a few frequencies of the whole sound: hidden as if a filter had removed them

Neighbouring cells of a spectrogram resemble each other: a vowel goes on, its harmonics lie side by side. A hidden block
has neighbours on four sides to guess it from, these targets on two. The sampler draws a whole batch at once, always
ends, and never leaks a target into the context.
Source: A-JEPA (arXiv:2311.15830, section 3), time-frequency aware masking.
"""

import torch

from minijepa.masking.blocks import make_room, place_blocks
from minijepa.masking.sampling import Masks, check_request, check_scales, random_subset


def time_frequency_masks(batch, grid, *, n_targets=3, target_scale=(0.05, 0.075), context_keep=None, generator=None):
    """Sample M moments, or M bands, to predict; what they leave is seen.

    batch: sounds B. grid: (bands, times) of patches, at least 2 of each, N in all.
    n_targets: M >= 1. target_scale: fraction of the N patches in a target, (low, high) in (0, 1], rounded to whole
    columns or rows, at least one. Moments or bands, and how wide, is drawn once per batch; the places once per target.
    context_keep: K_c, a random subset of the rest; None: as many as the sound with the fewest has. Where the targets
    leave too few, the last targets move onto the first, one after the other, until enough are left.
    Returns Masks, context [B, K_c] and targets [B, M, K_t], on the CPU.
    Raises ValueError if the request cannot be met for some size that may be drawn.
    Source: arXiv:2311.15830, section 3; sizes there are of much finer grids.
    """
    check_scales(target_scale=target_scale)
    check_request(batch, grid, n_targets, (1.0, 1.0))
    rows, columns = grid
    n = rows * columns
    if min(grid) < 2:
        raise ValueError(f"grid must have at least 2 bands and 2 times, got {tuple(grid)}: one of two is to be seen")
    if context_keep is not None and context_keep < 1:
        raise ValueError(f"context_keep must be at least 1 patch, or None for all there are, got {context_keep}")
    least = context_keep or max(1, n // 16)
    largest = max(h * w for h, w in (size_of(kind, grid, target_scale[1]) for kind in ("moments", "bands")))
    if largest + least > n:
        raise ValueError(
            f"a target may take {largest} of the {n} patches of a {rows}x{columns} grid, which leaves fewer than the "
            f"{least} wanted as context: lower target_scale {tuple(target_scale)} or context_keep"
        )
    u = torch.rand(2, generator=generator)
    scale = target_scale[0] + float(u[1]) * (target_scale[1] - target_scale[0])
    size = size_of("moments" if u[0] < 0.5 else "bands", grid, scale)
    targets = place_blocks(batch * n_targets, grid, size, generator).view(batch, n_targets, -1)  # [B, M, h w]
    everywhere = torch.ones(batch, n, dtype=torch.bool)
    free = everywhere.scatter(1, targets.flatten(1), False)  # [B, N]
    if free.sum(dim=1).min() < least:
        targets, free = make_room(targets, everywhere, free, least)
    return Masks(random_subset(free, context_keep, generator), targets)


def size_of(kind, grid, scale):
    """(h, w) of a target: whole columns for "moments", whole rows for "bands", as near to the scale as they come."""
    rows, columns = grid
    if kind == "moments":
        return rows, max(1, round(scale * columns))
    return max(1, round(scale * rows)), columns
