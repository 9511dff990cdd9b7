"""Assignment 02, exercise 4: scaled dot-product attention."""

import math

import torch

from minijepa.checks.picture import target_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal


def spec_attention(q, k, v):
    """Query by query: weights exp(q . k_j / sqrt(d)), normalised to sum 1, and the mean of the values under them.

    q: [..., N, d]; k, v: [..., M, d]. Returns [..., N, d].
    """
    result = torch.zeros(*q.shape[:-1], v.shape[-1], dtype=v.dtype)
    for place in torch.cartesian_prod(*(torch.arange(n) for n in q.shape[:-2])).view(-1, q.ndim - 2).tolist():
        for i in range(q.shape[-2]):
            query, keys, values = q[(*place, i)], k[tuple(place)], v[tuple(place)]
            weights = torch.stack([((query * key).sum() / math.sqrt(q.shape[-1])).exp() for key in keys])
            result[(*place, i)] = (weights[:, None] * values).sum(dim=0) / weights.sum()
    return result


def three(*shape, other=None, seed=0, dtype=torch.float32):
    """Queries [..., N, d], and keys and values of the same shape, or of `other` tokens."""
    tokens = [shape[-2], other or shape[-2], other or shape[-2]]
    return tuple(normal(*shape[:-2], n, shape[-1], seed=seed + i, dtype=dtype) for i, n in enumerate(tokens))


CASES = [three(2, 4, 4), three(2, 3, 5, 8, seed=3), three(1, 2, 6, 4, other=3, seed=6)]

CASES += [three(2, 3, 8, seed=9, dtype=torch.float64)]


def weigh(scale, dim=-1):
    """Attention with another factor on the scores, or with the softmax along another axis."""
    return lambda q, k, v: (q @ k.mT * scale(q)).softmax(dim=dim) @ v


MISTAKES = [
    (
        weigh(lambda q: q.shape[-1] ** -0.5, dim=-2),
        "the softmax is over the wrong axis: the weights of all KEYS must sum to 1 for each query, dim=-1",
    ),
    (weigh(lambda q: q.shape[-1] ** -0.5, dim=1), "the softmax is over the wrong axis: over the keys, dim=-1"),
    (weigh(lambda q: q.shape[-1] ** -0.5, dim=0), "the softmax is over the wrong axis: over the keys, dim=-1"),
    (weigh(lambda q: 1.0), "divide the scores by sqrt(d) before the softmax"),
    (weigh(lambda q: 1 / q.shape[-1]), "divide by the ROOT of d"),
    (weigh(lambda q: q.shape[-2] ** -0.5), "d is the width of a query, q.shape[-1], not the number of tokens"),
    (lambda q, k, v: (q @ k.mT / q.shape[-1] ** 0.5) @ v, "the softmax is missing"),
    (
        lambda q, k, v: (q @ k.mT).softmax(dim=-1) / q.shape[-1] ** 0.5 @ v,
        "divide by sqrt(d) BEFORE the softmax, or the weights do not sum to 1",
    ),
]

ADVICE = "take the softmax over the keys of q k^T / sqrt(d), times v"


def show_attention(student):
    """Draw what attention makes of three sets of tokens: target and answer."""
    cases = {"4 tokens of 4": CASES[0], "6 queries, 3 keys": CASES[2], "width 8": CASES[3]}
    target_and_yours("attention", student, spec_attention, cases)


def attention(student):
    """Check exercise 4, `attention(q, k, v)`. Raises CheckFailed."""
    compare("attention", student, spec_attention, CASES, MISTAKES, ADVICE)
