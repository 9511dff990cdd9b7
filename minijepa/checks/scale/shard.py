"""Assignment 09, exercise 3: which worker takes which image."""

import torch

from minijepa.checks.picture import target_and_yours
from minijepa.checks.report import compare


def spec_shard(order, worker, workers):
    """Deal the images out in turn, one to each worker; stop when not all can get one more. int64 [N // workers]."""
    shards = [[] for _ in range(workers)]
    rounds = len(order) // workers
    for i in range(rounds * workers):
        shards[i % workers].append(int(order[i]))
    return torch.tensor(shards[worker], dtype=torch.int64)


CASES = [
    (torch.tensor([5, 2, 0, 4, 1, 3]), 1, 2),
    (torch.tensor([6, 5, 2, 0, 4, 1, 3]), 0, 2),
    (torch.randperm(23, generator=torch.Generator().manual_seed(0)), 2, 4),
    (torch.randperm(9, generator=torch.Generator().manual_seed(1)), 0, 1),
    (torch.randperm(11, generator=torch.Generator().manual_seed(2)), 0, 3),
]

MISTAKES = [
    (
        lambda o, i, n: o[i::n],
        "the shards have unequal lengths, and a worker with one image more waits forever: drop the rest",
    ),
    (
        lambda o, i, n: o[i * (len(o) // n) : (i + 1) * (len(o) // n)],
        "you cut the order into blocks: deal it out in turn, order[worker], order[worker + workers], ...",
    ),
    (lambda o, i, n: o[: len(o) // n], "every worker gets the same images: start at the worker's own number"),
    (lambda o, i, n: o, "every worker gets all images: give each a part"),
    (
        lambda o, i, n: torch.arange(len(o) // n) * n + i,
        "these are positions in `order`: return the images at these positions",
    ),
    (lambda o, i, n: o[i + 1 :: n][: len(o) // n], "workers are counted from 0"),
]

ADVICE = "drop what does not divide, then take every workers-th image"


def show_shard(student):
    """Draw which worker gets which of the images, a row per worker: target and answer."""

    def by_worker(deal):
        def table(order, workers):
            rows = torch.zeros(workers, len(order))
            for worker in range(workers):
                rows[worker] = torch.isin(order, deal(order, worker, workers))
            return rows

        return table

    order = torch.randperm(11, generator=torch.Generator().manual_seed(2))
    cases = {"11 images, 3 workers": (order, 3), "11 images, 2 workers": (order, 2)}
    see = "the images, from left to right, go to each worker in turn; no worker gets the rest that does not divide."
    target_and_yours("shard", by_worker(student), by_worker(spec_shard), cases, see=see, limits=(0, 1))


def shard(student):
    """Check exercise 3, `shard(order, worker, workers)`. Raises CheckFailed."""
    compare("shard", student, spec_shard, CASES, MISTAKES, ADVICE)
