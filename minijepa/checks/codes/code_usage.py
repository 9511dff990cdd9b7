"""Assignment 12, exercise 6: how many codes of a codebook are in use, and how evenly."""

import math

import torch

from minijepa.checks.curves import line_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal


def spec_code_usage(index, count):
    """Code by code: its fraction p of all tokens; how many have any, and exp of the entropy, -sum p log p.

    index: int64 [B, N], each in 0..count-1. count: K. Returns (used, an int in 1..K; perplexity, a float in [1, K]).
    Source: the perplexity of a distribution; it is the number that VQ-VAE programs print (arXiv:1711.00937).
    """
    tokens = index.flatten().tolist()
    fractions = [tokens.count(code) / len(tokens) for code in range(count)]
    entropy = -sum(p * math.log(p) for p in fractions if p > 0)
    return sum(p > 0 for p in fractions), math.exp(entropy)


def skewed(b, n, k, seed):
    """Codes [b, n] of which low ones are frequent, in 0..k-1; images differ."""
    tilt = torch.arange(b)[:, None] / b
    return (normal(b, n, seed=seed).abs() * k / 3 + tilt).long().clamp(max=k - 1)


CASES = [
    (torch.tensor([[0, 0, 1, 2]]), 5),
    (skewed(3, 8, 6, 0), 6),
    (skewed(2, 12, 16, 1), 16),
    (torch.full((2, 3), 4), 7),
    (torch.arange(8).view(2, 4), 8),
]


def fractions(i, k):
    """The fraction of each code, float64 [K]."""
    return torch.bincount(i.flatten(), minlength=k).double() / i.numel()


def entropy(p):
    """-sum p log p over the last axis, where 0 log 0 = 0. [..., K] -> [...]"""
    return torch.special.entr(p).sum(dim=-1)


def used(i):
    """How many codes occur."""
    return len(i.unique())


def per_image(i, k):
    """The mean of the perplexities of the images."""
    return sum(entropy(fractions(row, k)).exp().item() for row in i) / len(i)


MISTAKES = [
    (
        lambda i, k: (used(i), entropy(fractions(i, k)).item()),
        "this is the entropy: the perplexity is its exponential, a number of codes",
    ),
    (
        lambda i, k: (used(i), (-entropy(fractions(i, k))).exp().item()),
        "the sign: the entropy is MINUS the sum, so that the perplexity is at least 1",
    ),
    (
        lambda i, k: (used(i), (entropy(fractions(i, k)) / math.log(2)).exp().item()),
        "you take the logarithm to base 2 and then exp: use one base for both",
    ),
    (
        lambda i, k: (used(i), 2 ** entropy(fractions(i, k)).item()),
        "you take the natural logarithm and then 2 to the power of it: use one base for both",
    ),
    (
        lambda i, k: (used(i), (-(fractions(i, k) * fractions(i, k).log()).sum()).exp().item()),
        "0 * log 0 is NaN in floating point: leave out the codes that do not occur",
    ),
    (
        lambda i, k: (used(i), 1 / fractions(i, k).square().sum().item()),
        "one over the sum of squares is another measure of the kind: the perplexity is exp of the entropy",
    ),
    (
        lambda i, k: (used(i), per_image(i, k)),
        "this is the mean of the perplexities of the images: count the codes of the whole batch first",
    ),
    (
        lambda i, k: (used(i), entropy(fractions(i, k)).exp().item() / k),
        "this is a fraction of the codebook: return the perplexity itself, between 1 and K",
    ),
    (
        lambda i, k: (used(i), float(used(i))),
        "this counts the codes in use: the perplexity is smaller, unless all of them are equally frequent",
    ),
    (
        lambda i, k: (used(i) / k, entropy(fractions(i, k)).exp().item()),
        "`used` is a number of codes, not a fraction of the codebook",
    ),
    (
        lambda i, k: (k, entropy(fractions(i, k)).exp().item()),
        "`used` is the number of codes that occur, not the size of the codebook",
    ),
    (
        lambda i, k: (int(i.max()) + 1, entropy(fractions(i, k)).exp().item()),
        "this is the largest index plus one: count the DIFFERENT codes that occur",
    ),
    (
        lambda i, k: (entropy(fractions(i, k)).exp().item(), used(i)),
        "return the number of used codes first, then the perplexity",
    ),
]

ADVICE = "p = counts / number of tokens; used = how many p > 0; perplexity = exp(-sum of p log p over these)"


def show_code_usage(student):
    """Draw the perplexity as one code takes over, and the codes in use: target and answer."""

    def taken(share):  # of 24 tokens so many have code 0, the others one of 1, 2, 3 in turn
        return torch.tensor([[0] * share + [1 + j % 3 for j in range(24 - share)]]), 4

    def repeated(n):  # n codes of 16, the first of them five times
        return torch.tensor([[0] * 4 + list(range(n))]), 16

    def of(function):
        return lambda place, *arguments: function(*arguments)[place]

    takes_over = [(share / 24, (1, *taken(share))) for share in (6, 10, 14, 18, 22, 24)]
    in_use = [(n, (0, *repeated(n))) for n in (1, 4, 8, 12, 16)]
    cases = {"one of four codes takes over": takes_over, "more codes occur, out of 16": in_use}
    labels = [("fraction of tokens with code 0", "perplexity"), ("codes that occur", "used")]
    see = "four codes that are equally frequent have perplexity 4, and a single one has 1."
    line_and_yours("code_usage", of(student) if callable(student) else student, of(spec_code_usage), cases, labels, see)


def code_usage(student):
    """Check exercise 6, `code_usage(index, count)`. Raises CheckFailed."""
    compare("code_usage", student, spec_code_usage, CASES, MISTAKES, ADVICE)
