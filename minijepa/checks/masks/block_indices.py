"""Assignment 03, exercise 1: the patches of one block."""

import torch

from minijepa.checks.picture import target_and_yours
from minijepa.checks.report import compare


def spec_block_indices(top, left, height, width, grid):
    """Patch by patch: is it in the block? Its index is counted along the rows. Returns int64 [height * width]."""
    inside = []
    for row in range(grid[0]):
        for column in range(grid[1]):
            if top <= row < top + height and left <= column < left + width:
                inside.append(row * grid[1] + column)
    return torch.tensor(inside, dtype=torch.int64)


CASES = [(1, 2, 3, 2, (4, 4)), (0, 0, 1, 1, (3, 5)), (2, 0, 2, 5, (4, 7)), (0, 3, 4, 2, (6, 5)), (5, 5, 3, 3, (8, 8))]


def patches(top, left, height, width, step, extra=0):
    """A block's indices by a stride `step` per row, `extra` patches too long on both sides: wrong where these are."""
    rows, columns = torch.arange(top, top + height + extra), torch.arange(left, left + width + extra)
    return (rows[:, None] * step + columns).flatten()


MISTAKES = [
    (
        lambda t, le, h, w, g: patches(t, le, h, w, g[0]),
        "one row further means `columns` patches further, not `rows`: the two differ where the grid is not square",
    ),
    (
        lambda t, le, h, w, g: patches(t, le, h, w, g[1], extra=1),
        "this has one row and column too many: `range` and `arange` leave out their end, so it is top + height",
    ),
    (
        lambda t, le, h, w, g: patches(t, le, h, w, g[1]).view(h, w).T.flatten(),
        "these are the right patches in the order of the columns: list them row by row, so that the indices rise",
    ),
    (
        lambda t, le, h, w, g: patches(t, le, h, w, g[1]).view(h, w),
        "the result is one list of indices, [height * width]: flatten the block",
    ),
    (
        lambda t, le, h, w, g: patches(le, t, h, w, g[1]),
        "`top` counts rows and `left` columns: you have them the other way round",
    ),
]

ADVICE = "patch (row, column) has the index row * columns + column"


def show_block_indices(student):
    """Draw three blocks on their grids: target and answer."""

    def as_map(answer, top, left, height, width, grid):
        return torch.zeros(grid[0] * grid[1]).scatter(0, answer.flatten(), 1.0).view(grid)

    cases = {f"{h} by {w} on {g[0]} by {g[1]}": (t, le, h, w, g) for t, le, h, w, g in CASES[::2]}
    target_and_yours("block_indices", student, spec_block_indices, cases, as_map)


def block_indices(student):
    """Check exercise 1, `block_indices(top, left, height, width, grid)`. Raises CheckFailed."""
    compare("block_indices", student, spec_block_indices, CASES, MISTAKES, ADVICE)
