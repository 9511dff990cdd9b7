"""Assignment 05, exercise 1: the standard deviation over images at a fixed position."""

from minijepa.checks.collapse.states import CASES, show_states, std
from minijepa.checks.report import compare


def spec_position_std(tokens):
    """The mean over places and features of the standard deviation over the images. [B, N, D] -> float."""
    values = [std(tokens[:, n, d]) for n in range(tokens.shape[1]) for d in range(tokens.shape[2])]
    return float(sum(values) / len(values))


MISTAKES = [
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
        "you pool first, so that differences between images may cancel: first the standard deviation, then the mean",
    ),
    (
        lambda x: x.std().item(),
        "one standard deviation over everything mixes places with images: take it over dim=0 alone",
    ),
    (lambda x: x.flatten(0, 1).std(dim=0).mean().item(), "this mixes places with images: dim=0 alone, place by place"),
    (lambda x: x.var(dim=0).mean().item(), "this is the variance: take its root, the standard deviation"),
    (lambda x: x.std(dim=0, correction=0).mean().item(), "this divides by B: divide by B - 1, as `std` does"),
]

ADVICE = "take the standard deviation over dim=0, then the mean"


def show_position_std(student):
    """Draw the measure for three states of the tokens, on one scale: target and answer."""
    see = "the measure is low for both collapses, also for the one whose tokens differ from place to place."
    show_states(student, spec_position_std, "position_std", see)


def position_std(student):
    """Check exercise 1, `position_std(tokens)`. Raises CheckFailed."""
    compare("position_std", student, spec_position_std, CASES, MISTAKES, ADVICE)
