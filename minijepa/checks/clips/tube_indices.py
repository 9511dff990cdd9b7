"""Assignment 08, exercise 2: the tokens of a tube."""

import torch

from minijepa.checks.picture import target_and_yours
from minijepa.checks.report import compare


def spec_tube_indices(places, grid):
    """The indices of these places at all times, in order of time. places: int64 [K]. Returns int64 [T K], rising."""
    found = []
    for time in range(grid[0]):
        for place in sorted(places.tolist()):
            found.append(time * grid[1] * grid[2] + place)
    return torch.tensor(found, dtype=torch.int64)


CASES = [
    (torch.tensor([1, 3]), (2, 2, 2)),
    (torch.tensor([0, 5, 11]), (4, 3, 4)),
    (torch.tensor([7, 2, 4]), (3, 2, 5)),
    (torch.tensor([0]), (5, 2, 3)),
]


def table(places, grid, step):
    """The indices [T, K] if one time further were `step` tokens further."""
    return torch.arange(grid[0])[:, None] * step + places.sort().values


MISTAKES = [
    (
        lambda p, g: table(p, g, g[1] * g[2]).T.flatten(),
        "these are the right tokens in the wrong order: all places of the first time come first; sort them",
    ),
    (
        lambda p, g: (torch.arange(g[0])[:, None] * g[1] * g[2] + p).flatten(),
        "the indices must rise: the places that you are given may come in any order",
    ),
    (
        lambda p, g: table(p, g, g[2]).flatten(),
        "one time further is rows * columns tokens further, not one row of tokens",
    ),
    (lambda p, g: table(p, g, g[0]).flatten(), "one time further is rows * columns tokens further"),
    (lambda p, g: p.sort().values, "these are the places at the first time only: a tube runs through all times"),
    (
        lambda p, g: (p.sort().values[:, None] * g[0] + torch.arange(g[0])).flatten(),
        "tokens are numbered time first: index = time * rows * columns + place",
    ),
]


def show_tube_indices(student):
    """Draw two tubes, each time a row of places: target and answer."""

    def as_map(answer, places, grid):
        return torch.zeros(grid[0] * grid[1] * grid[2]).scatter(0, answer.flatten(), 1.0).view(grid[0], -1)

    see = "a row per time, a column per place: tubes are columns without a gap."
    cases = {"2 places, 2 times": CASES[0], "3 places, 4 times": CASES[1]}
    target_and_yours("tube_indices", student, spec_tube_indices, cases, as_map, see)


def tube_indices(student):
    """Check exercise 2, `tube_indices(places, grid)`. Raises CheckFailed."""
    compare("tube_indices", student, spec_tube_indices, CASES, MISTAKES, "the index is time * rows * columns + place")
