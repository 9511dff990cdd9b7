"""Assignment 08, exercise 4: the fraction of targets that leak through time."""

import torch

from minijepa.checks.clips.tube_indices import spec_tube_indices
from minijepa.checks.curves import line_and_yours
from minijepa.checks.report import compare


def spec_leak(context, target, grid):
    """The fraction of targets whose place is in the context one step earlier or later. A float.

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


CASES = [
    (torch.tensor([0, 3, 4]), torch.tensor([1, 2, 5]), (2, 1, 3)),
    leak_case((4, 3, 3), 20, 0),
    leak_case((3, 2, 4), 18, 1),
    leak_case((5, 2, 2), 14, 2),
    (spec_tube_indices(torch.tensor([0, 2]), (3, 1, 4)), spec_tube_indices(torch.tensor([1, 3]), (3, 1, 4)), (3, 1, 4)),
]


def near(context, target, steps):
    """The fraction of targets [K_t] with a neighbour in the context [K_c] at one of these offsets."""
    return torch.stack([torch.isin(target + step, context) for step in steps]).any(dim=0).double().mean().item()


MISTAKES = [
    (lambda c, t, g: near(c, t, (g[1] * g[2],)), "a neighbour in time may also be EARLIER: look both ways"),
    (lambda c, t, g: near(c, t, (-g[1] * g[2],)), "a neighbour in time may also be LATER: look both ways"),
    (lambda c, t, g: near(c, t, (1, -1)), "these are neighbours in space: one time further is rows * columns further"),
    (lambda c, t, g: near(c, t, (g[2], -g[2])), "these are neighbours in space: one time further is rows * columns"),
    (lambda c, t, g: 1 - spec_leak(c, t, g), "this is the fraction that does NOT leak"),
    (lambda c, t, g: spec_leak(c, t, g) * len(t), "this is how many leak: divide by the number of targets"),
    (
        lambda c, t, g: torch.isin(t % (g[1] * g[2]), c % (g[1] * g[2])).double().mean().item(),
        "this counts a place that is in the context at ANY time: only one step earlier or later counts",
    ),
]

ADVICE = "take the fraction of targets for which token + or - rows * columns is in the context"


def show_leak(student):
    """Draw the leak of random tokens, and of blocks of time, by how many are hidden: target and answer."""
    grid, numbers = (8, 4, 4), torch.arange(128)  # 16 places, 8 times
    order = torch.rand(128, generator=torch.Generator().manual_seed(0)).argsort()
    fractions = [i / 8 for i in range(1, 8)]

    def case(hidden):
        return numbers[~hidden], numbers[hidden], grid

    cases = {
        "random tokens": [(s, case(torch.isin(numbers, order[: int(128 * s)]))) for s in fractions],
        "the last of 8 times": [(s, case(numbers >= 128 * (1 - s))) for s in fractions],
    }
    see = "random targets leak until nearly everything is hidden; at the end of a clip only its first step leaks."
    line_and_yours("leak", student, spec_leak, cases, ("fraction hidden", "fraction that leaks"), see)


def leak(student):
    """Check exercise 4, `leak(context, target, grid)`. Raises CheckFailed."""
    compare("leak", student, spec_leak, CASES, MISTAKES, ADVICE)
