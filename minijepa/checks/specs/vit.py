"""Assignment 02: what is asked for, by the slowest way that is obviously right, and the cases that are tried."""

import math

import torch

from minijepa.checks.specs import normal

# --- 1: patches -------------------------------------------------------------------------------------------


def spec_patchify(images, p):
    """Patch by patch along the rows; in a patch channel by channel, then row by row. [B, C, H, W] -> [B, N, C p p]."""
    b, c, h, w = images.shape
    patches = []
    for top in range(0, h, p):
        for left in range(0, w, p):
            patches.append(images[:, :, top : top + p, left : left + p].reshape(b, c * p * p))
    return torch.stack(patches, dim=1)


COUNTING = torch.arange(16.0).view(1, 1, 4, 4)


IMAGES = [(COUNTING, 2), (normal(2, 3, 4, 8), 2), (normal(1, 2, 9, 6, seed=1), 3), (normal(3, 1, 4, 4, seed=2), 4)]


IMAGES += [(torch.arange(72).view(1, 3, 4, 6), 2)]


# --- 2: one axis of positions -----------------------------------------------------------------------------


def spec_sincos(positions, dim):
    """Number by number: sines of j / 10000^(k / K), k = 0..K-1, then the cosines. [N] -> [N, dim], K = dim / 2."""
    half, table = dim // 2, []
    for j in positions.tolist():
        angles = [j / 10_000 ** (k / half) for k in range(half)]
        table.append([math.sin(a) for a in angles] + [math.cos(a) for a in angles])
    return torch.tensor(table)


POSITIONS = [
    (torch.arange(2), 4),
    (torch.arange(8), 16),
    (torch.tensor([0.5, 3.25, 7.0]), 8),
    (torch.tensor([30.0, 2.0]), 6),
    (torch.arange(3), 2),
]


# --- 3: two axes ------------------------------------------------------------------------------------------


def spec_positions_2d(grid, dim):
    """Patch by patch along the rows: the first half of the width tells the row, the second the column."""
    table = []
    for row in range(grid[0]):
        for column in range(grid[1]):
            both = spec_sincos(torch.tensor([row, column]), dim // 2)  # [2, dim / 2]
            table.append(both.flatten())
    return torch.stack(table)


# --- 4: attention -----------------------------------------------------------------------------------------


def spec_attention(q, k, v):
    """Query by query: weights exp(q . k_j / sqrt(d)), shared out to sum 1; the mean of the values under them."""
    result = torch.zeros(*q.shape[:-1], v.shape[-1], dtype=v.dtype)
    for place in torch.cartesian_prod(*(torch.arange(n) for n in q.shape[:-2])).view(-1, q.ndim - 2).tolist():
        for i in range(q.shape[-2]):
            query, keys, values = q[(*place, i)], k[tuple(place)], v[tuple(place)]
            weights = torch.stack([((query * key).sum() / math.sqrt(q.shape[-1])).exp() for key in keys])
            result[(*place, i)] = (weights[:, None] * values).sum(dim=0) / weights.sum()
    return result


def three(*shape, other=None, seed=0, dtype=torch.float32):
    """Queries [..., N, d], and keys and values of the same shape, or of `other` tokens."""
    tokens = [shape[-2], other or shape[-2], other or shape[-2]]
    return tuple(normal(*shape[:-2], n, shape[-1], seed=seed + i, dtype=dtype) for i, n in enumerate(tokens))


ATTENTION = [three(2, 4, 4), three(2, 3, 5, 8, seed=3), three(1, 2, 6, 4, other=3, seed=6)]


ATTENTION += [three(2, 3, 8, seed=9, dtype=torch.float64)]


# --- 5: heads ---------------------------------------------------------------------------------------------


def spec_split_heads(x, heads):
    """Head h of token n gets the h-th stretch of its features. [B, N, D] -> [B, heads, N, D / heads]."""
    size = x.shape[2] // heads
    return torch.stack([x[:, :, h * size : (h + 1) * size] for h in range(heads)], dim=1)


HEADS = [
    (torch.arange(12.0).view(1, 2, 6), 2),
    (normal(2, 5, 12), 3),
    (normal(3, 4, 8, seed=1), 4),
    (normal(1, 6, 6, seed=2), 1),
]


# --- 6: only what is kept ---------------------------------------------------------------------------------


def spec_embed_kept(tokens, positions, keep):
    """Kept patch by kept patch: its token plus the position it really has. [B, K, D]."""
    rows = []
    for b in range(tokens.shape[0]):
        rows.append(torch.stack([tokens[b, j] + positions[j] for j in keep[b].tolist()]))
    return torch.stack(rows)


def kept_case(b, n, k, d, seed):
    """(tokens [B, N, D], positions [N, D], keep [B, K]) with a different choice for each image."""
    order = torch.rand(b, n, generator=torch.Generator().manual_seed(seed)).argsort(dim=1)  # [B, N]
    return normal(b, n, d, seed=seed), normal(n, d, seed=seed + 1), order[:, :k].sort(dim=1).values


KEPT = [kept_case(1, 4, 2, 3, 3), kept_case(3, 9, 4, 5, 10), kept_case(2, 6, 6, 4, 20)]
