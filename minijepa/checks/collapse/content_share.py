"""Assignment 05, exercise 2: the fraction of the variance that differs between images."""

from minijepa.checks.collapse.states import CASES, show_states
from minijepa.checks.report import compare


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


def parts(x, dim=0):
    """The variance over one axis of tokens [B, N, D], averaged, and that over images and places together."""
    within = x.var(dim=dim, correction=0).mean(dim=0).sum()
    return within, x.flatten(0, 1).var(dim=0, correction=0).sum()


MISTAKES = [
    (
        lambda x: (1 - parts(x)[0] / parts(x)[1]).item(),
        "this is the fraction due to POSITION: content is what differs between images at one place",
    ),
    (
        lambda x: (parts(x, 1)[0] / parts(x)[1]).item(),
        "this is the variance over places: content is what differs between images, dim=0",
    ),
    (
        lambda x: (x.std(dim=0, correction=0).mean() / x.flatten(0, 1).std(dim=0, correction=0).mean()).item(),
        "these are standard deviations: only variances add up to the total",
    ),
    (
        lambda x: (x.var(dim=0, correction=0).mean(0) / x.flatten(0, 1).var(dim=0, correction=0)).mean().item(),
        "add up the variances over the features before you divide, or a nearly constant feature counts as much",
    ),
    (
        lambda x: (x.var(dim=0).mean(dim=0).sum() / x.flatten(0, 1).var(dim=0).sum()).item(),
        "use correction=0 in both variances, or the fractions of content and position do not add up to 1",
    ),
]

ADVICE = "divide the variance over images at a place (mean over places, sum over features) by the total variance"


def show_content_share(student):
    """Draw the measure for three states of the tokens: target and answer."""
    see = "the measure is low for a positional collapse; after a complete one it divides noise by noise."
    show_states(student, spec_content_share, "content_share", see)


def content_share(student):
    """Check exercise 2, `content_share(tokens)`. Raises CheckFailed."""
    compare("content_share", student, spec_content_share, CASES, MISTAKES, ADVICE)
