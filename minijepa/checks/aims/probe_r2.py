"""Assignment 01, exercise 5: how well a linear map reads the state off the code, on unseen examples."""

import torch

from minijepa.checks.curves import line_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal


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


CASES = [probe_case(0), probe_case(10, n=12, m=50, k=6, noise=3.0), probe_case(20, noise=0.0), probe_case(30, k=1)]


def without_constant(x, y, u, v):
    """R^2 of a fit through the origin. x: [N, k], y: [N], u: [M, k], v: [M]."""
    guess = u @ torch.linalg.lstsq(x, y[:, None]).solution[:, 0]
    return (1 - (guess - v).square().mean() / v.var(correction=0)).item()


def error_of(x, y, u, v):
    """The mean squared error in place of R^2. x: [N, k], y: [N], u: [M, k], v: [M]."""
    return (1 - spec_probe_r2(x, y, u, v)) * v.var(correction=0).item()


MISTAKES = [
    (
        lambda x, y, u, v: spec_probe_r2(u, v, u, v),
        "the readout is fitted on the TEST set: fit on the training set, and only then look at the test set",
    ),
    (
        lambda x, y, u, v: spec_probe_r2(x, y, x, y),
        "this is the score on the training set: evaluate a readout on examples that it has not seen",
    ),
    (
        lambda x, y, u, v: spec_probe_r2(torch.cat([x, u]), torch.cat([y, v]), u, v),
        "the test set is part of what you fit: that is a leak",
    ),
    (without_constant, "the readout needs a constant: append a column of ones to the codes"),
    (error_of, "this is the squared error: R^2 = 1 - error / variance"),
    (
        lambda x, y, u, v: 1 - spec_probe_r2(x, y, u, v),
        "this is the fraction that is left unexplained: R^2 = 1 - error / variance",
    ),
]

ADVICE = "fit (train, state) by least squares with a column of ones; R^2 = 1 - squared error / variance of test_state"


def show_probe_r2(student):
    """Draw the score of codes whose state is more and more noise, for few and many examples: target and answer."""
    noises = [0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0]
    cases = {
        "fit to 40, evaluated on 30": [(noise, probe_case(0, noise=noise)) for noise in noises],
        "6 weights fit to 12, evaluated on 50": [(noise, probe_case(10, 12, 50, 6, noise)) for noise in noises],
    }
    see = "the score falls below 0, which is worse than guessing the mean; on the training set it never does."
    line_and_yours("probe_r2", student, spec_probe_r2, cases, ("noise in the state", "R squared"), see)


def probe_r2(student):
    """Check exercise 5, `probe_r2(train, state, test, test_state)`. Raises CheckFailed."""
    compare("probe_r2", student, spec_probe_r2, CASES, MISTAKES, ADVICE)
