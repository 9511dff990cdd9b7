"""Assignment 02: patches, positions and attention, each by the slowest way that is obviously right."""

import torch

from minijepa.checks.pictures.vit import (  # noqa: F401 (notebooks find them here)
    show_attention,
    show_embed_kept,
    show_patchify,
    show_positions_2d,
    show_sincos,
    show_split_heads,
)
from minijepa.checks.report import compare
from minijepa.checks.specs.vit import (
    ATTENTION,
    HEADS,
    IMAGES,
    KEPT,
    POSITIONS,
    spec_attention,
    spec_embed_kept,
    spec_patchify,
    spec_positions_2d,
    spec_sincos,
    spec_split_heads,
)

# --- 1: patches -------------------------------------------------------------------------------------------


def cut(images, p):
    """Patches with all axes apart: [B, rows, columns, C, p, p]. images: [B, C, H, W]."""
    b, c, h, w = images.shape
    return images.view(b, c, h // p, p, w // p, p).permute(0, 2, 4, 1, 3, 5)


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


# --- 2: one axis of positions -----------------------------------------------------------------------------


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


# --- 3: two axes ------------------------------------------------------------------------------------------


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


# --- 4: attention -----------------------------------------------------------------------------------------


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


# --- 5: heads ---------------------------------------------------------------------------------------------


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


# --- 6: only what is kept ---------------------------------------------------------------------------------


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
