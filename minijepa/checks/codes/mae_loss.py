"""Assignment 12, exercise 4: MAE's loss, normalised pixels on the hidden patches alone."""

import torch

from minijepa.checks.curves import line_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal

EPS = 1e-6  # of the released code


def spec_mae_loss(drawn, patches, hidden):
    """Hidden patch by hidden patch: its values minus their mean, over sqrt(variance + 1e-6); the mean squared error.

    drawn, patches: [B, N, P]. hidden: bool [B, N]. The variance divides by P - 1. Returns a scalar tensor.
    Source: MAE (arXiv:2111.06377, section 3, "Reconstruction target").
    """
    errors = []
    for image, row in enumerate(hidden.tolist()):
        for place, is_hidden in enumerate(row):
            if is_hidden:
                values = patches[image, place].tolist()
                mean = sum(values) / len(values)
                variance = sum((v - mean) ** 2 for v in values) / (len(values) - 1)
                wanted = [(v - mean) / (variance + EPS) ** 0.5 for v in values]
                own = drawn[image, place].tolist()
                errors.append(sum((a - b) ** 2 for a, b in zip(own, wanted, strict=True)) / len(values))
    return torch.tensor(sum(errors) / len(errors), dtype=drawn.dtype)


def images(b, n, p, seed):
    """Patches [b, n, p] of different brightness and contrast, and what a decoder might draw of them."""
    level, strength = normal(b, n, 1, seed=seed), 0.2 + normal(b, n, 1, seed=seed + 1).abs()
    patches = level + strength * normal(b, n, p, seed=seed + 2)
    return 0.5 * normal(b, n, p, seed=seed + 3) + 0.3, patches


FAINT = torch.cat([torch.full((1, 1, 4), 0.5), 1e-3 * normal(1, 1, 4, seed=20), normal(1, 1, 4, seed=21)], dim=1)

CASES = [
    (torch.zeros(1, 2, 2), torch.tensor([[[1.0, 3.0], [0.0, 5.0]]]), torch.tensor([[True, False]])),
    (*images(2, 3, 4, 0), torch.tensor([[True, False, True], [False, True, False]])),
    (*images(3, 4, 6, 4), torch.tensor([[True, True, True, False], [False, True, True, False], [True, False] * 2])),
    (0.5 * normal(1, 3, 4, seed=8), FAINT, torch.tensor([[True, True, False]])),  # one patch has no contrast at all
]


def normalised(y, dim=-1, correction=1, eps=EPS):
    """Patches [B, N, P] with mean 0 and variance 1 along an axis."""
    return (y - y.mean(dim=dim, keepdim=True)) / (y.var(dim=dim, correction=correction, keepdim=True) + eps).sqrt()


def over_hidden(d, y, h):
    """The mean squared error of the hidden patches. d, y: [B, N, P]; h: bool [B, N]."""
    return (d - y).square().mean(dim=-1)[h].mean()


def by_std(y):
    """Patches [B, N, P] divided by their standard deviation plus 1e-6, which differs if a patch is faint."""
    return (y - y.mean(dim=-1, keepdim=True)) / (y.std(dim=-1, keepdim=True) + EPS)


def image_by_image(d, y, h):
    """The mean over images of the mean over their own hidden patches. d, y: [B, N, P]; h: bool [B, N]."""
    error = (d - y).square().mean(dim=-1) * h  # [B, N]
    return (error.sum(dim=1) / h.sum(dim=1)).mean()


