"""Assignment 05: measures that catch each kind of collapse, and VICReg's terms that hold it off."""

import math

import torch

from minijepa.checks.pictures.collapse import (  # noqa: F401 (notebooks find them here)
    show_content_share,
    show_covariance_term,
    show_position_std,
    show_rankme,
    show_variance_term,
)
from minijepa.checks.report import compare
from minijepa.checks.specs.collapse import (
    COPIES,
    MORE,
    RANKS,
    SPREADS,
    STATES,
    spec_content_share,
    spec_covariance_term,
    spec_position_std,
    spec_rankme,
    spec_variance_term,
)

# --- 1: does anything differ between images? --------------------------------------------------------------


def position_std(student):
    """Check exercise 1, `position_std(tokens)`. Raises CheckFailed."""
    mistakes = [
        (
            lambda x: x.std(dim=1).mean().item(),
            "this is over the tokens of one image: it calls a positional collapse healthy. Compare images: dim=0",
        ),
        (
            lambda x: x.std(dim=2).mean().item(),
            "this is over the features of one token: a LayerNorm makes it 1 whatever happens. Compare images: dim=0",
        ),
        (
            lambda x: x.mean(dim=1).std(dim=0).mean().item(),
            "you pool before you look: differences between images may cancel out. First the deviation, then the mean",
        ),
        (lambda x: x.std().item(), "one deviation over everything mixes places with images: dim=0 alone"),
        (
            lambda x: x.flatten(0, 1).std(dim=0).mean().item(),
            "this mixes places with images: dim=0 alone, place by place",
        ),
        (lambda x: x.var(dim=0).mean().item(), "this is the variance: take its root, the standard deviation"),
        (lambda x: x.std(dim=0, correction=0).mean().item(), "divide by B - 1, as `std` does"),
    ]
    compare(
        "position_std", student, spec_position_std, [*STATES.values(), *MORE], mistakes, "std over dim=0, then mean"
    )


# --- 2: what share of the variance is content? ------------------------------------------------------------


def content_share(student):
    """Check exercise 2, `content_share(tokens)`. Raises CheckFailed."""

    def parts(x, dim=0):
        within = x.var(dim=dim, correction=0).mean(dim=0).sum()
        return within, x.flatten(0, 1).var(dim=0, correction=0).sum()

    mistakes = [
        (
            lambda x: (1 - parts(x)[0] / parts(x)[1]).item(),
            "this is the share of the POSITION: content is what differs between images at one place",
        ),
        (
            lambda x: (parts(x, 1)[0] / parts(x)[1]).item(),
            "this is the variance over places: content is what differs between images, dim=0",
        ),
        (
            lambda x: (x.std(dim=0, correction=0).mean() / x.flatten(0, 1).std(dim=0, correction=0).mean()).item(),
            "shares add up for variances, not for standard deviations",
        ),
        (
            lambda x: (x.var(dim=0, correction=0).mean(0) / x.flatten(0, 1).var(dim=0, correction=0)).mean().item(),
            "add up the variances over the features before you divide, or a dead feature counts like a lively one",
        ),
        (
            lambda x: (x.var(dim=0).mean(dim=0).sum() / x.flatten(0, 1).var(dim=0).sum()).item(),
            "correction=0 in both, or the shares of content and position do not add up to 1",
        ),
    ]
    advice = "variance over images at one place, mean over places, sum over features; over the same of everything"
    compare("content_share", student, spec_content_share, [*STATES.values(), *MORE], mistakes, advice)


# --- 3: how many directions? ------------------------------------------------------------------------------


def rankme(student):
    """Check exercise 3, `rankme(features)`, the centred version. Raises CheckFailed."""

    def entropy_of(x, centre=True, power=1, base=math.e, exponential=True):
        s = torch.linalg.svdvals(x - x.mean(dim=0) if centre else x) ** power
        p = s / s.sum()
        entropy = -(p * (p + 1e-12).log()).sum() / math.log(base)
        return entropy.exp().item() if exponential else entropy.item()

    mistakes = [
        (
            lambda x: entropy_of(x, centre=False),
            "centre the features first: as they are, which is RankMe as published, what all images share is one long "
            "axis that hides the others",
        ),
        (
            lambda x: entropy_of(x, power=2),
            "these are the eigenvalues s^2: RankMe takes the singular values themselves",
        ),
        (lambda x: entropy_of(x, exponential=False), "this is the entropy: its exponential is a number of directions"),
        (lambda x: entropy_of(x, base=2), "the exponential of an entropy in bits: take the natural logarithm"),
        (
            lambda x: float(torch.linalg.matrix_rank(x)),
            "the algebraic rank counts the smallest noise as a full direction: weigh directions by their share",
        ),
        (
            lambda x: float(torch.linalg.matrix_rank(x - x.mean(dim=0))),
            "the algebraic rank counts the smallest noise as a full direction: weigh directions by their share",
        ),
    ]
    advice = "singular values of the centred features, as shares p; then exp(-sum p log p)"
    compare("rankme", student, spec_rankme, RANKS, mistakes, advice)


# --- 4, 5: VICReg's terms ---------------------------------------------------------------------------------


def variance_term(student):
    """Check exercise 4, `variance_term(z)`. Raises CheckFailed."""
    relu = torch.nn.functional.relu

    def deviation(z, dim=0):
        return (z.var(dim=dim) + 1e-4).sqrt()

    mistakes = [
        (lambda z: relu(1 - deviation(z, 1)).mean(), "over the batch, dim=0: every feature must vary between images"),
        (
            lambda z: relu(1 - (z.var(dim=0) + 1e-4)).mean(),
            "the hinge is on the standard deviation, not the variance, whose slope vanishes at 0",
        ),
        (lambda z: relu(deviation(z) - 1).mean(), "the sign: it costs to be BELOW 1"),
        (
            lambda z: (1 - deviation(z)).mean(),
            "without the hinge a large feature pays for a dead one: max(0, ...) each",
        ),
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
    advice = "max(0, 1 - sqrt(var + 1e-4)) for every feature, then the mean"
    compare("variance_term", student, spec_variance_term, SPREADS, mistakes, advice)


def covariance_term(student):
    """Check exercise 5, `covariance_term(z)`. Raises CheckFailed."""

    def matrix(z, centre=True, over=1):
        z = z - z.mean(dim=0) if centre else z
        return z.T @ z / (len(z) - over)

    def off(c):
        return c - c.diagonal().diag()

    mistakes = [
        (
            lambda z: matrix(z).square().sum() / z.shape[1],
            "leave out the diagonal: those are variances, which must not shrink",
        ),
        (
            lambda z: off(matrix(z, centre=False)).square().sum() / z.shape[1],
            "centre each feature over the batch first",
        ),
        (lambda z: off(matrix(z, over=0)).square().sum() / z.shape[1], "divide the covariance by B - 1"),
        (lambda z: off(matrix(z)).square().sum(), "divide the sum by D, the number of features"),
        (lambda z: off(matrix(z)).square().mean(), "divide the sum by D, not by D^2"),
        (
            lambda z: off(matrix(z)).sum() / z.shape[1],
            "square each covariance: positive and negative ones must not cancel",
        ),
        (
            lambda z: off(matrix(z)).abs().sum() / z.shape[1],
            "the squares of the covariances, not their absolute values",
        ),
        (
            lambda z: off(z.T.corrcoef()).square().sum() / z.shape[1],
            "covariances, not correlations: do not divide by the deviations",
        ),
    ]
    advice = "the covariance matrix [D, D], its diagonal left out, squared, summed, over D"
    compare("covariance_term", student, spec_covariance_term, COPIES, mistakes, advice)
