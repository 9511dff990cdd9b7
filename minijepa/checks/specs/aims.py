"""Assignment 01: what is asked for, by the slowest way that is obviously right, and the cases that are tried."""

import torch

from minijepa.checks.specs import normal

# --- 1: one answer ----------------------------------------------------------------------------------------


def spec_expected_cost(answer, outcomes, shares):
    """Outcome by outcome: its share times the squared distance to the answer. A scalar tensor."""
    costs = [share * ((outcome - answer) ** 2).sum() for outcome, share in zip(outcomes, shares, strict=True)]
    return sum(costs)


ROADS = torch.tensor([[-1.0, 1.0], [1.0, 1.0]])


COSTS = [
    (torch.tensor([0.0, 1.0]), ROADS, torch.tensor([0.5, 0.5])),
    (torch.tensor([1.0, 1.0]), ROADS, torch.tensor([0.25, 0.75])),
    (normal(3), normal(4, 3, seed=1), torch.tensor([0.1, 0.2, 0.3, 0.4])),
    (normal(2).double(), normal(3, 2, seed=2).double(), torch.tensor([0.5, 0.25, 0.25]).double()),
]


# --- 2: several answers -----------------------------------------------------------------------------------


def spec_latent_loss(answers, y):
    """Car by car: the squared distance from y to the nearest of the answers; the mean over the cars.

    answers: [B, K, D], y: [B, D]. A scalar.
    """
    best = [min(((g - truth) ** 2).sum() for g in options) for options, truth in zip(answers, y, strict=True)]
    return sum(best) / len(best)


LATENTS = [
    (ROADS.expand(2, 2, 2).clone(), torch.tensor([[0.9, 1.0], [-1.0, 0.5]])),
    (normal(6, 3, 2, seed=3), normal(6, 2, seed=4)),
    (normal(5, 1, 4, seed=5), normal(5, 4, seed=6)),
    (normal(4, 6, 3, seed=7, dtype=torch.float64), normal(4, 3, seed=8, dtype=torch.float64)),
]


# --- 3: contrast ------------------------------------------------------------------------------------------


def spec_contrast(answers, gap, roads):
    """F(gap) minus the mean of F over the roads, F(y) = min over the answers g of |g - y|^2. A scalar tensor."""

    def free(y):
        return min(((g - y) ** 2).sum() for g in answers)

    return free(gap) - sum(free(road) for road in roads) / len(roads)


CONTRASTS = [
    (torch.tensor([[0.0], [0.0]]), torch.zeros(1), torch.tensor([[-1.0], [1.0]])),
    (torch.tensor([[-1.0], [1.0]]), torch.zeros(1), torch.tensor([[-1.0], [1.0]])),
    (normal(5, 2), normal(2, seed=1), normal(3, 2, seed=2)),
    (normal(3, 3, seed=3, dtype=torch.float64), normal(3, seed=4, dtype=torch.float64), normal(4, 3, seed=5).double()),
]


# --- 4: what an aim is worth ------------------------------------------------------------------------------


def spec_keeps(aim, amplitude, memory, noise=0.1):
    """What a code of one direction is worth to an aim, by covariances of a direction that is seen with noise.

    The direction has variance a^2, is seen with variance a^2 + noise^2, and keeps the share `memory` for a step.
    """
    seen = amplitude**2 + noise**2  # variance of what is seen
    covariance = memory * amplitude**2  # of what is seen now with what is seen next
    return {
        "reconstruct": seen,
        "predict pixels": covariance**2 / seen,
        "predict latents": covariance**2 / seen**2,
    }[aim]


AIMS = ("reconstruct", "predict pixels", "predict latents")


WORTH = [(aim, a, m) for aim in AIMS for a, m in ((1.0, 0.9), (0.5, 1.0))]


WORTH += [("predict pixels", 2.0, 0.0), ("predict latents", 0.05, 0.98), ("reconstruct", 0.1, 0.0)]


def spec_worth(aim, amplitude, memory):
    """`spec_keeps` with the noise of the notebook."""
    return spec_keeps(aim, amplitude, memory)


# --- 5: the judge -----------------------------------------------------------------------------------------


def spec_probe_r2(train, state, test, test_state):
    """Least squares with a constant, by its normal equations; 1 - squared error / variance on the test set. A float.

    train: codes [N, k]; state: [N]; test: [M, k]; test_state: [M].
    """
    design = torch.cat([train, torch.ones(len(train), 1)], dim=1).double()  # [N, k + 1]
    weights = torch.linalg.solve(design.T @ design, design.T @ state.double())
    guess = torch.cat([test, torch.ones(len(test), 1)], dim=1).double() @ weights
    error = ((guess - test_state) ** 2).mean()
    return float(1 - error / ((test_state - test_state.double().mean()) ** 2).mean())


def probe_case(seed, n=40, m=30, k=3, noise=0.5, shift=2.0):
    """Codes and states with a linear relation, noise and a mean far from 0: train [N, k], [N], test [M, k], [M]."""
    x = normal(n + m, k, seed=seed) + 1
    y = x @ torch.arange(1.0, k + 1) + noise * normal(n + m, seed=seed + 1) + shift
    return x[:n], y[:n], x[n:], y[n:]


PROBES = [probe_case(0), probe_case(10, n=12, m=50, k=6, noise=3.0), probe_case(20, noise=0.0), probe_case(30, k=1)]
