"""Assignment 01: what a squared error says at a fork, what a latent variable repairs, and what each aim keeps."""

import torch

from minijepa.checks.pictures.aims import (  # noqa: F401 (notebooks find them here)
    show_contrast,
    show_expected_cost,
    show_latent_loss,
    show_probe_r2,
    show_worth,
)
from minijepa.checks.report import compare
from minijepa.checks.specs.aims import (
    CONTRASTS,
    COSTS,
    LATENTS,
    PROBES,
    WORTH,
    spec_contrast,
    spec_expected_cost,
    spec_keeps,
    spec_latent_loss,
    spec_probe_r2,
    spec_worth,
)

# --- 1: one answer ----------------------------------------------------------------------------------------


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


# --- 2: several answers -----------------------------------------------------------------------------------


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


# --- 5: the judge -----------------------------------------------------------------------------------------


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
