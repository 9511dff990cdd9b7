"""Assignment 03, exercise 4: masks for a batch, by a sampler that always ends."""

import torch

from minijepa.checks.contract import check_generator, check_index_tensor, check_rising, masks_from
from minijepa.checks.masks.block_indices import spec_block_indices
from minijepa.checks.picture import target_and_yours
from minijepa.checks.report import fail, passed, patience
from minijepa.masking.sampling import Masks


def draw_masks(answer, batch, grid, *rest):
    """The first image as a map: 0 in neither, 1 in the context, 2 in one target, 3 in several."""
    times = torch.bincount(answer.targets[0].flatten(), minlength=grid[0] * grid[1])
    return torch.where(times > 0, times.clamp(max=2) + 1, 0).scatter(0, answer.context[0], 1).view(grid)


def show_block_masks(student):
    """Draw one mask of the package and one of the student's for two settings: of the same kind, at other places."""
    from minijepa.masking.blocks import place_blocks

    def one_target(batch, grid, n_targets, size, context_keep, generator):
        targets = place_blocks(batch * n_targets, grid, size, generator).view(batch, n_targets, -1)  # [B, M, h w]
        marks = torch.rand(batch, grid[0] * grid[1], generator=generator).scatter(1, targets.flatten(1), -1.0)
        return Masks(marks.topk(context_keep, dim=1).indices.sort(dim=1).values, targets)

    def case(*setting):
        return (*setting, torch.Generator().manual_seed(3))

    cases = {
        "one target of 4 by 4": case(1, (8, 8), 1, (4, 4), 20),
        "three targets of 2 by 3": case(1, (8, 8), 3, (2, 3), 20),
    }
    see = "context patches are blue, targets green, overlaps yellow; the places are random and may differ."
    target_and_yours("block_masks", student, one_target, cases, draw_masks, see, limits=(0, 3))


def in_words(setting):
    """One setting of exercise 4, as a call."""
    batch, grid, n_targets, size, context_keep = setting
    return f"block_masks({batch}, {grid}, n_targets={n_targets}, size={size}, context_keep={context_keep}, generator)"


def check_masks(name, student, setting):
    """The contract of exercise 4 for one setting; fails with the first clause that is broken."""
    batch, grid, n_targets, size, context_keep = setting
    case, n = in_words(setting), grid[0] * grid[1]

    def run(seed):
        return masks_from(name, student, setting, seed, case)

    masks = run(0)
    check_index_tensor(name, case + ".context", masks.context, (batch, context_keep))
    check_index_tensor(name, case + ".targets", masks.targets, (batch, n_targets, size[0] * size[1]))
    for what, index in (("context", masks.context), ("targets", masks.targets)):
        if index.min() < 0 or index.max() >= n:
            shown = f"{what} from {int(index.min())} to {int(index.max())}"
            fail(name, case, shown, f"0 to {n - 1}", "a block extends over the edge of the grid: where may it start?")
        check_rising(name, case, what, index)
    places = {}
    for i, blocks in enumerate(masks.targets.tolist()):
        for block in blocks:
            top, left = divmod(block[0], grid[1])
            if block != spec_block_indices(top, left, *size, grid).tolist():
                hint = "row r of the block starts r * columns further, and the block must fit into the grid"
                fail(name, case, f"image {i}: target {block}", f"a rectangle of {size[0]} by {size[1]} patches", hint)
            places[(top, left)] = places.get((top, left), 0) + 1
        seen, asked = set(masks.context[i].tolist()), {j for block in blocks for j in block}
        if seen & asked:
            hint = "the answer leaks: remove ALL target blocks from the patches that the context is drawn from"
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
            hint = "truncate contexts at random: cutting a sorted list removes one end of the image"
            shown = f"the first free patch is kept in {first:.0%} of the images, the last in {last:.0%}"
            fail(name, case, shown, "about equally often", hint)


def block_masks(student):
    """Check exercise 4, `block_masks(batch, grid, n_targets, size, context_keep, generator)`. Raises CheckFailed."""
    name = "block_masks"
    settings = [
        (250, (8, 8), 4, (3, 4), 12),
        (250, (5, 9), 2, (2, 3), 20),
        (150, (8, 8), 4, (4, 4), 40),  # four separate targets leave too few patches in most images
        (2, (2, 2), 1, (1, 1), 3),
    ]
    hint = "does every loop end? An image whose targets leave too few patches needs another way out"
    with patience(name, hint):
        for setting in settings:
            check_masks(name, student, setting)
        case = (3, (4, 4), 1, (3, 3), 8)
        try:
            student(*case, torch.Generator().manual_seed(0))
        except ValueError:
            pass
        except Exception as error:
            hint = "raise a ValueError that says what cannot be met"
            fail(name, in_words(case), f"{type(error).__name__}: {error}", "a ValueError", hint)
        else:
            hint = "a block of 9 leaves 7 of 16 patches, 8 are wanted: raise a ValueError before you draw anything"
            fail(name, in_words(case), "an answer", "a ValueError", hint)
    passed(name, f"the contract holds in {len(settings)} settings, and impossible requests raise a ValueError")
