"""The published sampler against a simulation of its description in plain lists, and against known numbers.

The known numbers come from the released code: on an 8x8 grid 48.5 % of all batches hang; with 128 images on
a 16x16 grid 69 context tokens are left, most of them in the upper rows; with min_keep 4 on 8x8, 11.7 of 21.7.
"""

import math
import random
import re

import pytest
import torch

from minijepa.masking.blocks import block_masks, draw_block_size
from minijepa.masking.published import place_context, place_published, published_block_masks, published_block_size

TARGET = ((0.15, 0.2), (0.75, 1.5))
CONTEXT = ((0.85, 1.0), (1.0, 1.0))
ROWS_16 = (0.78, 0.64, 0.53, 0.43, 0.35, 0.27, 0.22, 0.20, 0.19, 0.20, 0.20, 0.17, 0.11, 0.05, 0.01, 0.00)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


# --- the description, word for word, with lists and the standard library's generator ---


def simulated_size(grid, scale, aspect, u):
    """One number u for area and aspect; a side as long as the grid is cut, one patch at a time."""
    patches = int(grid[0] * grid[1] * (scale[0] + u * (scale[1] - scale[0])))
    ratio = aspect[0] + u * (aspect[1] - aspect[0])
    h = int(round(math.sqrt(patches * ratio)))
    w = int(round(math.sqrt(patches / ratio)))
    while h >= grid[0]:
        h -= 1
    while w >= grid[1]:
        w -= 1
    return h, w


def simulated_block(grid, size, rng):
    top, left = rng.randrange(grid[0] - size[0]), rng.randrange(grid[1] - size[1])
    return [row * grid[1] + column for row in range(top, top + size[0]) for column in range(left, left + size[1])]


def simulated_batch(batch, grid, n_targets, min_keep, rng):
    """(contexts before truncation, contexts, targets) of one batch, or None where the loop would not end."""
    target_size = simulated_size(grid, *TARGET, rng.random())
    context_size = simulated_size(grid, *CONTEXT, rng.random())
    if min(math.prod(target_size), math.prod(context_size)) <= min_keep:
        return None
    contexts, targets = [], []
    for _ in range(batch):
        blocks = [simulated_block(grid, target_size, rng) for _ in range(n_targets)]
        dropped, tries = 0, 20
        while True:
            context = simulated_block(grid, context_size, rng)
            for block in blocks[: max(n_targets - dropped, 0)]:
                context = [patch for patch in context if patch not in block]
            if len(context) > min_keep:
                break
            tries -= 1
            if tries == 0:
                dropped, tries = dropped + 1, 20
        contexts.append(context)
        targets.append(blocks)
    shortest = min(len(context) for context in contexts)
    return contexts, [context[:shortest] for context in contexts], targets


def row_profile(context, grid):
    """Share of images in which a patch of that row is context: [H]."""
    count = torch.bincount(context.flatten(), minlength=grid[0] * grid[1]).double()
    return count.view(grid).mean(dim=1) / len(context)


# --- sizes ---


@pytest.mark.parametrize("grid", [(8, 8), (14, 14), (16, 16), (6, 10), (3, 3), (2, 9)])
@pytest.mark.parametrize("ranges", [TARGET, CONTEXT, ((0.2, 0.8), (0.3, 3.0))])
def test_sizes_equal_the_simulation_number_by_number(grid, ranges):
    for seed in range(200):
        u = torch.rand(1, generator=seeded(seed)).item()
        assert published_block_size(grid, *ranges, seeded(seed)) == simulated_size(grid, *ranges, u)


@pytest.mark.parametrize(("side", "known"), [(6, 1.0), (7, 0.895), (8, 0.485), (9, 0.0), (14, 0.0), (32, 0.0)])
def test_share_of_batches_that_hang(side, known):
    """A target block of min_keep = 10 patches or fewer is refused and drawn again, forever."""
    draws = 10_000
    sizes = [simulated_size((side, side), *TARGET, (i + 0.5) / draws) for i in range(draws)]
    exact = sum(h * w <= 10 for h, w in sizes) / draws
    assert abs(exact - known) < 0.005  # known from a simulation, itself a little noisy
    generator, draws = seeded(0), 4000
    sizes = [published_block_size((side, side), *TARGET, generator) for _ in range(draws)]
    measured = sum(h * w <= 10 for h, w in sizes) / draws
    assert abs(measured - exact) <= 4.5 * math.sqrt(exact * (1 - exact) / draws)


