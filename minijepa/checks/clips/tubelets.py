"""Assignment 08, exercise 1: a clip cut into tubelets."""

import torch

from minijepa.checks.picture import target_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal


def spec_tubelets(clips, o, p):
    """Tubelets in the order of time, rows, columns, each as (C, o, p, p). [B, C, T, H, W] -> [B, N, C o p p]."""
    b, c, t, h, w = clips.shape
    found = []
    for start in range(0, t, o):
        for top in range(0, h, p):
            for left in range(0, w, p):
                tubelet = clips[:, :, start : start + o, top : top + p, left : left + p]
                found.append(tubelet.reshape(b, c * o * p * p))
    return torch.stack(found, dim=1)


CASES = [
    (torch.arange(32.0).view(1, 1, 2, 4, 4), 2, 2),
    (normal(2, 3, 4, 4, 6), 2, 2),
    (normal(1, 2, 6, 3, 6, seed=1), 3, 3),
    (normal(2, 1, 3, 4, 4, seed=2), 1, 2),
]


def cut(clips, o, p):
    """Tubelets with all axes apart: [B, times, rows, columns, C, o, p, p]. clips: [B, C, T, H, W]."""
    b, c, t, h, w = clips.shape
    return clips.view(b, c, t // o, o, h // p, p, w // p, p).permute(0, 2, 4, 6, 1, 3, 5, 7)


def ordered(x, o, p, *axes):
    """Tubelets of x [B, C, T, H, W] with their axes in another order."""
    return cut(x, o, p).permute(*axes).reshape(x.shape[0], -1, x.shape[1] * o * p * p)


MISTAKES = [
    (
        lambda x, o, p: x.reshape(x.shape[0], -1, x.shape[1] * o * p * p),
        "`view` alone never makes tubelets: give time, rows and columns two axes each, then permute",
    ),
    (
        lambda x, o, p: ordered(x, o, p, 0, 2, 3, 1, 4, 5, 6, 7),
        "you number the tubelets place by place: time comes first, then rows, then columns",
    ),
    (
        lambda x, o, p: ordered(x, o, p, 0, 1, 3, 2, 4, 5, 6, 7),
        "within one time you number the tubelets along the columns: number them along the rows",
    ),
    (
        lambda x, o, p: ordered(x, o, p, 0, 1, 2, 3, 5, 4, 6, 7),
        "within a tubelet the channel comes first (C, o, p, p); you list the frames first",
    ),
    (
        lambda x, o, p: ordered(x, o, p, 0, 1, 2, 3, 5, 6, 7, 4),
        "within a tubelet the channel comes first (C, o, p, p); you list it last",
    ),
]

ADVICE = "cut tubelets of o frames and p by p pixels, time first, and flatten each as (C, o, p, p)"


def show_tubelets(student):
    """Draw two clips cut into tubelets, a row per tubelet: target and answer."""
    cases = {"2 frames, one tubelet long": CASES[0], "4 frames": (torch.arange(64.0).view(1, 1, 4, 4, 4), 2, 2)}
    target_and_yours("tubelets", student, spec_tubelets, cases)


def tubelets(student):
    """Check exercise 1, `tubelets(clips, o, p)`. Raises CheckFailed."""
    compare("tubelets", student, spec_tubelets, CASES, MISTAKES, ADVICE)
