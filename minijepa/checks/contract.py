"""What masks that are drawn at random must satisfy: checks by properties, where no two right answers are alike."""

import torch

from minijepa.checks.report import call, fail
from minijepa.checks.specs.masks import spec_block_indices
from minijepa.checks.values import describe
from minijepa.masking.sampling import Masks


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


def in_words(setting):
    """One setting of exercise 4, as a call."""
    batch, grid, n_targets, size, context_keep = setting
    return f"block_masks({batch}, {grid}, n_targets={n_targets}, size={size}, context_keep={context_keep}, generator)"


def check_masks(name, student, setting):
    """The contract of exercise 4 for one setting; fails with the first clause that is broken."""
    batch, grid, n_targets, size, context_keep = setting
    case, n = in_words(setting), grid[0] * grid[1]

    def run(seed):
        masks = call(name, student, (*setting, torch.Generator().manual_seed(seed)), case)
        if not isinstance(masks, Masks):
            fail(name, case, describe(masks), "Masks", "return Masks(context, targets)")
        return masks

    masks = run(0)
    check_index_tensor(name, case + ".context", masks.context, (batch, context_keep))
    check_index_tensor(name, case + ".targets", masks.targets, (batch, n_targets, size[0] * size[1]))
    for what, index in (("context", masks.context), ("targets", masks.targets)):
        if index.min() < 0 or index.max() >= n:
            shown = f"{what} from {int(index.min())} to {int(index.max())}"
            fail(name, case, shown, f"0 to {n - 1}", "a block hangs over the edge: where may it start?")
        if (index.diff(dim=-1) <= 0).any():
            fail(name, case, f"{what} that do not rise", "rising indices, none twice", "sort the last axis")
    places = {}
    for i, blocks in enumerate(masks.targets.tolist()):
        for block in blocks:
            top, left = divmod(block[0], grid[1])
            if block != spec_block_indices(top, left, *size, grid).tolist():
                hint = (
                    "row r of the block starts r * columns further; is the width smaller than what is left of the row?"
                )
                fail(name, case, f"image {i}: target {block}", f"a rectangle of {size[0]} by {size[1]} patches", hint)
            places[(top, left)] = places.get((top, left), 0) + 1
        seen, asked = set(masks.context[i].tolist()), {j for block in blocks for j in block}
        if seen & asked:
            hint = "the answer leaks: take ALL target blocks out of what the context is drawn from"
            fail(name, case, f"image {i}: context and targets share {sorted(seen & asked)}", "nothing shared", hint)
    check_spread(name, case, masks, setting, places)
    check_generator(name, case, run, lambda masks: torch.cat([masks.context.flatten(), masks.targets.flatten()]))


def check_spread(name, case, masks, setting, places):
    """Are the places of targets [B, M, K_t] and the patches of context [B, K_c] random, for each image?"""
    batch, grid, n_targets, size, context_keep = setting
    if batch < 100:
        return
    if (masks.targets == masks.targets[:1]).all():
        fail(name, case, "the same targets in every image", "places drawn for each image", "draw `batch` places")
    crowded = n_targets * size[0] * size[1] > grid[0] * grid[1] - context_keep
    if n_targets > 1 and (masks.targets == masks.targets[:, :1]).all() and not crowded:
        fail(name, case, "the same place for all targets of an image", "a place per target", "draw n_targets places")
    legal = {(r, c) for r in range(grid[0] - size[0] + 1) for c in range(grid[1] - size[1] + 1)}
    missing = legal - set(places)
    if missing and not crowded:
        last = all(r == grid[0] - size[0] or c == grid[1] - size[1] for r, c in missing)
        hint = "`torch.randint` leaves out its upper end: there are rows - height + 1 places along an axis"
        hint = hint if last else "every legal place must have its chance"
        fail(name, case, f"no block of {batch * n_targets} starts at {sorted(missing)[:3]}", "all legal places", hint)
    free_rank = []
    for context, blocks in zip(masks.context.tolist(), masks.targets.tolist(), strict=True):
        free = sorted(set(range(grid[0] * grid[1])) - {j for block in blocks for j in block})
        if len(free) >= context_keep + 4:
            chosen = set(context)
            free_rank += [free[0] in chosen, free[-1] in chosen]
    if free_rank:
        first, last = sum(free_rank[::2]) / len(free_rank[::2]), sum(free_rank[1::2]) / len(free_rank[1::2])
        if abs(first - last) > 0.3:
            hint = "shorten contexts at random: cutting a sorted list takes away one end of the image"
            shown = f"the first free patch is kept in {first:.0%} of the images, the last in {last:.0%}"
            fail(name, case, shown, "about equally often", hint)
