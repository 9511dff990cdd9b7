"""Assignment 05, exercise 5: VICReg's covariance term."""

import torch

from minijepa.checks.curves import line_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal


def spec_covariance_term(z):
    """The squared covariances of all pairs of different features, added up and divided by D. [B, D] -> scalar."""
    b, d = z.shape
    total = z.new_zeros(())
    for i in range(d):
        for j in range(d):
            if i != j:
                covariance = ((z[:, i] - z[:, i].mean()) * (z[:, j] - z[:, j].mean())).sum() / (b - 1)
                total = total + covariance**2
    return total / d


CASES = [
    (torch.tensor([[0.0, 0.0], [2.0, 2.0]]),),
    (normal(6, 4, seed=3) + 2,),
    (normal(9, 1, seed=4).expand(9, 3).contiguous(),),
    (normal(5, 3, seed=5, dtype=torch.float64),),
]


def matrix(z, centre=True, over=1):
    """The covariance matrix [D, D] of z [B, D], or nearly so."""
    z = z - z.mean(dim=0) if centre else z
    return z.T @ z / (len(z) - over)


def off(c):
    """A matrix [D, D] without its diagonal."""
    return c - c.diagonal().diag()


MISTAKES = [
    (
        lambda z: matrix(z).square().sum() / z.shape[1],
        "leave out the diagonal: it holds the variances, which must not shrink",
    ),
    (lambda z: off(matrix(z, centre=False)).square().sum() / z.shape[1], "centre each feature over the batch first"),
    (lambda z: off(matrix(z, over=0)).square().sum() / z.shape[1], "divide the covariance by B - 1"),
    (lambda z: off(matrix(z)).square().sum(), "divide the sum by D, the number of features"),
    (lambda z: off(matrix(z)).square().mean(), "divide the sum by D, not by D^2"),
    (lambda z: off(matrix(z)).sum() / z.shape[1], "square each covariance: positive and negative ones must not cancel"),
    (
        lambda z: off(matrix(z)).abs().sum() / z.shape[1],
        "these are the absolute values of the covariances: take their squares",
    ),
    (
        lambda z: off(z.T.corrcoef()).square().sum() / z.shape[1],
        "these are correlations: take covariances, without division by the standard deviations",
    ),
]

ADVICE = "square the covariance matrix [D, D] without its diagonal, add up, divide by D"


def show_covariance_term(student):
    """Draw the term for two features of growing correlation, for two scales: target and answer."""
    z = normal(32, 2)
    q = torch.linalg.qr(z - z.mean(dim=0)).Q * 31**0.5  # [32, 2]: standard deviation 1, correlation 0

    def points(size):
        mix = [(r, torch.stack([q[:, 0], r * q[:, 0] + (1 - r * r) ** 0.5 * q[:, 1]], dim=1)) for r in correlations]
        return [(r, (size * both + 3,)) for r, both in mix]

    correlations = [i / 5 for i in range(-5, 6)]
    cases = {"standard deviation 1": points(1.0), "standard deviation 2": points(2.0)}
    see = "the term is 0 where the features are uncorrelated, and larger for larger features, as a covariance is."
    line_and_yours("covariance_term", student, spec_covariance_term, cases, ("correlation", "covariance term"), see)


def covariance_term(student):
    """Check exercise 5, `covariance_term(z)`. Raises CheckFailed."""
    compare("covariance_term", student, spec_covariance_term, CASES, MISTAKES, ADVICE)