def test_where_it_would_hang_it_raises_with_the_numbers():
    raised = 0
    for seed in range(400):
        h, w = published_block_size((8, 8), *TARGET, seeded(seed))  # the first number drawn decides
        try:
            context, targets = published_block_masks(1, (8, 8), generator=seeded(seed))
        except ValueError as error:
            raised += 1
            assert h * w <= 10
            assert re.search(rf"{h}x{w} = {h * w} .* 8x8 .* min_keep = 10 ", str(error))
        else:
            assert h * w > 10 and targets.shape == (1, 4, h * w)
    assert abs(raised / 400 - 0.485) < 4.5 * math.sqrt(0.485 * 0.515 / 400)
    with pytest.raises(ValueError, match="forever.* 6x6 "):
        block_masks(2, (6, 6), published=True, generator=seeded(0))


@pytest.mark.parametrize(("side", "block"), [(14, 13), (16, 15), (8, 7)])
def test_the_context_block_is_always_the_same_one(side, block):
    grid, generator = (side, side), seeded(0)
    for _ in range(300):
        size = published_block_size(grid, *CONTEXT, generator)
        assert size == (block, block)
    expected = {row * side + column for row in range(block) for column in range(block)}
    assert all(place_published(grid, size, generator) == expected for _ in range(50))


def test_larger_blocks_are_taller_there_and_not_in_ours():
    """The third bias, on a fine grid where rounding plays no part: one number decides both."""
    generator, correlation = seeded(0), {}
    for draw in (published_block_size, draw_block_size):
        h, w = torch.tensor([draw((400, 400), *TARGET, generator) for _ in range(1000)], dtype=torch.float64).T
        correlation[draw] = torch.corrcoef(torch.stack([h * w, h / w]))[0, 1].item()
    assert correlation[published_block_size] > 0.999
    assert abs(correlation[draw_block_size]) < 0.12


# --- places and truncation ---


@pytest.mark.parametrize("grid", [(14, 14), (10, 12)])
def test_the_last_row_and_column_are_never_used(grid):
    rows, columns = grid
    reached = torch.zeros(rows * columns, dtype=torch.bool)
    for seed in range(12):
        context, targets = published_block_masks(32, grid, generator=seeded(seed))
        reached[context.flatten()] = True
        reached[targets.flatten()] = True
    reached = reached.view(grid)
    assert not reached[-1].any() and not reached[:, -1].any()
    assert reached[:-1, :-1].all()


def test_places_are_uniform_but_for_the_last():
    generator, count = seeded(0), 6000
    starts = torch.tensor([min(place_published((6, 9), (3, 4), generator)) for _ in range(count)])
    share = torch.bincount(starts, minlength=54).view(6, 9) / count
    assert share[3:].sum() == 0 and share[:, 5:].sum() == 0
    assert (share[:3, :5] - 1 / 15).abs().max() < 5 * math.sqrt(1 / 15 * 14 / 15 / count)


def test_16x16_keeps_69_context_tokens_and_they_lie_at_the_top():
    grid, kept, profile = (16, 16), [], torch.zeros(16, dtype=torch.float64)
    batches = 60
    for seed in range(batches):
        context, targets = published_block_masks(128, grid, generator=seeded(seed))
        assert context.shape[0] == len(targets) == 128 and targets.shape[1] == 4
        kept.append(context.shape[1])
        profile += row_profile(context, grid) / batches
    assert abs(sum(kept) / batches - 69) < 3  # one batch scatters by 10, with the size of its blocks
    assert (profile - torch.tensor(ROWS_16, dtype=torch.float64)).abs().max() < 0.04
    ours = sum(row_profile(block_masks(128, grid, generator=seeded(s)).context, grid) for s in range(10)) / 10
    assert profile[:4].mean() > 3 * profile[-8:].mean()
    assert ours[:4].mean() < 1.5 * ours[-4:].mean()


