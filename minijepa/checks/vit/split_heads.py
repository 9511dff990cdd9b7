"""Assignment 02, exercise 5: the features of each token, split into heads."""

import torch

from minijepa.checks.picture import target_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal


def spec_split_heads(x, heads):
    """Head h of token n gets the h-th run of D / heads features. [B, N, D] -> [B, heads, N, D / heads]."""
    size = x.shape[2] // heads
    return torch.stack([x[:, :, h * size : (h + 1) * size] for h in range(heads)], dim=1)


CASES = [
    (torch.arange(12.0).view(1, 2, 6), 2),
    (normal(2, 5, 12), 3),
    (normal(3, 4, 8, seed=1), 4),
    (normal(1, 6, 6, seed=2), 1),
]

MISTAKES = [
    (
        lambda x, h: x.view(x.shape[0], h, x.shape[1], -1),
        "the shape is right but the numbers are not: view as [B, N, heads, D / heads] first, then swap two axes",
    ),
    (
        lambda x, h: x.view(*x.shape[:2], -1, h).permute(0, 3, 1, 2),
        "each head takes a run of neighbouring features; yours takes every heads-th feature",
    ),
    (lambda x, h: x.view(*x.shape[:2], h, -1), "the heads come before the tokens: swap axes 1 and 2"),
]

ADVICE = "reshape [B, N, D] -> [B, N, heads, D / heads], then swap to [B, heads, N, D / heads]"


def show_split_heads(student):
    """Draw the features of two inputs by head and token: target and answer."""
    cases = {"2 heads, 2 tokens": CASES[0], "3 heads, 5 tokens": (torch.arange(60.0).view(1, 5, 12), 3)}
    target_and_yours("split_heads", student, spec_split_heads, cases)


def split_heads(student):
    """Check exercise 5, `split_heads(x, heads)`. Raises CheckFailed."""
    compare("split_heads", student, spec_split_heads, CASES, MISTAKES, ADVICE)
