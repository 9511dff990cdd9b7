"""Assignment 09, exercise 1: the gradient of a batch, accumulated from microbatches."""

import torch

from minijepa.checks.curves import line_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal


def spec_accumulate(gradients, sizes):
    """The mean over all images: a microbatch counts as often as it has images. A tensor like the gradients."""
    images = []
    for gradient, size in zip(gradients, sizes, strict=True):
        images += [gradient] * size
    return sum(images) / len(images)


CASES = [
    ([torch.tensor([1.0]), torch.tensor([4.0])], [2, 1]),
    ([normal(3, 2, seed=s) for s in range(4)], [8, 8, 8, 5]),
    ([normal(4, seed=s) for s in range(2)], [6, 2]),
    ([normal(2, 2, seed=s, dtype=torch.float64) for s in range(3)], [1, 2, 3]),
]

MISTAKES = [
    (
        lambda g, n: sum(g) / len(g),
        "this is the plain mean, in which a small microbatch counts as much as a full one: weight each by its size",
    ),
    (
        lambda g, n: sum(g),
        "this is the sum, which grows with the number of microbatches: the gradient is a mean over images",
    ),
    (
        lambda g, n: sum(a * k for a, k in zip(g, n, strict=True)),
        "divide by the number of all images: the loss is their mean",
    ),
    (
        lambda g, n: sum(a * k for a, k in zip(g, n, strict=True)) / len(g),
        "divide by the number of images, not of microbatches",
    ),
    (
        lambda g, n: sum(a / k for a, k in zip(g, n, strict=True)),
        "each gradient is a mean already: multiply by its size",
    ),
    (lambda g, n: g[-1], "this is the last microbatch alone: the others were overwritten"),
]

ADVICE = "divide the sum of size times gradient by the sum of sizes"


def show_accumulate(student):
    """Draw the gradient of two microbatches, 1 and 4, by the size of the second: target and answer."""
    pieces = [torch.tensor(1.0), torch.tensor(4.0)]
    cases = {f"first microbatch: {n} images": [(k, (pieces, [n, k])) for k in range(1, 9)] for n in (8, 2)}
    see = "the smaller the last microbatch, the less it counts; with one image next to eight it hardly counts at all."
    labels = ("images in the second microbatch", "gradient")
    line_and_yours("accumulate", student, spec_accumulate, cases, labels, see)


def accumulate(student):
    """Check exercise 1, `accumulate(gradients, sizes)`. Raises CheckFailed."""
    compare("accumulate", student, spec_accumulate, CASES, MISTAKES, ADVICE)
