"""Assignment 02, exercise 1: an image cut into patches."""

import torch

from minijepa.checks.picture import target_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal


def spec_patchify(images, p):
    """Patch by patch along the rows; in a patch channel by channel, then row by row. [B, C, H, W] -> [B, N, C p p]."""
    b, c, h, w = images.shape
    patches = []
    for top in range(0, h, p):
        for left in range(0, w, p):
            patches.append(images[:, :, top : top + p, left : left + p].reshape(b, c * p * p))
    return torch.stack(patches, dim=1)


COUNTING = torch.arange(16.0).view(1, 1, 4, 4)

CASES = [(COUNTING, 2), (normal(2, 3, 4, 8), 2), (normal(1, 2, 9, 6, seed=1), 3), (normal(3, 1, 4, 4, seed=2), 4)]

CASES += [(torch.arange(72).view(1, 3, 4, 6), 2)]


def cut(images, p):
    """Patches with all axes apart: [B, rows, columns, C, p, p]. images: [B, C, H, W]."""
    b, c, h, w = images.shape
    return images.view(b, c, h // p, p, w // p, p).permute(0, 2, 4, 1, 3, 5)


MISTAKES = [
    (
        lambda x, p: x.reshape(x.shape[0], -1, x.shape[1] * p * p),
        "`view` alone cuts rows of pixels, not squares: give rows and columns two axes each, then permute",
    ),
    (
        lambda x, p: cut(x, p).permute(0, 1, 2, 4, 5, 3).reshape(x.shape[0], -1, x.shape[1] * p * p),
        "within a patch the channel comes first (C, p, p); you list each pixel's channels together (p, p, C)",
    ),
    (
        lambda x, p: cut(x, p).transpose(1, 2).reshape(x.shape[0], -1, x.shape[1] * p * p),
        "you number the patches along the columns: number them along the rows",
    ),
    (
        lambda x, p: cut(x, p).transpose(4, 5).reshape(x.shape[0], -1, x.shape[1] * p * p),
        "each patch is transposed: list its pixels row by row",
    ),
    (lambda x, p: cut(x, p).flatten(1, 2), "one vector per patch: flatten channel, row and column into one axis"),
]

ADVICE = "cut squares row by row, and flatten each as (C, p, p)"


def show_patchify(student):
    """Draw two images cut into patches, a row per patch: target and answer."""
    target_and_yours("patchify", student, spec_patchify, {"4 by 4, p = 2": CASES[0], "3 channels": CASES[4]})


def patchify(student):
    """Check exercise 1, `patchify(images, p)`. Raises CheckFailed."""
    compare("patchify", student, spec_patchify, CASES, MISTAKES, ADVICE)
