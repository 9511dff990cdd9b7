"""Assignment 13, exercise 6: LeJEPA's loss for any number of views and any regulariser."""

import torch

from minijepa.checks.curves import line_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal


def spec_lejepa(views, weight, regulariser):
    """Number by number: the squared distance to the mean of this number over the views; and the regulariser by view.

    views: [V, B, D]. weight: in [0, 1]. regulariser: function of a tensor [B, D]. Returns a scalar tensor,
    (1 - weight) times the mean distance + weight times the mean regulariser.
    Source: LeJEPA (arXiv:2511.08544, section 5).
    """
    total, count = views.new_zeros(()), 0
    for b in range(views.shape[1]):
        for d in range(views.shape[2]):
            numbers = list(views[:, b, d])  # V numbers
            centre = sum(numbers) / len(numbers)
            for number in numbers:
                total, count = total + (number - centre) ** 2, count + 1
    costs = [regulariser(view) for view in views]
    return (1 - weight) * total / count + weight * sum(costs) / len(costs)


def one_view(z):
    """Raise ValueError unless z is [B, D]."""
    if z.ndim != 2:
        raise ValueError(f"a regulariser takes the codes of one view, [B, D], got shape {list(z.shape)}")


def largest(z):
    """The largest number of z [B, D]."""
    one_view(z)
    return z.max()


def far_from_one(z):
    """The mean squared distance of the mean squares of z's columns to 1. z: [B, D]."""
    one_view(z)
    return (z.square().mean(dim=0) - 1).square().mean()


CASES = [
    (torch.tensor([[[1.0]], [[3.0]]]), 0.25, largest),
    (normal(2, 5, 3), 0.1, far_from_one),
    (normal(4, 3, 2, seed=1) + 1, 0.6, far_from_one),
    (2 * normal(3, 4, 5, seed=2, dtype=torch.float64), 0.02, largest),
    (normal(3, 6, 2, seed=3), 0.4, largest),
]


def apart(views, dim=0):
    """The squared distances to the mean along dim, [V, B, D]."""
    return (views - views.mean(dim=dim, keepdim=True)).square()


def spread(views, r):
    """The mean of the regulariser over the views [V, B, D]."""
    return torch.stack([r(view) for view in views]).mean()


def mixed(agree, cost, w):
    """The weighted sum of both parts."""
    return (1 - w) * agree + w * cost


def pairwise(views):
    """The mean squared distance of all pairs of different views [V, B, D]."""
    pairs = [(a - b).square().mean() for i, a in enumerate(views) for j, b in enumerate(views) if i != j]
    return torch.stack(pairs).mean()


MISTAKES = [
    (
        lambda v, w, r: apart(v).mean() + w * spread(v, r),
        "the agreement has the weight 1 - weight: the two weights add up to 1",
    ),
    (
        lambda v, w, r: mixed(apart(v).mean(), spread(v, r), 1 - w),
        "the two weights are swapped: `weight` belongs to the regulariser",
    ),
    (
        lambda v, w, r: mixed(apart(v, dim=1).mean(), spread(v, r), w),
        "the centre is the mean over the VIEWS of one image, dim=0: you pull the images of a batch together",
    ),
    (
        lambda v, w, r: mixed(pairwise(v), spread(v, r), w),
        "these are distances between views: the distance to their centre is asked for, half of it or less",
    ),
    (
        lambda v, w, r: mixed((v[1:] - v[0]).square().mean(), spread(v, r), w),
        "this is the distance to the first view: all views are compared with their centre",
    ),
    (
        lambda v, w, r: mixed(apart(v).sum(dim=2).mean(), spread(v, r), w),
        "you add up the D numbers of a code: take the mean over views, images and numbers",
    ),
    (
        lambda v, w, r: mixed(apart(v).sum(dim=0).mean(), spread(v, r), w),
        "you add up the views: take the mean over views, images and numbers",
    ),
    (
        lambda v, w, r: mixed(apart(v).sum(), spread(v, r), w),
        "this is the sum of all squared distances: take their mean",
    ),
    (
        lambda v, w, r: mixed(apart(v).sum(dim=2).sqrt().mean(), spread(v, r), w),
        "take squared distances, without a root",
    ),
    (
        lambda v, w, r: mixed(apart(v).mean(), spread(v, r) * len(v), w),
        "this is the sum of the regulariser over the views: take its mean",
    ),
    (
        lambda v, w, r: mixed(apart(v).mean(), r(v.mean(dim=0)), w),
        "you regularise the centre: each view's batch has to be spread out",
    ),
    (
        lambda v, w, r: mixed(apart(v).mean(), r(v.flatten(0, 1)), w),
        "you regularise all views as one batch, in which two views of one image stand for two images: ask view by "
        "view, then average",
    ),
    (
        lambda v, w, r: mixed(apart(v).mean(), r(v[0]), w),
        "you regularise the first view alone: take the mean over all views",
    ),
]

ADVICE = "centre = views.mean(dim=0); (1 - weight) * mean of (views - centre)^2 + weight * mean of regulariser(view)"


def show_lejepa(student):
    """Draw the loss of views that differ more and more, and of codes that shrink: target and answer."""
    z = normal(32, 4)
    z = z / z.square().mean(dim=0).sqrt()  # [32, 4]: columns of mean square 1
    other = normal(32, 4, seed=1)

    def views(share, scale=1.0):
        return scale * torch.stack([z, z + share * other, z - share * other])  # [3, 32, 4]

    moved = [(a / 5, (views(a / 5), 0.02, far_from_one)) for a in range(6)]
    small = {w: [(s / 5, (views(0.5, s / 5), w, far_from_one)) for s in range(7)] for w in (0.0, 0.2)}
    cases = {
        "views differ, weight .02": moved,
        "codes shrink, weight 0": small[0.0],
        "codes shrink, weight .2": small[0.2],
    }
    labels = [("difference of the views", "loss"), ("scale of the codes", "loss"), ("scale of the codes", "loss")]
    see = "without a regulariser a scale of 0 is best, which is the collapse; with one, the best scale is near 1."
    line_and_yours("lejepa", student, spec_lejepa, cases, labels, see)


def lejepa(student):
    """Check exercise 6, `lejepa(views, weight, regulariser)`. Raises CheckFailed."""
    compare("lejepa", student, spec_lejepa, CASES, MISTAKES, ADVICE)
