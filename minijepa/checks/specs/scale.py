"""Assignment 09: what is asked for, by the slowest way that is obviously right, and the cases that are tried."""

import math

import torch

from minijepa.checks.specs import normal

# --- 1: pieces of a batch ---------------------------------------------------------------------------------


def spec_accumulate(gradients, sizes):
    """Each piece counts as often as it has images: the mean over all images. A tensor like the gradients."""
    images = []
    for gradient, size in zip(gradients, sizes, strict=True):
        images += [gradient] * size
    return sum(images) / len(images)


PIECES = [
    ([torch.tensor([1.0]), torch.tensor([4.0])], [2, 1]),
    ([normal(3, 2, seed=s) for s in range(4)], [8, 8, 8, 5]),
    ([normal(4, seed=s) for s in range(2)], [6, 2]),
    ([normal(2, 2, seed=s, dtype=torch.float64) for s in range(3)], [1, 2, 3]),
]


# --- 2: all-reduce ----------------------------------------------------------------------------------------


def spec_all_reduce(first, second):
    """Number by number the mean of both workers, and each gets it. Lists of tensors -> [list, list], all new."""
    means = []
    for a, b in zip(first, second, strict=True):
        numbers = [(x + y) / 2 for x, y in zip(a.flatten(), b.flatten(), strict=True)]
        means.append(torch.stack(numbers).view(a.shape))
    return [means, [mean.clone() for mean in means]]


REDUCES = [
    ([torch.tensor([1.0, 2.0])], [torch.tensor([3.0, 6.0])]),
    ([normal(2, 3), normal(3, seed=9)], [normal(2, 3, seed=1), normal(3, seed=10)]),
    ([normal(2, seed=w) for w in (2, 3, 4)], [normal(2, seed=w) for w in (5, 6, 7)]),
]


# --- 3: who takes which image? ----------------------------------------------------------------------------


def spec_shard(order, worker, workers):
    """Deal the images out like cards, one to each in turn; stop when not all can get one more. int64 [N // workers]."""
    hands = [[] for _ in range(workers)]
    rounds = len(order) // workers
    for i in range(rounds * workers):
        hands[i % workers].append(int(order[i]))
    return torch.tensor(hands[worker], dtype=torch.int64)


SHARDS = [
    (torch.tensor([5, 2, 0, 4, 1, 3]), 1, 2),
    (torch.tensor([6, 5, 2, 0, 4, 1, 3]), 0, 2),
    (torch.randperm(23, generator=torch.Generator().manual_seed(0)), 2, 4),
    (torch.randperm(9, generator=torch.Generator().manual_seed(1)), 0, 1),
    (torch.randperm(11, generator=torch.Generator().manual_seed(2)), 0, 3),
]


# --- 4: the learning rate ---------------------------------------------------------------------------------


def spec_learning_rate(step, steps, warmup, peak):
    """A straight line from 0 to the peak over `warmup` steps, then half a cosine down to 0 at `steps`. A float."""
    if step < warmup:
        return peak * step / warmup
    progress = (step - warmup) / (steps - warmup)
    return peak * (1 + math.cos(math.pi * progress)) / 2


RATES = [(0, 100, 10, 1.0), (5, 100, 10, 1.0), (10, 100, 10, 0.3), (55, 100, 10, 0.3), (7, 20, 4, 1.0)]


RATES += [(99, 100, 10, 2.0), (100, 100, 10, 2.0)]


# --- 5: the teacher of a larger batch ---------------------------------------------------------------------


def spec_scaled_momentum(momentum, factor):
    """One update in place of `factor` updates: what is left of the old teacher after them. A float."""
    left = 1.0
    for _ in range(factor):
        left *= momentum
    return left
