"""Assignment 05, exercise 4: VICReg's variance term."""

import torch

from minijepa.checks.collapse.states import std
from minijepa.checks.curves import line_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal


def spec_variance_term(z):
    """The mean over the features of how far sqrt(variance + 1e-4) falls short of 1. [B, D] -> scalar."""
    short = [(1 - (std(z[:, d]) ** 2 + 1e-4) ** 0.5).clamp_min(0) for d in range(z.shape[1])]
    return sum(short) / len(short)


CASES = [
    (normal(8, 4) * torch.tensor([0.1, 0.5, 1.0, 3.0]),),
    (0.01 * normal(5, 3, seed=1),),
    (torch.full((4, 2), 2.0),),
    (normal(6, 5, seed=2, dtype=torch.float64) * 0.7 + 4,),
]

relu = torch.nn.functional.relu


def deviation(z, dim=0):
    """The standard deviation of z [B, D] along an axis, with 1e-4 added to the variance."""
    return (z.var(dim=dim) + 1e-4).sqrt()


MISTAKES = [
    (
        lambda z: relu(1 - deviation(z, 1)).mean(),
        "this is over the features: take it over the batch, dim=0, since every feature must vary between images",
    ),
    (
        lambda z: relu(1 - (z.var(dim=0) + 1e-4)).mean(),
        "the hinge is on the standard deviation, not the variance, whose slope vanishes at 0",
    ),
    (lambda z: relu(deviation(z) - 1).mean(), "the sign is wrong: only a standard deviation BELOW 1 costs"),
    (
        lambda z: (1 - deviation(z)).mean(),
        "without the hinge a large feature offsets a constant one: take max(0, ...) of each",
    ),
    (lambda z: relu(1 - deviation(z)).sum(), "this is the sum over the features: take their mean"),
    (
        lambda z: relu(1 - deviation(z).mean()),
        "apply the hinge to each feature, then take the mean: a large feature must not offset a constant one",
    ),
    (
        lambda z: relu(1 - z.std(dim=0)).mean(),
        "add 1e-4 to the variance before the root, which has no finite slope at 0",
    ),
]

ADVICE = "take max(0, 1 - sqrt(var + 1e-4)) of every feature, then the mean"


def show_variance_term(student):
    """Draw the term for features of growing standard deviation, both or one of two: target and answer."""
    z = normal(32, 2)
    z = (z - z.mean(dim=0)) / z.std(dim=0)  # [32, 2], standard deviation 1
    sizes = [i / 4 for i in range(9)]
    cases = {
        "both features": [(s, (s * z,)) for s in sizes],
        "the first; the second is constant": [(s, (s * z * torch.tensor([1.0, 0.0]),)) for s in sizes],
    }
    see = "the term falls to 0 at 1 and stays there; a constant feature costs its half whatever the other does."
    line_and_yours("variance_term", student, spec_variance_term, cases, ("standard deviation", "variance term"), see)


def variance_term(student):
    """Check exercise 4, `variance_term(z)`. Raises CheckFailed."""
    compare("variance_term", student, spec_variance_term, CASES, MISTAKES, ADVICE)
