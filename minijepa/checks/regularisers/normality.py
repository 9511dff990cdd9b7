"""Assignment 13, exercise 4: is one number per image distributed like N(0, 1)? Epps and Pulley's test, as in SIGReg."""

import math

import torch

from minijepa.checks.curves import line_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal


def spec_normality(x, t_max=3.0, points=17):
    """Knot by knot: the mean cosine and the mean sine, their distance to the Gaussian's, and a trapezoid to the next.

    x: [B]. t_max: where the integral ends. points: knots from 0 to t_max, both included. Returns a scalar tensor.
    Source: Epps and Pulley 1983; LeJEPA (arXiv:2511.08544, section 4).
    """
    knots = [t_max * k / (points - 1) for k in range(points)]
    heights = []
    for t in knots:
        cosine = sum(math.cos(t * value) for value in x.tolist()) / len(x)
        sine = sum(math.sin(t * value) for value in x.tolist()) / len(x)
        gauss = math.exp(-(t**2) / 2)
        heights.append(((cosine - gauss) ** 2 + sine**2) * gauss)
    pieces = zip(knots, knots[1:], heights, heights[1:], strict=False)
    half = sum((t - s) * (a + b) / 2 for s, t, a, b in pieces)
    return torch.tensor(2 * len(x) * half, dtype=x.dtype)


CASES = [
    (torch.zeros(4), 3.0, 17),
    (normal(12),),
    (0.3 * normal(9, seed=1) + 0.8, 3.0, 17),
    (2 * normal(7, seed=2) - 1, 2.0, 5),
    (normal(6, seed=3, dtype=torch.float64).square(), 4.0, 33),
]


def gauss_of(t):
    """The characteristic function of N(0, 1), [T]."""
    return (-t.square() / 2).exp()


def distance(x, t):
    """|mean exp(i t x) - exp(-t^2 / 2)|^2 at every knot. x: [B], t: [T] -> [T]."""
    phase = x[:, None] * t  # [B, T]
    return (phase.cos().mean(0) - gauss_of(t)).square() + phase.sin().mean(0).square()


def integral(x, t_max=3.0, points=17, of=distance, window=gauss_of, low=0.0):
    """Twice B times the trapezoid of `of` times `window` from low to t_max. x: [B]."""
    t = torch.linspace(low, t_max, points, dtype=x.dtype)
    return 2 * len(x) * torch.trapezoid(of(x, t) * window(t), t)


def cosines_alone(x, t):
    """Without the sines. x: [B], t: [T]."""
    return ((x[:, None] * t).cos().mean(0) - gauss_of(t)).square()


def lengths_alone(x, t):
    """The difference of the absolute values. x: [B], t: [T]."""
    phase = x[:, None] * t
    return ((phase.cos().mean(0).square() + phase.sin().mean(0).square()).sqrt() - gauss_of(t)).square()


def each_number(x, t):
    """The distance of each number's cosine and sine, averaged after the square. x: [B], t: [T]."""
    phase = x[:, None] * t
    return ((phase.cos() - gauss_of(t)).square() + phase.sin().square()).mean(0)


def not_squared(x, t):
    """The distance without its square. x: [B], t: [T]."""
    return distance(x, t).sqrt()


def wrong_gauss(x, t):
    """exp(-t^2), the characteristic function of a Gaussian of variance 2. x: [B], t: [T]."""
    phase = x[:, None] * t
    return (phase.cos().mean(0) - (-t.square()).exp()).square() + phase.sin().mean(0).square()


def sums(x, t):
    """Sums in the place of means. x: [B], t: [T]."""
    phase = x[:, None] * t
    return (phase.cos().sum(0) - gauss_of(t)).square() + phase.sin().sum(0).square()


def standardised(x):
    """x [B] with mean 0 and variance 1, if it has any variance."""
    return (x - x.mean()) / (x.std() + 1e-12)


def rectangles(x, t_max=3.0, points=17):
    """All knots count alike, both ends included. x: [B]."""
    t = torch.linspace(0, t_max, points, dtype=x.dtype)
    return 2 * len(x) * (distance(x, t) * gauss_of(t)).sum() * t_max / (points - 1)


