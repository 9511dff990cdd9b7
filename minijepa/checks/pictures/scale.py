"""Assignment 09: what is asked for beside what came, before the check."""

import torch

from minijepa.checks.curves import line_and_yours
from minijepa.checks.picture import target_and_yours
from minijepa.checks.processes import play
from minijepa.checks.specs.scale import (
    REDUCES,
    spec_accumulate,
    spec_all_reduce,
    spec_learning_rate,
    spec_scaled_momentum,
    spec_shard,
)

# --- 1: pieces of a batch -------------------------------------------------------------------------------


def show_accumulate(student):
    """Draw the gradient of two pieces, 1 and 4, by the size of the second: target and answer."""
    pieces = [torch.tensor(1.0), torch.tensor(4.0)]
    cases = {f"first piece: {n} images": [(k, (pieces, [n, k])) for k in range(1, 9)] for n in (8, 2)}
    see = "the smaller the last piece, the less it counts: with one image next to eight hardly at all."
    labels = ("images in the second piece", "gradient")
    line_and_yours("accumulate", student, spec_accumulate, cases, labels, see)


# --- 2: all-reduce ----------------------------------------------------------------------------------------


def show_all_reduce(student):
    """Draw the numbers that two workers have afterwards, a row per worker: target and answer."""

    def both(first, second):
        return play("all_reduce", student, (first, second))

    def as_map(answer, first, second):
        return torch.stack([torch.cat([tensor.flatten() for tensor in worker]) for worker in answer])

    cases = {"two parameters, 9 numbers": REDUCES[1], "three parameters, 6 numbers": REDUCES[2]}
    see = "a row per worker: both rows of a map are equal, since both workers have the mean."
    target_and_yours("all_reduce", both, spec_all_reduce, cases, as_map, see)


# --- 3: who takes which image? --------------------------------------------------------------------------


def show_shard(student):
    """Draw who gets which of the images, a row per worker: target and answer."""

    def hands(deal):
        def table(order, workers):
            rows = torch.zeros(workers, len(order))
            for worker in range(workers):
                rows[worker] = torch.isin(order, deal(order, worker, workers))
            return rows

        return table

    order = torch.randperm(11, generator=torch.Generator().manual_seed(2))
    cases = {"11 images, 3 workers": (order, 3), "11 images, 2 workers": (order, 2)}
    see = "from left to right in the order of the deal: one to each in turn; what does not divide, nobody gets."
    target_and_yours("shard", hands(student), hands(spec_shard), cases, see=see, limits=(0, 1))


# --- 4: the learning rate ---------------------------------------------------------------------------------


def show_learning_rate(student):
    """Draw two schedules, from the first to the last step: target and answer."""

    cases = {
        f"100 steps, {warmup} of warm-up": [(step, (step, 100, warmup, 0.5)) for step in range(0, 101, 5)]
        for warmup in (10, 50)
    }
    see = "up in a straight line, then down along half a cosine, without a jump."
    line_and_yours("learning_rate", student, spec_learning_rate, cases, ("step", "learning rate"), see)


# --- 5: the teacher of a larger batch -------------------------------------------------------------------


def show_scaled_momentum(student):
    """Draw the momentum for batches that are 1 to 16 times larger: target and answer."""
    cases = {f"from {m}": [(k, (m, k)) for k in (1, 2, 4, 8, 12, 16)] for m in (0.996, 0.9)}
    see = "the larger the batch, the lower the momentum, and never below 0."
    labels = ("times larger", "momentum")
    line_and_yours("scaled_momentum", student, spec_scaled_momentum, cases, labels, see)
