"""Assignment 03, exercise 2: the height and width of a block, from its scale and aspect."""

import torch

from minijepa.checks.picture import target_and_yours
from minijepa.checks.report import compare


def spec_block_size(grid, scale, aspect):
    """(h, w): of all heights the one nearest to sqrt(area * aspect), then of all widths the nearest to area / h."""
    area = scale * grid[0] * grid[1]
    height = min(range(1, grid[0] + 1), key=lambda h: abs(h - (area * aspect) ** 0.5))
    width = min(range(1, grid[1] + 1), key=lambda w: abs(w - area / height))
    return height, width


CASES = [
    ((8, 8), 0.2, 1.0),
    ((8, 8), 0.17, 1.5),
    ((8, 8), 0.17, 0.7),
    ((14, 14), 0.15, 0.75),
    ((14, 10), 0.19, 1.4),
    ((3, 12), 0.4, 1.5),
    ((4, 4), 0.02, 1.0),
    ((4, 4), 1.0, 1.2),
]


def split_size(grid, scale, aspect):
    """Each side from the aspect alone, so that neither compensates where the grid limits the other."""
    area = scale * grid[0] * grid[1]
    height, width = round((area * aspect) ** 0.5), round((area / aspect) ** 0.5)
    return max(1, min(grid[0], height)), max(1, min(grid[1], width))


def unfitted_size(grid, scale, aspect):
    """The size without the limits of the grid."""
    height = round((scale * grid[0] * grid[1] * aspect) ** 0.5)
    return height, round(scale * grid[0] * grid[1] / height)


def floored_size(grid, scale, aspect):
    """The size with `int` in place of `round`."""
    area = scale * grid[0] * grid[1]
    height = max(1, min(grid[0], int((area * aspect) ** 0.5)))
    return height, max(1, min(grid[1], int(area / height)))


MISTAKES = [
    (
        lambda g, s, a: spec_block_size(g, s, 1 / a),
        "the aspect is height / width: your blocks are wide where they should be tall",
    ),
    (
        split_size,
        "take the width from the area and the height that you really got: where the grid limits one side, the other "
        "grows, and the fraction of the patches stays",
    ),
    (floored_size, "`int` cuts off: 3.9 becomes 3 and blocks get too small; use `round`"),
    (
        lambda g, s, a: spec_block_size(g, s / g[1], a),
        "`scale` is a fraction of all patches, not of a side: the area is scale * rows * columns",
    ),
    (unfitted_size, "this block is larger than the grid or has a side of 0: keep each side within 1 and the grid's"),
]

ADVICE = "h is sqrt(area * aspect), rounded and kept within 1..rows; then w is area / h, rounded and kept as well"


def show_block_size(student):
    """Draw four sizes as blocks in the corner of their grids: target and answer."""

    def as_map(answer, grid, scale, aspect):
        picture = torch.zeros(grid)
        picture[: answer[0], : answer[1]] = 1
        return picture

    cases = {f"scale {s}, aspect {a}": (g, s, a) for g, s, a in (CASES[1], CASES[2], CASES[4], CASES[5])}
    target_and_yours("block_size", student, spec_block_size, cases, as_map)


def block_size(student):
    """Check exercise 2, `block_size(grid, scale, aspect)`. Raises CheckFailed."""
    compare("block_size", student, spec_block_size, CASES, MISTAKES, ADVICE)
