"""Assignment 01: what a squared error says at a fork, what a latent variable repairs, and what each aim keeps."""

import torch

from minijepa.checks.picture import target_and_yours
from minijepa.checks.report import compare


def normal(*shape, seed=0, dtype=torch.float32):
    """Standard normal numbers, always the same for one seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


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


def expected_cost(student):
    """Check exercise 1, `expected_cost(answer, outcomes, shares)`. Raises CheckFailed."""

    def squares(a, o):
        return (o - a).square()

    mistakes = [
        (
            lambda a, o, p: ((p[:, None] * o).sum(dim=0) - a).square().sum(),
            "you average the outcomes before you square: then an answer between two roads costs nothing",
        ),
        (
            lambda a, o, p: squares(a, o).sum(dim=1).mean(),
            "the outcomes are not equally likely: weigh them by `shares`",
        ),
        (lambda a, o, p: squares(a, o).sum(), "weigh each outcome by its share"),
        (lambda a, o, p: (p * squares(a, o).sum(dim=1).sqrt()).sum(), "the squared distance: drop the root"),
        (
            lambda a, o, p: (p * squares(a, o).mean(dim=1)).sum(),
            "the squared distance is a sum over the coordinates, not their mean",
        ),
        (lambda a, o, p: p * squares(a, o).sum(dim=1), "add up over the outcomes: one number"),
    ]
    advice = "sum over the outcomes of share times squared distance"
    compare("expected_cost", student, spec_expected_cost, COSTS, mistakes, advice)


def show_expected_cost(student):
    """Draw the cost of every place as an answer, for two roads that are equally likely, or not: target and answer."""
    side = torch.linspace(-2, 2, 21)
    cases = {
        "1/2 left, 1/2 right": (torch.tensor([0.5, 0.5]),),
        "1/4 left, 3/4 right": (torch.tensor([0.25, 0.75]),),
    }

    def over_places(cost):
        def plane(shares):
            costs = [cost(torch.tensor([x, y]), ROADS, shares) for y in side.tolist() for x in side.tolist()]
            return torch.stack(costs).view(21, 21)

        return plane

    see = "one dark well, where no road is: the best single answer is the mean."
    target_and_yours("expected_cost", over_places(student), over_places(spec_expected_cost), cases, see=see)


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


def latent_loss(student):
    """Check exercise 2, `latent_loss(answers, y)`. Raises CheckFailed."""

    def table(a, y):
        return (a - y[:, None]).square().sum(dim=2)

    mistakes = [
        (
            lambda a, y: table(a, y).mean(),
            "this is the mean over z: it pulls ALL answers into the gap. Each car takes its best z",
        ),
        (
            lambda a, y: table(a, y).min(),
            "this is the minimum over the cars too: min over z only, then the mean over cars",
        ),
        (
            lambda a, y: table(a, y).mean(dim=0).min(),
            "this is one z for all cars: each car chooses its own, so the minimum comes before the mean",
        ),
        (lambda a, y: table(a, y).amin(dim=1).sum(), "the mean over the cars, not the sum"),
        (lambda a, y: table(a, y).amin(dim=1), "one number: take the mean over the cars"),
        (lambda a, y: table(a, y).sqrt().amin(dim=1).mean(), "the squared distance: drop the root"),
        (
            lambda a, y: (a.mean(dim=1) - y).square().sum(dim=1).mean(),
            "this compares with the mean answer, which is in the gap: choose among the answers",
        ),
    ]
    advice = "squared distances [B, K], minimum over z (dim=1), mean over the cars"
    compare("latent_loss", student, spec_latent_loss, LATENTS, mistakes, advice)


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


def contrast(student):
    """Check exercise 3, `contrast(answers, gap, roads)`. Raises CheckFailed."""

    def free(a, y):
        return (a[None] - y[:, None]).square().sum(dim=2).amin(dim=1)

    mistakes = [
        (
            lambda a, g, r: free(a, r).mean() - free(a, g[None])[0],
            "the sign: energy in the gap MINUS energy on the roads, so that a good landscape is above 0",
        ),
        (
            lambda a, g, r: free(a, g[None])[0] - free(a, r).min(),
            "the mean over ALL roads: a model that knows one road only must not look perfect",
        ),
        (lambda a, g, r: free(a, g[None])[0] - free(a, r).sum(), "the mean over the roads, not the sum"),
        (
            lambda a, g, r: free(a, g[None])[0],
            "this is the energy in the gap alone: subtract the mean energy on the roads",
        ),
        (
            lambda a, g, r: (a - g).square().sum(dim=1).mean() - (a[None] - r[:, None]).square().sum(dim=2).mean(),
            "F is the minimum over the answers, not their mean",
        ),
    ]
    compare("contrast", student, spec_contrast, CONTRASTS, mistakes, "F(gap) minus the mean over roads of F(road)")


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


def worth(student):
    """Check exercise 4, `worth(aim, amplitude, memory)`. Raises CheckFailed."""
    other = {"reconstruct": "reconstruct", "predict pixels": "predict latents", "predict latents": "predict pixels"}
    mistakes = [
        (
            lambda aim, a, m: spec_keeps(aim, a, m**0.5),
            "the memory enters through the covariance, which is squared: m^2",
        ),
        (
            lambda aim, a, m: spec_keeps(aim, a, m, noise=0.0),
            "what is seen has the variance a^2 + .01: you left out the noise of the sensor",
        ),
        (
            lambda aim, a, m: spec_keeps(aim, a, m, noise=0.1**0.5),
            "the noise has the DEVIATION .1, so the variance .01",
        ),
        (
            lambda aim, a, m: spec_keeps(other[aim], a, m),
            "pixels and latents are swapped: a latent code has variance 1, so its worth has no loudness",
        ),
        (
            lambda aim, a, m: spec_keeps(aim, a**0.5, m),
            "the amplitude is a deviation: its variance is a^2",
        ),
    ]
    advice = "v = a^2 + .01 is seen, c = m a^2 is the covariance with the next: v, c^2 / v, or c^2 / v^2"
    compare("worth", student, spec_worth, WORTH, mistakes, advice)


def spec_worth(aim, amplitude, memory):
    """`spec_keeps` with the noise of the notebook."""
    return spec_keeps(aim, amplitude, memory)


def show_worth(student):
    """Draw the worth of a slow direction against its amplitude, for the three aims: target and answer."""
    amplitudes = torch.logspace(-2, 0.3, 24).tolist()

    def curve(function):
        return lambda aim: torch.tensor([float(function(aim, a, 0.98)) for a in amplitudes])

    cases = {aim: (aim,) for aim in AIMS}
    see = "from left to right the direction gets louder: latents are the first to keep it."
    target_and_yours("worth", curve(student), curve(spec_worth), cases, see=see)


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


def probe_r2(student):
    """Check exercise 5, `probe_r2(train, state, test, test_state)`. Raises CheckFailed."""

    def without_constant(x, y, u, v):
        guess = u @ torch.linalg.lstsq(x, y[:, None]).solution[:, 0]
        return (1 - (guess - v).square().mean() / v.var(correction=0)).item()

    def error_of(x, y, u, v):
        return (1 - spec_probe_r2(x, y, u, v)) * v.var(correction=0).item()

    mistakes = [
        (
            lambda x, y, u, v: spec_probe_r2(u, v, u, v),
            "the readout is fitted on the TEST set: fit on the training set, and only then look at the test set",
        ),
        (
            lambda x, y, u, v: spec_probe_r2(x, y, x, y),
            "this is the score on the training set: a readout must be judged on what it has not seen",
        ),
        (
            lambda x, y, u, v: spec_probe_r2(torch.cat([x, u]), torch.cat([y, v]), u, v),
            "the test set is part of what you fit: that is a leak",
        ),
        (without_constant, "the readout needs a constant: append a column of ones to the codes"),
        (error_of, "this is the squared error: R^2 = 1 - error / variance"),
        (
            lambda x, y, u, v: 1 - spec_probe_r2(x, y, u, v),
            "this is the share that is left: R^2 = 1 - error / variance",
        ),
    ]
    advice = "least squares on (train, state) with a column of ones; 1 - mean squared error / variance of test_state"
    compare("probe_r2", student, spec_probe_r2, PROBES, mistakes, advice)