@pytest.mark.parametrize(("grid", "min_keep"), [((8, 8), 4), ((10, 12), 10), ((9, 9), 10), ((16, 16), 10)])
def test_statistics_equal_those_of_the_simulation(grid, min_keep):
    """Raw and truncated context length, rows and columns reached, and the size of the union of targets."""
    n, batch, runs = grid[0] * grid[1], 32, 40
    rng = random.Random(0)
    theirs, mine = [], []
    for seed in range(runs):
        raw, contexts, targets = simulated_batch(batch, grid, 4, min_keep, rng)
        theirs.append(summary(torch.tensor(contexts), torch.tensor(targets), n))
        theirs[-1]["raw"] = sum(map(len, raw)) / batch
        generator = seeded(seed)
        context, target = published_block_masks(batch, grid, min_keep=min_keep, generator=generator)
        mine.append(summary(context, target, n))
        mine[-1]["raw"] = raw_context_length(batch, grid, min_keep, generator)
    for name in mine[0]:
        a, b = (torch.tensor([run[name] for run in side], dtype=torch.float64) for side in (mine, theirs))
        error = ((a.var() + b.var()) / runs).sqrt()
        assert (a.mean() - b.mean()).abs() < 4.5 * error + 1e-9, (name, a.mean(), b.mean(), error)


def summary(context, targets, n):
    union = torch.zeros(len(targets), n, dtype=torch.bool).scatter_(1, targets.flatten(1), True)
    leak = union.gather(1, context)
    return {
        "kept": context.shape[1],
        "block": targets.shape[2],
        "union": union.sum(dim=1).double().mean().item(),
        "place of context": context.double().mean().item(),
        "place of targets": targets.double().mean().item(),
        "leaked": leak.double().mean().item(),
    }


def raw_context_length(batch, grid, min_keep, generator):
    """Mean context length before truncation, from the package's own pieces."""
    size = published_block_size(grid, *TARGET, generator)
    lengths = []
    for _ in range(batch):
        blocks = [place_published(grid, size, generator) for _ in range(4)]
        whole = published_block_size(grid, *CONTEXT, generator)
        lengths.append(len(place_context(grid, whole, blocks, min_keep, generator)))
    return sum(lengths) / batch


def test_8x8_with_min_keep_4_loses_half_of_its_context():
    lengths = [published_block_masks(128, (8, 8), min_keep=4, generator=seeded(s))[0].shape[1] for s in range(60)]
    assert abs(sum(lengths) / len(lengths) - 11.7) < 1.0
    generator = seeded(0)
    raw = sum(raw_context_length(32, (8, 8), 4, generator) for _ in range(60)) / 60
    assert abs(raw - 21.7) < 1.0


def test_truncation_cuts_the_end():
    """Every context is the beginning of its own sorted list: what was dropped lies behind what was kept."""
    for seed in range(5):
        context, targets = published_block_masks(16, (9, 9), generator=seeded(seed))
        block = published_block_size((9, 9), *TARGET, seeded(seed))
        assert targets.shape[2] == block[0] * block[1]
        for row, blocks in zip(context.tolist(), targets.tolist(), strict=True):
            hidden = {patch for one in blocks for patch in one}
            if hidden & set(row):
                continue  # a target was let in after 20 tries
            whole = [r * 9 + c for r in range(8) for c in range(8)]
            assert row == [patch for patch in whole if patch not in hidden][: len(row)]


def test_after_twenty_tries_a_target_is_let_into_the_context():
    """Four targets that fill the only context block: the last is given up first, and no more than needed."""
    grid, size = (5, 5), (4, 4)  # the block can only lie at the top left
    rows = [{row * 5 + column for column in range(4)} for row in range(4)]
    assert place_context(grid, size, rows, min_keep=3, generator=seeded(0)) == rows[3]
    assert place_context(grid, size, rows, min_keep=4, generator=seeded(0)) == rows[2] | rows[3]
    assert place_context(grid, size, rows, min_keep=15, generator=seeded(0)) == set().union(*rows)


def test_faithful_masks_are_the_published_ones():
    masks = block_masks(8, (14, 14), n_targets=3, published=True, generator=seeded(5))
    context, targets = published_block_masks(8, (14, 14), 3, generator=seeded(5))
    assert torch.equal(masks.context, context) and torch.equal(masks.targets, targets)
    assert masks.context.dtype == masks.targets.dtype == torch.int64
    assert (masks.context.diff(dim=1) > 0).all() and (masks.targets.diff(dim=2) > 0).all()
