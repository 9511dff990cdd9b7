"""Assignment 02: patches, positions and attention, each by the slowest way that is obviously right."""

import math

import torch

from minijepa.checks.picture import target_and_yours
from minijepa.checks.report import compare


def normal(*shape, seed=0, dtype=torch.float32):
    """Standard normal numbers, always the same for one seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


# --- 1: patches -------------------------------------------------------------------------------------------


def spec_patchify(images, p):
    """Patch by patch along the rows; in a patch channel by channel, then row by row. [B, C, H, W] -> [B, N, C p p]."""
    b, c, h, w = images.shape
    patches = []
    for top in range(0, h, p):
        for left in range(0, w, p):
            patches.append(images[:, :, top : top + p, left : left + p].reshape(b, c * p * p))
    return torch.stack(patches, dim=1)


def cut(images, p):
    """Patches with all axes apart: [B, rows, columns, C, p, p]. images: [B, C, H, W]."""
    b, c, h, w = images.shape
    return images.view(b, c, h // p, p, w // p, p).permute(0, 2, 4, 1, 3, 5)


COUNTING = torch.arange(16.0).view(1, 1, 4, 4)
IMAGES = [(COUNTING, 2), (normal(2, 3, 4, 8), 2), (normal(1, 2, 9, 6, seed=1), 3), (normal(3, 1, 4, 4, seed=2), 4)]
IMAGES += [(torch.arange(72).view(1, 3, 4, 6), 2)]


def patchify(student):
    """Check exercise 1, `patchify(images, p)`. Raises CheckFailed."""
    mistakes = [
        (
            lambda x, p: x.reshape(x.shape[0], -1, x.shape[1] * p * p),
            "`view` alone cuts rows of pixels, not squares: give rows and columns two axes each, then permute",
        ),
        (
            lambda x, p: cut(x, p).permute(0, 1, 2, 4, 5, 3).reshape(x.shape[0], -1, x.shape[1] * p * p),
            "within a patch the channel comes first (C, p, p); you list each pixel's channels together (p, p, C)",
        ),
        (
            lambda x, p: cut(x, p).transpose(1, 2).reshape(x.shape[0], -1, x.shape[1] * p * p),
            "the patches are numbered along the columns; it should be along the rows",
        ),
        (
            lambda x, p: cut(x, p).transpose(4, 5).reshape(x.shape[0], -1, x.shape[1] * p * p),
            "each patch is transposed: within it, row by row",
        ),
        (
            lambda x, p: cut(x, p).flatten(1, 2),
            "one vector per patch: flatten channel, row and column into one axis",
        ),
    ]
    compare("patchify", student, spec_patchify, IMAGES, mistakes, "cut squares row by row, flatten each as (C, p, p)")


def show_patchify(student):
    """Draw two images cut into patches, a row per patch: target and answer."""
    target_and_yours("patchify", student, spec_patchify, {"4 by 4, p = 2": IMAGES[0], "3 channels": IMAGES[4]})


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


def sincos(student):
    """Check exercise 2, `sincos(positions, dim)`. Raises CheckFailed."""

    def interleaved(x, d):
        table = spec_sincos(x, d)
        return torch.stack([table[:, : d // 2], table[:, d // 2 :]], dim=2).flatten(1)

    def powers(x, d, k):
        angles = x.double()[:, None] * 10_000.0 ** (-k / (d // 2))
        return torch.cat([angles.sin(), angles.cos()], dim=1).float()

    def other_base(x, d):
        angles = x.double()[:, None] * 100.0 ** (-torch.arange(d // 2) / (d // 2))
        return torch.cat([angles.sin(), angles.cos()], dim=1).float()

    mistakes = [
        (interleaved, "all sines first, then all cosines; you alternate them, as the 2017 paper does"),
        (lambda x, d: spec_sincos(x, d).roll(d // 2, dims=1), "the sines come first, then the cosines"),
        (
            lambda x, d: powers(x, d, torch.arange(d // 2) / 2),
            "the exponent is -k / K with K = dim / 2: divide by the number of frequencies, not by dim",
        ),
        (
            lambda x, d: powers(x, d, torch.arange(d // 2) * 2),
            "the exponent is -k / K with k = 0, 1, 2, ...; yours grows twice as fast",
        ),
        (
            lambda x, d: powers(x, d, -torch.arange(d // 2)),
            "the exponent is negative: frequencies fall from 1 to nearly 1/10000",
        ),
        (lambda x, d: powers(x, d, torch.arange(1, d // 2 + 1)), "k starts at 0: the first frequency is 1"),
        (other_base, "the base of the frequencies is 10000"),
    ]
    advice = "angles = positions[:, None] * 10000 ** (-k / K); then the sines beside the cosines"
    compare("sincos", student, spec_sincos, POSITIONS, mistakes, advice)


def show_sincos(student):
    """Draw two tables of positions, a row per position: target and answer."""
    cases = {"8 positions, width 16": POSITIONS[1], "32 positions, width 32": (torch.arange(32), 32)}
    target_and_yours("sincos", student, spec_sincos, cases)


# --- 3: two axes ------------------------------------------------------------------------------------------


def spec_positions_2d(grid, dim):
    """Patch by patch along the rows: the first half of the width tells the row, the second the column."""
    table = []
    for row in range(grid[0]):
        for column in range(grid[1]):
            both = spec_sincos(torch.tensor([row, column]), dim // 2)  # [2, dim / 2]
            table.append(both.flatten())
    return torch.stack(table)


def positions_2d(student):
    """Check exercise 3, `positions_2d(grid, dim)`. Raises CheckFailed."""

    def columns_first(g, d):
        return spec_positions_2d(g, d).roll(d // 2, dims=1)

    def by_columns(g, d):
        return spec_positions_2d(g, d).view(*g, d).transpose(0, 1).reshape(-1, d)

    def added(g, d):
        row, column = (spec_sincos(torch.arange(n), d) for n in g)
        return (row[:, None] + column).flatten(0, 1)

    mistakes = [
        (columns_first, "the row comes in the first half of the width, the column in the second"),
        (by_columns, "the patches are numbered along the rows: the column changes fastest"),
        (added, "row and column get half of the width each; added up, (1, 2) and (2, 1) would look alike"),
        (lambda g, d: spec_sincos(torch.arange(g[0] * g[1]), d), "one axis is not enough: use the row and the column"),
    ]
    advice = "for each patch: the table of its row, dim / 2 wide, beside that of its column"
    cases = [((2, 2), 8), ((3, 5), 16), ((4, 2), 4), ((1, 6), 12)]
    compare("positions_2d", student, spec_positions_2d, cases, mistakes, advice)


def show_positions_2d(student):
    """Draw the inner products of patch 27 of an 8 by 8 grid with all others: target and answer."""

    def nearness(answer, grid, dim):
        return (answer @ answer[grid[0] * grid[1] // 2 - 5]).view(grid)

    cases = {"8 by 8, width 16": ((8, 8), 16), "8 by 8, width 64": ((8, 8), 64), "5 by 9": ((5, 9), 64)}
    see = "how near each patch is to one of them, measured by the tables alone; both rows should be alike."
    target_and_yours("positions_2d", student, spec_positions_2d, cases, nearness, see)


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


def attention(student):
    """Check exercise 4, `attention(q, k, v)`. Raises CheckFailed."""

    def weigh(scale, dim=-1):
        return lambda q, k, v: (q @ k.mT * scale(q)).softmax(dim=dim) @ v

    mistakes = [
        (
            weigh(lambda q: q.shape[-1] ** -0.5, dim=-2),
            "the softmax is over the wrong axis: for each query the weights of all KEYS sum to 1, dim=-1",
        ),
        (weigh(lambda q: q.shape[-1] ** -0.5, dim=1), "the softmax is over the wrong axis: over the keys, dim=-1"),
        (weigh(lambda q: q.shape[-1] ** -0.5, dim=0), "the softmax is over the wrong axis: over the keys, dim=-1"),
        (weigh(lambda q: 1.0), "divide the scores by sqrt(d) before the softmax"),
        (weigh(lambda q: 1 / q.shape[-1]), "divide by the ROOT of d"),
        (weigh(lambda q: q.shape[-2] ** -0.5), "d is the width of a query, q.shape[-1], not the number of tokens"),
        (lambda q, k, v: (q @ k.mT / q.shape[-1] ** 0.5) @ v, "the softmax is missing"),
        (
            lambda q, k, v: (q @ k.mT).softmax(dim=-1) / q.shape[-1] ** 0.5 @ v,
            "divide by sqrt(d) BEFORE the softmax, or the weights do not sum to 1",
        ),
    ]
    advice = "softmax over the keys of q k^T / sqrt(d), times v"
    compare("attention", student, spec_attention, ATTENTION, mistakes, advice)


def show_attention(student):
    """Draw what attention makes of three sets of tokens: target and answer."""
    cases = {"4 tokens of 4": ATTENTION[0], "6 queries, 3 keys": ATTENTION[2], "width 8": ATTENTION[3]}
    target_and_yours("attention", student, spec_attention, cases)


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


def split_heads(student):
    """Check exercise 5, `split_heads(x, heads)`. Raises CheckFailed."""
    mistakes = [
        (
            lambda x, h: x.view(x.shape[0], h, x.shape[1], -1),
            "the shape is right, the numbers are not: view as [B, N, heads, D / heads] first, then swap two axes",
        ),
        (
            lambda x, h: x.view(*x.shape[:2], -1, h).permute(0, 3, 1, 2),
            "each head takes a stretch of neighbouring features; yours takes every heads-th feature",
        ),
        (lambda x, h: x.view(*x.shape[:2], h, -1), "the heads come before the tokens: swap axes 1 and 2"),
    ]
    advice = "[B, N, D] -> [B, N, heads, D / heads] -> [B, heads, N, D / heads]"
    compare("split_heads", student, spec_split_heads, HEADS, mistakes, advice)


def show_split_heads(student):
    """Draw the features of two inputs by head and token: target and answer."""
    cases = {"2 heads, 2 tokens": HEADS[0], "3 heads, 5 tokens": (torch.arange(60.0).view(1, 5, 12), 3)}
    target_and_yours("split_heads", student, spec_split_heads, cases)


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


def embed_kept(student):
    """Check exercise 6, `embed_kept(tokens, positions, keep)`. Raises CheckFailed."""

    def picked(tokens, keep):
        return tokens.gather(1, keep.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))

    mistakes = [
        (
            lambda t, p, k: picked(t, k) + p[: k.shape[1]],
            "these are the positions of the first K patches: each kept token needs its own, positions[keep]",
        ),
        (lambda t, p, k: picked(t, k), "the positions are missing: without them attention cannot tell places apart"),
        (
            lambda t, p, k: (t + p)[:, k[0]],
            "the choice of the first image for all: each image has its own row of `keep`",
        ),
        (lambda t, p, k: (t + p)[:, : k.shape[1]], "you keep the first K patches: pick those that `keep` names"),
        (
            lambda t, p, k: (t + p) * torch.zeros(t.shape[:2]).scatter(1, k, 1.0).unsqueeze(-1),
            "hidden patches must be gone, not zero: only so does the encoder save their cost",
        ),
    ]
    advice = "gather the kept tokens, and add positions[keep]"
    compare("embed_kept", student, spec_embed_kept, KEPT, mistakes, advice)


def show_embed_kept(student):
    """Draw kept tokens with their positions: target and answer."""
    target_and_yours("embed_kept", student, spec_embed_kept, {"2 of 4": KEPT[0], "4 of 9, three images": KEPT[1]})
