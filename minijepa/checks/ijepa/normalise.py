"""Assignment 04, exercise 3: the targets: LayerNorm without learned parameters."""

import torch

from minijepa.checks.picture import target_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal


def spec_normalise(tokens):
    """Token by token: subtract its mean, divide by the root of its variance plus 1e-5. [B, N, D] -> [B, N, D]."""
    result = tokens.clone()
    for b in range(tokens.shape[0]):
        for n in range(tokens.shape[1]):
            token = tokens[b, n]
            mean = token.sum() / len(token)
            variance = ((token - mean) ** 2).sum() / len(token)
            result[b, n] = (token - mean) / (variance + 1e-5).sqrt()
    return result


CASES = [
    (torch.tensor([[[1.0, 3.0], [4.0, 4.0]]]),),
    (3 * normal(2, 5, 4) + 1,),
    (0.01 * normal(3, 4, 6, seed=1),),
    (normal(2, 3, 8, seed=2, dtype=torch.float64) + torch.arange(3).view(1, 3, 1),),
]


def over(dims, correction=0, eps=1e-5):
    """A normalisation over other axes, with another divisor or constant."""

    def wrong(x):
        deviation = (x.var(dim=dims, keepdim=True, correction=correction) + eps).sqrt()
        return (x - x.mean(dim=dims, keepdim=True)) / deviation

    return wrong


MISTAKES = [
    (over(1), "you normalise over the tokens of an image: normalise each token over its own features"),
    (over(0), "you normalise over the batch: LayerNorm looks at one token alone, dim=-1"),
    (over((1, 2)), "you take one mean and variance per image: take them per token, dim=-1"),
    (over(-1, correction=1), "`var` and `std` divide by D - 1 unless told: correction=0"),
    (over(-1, eps=0.0), "add 1e-5 to the variance before the root, or a constant token becomes NaN"),
    (
        lambda x: (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, correction=0).sqrt() + 1e-5),
        "the 1e-5 goes under the root, to the variance",
    ),
]


def show_normalise(student):
    """Draw tokens of three images after normalisation: target and answer."""
    cases = {"5 tokens of 4": (CASES[1][0][:1],), "small numbers": (CASES[2][0][:1],), "shifted": (CASES[3][0][:1],)}
    target_and_yours("normalise", student, spec_normalise, cases)


def normalise(student):
    """Check exercise 3, `normalise(tokens)`. Raises CheckFailed."""
    compare("normalise", student, spec_normalise, CASES, MISTAKES, "take mean and variance over the last axis")
