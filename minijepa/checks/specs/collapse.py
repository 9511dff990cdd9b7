"""Assignment 05: what is asked for, by the slowest way that is obviously right, and the cases that are tried."""

import math

import torch

from minijepa.checks.specs import normal


def std(numbers):
    """Standard deviation of a one-dimensional tensor [count], dividing by count - 1."""
    mean = sum(numbers) / len(numbers)
    return (sum((number - mean) ** 2 for number in numbers) / (len(numbers) - 1)) ** 0.5


# Tokens [B, N, D] in three states: alive, positional collapse, complete collapse.
ALIVE = normal(6, 4, 3) + normal(1, 4, 3, seed=9)


POSITIONAL = normal(1, 4, 3, seed=1) + 0.01 * normal(6, 4, 3, seed=2)


COMPLETE = torch.full((6, 4, 3), 0.5) + 0.001 * normal(6, 4, 3, seed=3)


STATES = {"alive": (ALIVE,), "positional": (POSITIONAL,), "complete": (COMPLETE,)}


MORE = [(normal(3, 5, 2, seed=4, dtype=torch.float64),), (2 * normal(2, 2, 4, seed=5),)]


# --- 1: does anything differ between images? --------------------------------------------------------------


def spec_position_std(tokens):
    """Place by place and feature by feature: the deviation over the images; the mean of all. [B, N, D] -> float."""
    values = [std(tokens[:, n, d]) for n in range(tokens.shape[1]) for d in range(tokens.shape[2])]
    return float(sum(values) / len(values))


# --- 2: what share of the variance is content? ------------------------------------------------------------


def spec_content_share(tokens):
    """Variance over images at a fixed place, averaged over places, divided by the variance over images and places.

    Both variances divide by the number of values, and are added up over the features. tokens: [B, N, D]. A float.
    """
    within = total = 0.0
    for d in range(tokens.shape[2]):
        places = [tokens[:, n, d] for n in range(tokens.shape[1])]
        within += sum(((place - place.mean()) ** 2).mean() for place in places) / len(places)
        total += ((tokens[:, :, d] - tokens[:, :, d].mean()) ** 2).mean()
    return float(within / total)


# --- 3: how many directions? ------------------------------------------------------------------------------


def spec_rankme(features):
    """exp of the entropy of the singular values of the centred features, as shares. [B, D] -> float in [1, D].

    The singular values are the roots of the eigenvalues of X' X.
    """
    centred = features.double() - features.double().mean(dim=0)
    eigenvalues = torch.linalg.eigvalsh(centred.T @ centred)
    values = [math.sqrt(max(float(value), 0.0)) for value in eigenvalues]
    shares = [value / sum(values) for value in values]
    return math.exp(-sum(share * math.log(share) for share in shares if share > 1e-7))


def line(count, width, seed):
    """Features [count, width] along a single direction, with a little noise, and far from 0."""
    return normal(count, 1, seed=seed) * normal(1, width, seed=seed + 1) + 1e-3 * normal(count, width, seed=seed) + 3


RANKS = [(normal(40, 6),), (line(40, 6, 1),), (normal(30, 4, seed=3) * torch.tensor([5.0, 2.0, 1.0, 0.2]) + 1,)]


# --- 4, 5: VICReg's terms ---------------------------------------------------------------------------------


def spec_variance_term(z):
    """Feature by feature: how far its deviation sqrt(Var + 1e-4) falls short of 1; the mean. [B, D] -> scalar."""
    short = [(1 - (std(z[:, d]) ** 2 + 1e-4) ** 0.5).clamp_min(0) for d in range(z.shape[1])]
    return sum(short) / len(short)


SPREADS = [
    (normal(8, 4) * torch.tensor([0.1, 0.5, 1.0, 3.0]),),
    (0.01 * normal(5, 3, seed=1),),
    (torch.full((4, 2), 2.0),),
    (normal(6, 5, seed=2, dtype=torch.float64) * 0.7 + 4,),
]


def spec_covariance_term(z):
    """Pair by pair of different features: the square of their covariance; the sum over D. [B, D] -> scalar."""
    b, d = z.shape
    total = z.new_zeros(())
    for i in range(d):
        for j in range(d):
            if i != j:
                covariance = ((z[:, i] - z[:, i].mean()) * (z[:, j] - z[:, j].mean())).sum() / (b - 1)
                total = total + covariance**2
    return total / d


COPIES = [
    (torch.tensor([[0.0, 0.0], [2.0, 2.0]]),),
    (normal(6, 4, seed=3) + 2,),
    (normal(9, 1, seed=4).expand(9, 3).contiguous(),),
    (normal(5, 3, seed=5, dtype=torch.float64),),
]
