"""Assignment 05, exercise 4: VICReg's variance term."""

import torch

from minijepa.checks.collapse.states import std
from minijepa.checks.curves import line_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal


def spec_variance_term(z):
    """Feature by feature: how far its deviation sqrt(Var + 1e-4) falls short of 1; the mean. [B, D] -> scalar."""
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
    return (z.var(dim=dim) + 1e-4).sqrt()


MISTAKES = [
    (lambda z: relu(1 - deviation(z, 1)).mean(), "over the batch, dim=0: every feature must vary between images"),
    (
        lambda z: relu(1 - (z.var(dim=0) + 1e-4)).mean(),
        "the hinge is on the standard deviation, not the variance, whose slope vanishes at 0",
    ),
    (lambda z: relu(deviation(z) - 1).mean(), "the sign: it costs to be BELOW 1"),
    (lambda z: (1 - deviation(z)).mean(), "without the hinge a large feature pays for a dead one: max(0, ...) each"),
    (lambda z: relu(1 - deviation(z)).sum(), "the mean over the features, not the sum"),
    (
        lambda z: relu(1 - deviation(z).mean()),
        "first the hinge for each feature, then the mean: a large one must not pay for a dead one",
    ),
    (
        lambda z: relu(1 - z.std(dim=0)).mean(),
        "add 1e-4 to the variance before the root, which has no finite slope at 0",
    ),
]

ADVICE = "max(0, 1 - sqrt(var + 1e-4)) for every feature, then the mean"


def show_variance_term(student):
    """Draw the term for features of growing deviation, all or one of two: target and answer."""
    z = normal(32, 2)
    z = (z - z.mean(dim=0)) / z.std(dim=0)  # [32, 2], deviation 1
    sizes = [i / 4 for i in range(9)]
    cases = {
        "both features": [(s, (s * z,)) for s in sizes],
        "the first; the second is dead": [(s, (s * z * torch.tensor([1.0, 0.0]),)) for s in sizes],
    }
    see = "falls to 0 at deviation 1 and stays there; a dead feature costs its half whatever the other does."
    line_and_yours("variance_term", student, spec_variance_term, cases, ("deviation", "variance term"), see)


def variance_term(student):
    """Check exercise 4, `variance_term(z)`. Raises CheckFailed."""
    compare("variance_term", student, spec_variance_term, CASES, MISTAKES, ADVICE)
