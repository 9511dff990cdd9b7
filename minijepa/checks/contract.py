"""What random indices must satisfy: checks by properties, since two right answers may differ."""

import torch

from minijepa.checks.report import call, fail
from minijepa.checks.values import describe
from minijepa.masking.sampling import Masks


def masks_from(name, student, arguments, seed, case):
    """The student's Masks for these arguments and a generator of this seed. Fails with CheckFailed if it is none."""
    masks = call(name, student, (*arguments, torch.Generator().manual_seed(seed)), case)
    if not isinstance(masks, Masks):
        fail(name, case, describe(masks), "Masks", "return Masks(context, targets)")
    return masks


def check_index_tensor(name, case, index, shape):
    """`index` must be an int64 tensor [B, ...] of this shape; fails with CheckFailed if not."""
    if not isinstance(index, torch.Tensor):
        fail(name, case, describe(index), f"an int64 tensor {list(shape)}", "all lists have one length: stack them")
    if index.dtype != torch.int64:
        fail(name, case, f"{index.dtype}", "torch.int64", "indices are whole numbers: dtype=torch.int64")
    if index.shape != shape:
        hint = "how many indices are wanted, for how many images?"
        fail(name, case, f"shape {list(index.shape)}", f"shape {list(shape)}", hint)


def check_rising(name, case, what, index):
    """The last axis of `index` [..., K] must rise; fails with CheckFailed if not."""
    if (index.diff(dim=-1) <= 0).any():
        fail(name, case, f"{what} that do not rise", "rising indices, none twice", "sort the last axis")


def check_generator(name, case, run, numbers=lambda answer: answer):
    """`run(seed)` must draw at random, and from the generator alone; fails with CheckFailed if not."""
    before = torch.get_rng_state()
    first, again, other = (numbers(run(seed)) for seed in (0, 0, 1))
    if not torch.equal(torch.get_rng_state(), before) or not torch.equal(first, again):
        hint = "give `generator=generator` to every torch.rand, randint and randperm"
        fail(name, case, "two answers from one seed", "the same answer from the same seed", hint)
    if torch.equal(first, other):
        fail(name, case, "one answer from two seeds", "another from another seed", "use the generator you were given")
