"""The sine-cosine tables against a closed form written out with loops over math.sin and math.cos."""

import math

import pytest
import torch

from minijepa.positions import sincos, sincos_1d, sincos_2d, sincos_3d


def entry(position, column, dim):
    """p[column] of a 1-D code of width dim: sines of K frequencies, then cosines of the same K."""
    half = dim // 2
    angle = position / 10_000 ** ((column % half) / half)
    return math.sin(angle) if column < half else math.cos(angle)


def closed_form(grid, widths):
    """The table of a grid, row-major: each axis its own stretch of columns, `widths` wide."""
    table = []
    for token in range(math.prod(grid)):
        coordinates, rest = [], token
        for length in reversed(grid):
            rest, coordinate = divmod(rest, length)
            coordinates.insert(0, coordinate)
        row = []
        for coordinate, width in zip(coordinates, widths, strict=True):
            row += [entry(coordinate, column, width) for column in range(width)]
        table.append(row)
    return torch.tensor(table, dtype=torch.float64)


@pytest.mark.parametrize("dim", [2, 8, 48])
def test_1d(dim):
    positions = torch.tensor([0.0, 1.0, 2.5, 31.0, 200.0])
    expected = torch.tensor([[entry(p, c, dim) for c in range(dim)] for p in positions.tolist()])
    table = sincos_1d(positions, dim)
    assert table.dtype == torch.float32 and table.shape == (5, dim)
    torch.testing.assert_close(table, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("grid", [(8, 8), (3, 5), (5, 3), (1, 7), (14, 2)])
@pytest.mark.parametrize("dim", [4, 24, 96])
def test_2d(grid, dim):
    table = sincos_2d(grid, dim)
    assert table.dtype == torch.float32
    torch.testing.assert_close(table.double(), closed_form(grid, (dim // 2, dim // 2)), atol=1e-6, rtol=0)
    assert torch.equal(table, sincos(grid, dim))


@pytest.mark.parametrize("grid", [(4, 4, 4), (2, 3, 5), (5, 1, 2)])
@pytest.mark.parametrize("dim", [8, 48])
def test_3d(grid, dim):
    table = sincos_3d(grid, dim)
    assert table.dtype == torch.float32
    torch.testing.assert_close(table.double(), closed_form(grid, (dim // 2, dim // 4, dim // 4)), atol=1e-6, rtol=0)
    assert torch.equal(table, sincos(grid, dim))


def test_rows_of_one_table_differ_and_have_one_length():
    """What makes it a code: no two places have the same, and sin^2 + cos^2 keeps its length at sqrt(dim / 2)."""
    table = sincos((32, 32), 32).double()
    distances = torch.cdist(table, table) + 10 * torch.eye(len(table))
    assert distances.min() > 0.1
    torch.testing.assert_close(table.norm(dim=1), torch.full((1024,), 4.0, dtype=torch.float64), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("function", "arguments", "named"),
    [
        (sincos_1d, (torch.arange(3), 5), "5"),
        (sincos_2d, ((2, 2), 6), "6"),
        (sincos_3d, ((2, 2, 2), 12), "12"),
        (sincos, ((), 8), r"\(\)"),
        (sincos, ((2, 2, 2, 2), 16), r"\(2, 2, 2, 2\)"),
    ],
)
def test_errors_name_the_number(function, arguments, named):
    with pytest.raises(ValueError, match=named):
        function(*arguments)
