"""What masks that are drawn at random must satisfy: checks by properties, where no two right answers are alike."""

import torch

from minijepa.checks.report import fail
from minijepa.checks.values import describe


def check_index_tensor(name, case, index, shape):
    """`index` must be an int64 tensor [B, ...] of this shape; fails with CheckFailed if not."""
    if not isinstance(index, torch.Tensor):
        fail(name, case, describe(index), f"an int64 tensor {list(shape)}", "lists of one length: `torch.stack` them")
    if index.dtype != torch.int64:
        fail(name, case, f"{index.dtype}", "torch.int64", "indices are whole numbers: dtype=torch.int64")
    if index.shape != shape:
        fail(name, case, f"shape {list(index.shape)}", f"shape {list(shape)}", "how many are to be kept, and of what?")


def check_generator(name, case, run, numbers=lambda answer: answer):
    """All randomness of `run(seed)` must come from the generator, and must come from it."""
    before = torch.get_rng_state()
    first, again, other = (numbers(run(seed)) for seed in (0, 0, 1))
    if not torch.equal(torch.get_rng_state(), before) or not torch.equal(first, again):
        hint = "give `generator=generator` to every torch.rand, randint and randperm"
        fail(name, case, "two answers from one seed", "the same answer from the same seed", hint)
    if torch.equal(first, other):
        fail(name, case, "one answer from two seeds", "another seed, other places", "use the generator you were given")
