"""Masks of clips: what holds for every request that is accepted, for all four kinds, and the published truncation."""

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from minijepa.masking.blocks import draw_block_size, place_blocks, smallest_block
from minijepa.masking.sampling import MaskSets
from minijepa.masking.tubes import (
    LONG_RANGE,
    SHORT_RANGE,
    causal_masks,
    random_tubelets,
    random_tubes,
    tube_masks,
)

GRIDS = st.tuples(st.integers(1, 6), st.integers(2, 9), st.integers(2, 9))
CLIP = (8, 14, 14)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def check(masks, batch, grid):
    """Whole numbers in range, sorted, no duplicates, equal lengths, nothing seen that must be predicted."""
    n = math.prod(grid)
    assert masks.context.shape[0] == batch and masks.targets.shape[:2] == (batch, 1)
    assert masks.context.shape[1] >= 1 and masks.targets.shape[2] >= 1
    for index in (masks.context, masks.targets[:, 0]):
        assert index.dtype == torch.int64 and index.min() >= 0 and index.max() < n
        assert (index.diff(dim=1) > 0).all()
    count = torch.zeros(batch, n, dtype=torch.int64)
    for index in (masks.context, masks.targets[:, 0]):
        count.scatter_add_(1, index, torch.ones_like(index))
    assert count.max() == 1


def as_tubes(index, grid):
    """Token indices [B, K] as bool [B, T, H W]; every place must be there at all times or at none."""
    marks = torch.zeros(len(index), math.prod(grid), dtype=torch.bool).scatter_(1, index, True)
    marks = marks.view(len(index), grid[0], -1)
    assert (marks == marks[:, :1]).all()
    return marks[:, 0]


@settings(max_examples=120, deadline=None)
@given(
    grid=GRIDS,
    n_blocks=st.integers(1, 8),
    scale=st.tuples(st.floats(0.02, 0.9), st.floats(0.02, 0.9)).map(sorted).map(tuple),
    aspect=st.tuples(st.floats(0.3, 3), st.floats(0.3, 3)).map(sorted).map(tuple),
    keep=st.tuples(st.none() | st.integers(1, 12), st.none() | st.integers(1, 12)),
    batch=st.integers(1, 5),
    seed=st.integers(0, 2**20),
)
def test_tube_masks_of_any_request(grid, n_blocks, scale, aspect, keep, batch, seed):
    request = dict(n_blocks=n_blocks, scale=scale, aspect=aspect)
    request |= dict(context_keep=keep[0], target_keep=keep[1])
    try:
        masks = tube_masks(batch, grid, **request, generator=seeded(seed))
    except ValueError as error:
        assert any(number in str(error) for number in (f"{grid}", "target_keep"))
        # a refusal does not depend on the seed, nor on what happens to be drawn
        with pytest.raises(ValueError):
            tube_masks(batch, grid, **request, generator=seeded(seed + 1))
        assume(False)
    check(masks, batch, grid)
    if keep[0] is not None:
        assert masks.context.shape[1] == keep[0] * grid[0]
    if keep[1] is not None:
        assert masks.targets.shape[2] == keep[1] * grid[0]
    as_tubes(masks.context, grid)
    as_tubes(masks.targets[:, 0], grid)
    again = tube_masks(batch, grid, **request, generator=seeded(seed))
    assert torch.equal(masks.context, again.context) and torch.equal(masks.targets, again.targets)


def test_one_block_is_a_rectangle_at_all_times_and_the_rest_is_seen():
    masks = tube_masks(64, CLIP, n_blocks=1, scale=(0.3, 0.3), generator=seeded(0))
    hidden = as_tubes(masks.targets[:, 0], CLIP).view(64, 14, 14)
    rows, columns = hidden.any(2), hidden.any(1)
    assert (rows.sum(1) * columns.sum(1) == hidden.sum((1, 2))).all()  # a full rectangle
    for line in (rows, columns):  # without gaps
        assert (line.int().diff(dim=1).abs().sum(1) + line[:, 0].int() + line[:, -1].int() == 2).all()
    assert (as_tubes(masks.context, CLIP).view(64, 14, 14) == ~hidden).all()


