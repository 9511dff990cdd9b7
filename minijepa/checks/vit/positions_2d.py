"""Assignment 02, exercise 3: positions in a grid, by row and column."""

import torch

from minijepa.checks.picture import target_and_yours
from minijepa.checks.report import compare
from minijepa.checks.vit.sincos import spec_sincos


def spec_positions_2d(grid, dim):
    """Patch by patch along the rows: the first half of the width encodes the row, the second the column."""
    table = []
    for row in range(grid[0]):
        for column in range(grid[1]):
            both = spec_sincos(torch.tensor([row, column]), dim // 2)  # [2, dim / 2]
            table.append(both.flatten())
    return torch.stack(table)


CASES = [((2, 2), 8), ((3, 5), 16), ((4, 2), 4), ((1, 6), 12)]


def columns_first(g, d):
    """The column in the first half."""
    return spec_positions_2d(g, d).roll(d // 2, dims=1)


def by_columns(g, d):
    """Patches numbered along the columns."""
    return spec_positions_2d(g, d).view(*g, d).transpose(0, 1).reshape(-1, d)


def added(g, d):
    """Row and column added up in place of side by side."""
    row, column = (spec_sincos(torch.arange(n), d) for n in g)
    return (row[:, None] + column).flatten(0, 1)


MISTAKES = [
    (columns_first, "the halves are swapped: the row comes in the first half of the width, the column in the second"),
    (by_columns, "the patches are numbered along the rows: the column changes fastest"),
    (added, "row and column get half of the width each; added up, (1, 2) and (2, 1) would look alike"),
    (lambda g, d: spec_sincos(torch.arange(g[0] * g[1]), d), "one axis is not enough: use the row and the column"),
]

ADVICE = "for each patch: the table of its row, dim / 2 wide, followed by that of its column"


def show_positions_2d(student):
    """Draw the inner products of patch 27 of an 8 by 8 grid with all others: target and answer."""

    def nearness(answer, grid, dim):
        return (answer @ answer[grid[0] * grid[1] // 2 - 5]).view(grid)

    cases = {"8 by 8, width 16": ((8, 8), 16), "8 by 8, width 64": ((8, 8), 64), "5 by 9": ((5, 9), 64)}
    see = "the tables alone tell how near each patch is to one of them; both rows should be alike."
    target_and_yours("positions_2d", student, spec_positions_2d, cases, nearness, see)


def positions_2d(student):
    """Check exercise 3, `positions_2d(grid, dim)`. Raises CheckFailed."""
    compare("positions_2d", student, spec_positions_2d, CASES, MISTAKES, ADVICE)
