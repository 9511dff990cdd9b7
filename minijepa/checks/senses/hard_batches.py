"""Assignment 24, exercise 4: a curriculum of masks, which batches of a run get the hard ones."""

import math

import torch

from minijepa.checks.picture import target_and_yours
from minijepa.checks.report import compare


def spec_hard_batches(step, steps, numbers, start=0.01):
    """Step by step: f(s) = min(1, sqrt(s (1 - c^2) / S + c^2)), and whether the step's number is below it.

    step: int64 [K], any s >= 0. steps: S. numbers: [K] in [0, 1). start: c. Returns (f float32 [K], bool [K]).
    Source: A-JEPA (arXiv:2311.15830, section 3); Platanios et al. (arXiv:1903.09848).
    """
    share = [min(1.0, math.sqrt(s * (1 - start**2) / steps + start**2)) for s in step.tolist()]
    return torch.tensor(share), torch.tensor([u < f for u, f in zip(numbers.tolist(), share, strict=True)])


def uniform(n, seed):
    """Uniform numbers [n], always the same for one seed."""
    return torch.rand(n, generator=torch.Generator().manual_seed(seed))


CASES = [
    (torch.tensor([0, 25, 50, 100]), 100, torch.tensor([0.005, 0.55, 0.65, 0.95])),
    (torch.arange(0, 50, 3), 40, uniform(17, 0)),
    (torch.arange(12), 10, uniform(12, 1), 0.5),
    (torch.tensor([7, 3, 0, 7, 9]), 8, torch.tensor([0.1, 0.99, 0.2, 0.97, 0.999]), 0.3),
]


def pair(share, numbers):
    """(share, hard) of float32 shares [K]."""
    return share, numbers < share


def f(s, steps, c, squared=True):
    """The share of hard batches, float32 [K]. squared: False forgets the root."""
    inside = s * (1 - c * c) / steps + c * c
    return (inside.sqrt() if squared else inside).clamp(max=1)


MISTAKES = [
    (
        lambda s, n, u, c=0.01: pair(f(s, n, c, squared=False), u),
        "the square root is missing: with it the share rises early, and reaches a half after a quarter of the run",
    ),
    (
        lambda s, n, u, c=0.01: pair((c + (1 - c) * s / n).clamp(max=1), u),
        "this is a straight line from c to 1: interpolate the squares, then take the root",
    ),
    (
        lambda s, n, u, c=0.01: pair((s / n).sqrt().clamp(max=1), u),
        "c is missing: the first step has the share c, not 0",
    ),
    (
        lambda s, n, u, c=0.01: pair((s * (1 - c) / n + c).sqrt().clamp(max=1), u),
        "square c under the root, or the first step has the share sqrt(c)",
    ),
    (
        lambda s, n, u, c=0.01: pair((s / n + c * c).sqrt().clamp(max=1), u),
        "s / S is multiplied by 1 - c^2, so that the share reaches 1 at step S and not before",
    ),
    (
        lambda s, n, u, c=0.01: pair((s * (1 - c * c) / n + c * c).sqrt(), u),
        "a probability is at most 1: from step S on it stays there",
    ),
    (
        lambda s, n, u, c=0.01: pair(f(s + 1, n, c), u),
        "steps are counted from 0: use s, not s + 1",
    ),
    (
        lambda s, n, u, c=0.01: pair(f(s, n - 1, c), u),
        "divide by S, not by S - 1",
    ),
    (
        lambda s, n, u, c=0.01: pair(f(s // n, n, c), u),
        "s // S is a whole number, 0 until the end: divide with /",
    ),
    (
        lambda s, n, u, c=0.01: (f(s, n, c), u > f(s, n, c)),
        "a batch is hard if its number is BELOW the share: this happens with just that probability",
    ),
    (
        lambda s, n, u, c=0.01: (f(s, n, c), f(s, n, c) > 0.5),
        "this switches from easy to hard once: use the numbers, so that both kinds occur all the time",
    ),
    (
        lambda s, n, u, c=0.01: (f(s, n, c), u < 0.5),
        "this makes half of all batches hard, early and late: compare each number with the share of its step",
    ),
    (
        lambda s, n, u, c=0.01: (f(s, n, c), u[0] < f(s, n, c)),
        "each step has its own number: you use the first for all",
    ),
    (
        lambda s, n, u, c=0.01: (u < f(s, n, c), f(s, n, c)),
        "return the shares first, then which batches are hard",
    ),
    (
        lambda s, n, u, c=0.01: (f(s, n, c), (u < f(s, n, c)).float()),
        "which batches are hard is a bool tensor, the result of a comparison",
    ),
]

ADVICE = "share = sqrt(s (1 - c^2) / S + c^2), at most 1; hard = numbers < share"


def show_hard_batches(student):
    """Draw the shares over a run of 64 steps, and which batches are hard, eight steps a row: target and answer."""
    numbers = uniform(64, 2)

    def share(answer, *_):
        return answer[0].view(8, 8)

    def as_map(answer, step, *_):
        return torch.cat([share(answer), torch.full((1, 8), torch.nan), answer[1].view(8, 8).float()])

    cases = {f"c = {c}": (torch.arange(64), 64, numbers, c) for c in (0.01, 0.5)}
    see = "a run goes row by row: the upper half has the shares, the lower one the batches, hard ones bright."
    target_and_yours("hard_batches", student, spec_hard_batches, cases, as_map, see, limits=(0, 1))


def hard_batches(student):
    """Check exercise 4, `hard_batches(step, steps, numbers, start=0.01)`. Raises CheckFailed."""
    compare("hard_batches", student, spec_hard_batches, CASES, MISTAKES, ADVICE)
