"""What all masks have in common: their form, random subsets, and the checks of a request."""

import math
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Masks:
    """Token indices for a batch, int64, row-major on the patch grid, sorted.

    context: [B, K_c], what the context encoder sees.
    targets: [B, M, K_t], the M blocks to predict.
    No index of `context` is in `targets` of the same image; two target blocks may overlap.
    """

    context: torch.Tensor
    targets: torch.Tensor

    def to(self, device):
        """The same masks on another device."""
        return Masks(self.context.to(device), self.targets.to(device))

    def rows(self, index):
        """The masks of some images of the batch; index: a slice, int64 [b] or bool [B]."""
        return Masks(self.context[index], self.targets[index])


@dataclass(frozen=True)
class MaskSets:
    """Several Masks for one batch, all used in one step: V-JEPA's short-range and long-range specifications.

    sets: a tuple of Masks, context [B, K_c] and targets [B, M, K_t] each; their sizes may differ.
    """

    sets: tuple[Masks, ...]

    def to(self, device):
        """The same masks on another device."""
        return MaskSets(tuple(masks.to(device) for masks in self.sets))

    def rows(self, index):
        """The masks of some images of the batch, in every set; index: a slice, int64 [b] or bool [B]."""
        return MaskSets(tuple(masks.rows(index) for masks in self.sets))


def random_masks(batch, grid, *, context_keep, target_keep, generator=None):
    """Masks without structure: K_c random patches are seen, K_t others are predicted as one target.

    batch: images B.
    grid: (rows, columns) of patches, or (N,) of a series.
    context_keep, target_keep: K_c and K_t, each at least 1, together at most all patches.
    Returns Masks, targets [B, 1, K_t]. Raises ValueError otherwise. Source: MAE (arXiv:2111.06377, section 3);
    the "random" row of I-JEPA's table 6.
    """
    check_request(batch, grid if len(grid) > 1 else (1, *grid), 1, (1.0, 1.0))
    context, target = random_split(batch, math.prod(grid), context_keep, target_keep, "patches", grid, generator)
    return Masks(context, target.unsqueeze(1))


# --- the pieces ---


def random_subset(free, keep, generator=None):
    """A random `keep` of the True entries of each row, sorted.

    free: bool [..., N], each row with at least `keep` True. keep: a number; None: as many as the row with the fewest
    has. Returns int64 [..., keep].
    """
    keep = int(free.sum(dim=-1).min()) if keep is None else keep
    # a random number for each entry, below all others where it is not free; the highest `keep` win
    numbers = torch.rand(free.shape, generator=generator).masked_fill_(~free, -1.0)
    return numbers.topk(keep, dim=-1).indices.sort(dim=-1).values


def random_split(batch, n, context_keep, target_keep, unit, grid, generator=None):
    """Two disjoint random subsets of 0..n-1 per row, sorted: [batch, context_keep] and [batch, target_keep].

    unit, grid: what the n are called, and of which grid, for the message. Raises ValueError if there are not so many.
    """
    if context_keep < 1 or target_keep < 1 or context_keep + target_keep > n:
        raise ValueError(
            f"context_keep {context_keep} and target_keep {target_keep} must be at least 1 and together at most "
            f"the {n} {unit} of a {tuple(grid)} grid"
        )
    order = torch.rand(batch, n, generator=generator).argsort(dim=1)  # [B, n]: a random permutation per row
    context, target = order[:, :context_keep], order[:, context_keep : context_keep + target_keep]
    return context.sort(dim=1).values, target.sort(dim=1).values


def check_scales(**scales):
    """Each (low, high) must satisfy 0 < low <= high <= 1."""
    for name, (low, high) in scales.items():
        if not 0 < low <= high <= 1:
            raise ValueError(f"{name} is a fraction of the patches, 0 < low <= high <= 1, got ({low}, {high})")


def check_request(batch, grid, n_targets, aspect):
    """Counts must be positive, the grid two positive numbers, aspects positive and ordered."""
    if batch < 1 or n_targets < 1:
        raise ValueError(f"batch and n_targets must be at least 1, got {batch} and {n_targets}")
    if len(grid) != 2 or min(grid) < 1 or grid[0] * grid[1] < 2:
        raise ValueError(f"grid must be (rows, columns) with at least 2 patches, got {tuple(grid)}")
    if not 0 < aspect[0] <= aspect[1] < float("inf"):
        raise ValueError(f"target_aspect is rows / columns, 0 < low <= high < infinity, got {tuple(aspect)}")
