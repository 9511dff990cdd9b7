"""Assignment 01, exercise 2: the loss of several answers, one per value of the latent variable."""

import torch

from minijepa.checks.aims.expected_cost import ROADS
from minijepa.checks.curves import line_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal


def spec_latent_loss(answers, y):
    """Take, car by car, the squared distance from y to the nearest answer; return the mean over the cars.

    answers: [B, K, D], y: [B, D]. A scalar.
    """
    best = [min(((g - truth) ** 2).sum() for g in options) for options, truth in zip(answers, y, strict=True)]
    return sum(best) / len(best)


CASES = [
    (ROADS.expand(2, 2, 2).clone(), torch.tensor([[0.9, 1.0], [-1.0, 0.5]])),
    (normal(6, 3, 2, seed=3), normal(6, 2, seed=4)),
    (normal(5, 1, 4, seed=5), normal(5, 4, seed=6)),
    (normal(4, 6, 3, seed=7, dtype=torch.float64), normal(4, 3, seed=8, dtype=torch.float64)),
]


def table(a, y):
    """Squared distances [B, K] from each answer [B, K, D] to y [B, D]."""
    return (a - y[:, None]).square().sum(dim=2)


MISTAKES = [
    (
        lambda a, y: table(a, y).mean(),
        "this is the mean over z: it pulls ALL answers into the gap. Let each car take its best z",
    ),
    (lambda a, y: table(a, y).min(), "this is the minimum over the cars too: min over z only, then the mean over cars"),
    (
        lambda a, y: table(a, y).mean(dim=0).min(),
        "this is one z for all cars: each car chooses its own, so the minimum comes before the mean",
    ),
    (lambda a, y: table(a, y).amin(dim=1).sum(), "this is the sum over the cars: take their mean"),
    (lambda a, y: table(a, y).amin(dim=1), "the loss is one number: take the mean over the cars"),
    (lambda a, y: table(a, y).sqrt().amin(dim=1).mean(), "this is the distance, not its square: drop the root"),
    (
        lambda a, y: (a.mean(dim=1) - y).square().sum(dim=1).mean(),
        "this compares with the mean answer, which is in the gap: choose among the answers",
    ),
]

ADVICE = "compute the squared distances [B, K], their minimum over z (dim=1), then the mean over the cars"


def show_latent_loss(student):
    """Draw the loss of the answers -s and s, for cars on two roads, and on one: target and answer."""

    def points(*cars):
        y = torch.tensor(cars)[:, None]  # [B, 1]
        return [(s, (torch.tensor([[-s], [s]]).expand(len(cars), 2, 1), y)) for s in spread]

    spread = [i / 5 for i in range(11)]
    cases = {"cars at -1 and at 1": points(-1.0, 1.0), "three cars at 1, one at -2": points(1.0, 1.0, 1.0, -2.0)}
    see = "in the left panel the loss is 0 at s = 1, where both answers are roads and each car takes its own."
    line_and_yours("latent_loss", student, spec_latent_loss, cases, ("s: the answers are -s and s", "loss"), see)


def latent_loss(student):
    """Check exercise 2, `latent_loss(answers, y)`. Raises CheckFailed."""
    compare("latent_loss", student, spec_latent_loss, CASES, MISTAKES, ADVICE)
