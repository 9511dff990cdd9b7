"""Assignment 09: what must stay the same when a batch is cut into pieces or shared out to several workers."""

import math

import torch

from minijepa.checks import processes
from minijepa.checks.pictures.scale import (  # noqa: F401 (notebooks find them here)
    show_accumulate,
    show_all_reduce,
    show_learning_rate,
    show_scaled_momentum,
    show_shard,
)
from minijepa.checks.report import compare, fail, passed
from minijepa.checks.specs.scale import (
    PIECES,
    RATES,
    REDUCES,
    SHARDS,
    spec_accumulate,
    spec_all_reduce,
    spec_learning_rate,
    spec_scaled_momentum,
    spec_shard,
)
from minijepa.checks.values import describe, difference

# --- 1: pieces of a batch ---------------------------------------------------------------------------------


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


def all_reduce(student):
    """Check exercise 2, `all_reduce(gradients, rank, send, receive)`, in play and in two processes. CheckFailed."""

    def add(a, b):
        return [x + y for x, y in zip(a, b, strict=True)]

    def mean(a, b):
        return [x / 2 for x in add(a, b)]

    mistakes = [
        (
            lambda a, b: [add(a, b)] * 2,
            "this is the sum: with two workers every step would be twice as long. Take the mean",
        ),
        (lambda a, b: [mean(a, b), b], "only worker 0 has the mean: BOTH must get it, or their weights drift apart"),
        (lambda a, b: [a, mean(a, b)], "only worker 1 has the mean: BOTH must get it, or their weights drift apart"),
        (lambda a, b: [a, b], "each worker returns its own: nothing has come from the other"),
        (lambda a, b: [b, a], "each worker returns what the other sent: the mean needs both"),
        (
            lambda a, b: [a, a],
            "this copies worker 0: a broadcast, which throws away what the other saw",
        ),
        (
            lambda a, b: [[x / len(a) for x in add(a, b)]] * 2,
            "divide by the number of workers, 2, not by the number of parameters",
        ),
        (lambda a, b: [mean(a, b)[-1:]] * 2, "this is the last parameter alone: return a list with all of them"),
        (lambda a, b: [mean(a, b)[:1]] * 2, "this is the first parameter alone: go through the whole list"),
    ]
    advice = "for each parameter: send yours, receive the other's, and return half of their sum"
    name = "all_reduce"

    def both(first, second):
        return processes.play(name, student, (first, second))

    compare(name, both, spec_all_reduce, REDUCES, mistakes, advice, quiet=True)
    gradients = REDUCES[1]
    answers, problem = processes.run(name, student, gradients)
    where = difference(answers, spec_all_reduce(*gradients)) if not problem else ""
    if where:
        fail(name, "two real processes", describe(answers[0]), describe(spec_all_reduce(*gradients)[0]) + where, advice)
    real = f"but not tried in two processes: {problem}" if problem else "and the same in two processes"
    passed(name, f"all {len(REDUCES)} cases, {real}")


def play(student, first, second):
    """What two workers return for their gradients, lists of tensors: [answer of worker 0, answer of worker 1]."""
    return processes.play("all_reduce", student, (first, second))


# --- 3: who takes which image? ----------------------------------------------------------------------------


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


# --- 5: the teacher of a larger batch ---------------------------------------------------------------------


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
