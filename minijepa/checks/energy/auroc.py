"""Assignment 07, exercise 3: AUROC, how well an energy separates two sets."""

import torch

from minijepa.checks.curves import line_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal


def spec_auroc(compatible, shuffled):
    """The fraction of all pairs in which the shuffled energy [S] is above the compatible one [C]; ties count half."""
    wins = 0.0
    for low in compatible.tolist():
        for high in shuffled.tolist():
            wins += 1.0 if high > low else 0.5 if high == low else 0.0
    return wins / (len(compatible) * len(shuffled))


CASES = [
    (torch.tensor([1.0, 2.0]), torch.tensor([2.0, 3.0, 0.5])),
    (normal(20), normal(30, seed=1) + 1),
    (normal(9, seed=2) + 5, normal(7, seed=3)),
    (torch.zeros(4), torch.zeros(3)),
    (torch.tensor([0.0, 1.0, 1.0, 2.0]), torch.tensor([1.0, 1.0, 2.0, 9.0])),
    (1e-6 * normal(12, seed=4), 1e-6 * normal(12, seed=5) + 1e-6),
]


def pairs(c, s):
    """Energies as a column [C, 1] and a row [1, S]."""
    return c[:, None], s[None, :]


def strict(c, s):
    """A tie counts 0. c: [C], s: [S]."""
    low, high = pairs(c, s)
    return (high > low).double().mean().item()


def or_equal(c, s):
    """A tie counts 1. c: [C], s: [S]."""
    low, high = pairs(c, s)
    return (high >= low).double().mean().item()


def threshold(c, s):
    """The accuracy at one threshold. c: [C], s: [S]."""
    middle = (c.mean() + s.mean()) / 2
    return ((c < middle).double().mean().item() + (s > middle).double().mean().item()) / 2


MISTAKES = [
    (lambda c, s: 1 - spec_auroc(c, s), "this is the other way round: a shuffled pair should have the HIGHER energy"),
    (strict, "a tie counts one half: an energy that is always 0 carries no information and must score .5"),
    (or_equal, "a tie counts one half, not one: an energy that is always 0 must score .5"),
    (threshold, "this is the accuracy at one threshold: AUROC needs none, since it compares every pair"),
    (
        lambda c, s: float((s[: min(len(c), len(s))] > c[: min(len(c), len(s))]).double().mean()),
        "compare every compatible energy with EVERY shuffled one, not only with its neighbour in the list",
    ),
    (
        lambda c, s: (s.mean() - c.mean()).item(),
        "this is a difference of means, which has a scale: AUROC depends on ranks alone",
    ),
    (lambda c, s: spec_auroc(c, s) * len(c) * len(s), "this counts the pairs: divide by their number"),
]

ADVICE = "take the fraction of all (compatible, shuffled) pairs in which the shuffled energy is higher; ties count half"


def show_auroc(student):
    """Draw AUROC against how much higher shuffled energies are, without and with ties: target and answer."""
    low, high = normal(40), normal(50, seed=1)
    shifts = [i / 2 for i in range(-4, 7)]
    cases = {
        "no ties": [(s, (low, high + s)) for s in shifts],
        "rounded, so that many tie": [(s, (low.round(), (high + s).round())) for s in shifts],
    }
    see = "AUROC is near one half where both sets are alike, and nears 1 as they part; rounding changes little."
    line_and_yours("auroc", student, spec_auroc, cases, ("shuffled energies higher by", "AUROC"), see)


def auroc(student):
    """Check exercise 3, `auroc(compatible, shuffled)`. Raises CheckFailed."""
    compare("auroc", student, spec_auroc, CASES, MISTAKES, ADVICE)