@pytest.mark.parametrize("spec", [SHORT_RANGE, LONG_RANGE])
def test_the_published_specifications_reach_every_place_and_time(spec):
    """V-JEPA's settings on its own grid of 8 x 14 x 14: no time is preferred, no place is left out."""
    masks = tube_masks(600, CLIP, **spec, generator=seeded(1))
    check(masks, 600, CLIP)
    for index in (masks.context, masks.targets):
        often = torch.bincount(index.flatten(), minlength=math.prod(CLIP)).float().view(8, 14 * 14)
        assert (often == often[0]).all()  # tubes
        if index is masks.targets:
            assert often.min() > 0.3 * often.mean() and often.max() < 1.5 * often.mean()
        elif spec is SHORT_RANGE:  # two blocks of .7 always cover the middle of the frame
            assert often.min() > 0 and often.max() < 2.5 * often.mean()
    ratio = masks.context.shape[1] / math.prod(CLIP)
    assert 0.02 < ratio < 0.37  # fewest of 600: below the geometric 37 % (8 x .15) and 19 % (2 x .7)


def test_truncation_keeps_a_random_part():
    """Contexts truncated to the shortest still reach all places equally, without the top-left bias of a cut list."""
    masks = tube_masks(4000, (2, 6, 6), n_blocks=3, scale=(0.2, 0.2), context_keep=4, generator=seeded(0))
    often = torch.bincount(masks.context.flatten() % 36, minlength=36).float()
    flipped = often.view(6, 6).flip(0).flip(1).flatten()
    assert ((often - flipped).abs() < 0.16 * often.mean()).all()  # point-symmetric, as the blocks are


def test_blocks_that_cover_everything_make_room():
    masks = tube_masks(256, (3, 4, 4), n_blocks=8, scale=(0.6, 0.6), context_keep=4, generator=seeded(0))
    check(masks, 256, (3, 4, 4))
    assert masks.context.shape == (256, 12)


