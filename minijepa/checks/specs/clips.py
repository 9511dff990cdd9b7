"""Assignment 08: what is asked for, by the slowest way that is obviously right, and the cases that are tried."""

import torch

from minijepa.checks.specs import normal
from minijepa.masking.sampling import Masks

# --- 1: tubelets ------------------------------------------------------------------------------------------


def spec_tubelets(clips, o, p):
    """Box by box, time first, then rows, then columns; in a box (C, o, p, p). [B, C, T, H, W] -> [B, N, C o p p]."""
    b, c, t, h, w = clips.shape
    boxes = []
    for start in range(0, t, o):
        for top in range(0, h, p):
            for left in range(0, w, p):
                box = clips[:, :, start : start + o, top : top + p, left : left + p]
                boxes.append(box.reshape(b, c * o * p * p))
    return torch.stack(boxes, dim=1)


CLIPS = [
    (torch.arange(32.0).view(1, 1, 2, 4, 4), 2, 2),
    (normal(2, 3, 4, 4, 6), 2, 2),
    (normal(1, 2, 6, 3, 6, seed=1), 3, 3),
    (normal(2, 1, 3, 4, 4, seed=2), 1, 2),
]


# --- 2: a tube --------------------------------------------------------------------------------------------


def spec_tube_indices(places, grid):
    """Time by time, the index of each of these places, time-major. places: int64 [K]. Returns int64 [T K], rising."""
    found = []
    for time in range(grid[0]):
        for place in sorted(places.tolist()):
            found.append(time * grid[1] * grid[2] + place)
    return torch.tensor(found, dtype=torch.int64)


TUBES = [
    (torch.tensor([1, 3]), (2, 2, 2)),
    (torch.tensor([0, 5, 11]), (4, 3, 4)),
    (torch.tensor([7, 2, 4]), (3, 2, 5)),
    (torch.tensor([0]), (5, 2, 3)),
]


# --- 3: masks of tubes ----------------------------------------------------------------------------------


def spec_tube_masks(batch, grid, hidden, generator):
    """Clip by clip: draw one place after another; their tokens at all times are the target, the rest is the context."""
    contexts, targets = [], []
    for _ in range(batch):
        left, chosen = list(range(grid[1] * grid[2])), []
        for _ in range(hidden):
            chosen.append(left.pop(int(torch.randint(len(left), (1,), generator=generator))))
        contexts.append(spec_tube_indices(torch.tensor(left), grid))
        targets.append(spec_tube_indices(torch.tensor(chosen), grid)[None])
    return Masks(torch.stack(contexts), torch.stack(targets))


# --- 4: the leak ------------------------------------------------------------------------------------------


def spec_leak(context, target, grid):
    """Target by target: is the same place seen one step earlier or later? The share of those. A float.

    context: int64 [K_c]; target: int64 [K_t]; one clip.
    """
    step, seen, leaks = grid[1] * grid[2], set(context.tolist()), 0
    for token in target.tolist():
        leaks += (token - step) in seen or (token + step) in seen
    return leaks / len(target)


def leak_case(grid, k, seed):
    """Random tokens of a clip: (context [N - k], target [k], grid)."""
    n = grid[0] * grid[1] * grid[2]
    order = torch.rand(n, generator=torch.Generator().manual_seed(seed)).argsort()
    return order[k:].sort().values, order[:k].sort().values, grid


LEAKS = [
    (torch.tensor([0, 3, 4]), torch.tensor([1, 2, 5]), (2, 1, 3)),
    leak_case((4, 3, 3), 20, 0),
    leak_case((3, 2, 4), 18, 1),
    leak_case((5, 2, 2), 14, 2),
    (spec_tube_indices(torch.tensor([0, 2]), (3, 1, 4)), spec_tube_indices(torch.tensor([1, 3]), (3, 1, 4)), (3, 1, 4)),
]


# --- 5: the loss over several masks -----------------------------------------------------------------------


def spec_clip_loss(predictions, targets):
    """Set by set: the mean of |d| over everything; then the mean over the sets. A scalar. Lists of [B, 1, K_t, D]."""
    means = []
    for guess, truth in zip(predictions, targets, strict=True):
        costs = [d.abs() for d in (guess - truth).flatten()]
        means.append(sum(costs) / len(costs))
    return sum(means) / len(means)


def loss_case(sizes, seed, dtype=torch.float32):
    """(predictions, targets): lists of tensors [2, 1, K_t, 3], K_t from `sizes`, of growing scale."""
    scale = range(1, len(sizes) + 1)
    guesses = [normal(2, 1, k, 3, seed=seed + k, dtype=dtype) * s for k, s in zip(sizes, scale, strict=True)]
    return guesses, [normal(2, 1, k, 3, seed=seed + 50 + k, dtype=dtype) * 0.5 for k in sizes]


CLIP_LOSSES = [loss_case((2, 6), 0), loss_case((5,), 1), loss_case((1, 3, 8), 2), loss_case((4, 1), 3, torch.float64)]
