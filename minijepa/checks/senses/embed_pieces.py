"""Assignment 24, exercise 1: the tokens of a series, of the pieces alone that are seen."""

import torch

from minijepa.checks.picture import target_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal


def spec_embed_pieces(series, keep, p, weight, bias):
    """Token by token: list the values of one piece, channel by channel, and map them. Returns [B, K, D].

    series: [B, C, T]. keep: int64 [B, K], pieces of p values. weight: [D, C p]. bias: [D].
    Source: PatchTST (arXiv:2211.14730, section 3.1), and the patches of `minijepa.patches`.
    """
    tokens = []
    for one, places in zip(series, keep.tolist(), strict=True):
        for place in places:
            values = torch.stack([channel[place * p + i] for channel in one for i in range(p)])  # [C p]
            tokens.append(torch.stack([(row * values).sum() + b for row, b in zip(weight, bias, strict=True)]))
    return torch.stack(tokens).view(*keep.shape, -1)


def case(b, c, pieces, p, d, keep, seed):
    """Arguments with random series [b, c, pieces * p], weight and bias. keep: lists of places, to be int64 [b, K]."""
    weight = normal(d, c * p, seed=seed + 1)
    return normal(b, c, pieces * p, seed=seed), torch.tensor(keep), p, weight, normal(d, seed=seed + 2)


COUNTING = torch.arange(1.0, 7.0).view(1, 1, 6)

CASES = [
    (COUNTING, torch.tensor([[0, 2]]), 2, torch.tensor([[1.0, 1.0], [-1.0, 1.0]]), torch.tensor([0.0, 10.0])),
    case(2, 3, 4, 2, 5, [[1, 3], [0, 2]], 0),
    case(3, 2, 5, 3, 4, [[4, 1, 2], [0, 3, 1], [2, 0, 4]], 10),
    case(2, 1, 3, 4, 2, [[2], [1]], 20),
]


def cut(x, p):
    """Pieces [B, N, C, p] of series [B, C, T]."""
    return x.unflatten(2, (-1, p)).transpose(1, 2)


def pick(pieces, keep):
    """The kept pieces: [B, N, ...] and int64 [B, K] -> [B, K, ...]."""
    return pieces[torch.arange(len(pieces))[:, None], keep]


def mapped(values, w, b):
    """The linear map of pieces [..., C, p], or of lists of their values [..., C p]."""
    return (values.flatten(2) if values.ndim > 3 else values) @ w.T + b


def zeroed(x, keep, p):
    """All pieces [B, N, C, p], the hidden ones filled with zeros."""
    seen = torch.zeros(len(x), x.shape[2] // p).scatter(1, keep, 1.0)  # [B, N]
    return cut(x, p) * seen[:, :, None, None]


MISTAKES = [
    (
        lambda x, keep, p, w, b: mapped(pick(cut(x, p).transpose(2, 3), keep), w, b),
        "within a piece the channel comes first (C, p): you list the channels of each moment together (p, C)",
    ),
    (
        lambda x, keep, p, w, b: mapped(pick(x.reshape(len(x), -1, x.shape[1] * p), keep), w, b),
        "`view` alone lets a piece run on within one channel: give time two axes, (N, p), then move N before C",
    ),
    (
        lambda x, keep, p, w, b: mapped(pick(x.unflatten(2, (p, -1)).permute(0, 3, 1, 2), keep), w, b),
        "a piece is made of NEIGHBOURING values: time is (N, p) with p last, not every N-th value",
    ),
    (
        lambda x, keep, p, w, b: mapped(cut(x, p)[:, keep[0]], w, b),
        "every series has its own list of pieces: use row b of `keep` for series b, not the first row for all",
    ),
    (
        lambda x, keep, p, w, b: mapped(cut(x, p)[:, : keep.shape[1]], w, b),
        "you take the first K pieces: `keep` says WHICH pieces are seen",
    ),
    (
        lambda x, keep, p, w, b: mapped(pick(cut(x, p), keep.sort(dim=1).values), w, b),
        "the tokens follow the order of `keep`: do not sort it, the positions are added in the same order",
    ),
    (
        lambda x, keep, p, w, b: mapped(cut(x, p), w, b),
        "these are the tokens of all N pieces: the encoder may get the K kept ones only",
    ),
    (
        lambda x, keep, p, w, b: mapped(zeroed(x, keep, p), w, b),
        "hidden pieces are left out, not filled with zeros: the result has K tokens, and none stands for a gap",
    ),
    (
        lambda x, keep, p, w, b: mapped(
            torch.stack(
                [torch.stack([one[:, k : k + p] for k in ks]) for one, ks in zip(x, keep.tolist(), strict=True)]
            ),
            w,
            b,
        ),
        "piece k begins at value k * p, not at value k",
    ),
    (lambda x, keep, p, w, b: mapped(pick(cut(x, p), keep), w, 0 * b), "the bias is missing"),
    (
        lambda x, keep, p, w, b: pick(cut(x, p), keep).flatten(2),
        "these are the values of the kept pieces: map each to a token, weight times values plus bias",
    ),
]

ADVICE = "cut time into (N, p), list each piece as (C, p), pick the pieces of row b for series b, then map them"


def show_embed_pieces(student):
    """Draw the tokens of kept pieces, a row per token: target and answer."""
    t = torch.arange(24) / 24
    waves = torch.stack([(6.28 * t).sin(), (12.57 * t).cos()])[None]  # [1, 2, 24]
    same = torch.eye(8), torch.zeros(8)  # tokens are the values themselves

    cases = {
        "pieces 0, 1, ... 5": (waves, torch.arange(6)[None], 4, *same),
        "pieces 5, 0, 2": (waves, torch.tensor([[5, 0, 2]]), 4, *same),
    }
    see = "a row per piece: four values of the first channel, then four of the second one."
    target_and_yours("embed_pieces", student, spec_embed_pieces, cases, see=see)


def embed_pieces(student):
    """Check exercise 1, `embed_pieces(series, keep, p, weight, bias)`. Raises CheckFailed."""
    compare("embed_pieces", student, spec_embed_pieces, CASES, MISTAKES, ADVICE)
