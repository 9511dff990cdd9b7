"""Assignment 11, exercise 3: the loss of Barlow Twins."""

import torch

from minijepa.checks.curves import line_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal

WEIGHT = 0.0051  # of the released command; the paper reports 5e-3 as the best value of its search


def spec_barlow_twins(first, second, weight=WEIGHT):
    """Pair of features by pair: (1 - c)^2 for a feature and itself in the other view, weight c^2 for two features.

    c is the correlation over the batch of a feature of the first views and a feature of the second ones.
    first, second: [B, D]. Returns a scalar tensor. Source: Barlow Twins (arXiv:2103.03230, equations 1 and 2).
    """
    loss = first.new_zeros(())
    for i in range(first.shape[1]):
        for j in range(first.shape[1]):
            a, b = first[:, i] - first[:, i].mean(), second[:, j] - second[:, j].mean()  # [B] each
            c = (a * b).sum() / ((a * a).sum().sqrt() * (b * b).sum().sqrt())
            loss = loss + ((1 - c) ** 2 if i == j else weight * c**2)
    return loss


def views(b, d, seed, scale=3.0):
    """Two views [b, d] that agree in part, with features of other means, and standard deviations of about `scale`."""
    first = scale * normal(b, d, seed=seed) + torch.arange(float(d))
    return first, 0.7 * first + scale * normal(b, d, seed=seed + 1) - 2


CORNERS = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])

CASES = [
    (CORNERS * torch.tensor([3.0, 1.0]), CORNERS[:, :1] * torch.tensor([1.0, 2.0])),
    (*views(6, 3, 0), 1.0),
    views(8, 4, 2),
    (*views(5, 6, 4), 0.2),
    (*views(7, 1, 6), 0.5),
]


def standardised(z, dim=0, correction=0):
    """z [B, D] with mean 0 and standard deviation 1 along an axis."""
    return (z - z.mean(dim=dim, keepdim=True)) / z.std(dim=dim, correction=correction, keepdim=True)


def correlations(a, b, correction=0, over=0):
    """The correlation matrix [D, D] of a and b [B, D], or nearly so: what std divides by, and the matrix."""
    return standardised(a, correction=correction).T @ standardised(b, correction=correction) / (len(a) - over)


def covariances(a, b):
    """The covariance matrix [D, D] of a and b [B, D]."""
    return (a - a.mean(dim=0)).T @ (b - b.mean(dim=0)) / len(a)


def uncentred(a, b):
    """Equation 2 without centring: the cosines [D, D] of the columns of a and b [B, D]."""
    return torch.nn.functional.normalize(a, dim=0).T @ torch.nn.functional.normalize(b, dim=0)


def off(c):
    """A square matrix without its diagonal."""
    return c - c.diagonal().diag()


def loss_of(c, weight):
    """The loss of a matrix c, square. A scalar."""
    return (1 - c.diagonal()).square().sum() + weight * off(c).square().sum()


