"""Assignment 09, exercise 2: the mean of the gradients of two workers."""

import torch

from minijepa.checks import processes
from minijepa.checks.picture import target_and_yours
from minijepa.checks.report import compare, fail, passed
from minijepa.checks.values import describe, difference, normal


def spec_all_reduce(first, second):
    """The mean of both workers, number by number, once for each of them. Lists of tensors -> [list, list], all new."""
    means = []
    for a, b in zip(first, second, strict=True):
        numbers = [(x + y) / 2 for x, y in zip(a.flatten(), b.flatten(), strict=True)]
        means.append(torch.stack(numbers).view(a.shape))
    return [means, [mean.clone() for mean in means]]


CASES = [
    ([torch.tensor([1.0, 2.0])], [torch.tensor([3.0, 6.0])]),
    ([normal(2, 3), normal(3, seed=9)], [normal(2, 3, seed=1), normal(3, seed=10)]),
    ([normal(2, seed=w) for w in (2, 3, 4)], [normal(2, seed=w) for w in (5, 6, 7)]),
]


def add(a, b):
    """The sums of two lists of tensors."""
    return [x + y for x, y in zip(a, b, strict=True)]


def mean(a, b):
    """The means of two lists of tensors."""
    return [x / 2 for x in add(a, b)]


MISTAKES = [
    (
        lambda a, b: [add(a, b)] * 2,
        "this is the sum: with two workers every step would be twice as large. Take the mean",
    ),
    (lambda a, b: [mean(a, b), b], "only worker 0 has the mean: BOTH must get it, or their weights drift apart"),
    (lambda a, b: [a, mean(a, b)], "only worker 1 has the mean: BOTH must get it, or their weights drift apart"),
    (lambda a, b: [a, b], "each worker returns its own gradients: nothing has come from the other"),
    (lambda a, b: [b, a], "each worker returns what the other sent: the mean needs both"),
    (lambda a, b: [a, a], "this copies worker 0: it is a broadcast, which discards the other's gradients"),
    (
        lambda a, b: [[x / len(a) for x in add(a, b)]] * 2,
        "divide by the number of workers, 2, not by the number of parameters",
    ),
    (lambda a, b: [mean(a, b)[-1:]] * 2, "this is the last parameter alone: return a list with all of them"),
    (lambda a, b: [mean(a, b)[:1]] * 2, "this is the first parameter alone: go through the whole list"),
]

ADVICE = "for each parameter, send your gradient, receive the other's, and return half of their sum"


def play(student, first, second):
    """What two workers return for their gradients, lists of tensors: [answer of worker 0, answer of worker 1]."""
    return processes.play("all_reduce", student, (first, second))


def show_all_reduce(student):
    """Draw the numbers that two workers have at the end, a row per worker: target and answer."""

    def both(first, second):
        return play(student, first, second)

    def as_map(answer, first, second):
        return torch.stack([torch.cat([tensor.flatten() for tensor in worker]) for worker in answer])

    cases = {"two parameters, 9 numbers": CASES[1], "three parameters, 6 numbers": CASES[2]}
    see = "each row is a worker, and both rows of a map are equal, since both workers have the mean."
    target_and_yours("all_reduce", both, spec_all_reduce, cases, as_map, see)


def all_reduce(student):
    """Check exercise 2, `all_reduce(gradients, rank, send, receive)`, also in two processes. Raises CheckFailed."""
    name, gradients = "all_reduce", CASES[1]

    def both(first, second):
        return play(student, first, second)

    compare(name, both, spec_all_reduce, CASES, MISTAKES, ADVICE, quiet=True)
    answers, problem = processes.run(name, student, gradients)
    right = spec_all_reduce(*gradients)
    where = difference(answers, right) if not problem else ""
    if where:
        fail(name, "two real processes", describe(answers[0]), describe(right[0]) + where, ADVICE)
    real = f"but not tried in two processes: {problem}" if problem else "and the same in two processes"
    passed(name, f"all {len(CASES)} cases, {real}")
