"""Where a patch is: fixed sine-cosine tables in one, two and three dimensions, and rotary positions.

Attention does not know the order of its tokens, so each token carries its position. I-JEPA and V-JEPA add a
fixed table p_j of sines and cosines (no parameters to learn), in the encoder and again in the predictor.
Source: Vaswani et al. 2017 (arXiv:1706.03762, section 3.5) in 1-D; MAE (arXiv:2111.06377) and I-JEPA
(arXiv:2301.08243) in 2-D, by giving half of the width to each axis. V-JEPA 2 (arXiv:2506.09985) adds nothing to the
token and rotates queries and keys instead (RoPE: RoFormer, arXiv:2104.09864), so that attention depends only on
distances.
"""

import math

import torch


def sincos_1d(positions, dim):
    """The 1-D table: p_j = [sin(j w_0) ... sin(j w_{K-1}), cos(j w_0) ... cos(j w_{K-1})], w_k = 10000^(-k/K).

    positions: [N] real coordinates, in units of one patch.
    dim: width of the table, even, K = dim / 2.
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

    grid: (rows, columns) of patches.
    dim: width, a multiple of 4.
    Returns [rows * columns, dim], row-major. The published I-JEPA code encodes the column first; the two tables differ
    by swapping halves, which matters only for its weights (then the table in the file is used as it is).
    Raises ValueError if dim is not a multiple of 4.
    """
    if dim % 4:
        raise ValueError(f"dim must be a multiple of 4 (sines and cosines for 2 axes), got {dim}")
    return torch.cat([sincos_1d(p, dim // 2) for p in places(grid)], dim=1)


def sincos_3d(grid, dim, uniform=False):
    """The 3-D table of a clip: half of the width encodes time, a quarter the row, a quarter the column.

    grid: (times, rows, columns) of tubelets.
    dim: width, a multiple of 8.
    uniform: give each axis the same width instead, 2 ceil(dim / 6) columns, and truncate the table to `dim` columns (so
    the column axis has a little less); then any even dim is possible. All released V-JEPA models use it
    (`uniform_power` in their code).
    Returns [times * rows * columns, dim], time-major, then row-major. Raises ValueError for another dim.
    Source: V-JEPA (arXiv:2404.08471, section 3).
    """
    if dim % (2 if uniform else 8):
        wanted = "even" if uniform else "a multiple of 8 (time takes half, row and column a quarter)"
        raise ValueError(f"dim must be {wanted}, got {dim}")
    widths = [2 * math.ceil(dim / 6)] * 3 if uniform else [dim // 2, dim // 4, dim // 4]
    return torch.cat([sincos_1d(p, w) for p, w in zip(places(grid), widths, strict=True)], dim=1)[:, :dim]


def places(grid):
    """The coordinates of every token, one tensor [tokens] per axis, in the order of the tokens (last axis fastest)."""
    return [axis.flatten() for axis in torch.meshgrid(*(torch.arange(n) for n in grid), indexing="ij")]


def sincos(grid, dim, uniform=False):
    """The table for a grid of one, two or three axes. Returns [tokens, dim].

    grid: (N,) of a series or sentence, (H, W) of an image, or (T, H, W) of a clip.
    uniform: only for clips, see `sincos_3d`.
    Raises ValueError for a grid of any other number of axes, and where
    the table of that grid does.
    """
    if len(grid) == 1:
        return sincos_1d(places(grid)[0], dim)
    if len(grid) == 2:
        return sincos_2d(grid, dim)
    if len(grid) == 3:
        return sincos_3d(grid, dim, uniform)
    raise ValueError(f"grid must be (tokens,), (rows, columns) or (times, rows, columns), got {tuple(grid)}")


def rotation(grid, dim, published=False, side=None):
    """RoPE: the angle by which each channel of a query or key is rotated at each place, as (cos, sin) [2, tokens, dim].

    Channels 2i and 2i + 1 of an axis are a pair, rotated by the angle  place * w_i,  w_i = 10000^(-2i / d).
    grid: (H, W) or (T, H, W).
    dim: width of one attention head; each axis gets d = 2 floor(dim / (2 axes)) of its channels, in the order of the
    axes, and the rest is not rotated.
    published: as in the released V-JEPA 2, whose weights need it. There the frequencies are tiled (w_0 w_1 ... w_0 w_1
    ...) over channels that are still rotated as neighbours, so the two of a pair get different angles: that is not a
    rotation, and scores depend on more than distances.
    side: rows and columns are stretched until the last of them stands at side - 1, as in the released V-JEPA 2.1, to
    which a frame of any size is one of 16 x 16 patches; times are not. None: a place is the patch's number.
    Raises ValueError if a head is too narrow for a pair per axis.
    """
    d = 2 * (dim // len(grid) // 2)
    if d == 0:
        raise ValueError(f"a head needs at least {2 * len(grid)} channels for {len(grid)} axes, got {dim}")
    frequencies = 10_000.0 ** (-torch.arange(d // 2, dtype=torch.float64) / (d // 2))  # [d / 2]
    frequencies = frequencies.repeat(2) if published else frequencies.repeat_interleave(2)  # [d]
    axes = [axis.double() for axis in places(grid)]  # [tokens] each
    if side is not None:
        axes[-2:] = [axis * (side - 1) / max(n - 1, 1) for axis, n in zip(axes[-2:], grid[-2:], strict=True)]
    angles = torch.cat([axis[:, None] * frequencies for axis in axes], dim=1)  # [tokens, axes d]
    angles = torch.nn.functional.pad(angles, (0, dim - angles.shape[1]))  # [tokens, dim]: angle 0 rotates nothing
    return torch.stack([angles.cos(), angles.sin()]).float()


def rotate(x, rope):
    """Rotate each pair of channels: (a, b) -> (a cos - b sin, b cos + a sin).

    x: queries or keys [B, heads, K, D / heads].
    rope: what `rotation` returned, at the places of these tokens, [2, K, D / heads] or, where each sample has its own
    tokens, [2, B, 1, K, D / heads].
    Returns the shape of x.
    """
    cos, sin = rope
    a, b = x.unflatten(-1, (-1, 2)).unbind(-1)  # [B, heads, K, D / heads / 2] each
    return x * cos + torch.stack([-b, a], dim=-1).flatten(-2) * sin
