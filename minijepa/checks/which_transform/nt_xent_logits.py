"""Assignment 11, exercise 2: SimCLR's logits, the cosines of all views with all views."""

import math

import torch
from torch.nn import functional as F

from minijepa.checks.picture import target_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal


def spec_nt_xent_logits(first, second, temperature):
    """Pair by pair: the cosine of two views divided by the temperature, and -inf for a view with itself.

    first, second: [B, D]. Returns [2 B, 2 B]. Source: SimCLR (arXiv:2002.05709, equation 1).
    """
    z = [*first, *second]
    logits = first.new_empty(len(z), len(z))
    for i, one in enumerate(z):
        for j, other in enumerate(z):
            cosine = (one * other).sum() / (one.norm() * other.norm())
            logits[i, j] = -math.inf if i == j else cosine / temperature
    return logits


CASES = [
    (torch.tensor([[3.0, 0.0], [0.0, 2.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]]), 0.5),
    (normal(3, 4), 2 * normal(3, 4, seed=1), 0.1),
    (normal(4, 3, seed=2) + 1, normal(4, 3, seed=3) + 1, 0.25),
    (normal(2, 5, seed=4, dtype=torch.float64), normal(2, 5, seed=5, dtype=torch.float64), 2.0),
]


def cosines(a, b, dim=1):
    """The inner products [2 B, 2 B] of all rows of a and b, each [B, D], after a division by the length along dim."""
    z = F.normalize(torch.cat([a, b]), dim=dim)
    return z @ z.T


def without_self(logits):
    """Logits [2 B, 2 B] whose diagonal is -inf."""
    return logits.clone().fill_diagonal_(-math.inf)


def without_partner(logits):
    """Logits [2 B, 2 B] in which the other view of the same image is -inf, too."""
    rows = torch.arange(len(logits))
    logits = without_self(logits)
    logits[rows, rows.roll(len(rows) // 2)] = -math.inf
    return logits


def partner_instead(logits):
    """Logits [2 B, 2 B] in which the other view is -inf, and the view itself is not."""
    rows = torch.arange(len(logits))
    logits = logits.clone()
    logits[rows, rows.roll(len(rows) // 2)] = -math.inf
    return logits


MISTAKES = [
    (
        lambda a, b, t: without_self(cosines(a, b) * t),
        "you multiply by the temperature: divide by it, so that a low temperature makes large differences",
    ),
    (
        lambda a, b, t: without_self(torch.cat([a, b]) @ torch.cat([a, b]).T / t),
        "these are inner products: divide each view by its length first, so that they become cosines",
    ),
    (
        lambda a, b, t: without_self(cosines(a, b, dim=0) / t),
        "you normalise each feature over the batch: divide each view, a row, by its own length (dim=1)",
    ),
    (
        lambda a, b, t: without_self(cosines(a, b)),
        "the temperature is missing: divide the cosines by it",
    ),
    (
        lambda a, b, t: cosines(a, b) / t,
        "each view is compared with itself, and this wins every time: put -inf on the diagonal",
    ),
    (
        lambda a, b, t: (cosines(a, b) / t).fill_diagonal_(0),
        "a logit of 0 still has the weight exp(0) = 1: only -inf on the diagonal removes a view from the softmax",
    ),
    (
        lambda a, b, t: (cosines(a, b) / t).fill_diagonal_(-1e9),
        "write float('-inf') on the diagonal: no number is small enough for every temperature",
    ),
    (
        lambda a, b, t: without_partner(cosines(a, b) / t),
        "the other view of the same image is removed, too: it is the right answer, only the view itself goes",
    ),
    (
        lambda a, b, t: partner_instead(cosines(a, b) / t),
        "you removed the other view, which is the right answer, and kept the view itself: -inf belongs on the diagonal",
    ),
    (
        lambda a, b, t: F.normalize(a, dim=1) @ F.normalize(b, dim=1).T / t,
        "these are first views against second ones, [B, B]: SimCLR compares all 2 B views with all 2 B views",
    ),
]

ADVICE = "stack the views to [2 B, D], divide each row by its length, take z @ z.T / temperature, -inf on the diagonal"


def show_nt_xent_logits(student):
    """Draw the softmax of each row of the logits, for two temperatures: target and answer."""

    def as_map(answer, first, second, temperature):
        return answer.softmax(dim=1)

    first = normal(4, 6)
    second = first + 0.4 * normal(4, 6, seed=1)
    cases = {f"temperature {t}": (first, second, t) for t in (1.0, 0.1)}
    see = "nothing is on the diagonal, and a low temperature concentrates each row on few views."
    target_and_yours("nt_xent_logits", student, spec_nt_xent_logits, cases, as_map, see)


def nt_xent_logits(student):
    """Check exercise 2, `nt_xent_logits(first, second, temperature)`. Raises CheckFailed."""
    compare("nt_xent_logits", student, spec_nt_xent_logits, CASES, MISTAKES, ADVICE)
