"""Where a patch is: fixed sine-cosine tables in one, two and three dimensions.

Attention does not know the order of its tokens, so each token carries its position. I-JEPA and V-JEPA add a
fixed table p_j of sines and cosines (no parameters to learn), in the encoder and again in the predictor.
Source: Vaswani et al. 2017 (arXiv:1706.03762, section 3.5) in 1-D; MAE (arXiv:2111.06377) and I-JEPA
(arXiv:2301.08243) in 2-D, by giving half of the width to each axis.
"""

import torch


def sincos_1d(positions, dim):
    """The 1-D table: p_j = [sin(j w_0) ... sin(j w_{K-1}), cos(j w_0) ... cos(j w_{K-1})], w_k = 10000^(-k/K).

    positions: [N] real coordinates, in units of one patch. dim: width of the table, even, K = dim / 2.
    Returns [N, dim] float32 in [-1, 1]. Raises ValueError if dim is odd.
    """
    if dim % 2:
        raise ValueError(f"dim must be even (half sines, half cosines), got {dim}")
    half = dim // 2
    frequencies = 10_000.0 ** (-torch.arange(half, dtype=torch.float64) / half)
    angles = positions.to(torch.float64)[:, None] * frequencies  # [N, K]
    return torch.cat([angles.sin(), angles.cos()], dim=1).float()  # [N, dim]


def sincos_2d(grid, dim):
    """The 2-D table of an image: the first half of the width encodes the row, the second the column.

    grid: (rows, columns) of patches. dim: width, a multiple of 4. Returns [rows * columns, dim], row-major.
    The published I-JEPA code encodes the column first; the two tables differ by swapping halves, which
    matters only when weights are exchanged (then the table in the file is used as it is).
    Raises ValueError if dim is not a multiple of 4.
    """
    if dim % 4:
        raise ValueError(f"dim must be a multiple of 4 (sines and cosines for 2 axes), got {dim}")
    rows, columns = torch.meshgrid(torch.arange(grid[0]), torch.arange(grid[1]), indexing="ij")  # [H, W] each
    return torch.cat([sincos_1d(rows.flatten(), dim // 2), sincos_1d(columns.flatten(), dim // 2)], dim=1)


def sincos_3d(grid, dim):
    """The 3-D table of a clip: half of the width encodes time, a quarter the row, a quarter the column.

    grid: (times, rows, columns) of tubelets. dim: width, a multiple of 8.
    Returns [times * rows * columns, dim], time-major, then row-major.
    Source: V-JEPA (arXiv:2404.08471, section 3); this is the split that its code uses unless told to give
    each axis the same share. Raises ValueError if dim is not a multiple of 8.
    """
    if dim % 8:
        raise ValueError(f"dim must be a multiple of 8 (time takes half, row and column a quarter), got {dim}")
    times, rows, columns = torch.meshgrid(*(torch.arange(n) for n in grid), indexing="ij")  # [T, H, W] each
    return torch.cat(
        [
            sincos_1d(times.flatten(), dim // 2),
            sincos_1d(rows.flatten(), dim // 4),
            sincos_1d(columns.flatten(), dim // 4),
        ],
        dim=1,
    )


def sincos(grid, dim):
    """The table for a grid of any number of axes: (H, W) an image, (T, H, W) a clip. Returns [tokens, dim].

    Raises ValueError for a grid of any other number of axes, and where the table of that grid does.
    """
    if len(grid) == 2:
        return sincos_2d(grid, dim)
    if len(grid) == 3:
        return sincos_3d(grid, dim)
    raise ValueError(f"grid must be (rows, columns) or (times, rows, columns), got {tuple(grid)}")
