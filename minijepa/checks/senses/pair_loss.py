"""Assignment 24, exercise 5: which sentence belongs to this picture, and which picture to this sentence?"""

import math

import torch
from torch.nn import functional as F

from minijepa.checks.curves import line_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal


def spec_pair_loss(first, second, temperature):
    """Pair by pair: -log of the own partner's part of all exponentials, asked from both sides, the mean of all 2 B.

    first, second: [B, D], row i of both from one pair. Returns a scalar tensor.
    Source: CLIP (arXiv:2103.00020, figure 3); InfoNCE is from arXiv:1807.03748.
    """
    rows = [[float((a * b).sum() / (a.norm() * b.norm())) for b in second.double()] for a in first.double()]
    costs = []
    for questions in (rows, list(zip(*rows, strict=True))):  # from the first sense, then from the second one
        for own, cosines in enumerate(questions):
            others = sum(math.exp((cosine - cosines[own]) / temperature) for cosine in cosines)
            costs.append(math.log(others))
    return torch.tensor(sum(costs) / len(costs), dtype=first.dtype)


def senses(b, d, seed, noise=0.7):
    """Two views [b, d] of the same things, not of unit length."""
    first = normal(b, d, seed=seed)
    return first, 2 * first + 2 * noise * normal(b, d, seed=seed + 1)


CASES = [
    (torch.tensor([[2.0, 0.0], [0.0, 3.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]]), 1.0),
    (*senses(4, 3, 0, noise=1.5), 0.5),
    (*senses(6, 5, 2), 0.1),
    (*senses(5, 2, 4, noise=0.2), 0.01),
]


def logits(a, b, t=1.0, dim=1):
    """Cosines [B, B] over a temperature."""
    return F.normalize(a, dim=dim) @ F.normalize(b, dim=dim).T / t


def own(z):
    """0, 1, ..., the right answers of logits [B, B]."""
    return torch.arange(len(z))


def rows(z, reduction="mean"):
    """The cross-entropy of logits [B, B] along the rows."""
    return F.cross_entropy(z, own(z), reduction=reduction)


def two(z):
    """The mean of both directions, of logits [B, B]."""
    return (rows(z) + rows(z.T)) / 2


def all_views(a, b, t):
    """SimCLR's loss of 2 B views, from a and b [B, D]."""
    z = torch.cat([a, b])
    return rows_of_partners(logits(z, z, t).fill_diagonal_(-math.inf))


def rows_of_partners(z):
    """The cross-entropy of logits [2 B, 2 B] whose right answers are half a batch away."""
    return F.cross_entropy(z, own(z).roll(len(z) // 2))


def naive(z):
    """Exponentials before the logarithm; at a low temperature they overflow. z: logits [B, B]."""
    e = z.exp()
    return -((e.diagonal() / e.sum(dim=1)).log().mean() + (e.diagonal() / e.sum(dim=0)).log().mean()) / 2


def without_own(z):
    """The own partner is no part of the sum. z: logits [B, B]."""
    off = z.clone().fill_diagonal_(-math.inf)
    return (off.logsumexp(dim=1) - z.diagonal() + off.logsumexp(dim=0) - z.diagonal()).mean() / 2


MISTAKES = [
    (
        lambda a, b, t: rows(logits(a, b, t)),
        "this asks from the first sense alone: ask from the second one, too, along the columns, and take the mean",
    ),
    (
        lambda a, b, t: rows(logits(a, b, t).T),
        "this asks from the second sense alone: ask from the first one, too, along the rows, and take the mean",
    ),
    (
        lambda a, b, t: 2 * two(logits(a, b, t)),
        "this is the sum of both directions: take their mean, so that a guess costs log B",
    ),
    (
        lambda a, b, t: two(a @ b.T / t),
        "these are inner products: divide each vector by its length, or long vectors win every comparison",
    ),
    (
        lambda a, b, t: two(logits(a, b, t, dim=0)),
        "you normalise each feature over the batch: divide each vector, a row, by its own length (dim=1)",
    ),
    (
        lambda a, b, t: two(logits(a, b) * t),
        "you multiply by the temperature: divide by it, so that a low temperature makes large differences",
    ),
    (
        lambda a, b, t: two(logits(a, b)),
        "the temperature is missing: divide the cosines by it",
    ),
    (
        lambda a, b, t: len(a) * two(logits(a, b, t)),
        "this is the sum over the batch: take the mean",
    ),
    (
        lambda a, b, t: -two(logits(a, b, t)),
        "the sign: the loss is MINUS the log-probability, and at least 0",
    ),
    (
        lambda a, b, t: naive(logits(a, b, t)),
        "at a temperature of .01 the exponentials overflow: use log_softmax or cross_entropy on the logits",
    ),
    (
        lambda a, b, t: without_own(logits(a, b, t)),
        "your denominator leaves out the own partner: it is one of the B answers, so the loss is at least 0",
    ),
    (
        lambda a, b, t: all_views(a, b, t),
        "this is SimCLR's loss: images are not compared with images here, only with the B sentences",
    ),
    (
        lambda a, b, t: F.cross_entropy(logits(a, b, t).flatten()[None].expand(len(a), -1), own(a) * (len(a) + 1)),
        "one softmax over all B * B pairs: each row, and each column, is a question of its own",
    ),
    (
        lambda a, b, t: -logits(a, b, t).diagonal().mean(),
        "this only pulls pairs together, and equal vectors for everything solve it: the other pairs are the negatives",
    ),
    (
        lambda a, b, t: (2 - logits(a, b, t).softmax(1).diagonal() - logits(a, b, t).softmax(0).diagonal()).mean() / 2,
        "this is one minus the probability: take minus its logarithm",
    ),
    (
        lambda a, b, t: two(logits(a, b, t).softmax(dim=1)),
        "cross_entropy takes the logits: it has the softmax inside, and you apply it twice",
    ),
]

ADVICE = "cosines over the temperature, [B, B]; cross-entropy with the diagonal as answers, of it and of its transpose"


def show_pair_loss(student):
    """Draw the loss as pairs agree more, and over temperatures: target and answer."""
    a = torch.eye(6)
    agree = [(x / 5, (a, a * x / 5 + (1 - x / 5) * a.roll(1, 0), 0.2)) for x in range(6)]
    first, second = senses(8, 6, 8)
    heat = [(t, (first, second, t)) for t in (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)]
    cases = {"from wrong partners to the right ones": agree, "8 pairs, several temperatures": heat}
    labels = [("share of the right partner", "loss"), ("temperature", "loss")]
    see = "right partners cost nearly 0, wrong ones much; a high temperature makes right and wrong more alike."
    line_and_yours("pair_loss", student, spec_pair_loss, cases, labels, see)


def pair_loss(student):
    """Check exercise 5, `pair_loss(first, second, temperature)`. Raises CheckFailed."""
    compare("pair_loss", student, spec_pair_loss, CASES, MISTAKES, ADVICE)
