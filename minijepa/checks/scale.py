"""Assignment 09: what must stay the same when a batch is cut into pieces or shared out to several workers."""

import math

import torch

from minijepa.checks.picture import target_and_yours
from minijepa.checks.report import compare


def normal(*shape, seed=0, dtype=torch.float32):
    """Standard normal numbers, always the same for one seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


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


def accumulate(student):
    """Check exercise 1, `accumulate(gradients, sizes)`. Raises CheckFailed."""
    mistakes = [
        (
            lambda g, n: sum(g) / len(g),
            "the plain mean over the pieces: a short last piece would count as much as a full one. Weigh by size",
        ),
        (
            lambda g, n: sum(g),
            "the sum of the pieces' gradients is that many times too large: it is a mean over images",
        ),
        (
            lambda g, n: sum(a * k for a, k in zip(g, n, strict=True)),
            "divide by the number of all images: the loss is their mean",
        ),
        (
            lambda g, n: sum(a * k for a, k in zip(g, n, strict=True)) / len(g),
            "divide by the number of images, not of pieces",
        ),
        (
            lambda g, n: sum(a / k for a, k in zip(g, n, strict=True)),
            "each gradient is a mean already: multiply by its size",
        ),
        (lambda g, n: g[-1], "this is the last piece alone: the others were overwritten"),
    ]
    compare(
        "accumulate", student, spec_accumulate, PIECES, mistakes, "sum of size times gradient, over the sum of sizes"
    )


# --- 2: all-reduce ----------------------------------------------------------------------------------------


def spec_all_reduce(workers):
    """Parameter by parameter the mean over the workers; every worker gets it. Lists of lists of tensors, all new."""
    result = [[] for _ in workers]
    for parameter in range(len(workers[0])):
        total = torch.zeros_like(workers[0][parameter])
        for worker in workers:
            total = total + worker[parameter]
        for worker in result:
            worker.append(total / len(workers))
    return result


REDUCES = [
    ([[torch.tensor([1.0, 2.0])], [torch.tensor([3.0, 6.0])]],),
    ([[normal(2, 3, seed=w), normal(3, seed=w + 9)] for w in range(2)],),
    ([[normal(2, seed=w), normal(2, seed=w + 9), normal(1, seed=w + 20)] for w in range(4)],),
    ([[normal(3, seed=w, dtype=torch.float64)] for w in range(3)],),
]


def all_reduce(student):
    """Check exercise 2, `all_reduce(workers)`. Raises CheckFailed."""

    def sums(w):
        return [sum(parameters) for parameters in zip(*w, strict=True)]

    mistakes = [
        (
            lambda w: [sums(w) for _ in w],
            "this is the sum: with two workers every step would be twice as long. Take the mean",
        ),
        (
            lambda w: [[s / len(w) for s in sums(w)]] + [list(x) for x in w[1:]],
            "only the first worker has the mean: ALL must get it, or their weights drift apart",
        ),
        (lambda w: [s / len(w) for s in sums(w)], "one list per worker: everybody gets the mean"),
        (
            lambda w: [w[0] for _ in w],
            "this copies the first worker: a broadcast, which throws away what the others saw",
        ),
        (
            lambda w: [[sum(x) / len(x)] * len(x) for x in w],
            "this is the mean over a worker's parameters: it goes over the workers, parameter by parameter",
        ),
        (lambda w: [[s / len(w[0]) for s in sums(w)] for _ in w], "divide by the number of workers, not of parameters"),
    ]
    advice = "for each parameter the mean over the workers, given to every worker"
    compare("all_reduce", student, spec_all_reduce, REDUCES, mistakes, advice)


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


def shard(student):
    """Check exercise 3, `shard(order, worker, workers)`. Raises CheckFailed."""
    mistakes = [
        (
            lambda o, i, n: o[i::n],
            "the hands are of unequal length: a worker with one image more waits for ever. Drop the rest",
        ),
        (
            lambda o, i, n: o[i * (len(o) // n) : (i + 1) * (len(o) // n)],
            "you cut the order into stretches: deal it out in turn, order[worker], order[worker + workers], ...",
        ),
        (lambda o, i, n: o[: len(o) // n], "every worker gets the same images: start at its own number"),
        (lambda o, i, n: o, "every worker gets all images: share them out"),
        (
            lambda o, i, n: torch.arange(len(o) // n) * n + i,
            "these are places in `order`: take the images that stand there",
        ),
        (lambda o, i, n: o[i + 1 :: n][: len(o) // n], "workers are counted from 0"),
    ]
    compare("shard", student, spec_shard, SHARDS, mistakes, "cut off what does not divide, then every workers-th image")


# --- 4: the learning rate ---------------------------------------------------------------------------------


def spec_learning_rate(step, steps, warmup, peak):
    """A straight line from 0 to the peak over `warmup` steps, then half a cosine down to 0 at `steps`. A float."""
    if step < warmup:
        return peak * step / warmup
    progress = (step - warmup) / (steps - warmup)
    return peak * (1 + math.cos(math.pi * progress)) / 2


RATES = [(0, 100, 10, 1.0), (5, 100, 10, 1.0), (10, 100, 10, 0.3), (55, 100, 10, 0.3), (7, 20, 4, 1.0)]
RATES += [(99, 100, 10, 2.0), (100, 100, 10, 2.0)]


def learning_rate(student):
    """Check exercise 4, `learning_rate(step, steps, warmup, peak)`. Raises CheckFailed."""

    def cosine(progress):
        return (1 + math.cos(math.pi * progress)) / 2

    mistakes = [
        (
            lambda s, n, w, p: p * s / w if s < w else p * cosine(s / n),
            "the cosine begins AFTER the warm-up: progress is (step - warmup) / (steps - warmup), or there is a jump",
        ),
        (
            lambda s, n, w, p: p * s / w if s < w else p * cosine((s - w) / n),
            "it must reach 0 at the last step: divide by steps - warmup",
        ),
        (lambda s, n, w, p: p * cosine(s / n), "the warm-up is missing: for step < warmup it is peak * step / warmup"),
        (
            lambda s, n, w, p: p * min(1.0, s / w),
            "it never falls: after the warm-up comes half a cosine",
        ),
        (
            lambda s, n, w, p: p * s / w if s < w else p * (1 - (s - w) / (n - w)),
            "this falls in a straight line: it should be half a cosine",
        ),
        (
            lambda s, n, w, p: p * s / w if s < w else p * math.cos(math.pi * (s - w) / (n - w)),
            "a cosine runs from 1 to -1: (1 + cos) / 2 runs from 1 to 0",
        ),
        (
            lambda s, n, w, p: p * (s + 1) / w if s < w else spec_learning_rate(s, n, w, p),
            "at step 0 the rate is 0: peak * step / warmup",
        ),
    ]
    advice = "peak * step / warmup, then peak * (1 + cos(pi * progress)) / 2"
    compare("learning_rate", student, spec_learning_rate, RATES, mistakes, advice)


def show_learning_rate(student):
    """Draw two schedules, from the first to the last step: target and answer."""

    def track(rate):
        return lambda steps, warmup: torch.tensor([float(rate(s, steps, warmup, 1.0)) for s in range(steps + 1)])

    cases = {"100 steps, 10 of warm-up": (100, 10), "100 steps, 50 of warm-up": (100, 50)}
    see = "from dark (0) to bright (the peak) and back, without a jump."
    target_and_yours("learning_rate", track(student), track(spec_learning_rate), cases, see=see)


# --- 5: the teacher of a larger batch ---------------------------------------------------------------------


def spec_scaled_momentum(momentum, factor):
    """One update in place of `factor` updates: what is left of the old teacher after them. A float."""
    left = 1.0
    for _ in range(factor):
        left *= momentum
    return left


def scaled_momentum(student):
    """Check exercise 5, `scaled_momentum(momentum, factor)`. Raises CheckFailed."""
    mistakes = [
        (lambda m, k: m, "the same momentum, with fewer updates, makes a slower teacher: it sees fewer steps"),
        (
            lambda m, k: 1 - (1 - m) * k,
            "this is right only for small steps, and below 0 for large ones: repeat the factor",
        ),
        (
            lambda m, k: m ** (1 / k),
            "the other way round: one update has to do the work of several, so the momentum is lower",
        ),
        (lambda m, k: 1 - (1 - m) / k, "the other way round: one update has to do the work of several"),
        (lambda m, k: m / k, "momenta multiply: after two updates m * m of the old teacher is left"),
    ]
    cases = [(0.9, 2), (0.996, 1), (0.996, 8), (0.5, 4), (0.99, 32)]
    compare("scaled_momentum", student, spec_scaled_momentum, cases, mistakes, "what is left after `factor` updates?")