def test_the_published_sampler_loses_the_late_frames():
    """Facts of the release: survival of context tokens falls along time, with the batch; ours keeps it flat."""
    for spec, late in ((SHORT_RANGE, 0.35), (LONG_RANGE, 0.25)):
        published = tube_masks(24, CLIP, **spec, published=True, generator=seeded(0))
        check(published, 24, CLIP)
        per_time = torch.bincount(published.context.flatten() // 196, minlength=8).float()
        assert per_time[-2:].mean() < late * per_time[0]
        assert (per_time.diff() <= 0).all()
        targets = torch.bincount(published.targets.flatten() // 196, minlength=8).float()
        assert targets[-1] < 0.5 * targets[0]
        ours = tube_masks(24, CLIP, **spec, generator=seeded(0))
        assert torch.bincount(ours.context.flatten() // 196).unique().numel() == 1
    alone = tube_masks(1, CLIP, **LONG_RANGE, published=True, generator=seeded(0))
    assert torch.bincount(alone.context[0] // 196).unique().numel() == 1  # a batch of one has nothing to cut


def test_the_published_sampler_ends_where_it_would_loop():
    with pytest.raises(ValueError, match=r"1 blocks of 2x2x2.*2x2x2"):
        tube_masks(1, (2, 2, 2), n_blocks=1, scale=(1.0, 1.0), aspect=(1, 1), published=True)


@settings(max_examples=60, deadline=None)
@given(grid=GRIDS, batch=st.integers(1, 4), seed=st.integers(0, 2**20), data=st.data())
def test_random_tubes_and_tubelets(grid, batch, seed, data):
    for sample, n, unit in ((random_tubes, grid[1] * grid[2], grid[0]), (random_tubelets, math.prod(grid), 1)):
        context = data.draw(st.integers(1, n - 1))
        target = data.draw(st.integers(1, n - context))
        masks = sample(batch, grid, context_keep=context, target_keep=target, generator=seeded(seed))
        check(masks, batch, grid)
        assert masks.context.shape[1] == context * unit and masks.targets.shape[2] == target * unit
        if sample is random_tubes:
            as_tubes(masks.context, grid)
            as_tubes(masks.targets[:, 0], grid)
        with pytest.raises(ValueError, match=f"{n - context + 1}"):
            sample(batch, grid, context_keep=context, target_keep=n - context + 1)


def test_random_masks_are_uniform():
    masks = random_tubelets(3000, (2, 3, 3), context_keep=6, target_keep=9, generator=seeded(0))
    for index, share in ((masks.context, 6 / 18), (masks.targets, 9 / 18)):
        often = torch.bincount(index.flatten(), minlength=18) / 3000
        assert (often - share).abs().max() < 5 * math.sqrt(share * (1 - share) / 3000)


@settings(max_examples=60, deadline=None)
@given(grid=st.tuples(st.integers(2, 6), st.integers(2, 6), st.integers(2, 6)), data=st.data())
def test_causal_masks_see_only_the_past(grid, data):
    seen = data.draw(st.integers(1, grid[0] - 1))
    frame = grid[1] * grid[2]
    keep = data.draw(st.none() | st.integers(1, seen * frame)), data.draw(st.none() | st.integers(1, frame))
    masks = causal_masks(3, grid, seen=seen, context_keep=keep[0], target_keep=keep[1], generator=seeded(0))
    check(masks, 3, grid)
    assert masks.context.max() < seen * frame <= masks.targets.min()
    assert masks.context.shape[1] == (keep[0] or seen * frame)
    assert masks.targets.shape[2] == (keep[1] or (grid[0] - seen) * frame)


def test_smallest_block_is_what_is_drawn():
    generator = seeded(0)
    for grid, scale, aspect in (
        ((9, 7), (0.1, 0.5), (0.5, 2)),
        ((4, 14), (0.15, 0.15), (0.75, 1.5)),
        ((2, 9), (0.3, 0.4), (0.3, 3)),
    ):
        drawn = [math.prod(draw_block_size(grid, scale, aspect, generator)) for _ in range(3000)]
        smallest = smallest_block(grid, scale, aspect)
        assert smallest <= min(drawn) <= smallest + 1


def test_boxes_are_placed_like_rectangles():
    """A box one time long on a grid of one time is the rectangle of the image sampler, number for number."""
    flat = place_blocks(50, (6, 7), (2, 3), seeded(3))
    generator = seeded(3)
    assert torch.equal(flat, place_blocks(50, (6, 7), (2, 3), generator))
    boxes = place_blocks(50, (4, 6, 7), (2, 2, 3), seeded(3))
    t, r, c = boxes // 42, boxes // 7 % 6, boxes % 7
    assert all((axis.amax(1) - axis.amin(1) + 1 == length).all() for axis, length in ((t, 2), (r, 2), (c, 3)))


def test_mask_sets_move_together():
    sets = MaskSets((causal_masks(2, (2, 2, 2), seen=1), random_tubes(2, (2, 2, 2), context_keep=1, target_keep=1)))
    moved = sets.to("cpu")
    assert isinstance(moved, MaskSets) and torch.equal(moved.sets[1].targets, sets.sets[1].targets)
    second = sets.rows(slice(1, 2))
    assert isinstance(second, MaskSets) and len(second.sets) == 2
    for part, whole in zip(second.sets, sets.sets, strict=True):
        assert torch.equal(part.context, whole.context[1:]) and torch.equal(part.targets, whole.targets[1:])


@pytest.mark.parametrize(
    ("sample", "arguments", "named"),
    [
        (tube_masks, dict(grid=(4, 4)), r"\(4, 4\)"),
        (tube_masks, dict(grid=(4, 1, 1)), r"\(4, 1, 1\)"),
        (tube_masks, dict(batch=0), "got 0"),
        (tube_masks, dict(scale=(0.5, 1.2)), r"1\.2"),
        (tube_masks, dict(aspect=(2, 1)), r"\(2, 1\)"),
        (tube_masks, dict(n_blocks=0), "got 2 and 0"),
        (tube_masks, dict(scale=(1.0, 1.0)), r"16 of the 16 tubes of a \(4, 4, 4\)"),
        (tube_masks, dict(context_keep=15), "15 wanted"),
        (tube_masks, dict(context_keep=0), "0 wanted"),
        (tube_masks, dict(target_keep=9), "got 9"),
        (tube_masks, dict(target_keep=0), "got 0"),
        (causal_masks, dict(seen=4), r"1\.\.3 of the 4 times, got 4"),
        (causal_masks, dict(seen=0), "got 0"),
        (causal_masks, dict(seen=1, context_keep=17), r"1\.\.16.*got 17"),
        (causal_masks, dict(seen=1, target_keep=0), r"1\.\.48.*got 0"),
        (random_tubes, dict(context_keep=0, target_keep=3), "context_keep 0"),
        (random_tubelets, dict(context_keep=60, target_keep=5), "60 and target_keep 5.*64 tokens"),
    ],
)
def test_errors_name_the_number(sample, arguments, named):
    with pytest.raises(ValueError, match=named):
        sample(**{"batch": 2, "grid": (4, 4, 4), **arguments})