MISTAKES = [
    (
        lambda a, b, w=WEIGHT: loss_of(a.T @ b / len(a), w),
        "you forgot to standardise: subtract each feature's mean over the batch, divide by its standard deviation",
    ),
    (
        lambda a, b, w=WEIGHT: loss_of(covariances(a, b), w),
        "these are covariances: divide each feature by its standard deviation over the batch, so that c is in [-1, 1]",
    ),
    (
        lambda a, b, w=WEIGHT: loss_of(uncentred(a, b), w),
        "centre each feature over the batch first: equation 2 takes features of mean 0",
    ),
    (
        lambda a, b, w=WEIGHT: loss_of(standardised(a, dim=1).T @ standardised(b, dim=1) / len(a), w),
        "you standardise each image over its features: standardise each feature over the batch, dim=0",
    ),
    (
        lambda a, b, w=WEIGHT: loss_of(correlations(a, b, correction=1), w),
        "`std` divides by B - 1 and you divide the product by B, so that equal views have c = (B - 1) / B: use one "
        "of the two in both places",
    ),
    (
        lambda a, b, w=WEIGHT: loss_of(correlations(a, b, over=1), w),
        "your standard deviation divides by B and you divide the product by B - 1, so that equal views have c above "
        "1: use one of the two in both places",
    ),
    (
        lambda a, b, w=WEIGHT: loss_of(correlations(a, b) * len(a), w),
        "divide the product by the number of images, B: a correlation is in [-1, 1]",
    ),
    (
        lambda a, b, w=WEIGHT: loss_of(standardised(a) @ standardised(b).T / a.shape[1], w),
        "this compares images with images, [B, B]: Barlow Twins correlates features with features, [D, D]",
    ),
    (
        lambda a, b, w=WEIGHT: (
            (1 - correlations(a, b).diagonal()).square().sum() + w * correlations(a, b).square().sum()
        ),
        "the diagonal is part of your second sum: it takes j != i alone, since c_ii must not shrink",
    ),
    (
        lambda a, b, w=WEIGHT: loss_of(correlations(a, b), 1.0),
        "the weight of the second sum is missing",
    ),
    (
        lambda a, b, w=WEIGHT: w * loss_of(correlations(a, b), 1.0),
        "the weight belongs to the second sum alone, not to the diagonal",
    ),
    (
        lambda a, b, w=WEIGHT: (1 - correlations(a, b).diagonal()).square().sum() + w * off(correlations(a, b)).sum(),
        "square each correlation off the diagonal: positive and negative ones must not cancel",
    ),
    (
        lambda a, b, w=WEIGHT: loss_of(correlations(a, b), w) - w * correlations(a, b).tril(-1).square().sum(),
        "this is one triangle: c is not symmetric, so the sum runs over both i < j and i > j",
    ),
    (
        lambda a, b, w=WEIGHT: loss_of(correlations(a, a), w),
        "this is the first view with itself, which agrees always: correlate the first view with the SECOND",
    ),
    (
        lambda a, b, w=WEIGHT: (
            (1 - correlations(a, b).diagonal()).square().mean() + w * off(correlations(a, b)).square().mean()
        ),
        "these are means: both parts are sums",
    ),
]

ADVICE = (
    "standardise over the batch, c = first.T @ second / B, then sum (1 - c_ii)^2 + weight * sum over j != i of c_ij^2"
)


def show_barlow_twins(student):
    """Draw the loss as the views agree more, and as two features repeat each other: target and answer."""
    z = normal(32, 4)
    q = torch.linalg.qr(z - z.mean(dim=0)).Q * 32**0.5  # [32, 4]: mean 0, standard deviation 1, no correlations

    def blend(c, first, second):  # [32, 2] each; the correlation of first and blend is c
        return c * first + (1 - c * c) ** 0.5 * second

    correlation = [i / 5 for i in range(-5, 6)]
    agree = [(c, (3 * q[:, :2] + 1, blend(c, q[:, :2], q[:, 2:]))) for c in correlation]
    repeat = []
    for c in correlation:
        twins = torch.stack([q[:, 0], blend(c, q[:, 0], q[:, 1])], dim=1)  # [32, 2]
        repeat.append((c, (twins, twins, 1.0)))
    cases = {"the second view agrees, weight .0051": agree, "equal views, two features repeat, weight 1": repeat}
    labels = [("correlation of the views", "loss"), ("correlation of the features", "loss")]
    see = "on the left only 1 is good, so that a feature must agree; on the right only 0 is, so that features differ."
    line_and_yours("barlow_twins", student, spec_barlow_twins, cases, labels, see)


def barlow_twins(student):
    """Check exercise 3, `barlow_twins(first, second, weight=0.0051)`. Raises CheckFailed."""
    compare("barlow_twins", student, spec_barlow_twins, CASES, MISTAKES, ADVICE)
