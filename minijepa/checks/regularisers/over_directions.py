"""Assignment 13, exercise 5: a statistic of one number, asked of a vector along random directions."""

import torch
from torch.nn import functional as F

from minijepa.checks.curves import line_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal


def spec_over_directions(z, numbers, statistic):
    """Direction by direction: a column over its length, the inner product of every vector with it, the statistic.

    z: [B, D]. numbers: [D, S], standard normal. statistic: function of a tensor [B]. Returns a scalar tensor, the mean.
    Source: SIGReg of LeJEPA (arXiv:2511.08544, section 4).
    """
    values = []
    for s in range(numbers.shape[1]):
        length = sum(float(number) ** 2 for number in numbers[:, s]) ** 0.5
        direction = numbers[:, s] / length  # [D]
        values.append(statistic(torch.stack([(one * direction).sum() for one in z])))
    return sum(values) / len(values)


def one_axis(x):
    """Raise ValueError unless x is [B]."""
    if x.ndim != 1:
        raise ValueError(f"a statistic takes the projections on one direction, [B], got shape {list(x.shape)}")


def largest(x):
    """The largest of the numbers x [B]."""
    one_axis(x)
    return x.max()


def far_from_one(x):
    """The squared distance of the mean square of x [B] to 1."""
    one_axis(x)
    return (x.square().mean() - 1).square()


def leaning(x):
    """The cube of the mean plus the mean cube of x [B]."""
    one_axis(x)
    return x.mean() ** 3 + (x**3).mean()


CASES = [
    (torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[3.0, 0.0], [4.0, 2.0]]), largest),
    (normal(6, 4) + 0.5, normal(4, 7, seed=1), far_from_one),
    (2 * normal(5, 3, seed=2), normal(3, 4, seed=3), leaning),
    (normal(4, 5, seed=4, dtype=torch.float64) - 1, normal(5, 3, seed=5, dtype=torch.float64), far_from_one),
    (normal(3, 3, seed=6) + 1, normal(3, 3, seed=7), largest),
]


def mean_of(x, statistic):
    """The mean statistic of the columns of x [B, S]."""
    return torch.stack([statistic(column) for column in x.T]).mean()


def projected(z, numbers, dim=0):
    """Projections [B, S] of z [B, D] on the columns of numbers [D, S], divided by their lengths along dim."""
    return z @ F.normalize(numbers, dim=dim)


def right(z, numbers, f):
    """The answer. z: [B, D], numbers: [D, S]."""
    return mean_of(projected(z, numbers), f)


MISTAKES = [
    (
        lambda z, u, f: mean_of(z @ u, f),
        "the directions are not of unit length: divide each column of `numbers` by its length, or a code N(0, I) "
        "would be too wide along long ones",
    ),
    (
        lambda z, u, f: mean_of(projected(z, u, dim=1), f),
        "you divide rows: a direction is a COLUMN of `numbers`, [D], so divide by the length along dim=0",
    ),
    (
        lambda z, u, f: mean_of(z @ u / u.norm(), f),
        "you divide by the length of the whole matrix: each direction has a length of its own",
    ),
    (
        lambda z, u, f: mean_of(z @ (u / u.square().sum(dim=0)), f),
        "you divide by the squared length: take its root first",
    ),
    (
        lambda z, u, f: mean_of(F.normalize(z, dim=1) @ F.normalize(u, dim=0), f),
        "only the directions get unit length: with z divided by its length, a code that shrinks would not be noticed",
    ),
    (
        lambda z, u, f: f(projected(z, u).flatten()),
        "you mix the projections on all directions into one sample: ask the statistic of each direction, then average",
    ),
    (
        lambda z, u, f: mean_of(projected(z, u).T, f),
        "this asks the statistic of each IMAGE over the directions: it is asked of each direction over the batch, [B]",
    ),
    (
        lambda z, u, f: f(projected(z, u).mean(dim=1)),
        "you average the projections, which makes one direction out of all: average the STATISTICS",
    ),
    (
        lambda z, u, f: right(z, u, f) * u.shape[1],
        "this is the sum over the directions: take the mean, so that more directions do not change the scale",
    ),
    (
        lambda z, u, f: torch.stack([f(x) for x in projected(z, u).T]).max(),
        "this is the worst direction alone: take the mean over all of them",
    ),
    (
        lambda z, u, f: f(projected(z, u)[:, 0]),
        "this is the first direction alone: take the mean over all of them",
    ),
    (
        lambda z, u, f: mean_of(z, f),
        "you ask along the axes, each number of the code by itself: project on the random directions, z @ directions",
    ),
    (
        lambda z, u, f: right(z - z.mean(dim=0), u, f),
        "you centre z first: a code whose mean is not 0 must be noticed",
    ),
]

ADVICE = "divide each column of `numbers` by its length, x = z @ directions, [B, S]; the mean of statistic(x[:, s])"


def show_over_directions(student):
    """Draw how far the variance is from 1, for codes of more and more directions: target and answer."""
    q = torch.linalg.qr(normal(64, 8)).Q * 64**0.5  # [64, 8]: columns of mean square 1, orthogonal
    axes, random = torch.eye(8), normal(8, 64, seed=1)
    filled = {k: q[:, torch.arange(8) % k] for k in (1, 2, 4, 6, 8)}  # 8 numbers, k of them different
    cases = {
        "along the 8 axes": [(k, (z, axes, far_from_one)) for k, z in filled.items()],
        "along 64 random directions": [(k, (z, random, far_from_one)) for k, z in filled.items()],
        "scaled, 64 random directions": [(s, (s * q, random, far_from_one)) for s in (0.0, 0.5, 0.8, 1.0, 1.2, 1.4)],
    }
    name = "distance of the variance to 1"
    labels = [("different numbers of 8", name), ("different numbers of 8", name), ("scale of z", name)]
    see = (
        "along the axes eight copies of one number look perfect; along random directions only eight different ones do."
    )
    line_and_yours("over_directions", student, spec_over_directions, cases, labels, see)


def over_directions(student):
    """Check exercise 5, `over_directions(z, numbers, statistic)`. Raises CheckFailed."""
    compare("over_directions", student, spec_over_directions, CASES, MISTAKES, ADVICE)
