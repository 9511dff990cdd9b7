"""Assignment 12, exercise 1: what the code of a VAE costs, the KL divergence of a Gaussian from N(0, I)."""

import math

import torch

from minijepa.checks.curves import line_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal


def spec_gaussian_kl(mean, log_var):
    """Number by number: log(1 / sigma) + (sigma^2 + mu^2) / 2 - 1/2, and the sum over the numbers of one code.

    mean, log_var: mu and log sigma^2, [B, K] each. Returns [B], in nats.
    Source: VAE (arXiv:1312.6114, appendix B).
    """
    costs = []
    for mus, logs in zip(mean.tolist(), log_var.tolist(), strict=True):
        cost = 0.0
        for mu, log in zip(mus, logs, strict=True):
            sigma = math.exp(log / 2)
            cost += -math.log(sigma) + (sigma**2 + mu**2) / 2 - 0.5
        costs.append(cost)
    return torch.tensor(costs, dtype=mean.dtype)


CASES = [
    (torch.tensor([[0.0, 1.0]]), torch.tensor([[math.log(0.25), 0.0]])),
    (normal(3, 4), normal(3, 4, seed=1)),
    (2 * normal(2, 5, seed=2), normal(2, 5, seed=3) - 1),
    (normal(4, 1, seed=4, dtype=torch.float64), normal(4, 1, seed=5, dtype=torch.float64)),
    (torch.zeros(2, 3), torch.zeros(2, 3)),
]


def costs(m, s, minus_one=1.0):
    """The cost of each number, [B, K]; s: log sigma^2, [B, K]."""
    return 0.5 * (m.square() + s.exp() - minus_one - s)


MISTAKES = [
    (
        lambda m, s: 2 * costs(m, s).sum(dim=1),
        "the factor 1/2 is missing",
    ),
    (
        lambda m, s: -costs(m, s).sum(dim=1),
        "the sign: the paper's appendix B writes MINUS the KL, as it stands in the ELBO; a KL itself is at least 0",
    ),
    (
        lambda m, s: costs(m, s).mean(dim=1),
        "this is the mean over the K numbers of a code: their costs add up, so take the sum",
    ),
    (
        lambda m, s: costs(m, s).sum(),
        "this is the sum over the images, too: return one number for each image, [B]",
    ),
    (
        lambda m, s: costs(m, s).sum(dim=1).mean(),
        "this is the mean over the images: return one number for each image, [B]",
    ),
    (
        lambda m, s: costs(m, s).sum(dim=0),
        "you add up over the images: add up over the numbers of a code, dim=1",
    ),
    (
        lambda m, s: costs(m, 2 * s).sum(dim=1),
        "`log_var` is the logarithm of the variance, and you take it for that of sigma: sigma^2 is exp(log_var)",
    ),
    (
        lambda m, s: costs(m, s / 2).sum(dim=1),
        "exp(log_var / 2) is sigma: the formula takes sigma squared, exp(log_var), and its logarithm",
    ),
    (
        lambda m, s: (0.5 * (m.square() + s.square() - 1 - s.square().log())).sum(dim=1),
        "`log_var` is a logarithm, and may be negative: sigma^2 is exp(log_var)",
    ),
    (
        lambda m, s: costs(m, s, minus_one=0.0).sum(dim=1),
        "the -1 is missing: a code that ignores the image (mu = 0, sigma = 1) costs nothing",
    ),
    (
        lambda m, s: (0.5 * (m + s.exp() - 1 - s)).sum(dim=1),
        "square mu: a negative mean costs as much as a positive one",
    ),
    (
        lambda m, s: (0.5 * (m.square() + s.exp() - 1 + s)).sum(dim=1),
        "log sigma^2 is subtracted: a small sigma says much about the image, so it is expensive",
    ),
    (
        lambda m, s: (0.5 * ((1 + m.square()) / s.exp() - 1 + s)).sum(dim=1),
        "this is the divergence of N(0, I) from the code: the KL is not symmetric, and the code comes first",
    ),
    (
        lambda m, s: costs(m, s).sum(dim=1) / math.log(2),
        "these are bits: use the natural logarithm, for nats",
    ),
]

ADVICE = "sigma^2 = log_var.exp(); 1/2 (mu^2 + sigma^2 - 1 - log sigma^2), added up over the numbers of each code"


def show_gaussian_kl(student):
    """Draw the cost against the mean and against the standard deviation: target and answer."""

    def one(mu, sigma):
        return torch.tensor([[mu]]), torch.tensor([[2 * math.log(sigma)]])

    means = [(k / 2, one(k / 2, 1.0)) for k in range(-4, 5)]
    sigmas = [(s, one(0.0, s)) for s in (0.1, 0.2, 0.4, 0.7, 1.0, 1.4, 1.8)]
    labels = [("mean, with standard deviation 1", "KL in nats"), ("standard deviation, with mean 0", "KL in nats")]
    see = "only mean 0 with standard deviation 1 is free; a small standard deviation costs more than a large one."
    cases = {"a number whose mean moves": means, "a number that gets sharper": sigmas}
    line_and_yours("gaussian_kl", student, spec_gaussian_kl, cases, labels, see)


def gaussian_kl(student):
    """Check exercise 1, `gaussian_kl(mean, log_var)`. Raises CheckFailed."""
    compare("gaussian_kl", student, spec_gaussian_kl, CASES, MISTAKES, ADVICE)