MISTAKES = [
    (
        lambda d, y, h: over_hidden(d, y, h),
        "the targets are the raw pixels: normalise each patch by its own mean and standard deviation",
    ),
    (
        lambda d, y, h: over_hidden(d, y - y.mean(dim=-1, keepdim=True), h),
        "you subtract the mean of each patch: divide by its standard deviation, too",
    ),
    (
        lambda d, y, h: (d - normalised(y)).square().mean(),
        "this is the error of all patches: a seen one is easy to copy, so the loss asks for the hidden ones alone",
    ),
    (
        lambda d, y, h: over_hidden(d, normalised(y), ~h),
        "this is the error of the SEEN patches: `hidden` is True where a patch was hidden",
    ),
    (
        lambda d, y, h: ((d - normalised(y)).square().mean(dim=-1) * h).mean(),
        "you set the seen patches to 0 and divide by all N: divide by the number of hidden patches",
    ),
    (
        lambda d, y, h: image_by_image(d, normalised(y), h),
        "this is the mean of each image's mean: every hidden patch of the batch counts the same",
    ),
    (
        lambda d, y, h: over_hidden(d, normalised(y), h) * d.shape[2],
        "this is the sum over the values of a patch: take their mean",
    ),
    (
        lambda d, y, h: (d - normalised(y)).square().mean(dim=-1)[h].sum(),
        "this is the sum over the hidden patches: take their mean",
    ),
    (
        lambda d, y, h: over_hidden(d, normalised(y, correction=0), h),
        "your variance divides by P: MAE's divides by P - 1, as `var` does unless told otherwise",
    ),
    (
        lambda d, y, h: over_hidden(d, normalised(y, eps=0.0), h),
        "a patch of one colour has the variance 0: add 1e-6 to it before the root",
    ),
    (
        lambda d, y, h: over_hidden(d, by_std(y), h),
        "1e-6 is added to the variance, under the root: added to the standard deviation, it is far weaker",
    ),
    (
        lambda d, y, h: over_hidden(d, (y - y.mean(-1, keepdim=True)) / (y.var(-1, keepdim=True) + EPS), h),
        "you divide by the variance: divide by its root",
    ),
    (
        lambda d, y, h: over_hidden(d, normalised(y, dim=(1, 2)), h),
        "these are mean and variance of a whole image: each patch has its own",
    ),
    (
        lambda d, y, h: over_hidden(d, normalised(y, dim=1), h),
        "you normalise each value over the patches of an image: normalise each patch over its values, dim=-1",
    ),
    (
        lambda d, y, h: over_hidden(normalised(d), normalised(y), h),
        "only the targets are normalised, not what was drawn: the decoder must find the scale itself",
    ),
    (
        lambda d, y, h: (d - normalised(y)).abs().mean(dim=-1)[h].mean(),
        "this is the absolute error: square it",
    ),
    (
        lambda d, y, h: over_hidden(d, normalised(y), h).sqrt(),
        "no root at the end: the loss is the mean SQUARED error",
    ),
]

ADVICE = "target = (patches - mean) / sqrt(var + 1e-6) over the last axis; the mean squared error where `hidden`"


def show_mae_loss(student):
    """Draw the loss as the drawn pattern gets stronger, and as the images do: target and answer."""
    _, patches = images(2, 8, 12, 30)
    hidden = torch.arange(8).expand(2, -1) >= 3  # [2, 8]
    pattern = normalised(patches)
    garbage = normal(2, 8, 12, seed=40) * ~hidden[..., None]  # on the seen patches, where nobody asks

    def drawing(strength):
        return strength * pattern * hidden[..., None] + garbage

    stronger = [(s / 4, (drawing(s / 4), patches, hidden)) for s in range(9)]
    contrast = [(c, (drawing(0.5), c * patches, hidden)) for c in (0.25, 0.5, 1.0, 1.5, 2.0)]
    cases = {"the drawn pattern gets stronger": stronger, "the images get stronger": contrast}
    labels = [("strength of the right pattern in the drawing", "loss"), ("contrast of the images", "loss")]
    see = "strength 1 costs nothing, whatever stands on seen patches; the contrast of an image makes no difference."
    line_and_yours("mae_loss", student, spec_mae_loss, cases, labels, see)


def mae_loss(student):
    """Check exercise 4, `mae_loss(drawn, patches, hidden)`. Raises CheckFailed."""
    compare("mae_loss", student, spec_mae_loss, CASES, MISTAKES, ADVICE)
