"""Assignment 05, exercise 3: RankMe of centred features."""

import math

import torch

from minijepa.checks.curves import line_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal


def spec_rankme(features):
    """exp of the entropy of the centred features' singular values, divided by their sum. [B, D] -> float in [1, D].

    The singular values are the roots of the eigenvalues of X' X.
    """
    centred = features.double() - features.double().mean(dim=0)
    eigenvalues = torch.linalg.eigvalsh(centred.T @ centred)
    values = [math.sqrt(max(float(value), 0.0)) for value in eigenvalues]
    p = [value / sum(values) for value in values]
    return math.exp(-sum(part * math.log(part) for part in p if part > 1e-7))


def line(count, width, seed):
    """Features [count, width] along a single direction, with a little noise, and far from 0."""
    return normal(count, 1, seed=seed) * normal(1, width, seed=seed + 1) + 1e-3 * normal(count, width, seed=seed) + 3


CASES = [(normal(40, 6),), (line(40, 6, 1),), (normal(30, 4, seed=3) * torch.tensor([5.0, 2.0, 1.0, 0.2]) + 1,)]


def entropy_of(x, centre=True, power=1, base=math.e, exponential=True):
    """RankMe of features [B, D] with one step done otherwise."""
    s = torch.linalg.svdvals(x - x.mean(dim=0) if centre else x) ** power
    p = s / s.sum()
    entropy = -(p * (p + 1e-12).log()).sum() / math.log(base)
    return entropy.exp().item() if exponential else entropy.item()


MISTAKES = [
    (
        lambda x: entropy_of(x, centre=False),
        "centre the features first: without that, as in RankMe as published, the mean that all images share is "
        "one long axis that hides the others",
    ),
    (lambda x: entropy_of(x, power=2), "these are the eigenvalues s^2: RankMe takes the singular values themselves"),
    (lambda x: entropy_of(x, exponential=False), "this is the entropy: its exponential is a number of directions"),
    (lambda x: entropy_of(x, base=2), "this is the exponential of an entropy in bits: take the natural logarithm"),
    (
        lambda x: float(torch.linalg.matrix_rank(x)),
        "the algebraic rank counts the smallest noise as a full direction: weight each direction by its singular value",
    ),
    (
        lambda x: float(torch.linalg.matrix_rank(x - x.mean(dim=0))),
        "the algebraic rank counts the smallest noise as a full direction: weight each direction by its singular value",
    ),
]

ADVICE = "divide the singular values of the centred features by their sum to get p; then exp(-sum p log p)"


def show_rankme(student):
    """Draw the measure for features that use 1 to 8 of 8 directions, around 0 and far from it: target and answer."""

    def points(mean):
        noise = normal(60, 8)
        return [(k, (noise * (torch.arange(8) < k) + mean,)) for k in range(1, 9)]

    cases = {"mean 0": points(0.0), "mean 5": points(5.0)}
    see = "the measure is near the number of directions, whatever the mean of the features."
    line_and_yours("rankme", student, spec_rankme, cases, ("directions that are used", "centred RankMe"), see)


def rankme(student):
    """Check exercise 3, `rankme(features)`, the centred version. Raises CheckFailed."""
    compare("rankme", student, spec_rankme, CASES, MISTAKES, ADVICE)