def mean_height(x, t_max=3.0, points=17):
    """The mean over the knots, in the place of an integral. x: [B]."""
    t = torch.linspace(0, t_max, points, dtype=x.dtype)
    return 2 * len(x) * (distance(x, t) * gauss_of(t)).mean()


MISTAKES = [
    (
        lambda x, *k: integral(x, *k) / len(x),
        "the factor B is missing: with it a sample of N(0, 1) has the same mean value whatever its size",
    ),
    (
        lambda x, *k: integral(x, *k) / 2,
        "this is the integral from 0 to t_max: the one from -t_max to t_max is twice as large, as the function is even",
    ),
    (
        lambda x, *k: integral(x, *k, window=torch.ones_like),
        "the window exp(-t^2 / 2) is missing: it gives little weight to large t, where the mean is noisy",
    ),
    (
        lambda x, *k: integral(x, *k, window=lambda t: gauss_of(t).square()),
        "the window is exp(-t^2 / 2), once: yours is squared",
    ),
    (
        lambda x, *k: integral(x, *k, of=cosines_alone),
        "the sines are missing: without them x and -x look alike, and a sample that leans to one side is accepted",
    ),
    (
        lambda x, *k: integral(x, *k, of=lengths_alone),
        "you compare absolute values: a sample that is moved as a whole keeps them. Subtract first, then take the "
        "square of the absolute value",
    ),
    (
        lambda x, *k: integral(x, *k, of=each_number),
        "take the mean over the batch BEFORE the square: the sample's function is compared, not that of each number",
    ),
    (
        lambda x, *k: integral(x, *k, of=not_squared),
        "square the distance at each t",
    ),
    (
        lambda x, *k: integral(x, *k, of=wrong_gauss),
        "the characteristic function of N(0, 1) is exp(-t^2 / 2), not exp(-t^2)",
    ),
    (
        lambda x, *k: integral(x, *k, of=sums),
        "the sample's function is a MEAN of exp(i t x), and 1 at t = 0: you take the sum",
    ),
    (
        lambda x, *k: integral(standardised(x), *k),
        "you standardise x first: then a batch that has collapsed to a tenth of its size passes the test",
    ),
    (
        lambda x, *k: integral(x - x.mean(), *k),
        "you centre x first: the mean of N(0, 1) is 0, and another mean must cost something",
    ),
    (
        rectangles,
        "the trapezoid gives its two ends half a weight: `torch.trapezoid` does it",
    ),
    (
        mean_height,
        "this is the mean over the knots: an integral has the width of the steps in it",
    ),
]

ADVICE = (
    "t from 0 to t_max; (mean cos(t x) - g)^2 + (mean sin(t x))^2 with g = exp(-t^2 / 2); times g; trapezoid; times 2 B"
)


def show_normality(student):
    """Draw the statistic of samples that are too narrow or too wide, moved, or in two lumps: target and answer."""
    places = (torch.arange(64) + 0.5) / 64
    even = 2**0.5 * torch.erfinv(2 * places - 1)  # [64]: as evenly as N(0, 1) can be
    lumps = even.sign()
    cases = {
        "too narrow, too wide": [(s, (s * even,)) for s in (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)],
        "moved": [(m / 2, (even + m / 2,)) for m in range(-4, 5)],
        "from N(0, 1) to two lumps": [(a / 5, ((1 - a / 5) * even + a / 5 * lumps,)) for a in range(6)],
    }
    labels = [("standard deviation", "statistic"), ("mean", "statistic"), ("fraction of lumps", "statistic")]
    see = "only a standard deviation of 1 and a mean of 0 cost nothing, and on the right the shape alone is wrong."
    line_and_yours("normality", student, spec_normality, cases, labels, see)


def normality(student):
    """Check exercise 4, `normality(x, t_max=3.0, points=17)`. Raises CheckFailed."""
    compare("normality", student, spec_normality, CASES, MISTAKES, ADVICE)
