"""Assignment 08, exercise 5: the loss over several sets of targets."""

import torch

from minijepa.checks.curves import line_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal


def spec_clip_loss(predictions, targets):
    """The mean over the sets of the mean of |d| in each. Two lists of tensors [B, 1, K_t, D] -> a scalar."""
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


CASES = [loss_case((2, 6), 0), loss_case((5,), 1), loss_case((1, 3, 8), 2), loss_case((4, 1), 3, torch.float64)]


def each(p, t, function):
    """A loss of each set, [sets]."""
    return torch.stack([function(a, b) for a, b in zip(p, t, strict=True)])


functional = torch.nn.functional

MISTAKES = [
    (
        lambda p, t: functional.l1_loss(torch.cat(p, dim=2), torch.cat(t, dim=2)),
        "all tokens in one mean lets the larger set outvote the smaller: take the mean of each set, then over the sets",
    ),
    (lambda p, t: each(p, t, functional.l1_loss).sum(), "this is the sum over the sets: take their mean"),
    (lambda p, t: each(p, t, functional.mse_loss).mean(), "V-JEPA's distance is L1, |d|, not the square"),
    (
        lambda p, t: each(p, t, functional.smooth_l1_loss).mean(),
        "V-JEPA's distance is L1, |d| everywhere, not smooth L1",
    ),
    (lambda p, t: functional.l1_loss(p[0], t[0]), "this is the first set alone: use all of them"),
]

ADVICE = "take the mean of |d| in each set, then the mean over the sets"


def show_clip_loss(student):
    """Draw the loss where one of two sets, of 2 and of 10 tokens, is off by d: target and answer."""

    def case(first, second):
        truth = [torch.zeros(1, 1, 2, 3), torch.zeros(1, 1, 10, 3)]
        return [truth[0] + first, truth[1] + second], truth

    offsets = [i / 2 for i in range(-4, 5)]
    cases = {
        "the set of 2 is off by d": [(d, case(d, 0.0)) for d in offsets],
        "the set of 10 is off by d": [(d, case(0.0, d)) for d in offsets],
    }
    see = "both panels are equal: each set has the same weight, however many tokens it holds."
    line_and_yours("clip_loss", student, spec_clip_loss, cases, ("d", "loss"), see)


def clip_loss(student):
    """Check exercise 5, `clip_loss(predictions, targets)`. Raises CheckFailed."""
    compare("clip_loss", student, spec_clip_loss, CASES, MISTAKES, ADVICE)
