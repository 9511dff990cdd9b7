"""Assignment 06, exercise 5: a margin over seeds, with its standard error."""

import math

import torch

from minijepa.checks.curves import line_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal


def spec_paired_margin(ours, theirs):
    """The mean difference over n seeds, and its standard error: standard deviation (n - 1) over sqrt(n). Two floats."""
    gaps = [float(a) - float(b) for a, b in zip(ours, theirs, strict=True)]
    mean = sum(gaps) / len(gaps)
    variance = sum((gap - mean) ** 2 for gap in gaps) / (len(gaps) - 1)
    return mean, math.sqrt(variance / len(gaps))


CASES = [
    (torch.tensor([0.5, 0.6]), torch.tensor([0.4, 0.4])),
    (torch.tensor([0.41, 0.52, 0.45]), torch.tensor([0.38, 0.50, 0.44])),
    (0.1 * normal(5) + 0.6, 0.1 * normal(5, seed=1) + 0.4),
    (torch.tensor([0.3, 0.3, 0.3, 0.3]), torch.tensor([0.2, 0.4, 0.2, 0.4])),
]


def gaps(a, b):
    """The differences [n], in float64."""
    return (a - b).double()


MISTAKES = [
    (
        lambda a, b: (gaps(a, b).mean().item(), ((a.double().var() + b.double().var()) / len(a)).sqrt().item()),
        "the seeds are paired: take the standard deviation of the DIFFERENCES, since easy seeds are easy for both",
    ),
    (
        lambda a, b: (gaps(a, b).mean().item(), gaps(a, b).std().item()),
        "this is the standard deviation of one difference: that of the mean of n is smaller by sqrt(n)",
    ),
    (lambda a, b: (gaps(a, b).mean().item(), gaps(a, b).std().item() / len(a)), "divide by the ROOT of n"),
    (
        lambda a, b: (gaps(a, b).mean().item(), gaps(a, b).std(correction=0).item() / len(a) ** 0.5),
        "the variance divides by n - 1, which matters with few seeds",
    ),
    (lambda a, b: (gaps(b, a).mean().item(), spec_paired_margin(a, b)[1]), "the sign is wrong: take ours minus theirs"),
    (
        lambda a, b: (gaps(a, b).max().item(), spec_paired_margin(a, b)[1]),
        "this is the best of the seeds: take their mean",
    ),
]

ADVICE = "take the differences seed by seed; return their mean, and their standard deviation (n - 1) over sqrt(n)"


def show_paired_margin(student):
    """Draw the mean difference and its standard error for 2 to 10 seeds: target and answer."""
    level = 0.1 * normal(10)  # what makes a seed easy or hard, for both
    ours, theirs = 0.6 + level + 0.02 * normal(10, seed=1), 0.55 + level + 0.02 * normal(10, seed=2)

    def part(function):
        return lambda index, a, b: function(a, b)[index]

    cases = {
        words: [(n, (index, ours[:n], theirs[:n])) for n in range(2, 11)]
        for index, words in enumerate(("mean difference", "its standard error"))
    }
    see = "with two or three seeds the standard error itself is uncertain, and may come out far too small."
    labels = [("seeds", "difference"), ("seeds", "error")]
    line_and_yours("paired_margin", part(student), part(spec_paired_margin), cases, labels, see)


def paired_margin(student):
    """Check exercise 5, `paired_margin(ours, theirs)`. Raises CheckFailed."""
    compare("paired_margin", student, spec_paired_margin, CASES, MISTAKES, ADVICE)
