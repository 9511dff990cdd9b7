"""Assignment 02, exercise 2: sines and cosines of positions along one axis."""

import math

import torch

from minijepa.checks.picture import target_and_yours
from minijepa.checks.report import compare


def spec_sincos(positions, dim):
    """Number by number: sines of j / 10000^(k / K), k = 0..K-1, then the cosines. [N] -> [N, dim], K = dim / 2."""
    half, table = dim // 2, []
    for j in positions.tolist():
        angles = [j / 10_000 ** (k / half) for k in range(half)]
        table.append([math.sin(a) for a in angles] + [math.cos(a) for a in angles])
    return torch.tensor(table)


CASES = [
    (torch.arange(2), 4),
    (torch.arange(8), 16),
    (torch.tensor([0.5, 3.25, 7.0]), 8),
    (torch.tensor([30.0, 2.0]), 6),
    (torch.arange(3), 2),
]


def interleaved(x, d):
    """Sine and cosine of each frequency next to each other. x: [N]."""
    table = spec_sincos(x, d)
    return torch.stack([table[:, : d // 2], table[:, d // 2 :]], dim=2).flatten(1)


def powers(x, d, k):
    """The table with other exponents k, [d / 2]. x: [N]."""
    angles = x.double()[:, None] * 10_000.0 ** (-k / (d // 2))
    return torch.cat([angles.sin(), angles.cos()], dim=1).float()


MISTAKES = [
    (
        interleaved,
        "you alternate sines and cosines, as arXiv:1706.03762 does: here all sines come first, then all cosines",
    ),
    (lambda x, d: spec_sincos(x, d).roll(d // 2, dims=1), "the cosines come first in your table: put the sines first"),
    (
        lambda x, d: powers(x, d, torch.arange(d // 2) / 2),
        "the exponent is -k / K with K = dim / 2 and base 10000: divide by the number of frequencies, not by dim",
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
]

ADVICE = "angles = positions[:, None] * 10000 ** (-k / K); then the sines, followed by the cosines"


def show_sincos(student):
    """Draw two tables of positions, a row per position: target and answer."""
    cases = {"8 positions, width 16": CASES[1], "32 positions, width 32": (torch.arange(32), 32)}
    target_and_yours("sincos", student, spec_sincos, cases)


def sincos(student):
    """Check exercise 2, `sincos(positions, dim)`. Raises CheckFailed."""
    compare("sincos", student, spec_sincos, CASES, MISTAKES, ADVICE)
