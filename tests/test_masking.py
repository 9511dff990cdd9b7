"""The mask sampler: what holds for every request it accepts, and a reason for every one it refuses."""

import itertools
import math

import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from minijepa.masking.blocks import (
    block_masks,
    draw_block_size,
    largest_block,
    make_room,
    place_blocks,
    start_probabilities,
)
from minijepa.masking.sampling import Masks, random_masks, random_subset

GRIDS = st.tuples(st.integers(2, 32), st.integers(2, 32))
LINES = st.one_of(st.tuples(st.just(1), st.integers(2, 32)), st.tuples(st.integers(2, 32), st.just(1)))


def ordered(low, high):
    return st.tuples(st.floats(low, high), st.floats(low, high)).map(sorted).map(tuple)


def ratios(most):
    """Ranges of rows / columns; half of them are one number, so that extremes are really drawn."""
    powers = ordered(-math.log(most), math.log(most)).map(lambda p: (math.exp(p[0]), math.exp(p[1])))
    return st.one_of(powers, powers.map(lambda p: (p[0], p[0])))


def seeded(seed):
    return torch.Generator().manual_seed(seed)


# --- an independent statement of which block sizes are legal ---


def fitted(area, ratio, grid):
    """A rectangle of this area and rows / columns; where one side is cut, the other grows."""
    rows, columns = grid
    h, w = math.sqrt(area * ratio), math.sqrt(area / ratio)
    if h > rows:
        h, w = rows, area / rows
    elif w > columns:
        h, w = area / columns, columns
    if h < 1:
        h, w = 1, area
    elif w < 1:
        h, w = area, 1
    return max(1, round(h)), max(1, round(w))


def sampled_sizes(grid, scale, aspect, steps=16):
    """Sizes that can certainly be drawn: those of a lattice of areas and ratios, ends included."""
    n = grid[0] * grid[1]
    sizes = set()
    for i, j in itertools.product(range(steps + 1), repeat=2):
        share = min(scale[1], scale[0] + (scale[1] - scale[0]) * i / steps)
        ratio = min(aspect[1], aspect[0] * (aspect[1] / aspect[0]) ** (j / steps))
        sizes.add(fitted(share * n, ratio, grid))
    return sizes


def is_legal(size, grid, scale, aspect, slack=1e-6):
    """Can some area and ratio within the ranges round to this size? Exact, apart from `slack`.

    With p = log height and q = log width before rounding, area and ratio bound p + q and p - q, the size
    bounds p and q: two rectangles, one rotated by 45 degrees. They meet if no side of either separates them.
    """
    (h, w), (rows, columns) = size, grid
    n = rows * columns
    if not (1 <= h <= rows and 1 <= w <= columns):
        return False
    low, high = scale[0] * n, scale[1] * n
    p0, p1 = math.log(h - 0.5), math.log(h + 0.5)
    q0, q1 = math.log(w - 0.5), math.log(w + 0.5)
    s0, s1 = math.log(low), math.log(high)
    d0, d1 = math.log(aspect[0]), math.log(aspect[1])
    overlaps = [
        (p0 + q0, p1 + q1, s0, s1),
        (p0 - q1, p1 - q0, d0, d1),
        (p0, p1, (s0 + d0) / 2, (s1 + d1) / 2),
        (q0, q1, (s0 - d1) / 2, (s1 - d0) / 2),
    ]
    if all(max(a0, b0) <= min(a1, b1) + slack for a0, a1, b0, b1 in overlaps):
        return True
    # cut cases: one side is as long as the grid, or a single patch, and the other one carries the area
    tallest, widest = math.sqrt(high * aspect[1]), math.sqrt(high / aspect[0])
    lowest, narrowest = math.sqrt(low * aspect[0]), math.sqrt(low / aspect[1])
    cut = [
        (h, rows, w, tallest >= rows - 0.5),
        (w, columns, h, widest >= columns - 0.5),
        (h, 1, w, lowest <= 1.5),
        (w, 1, h, narrowest <= 1.5),
    ]
    return any(
        side == bound and reached and low / bound - 0.5 - slack <= other <= max(1, high / bound + 0.5 + slack)
        for side, bound, other, reached in cut
    )


def sizes_of(blocks, columns):
    """The sizes (h, w) of sorted blocks [count, K], each of which must be exactly a full rectangle."""
    rows, cols = blocks // columns, blocks % columns
    h, w = (places.amax(dim=1) - places.amin(dim=1) + 1 for places in (rows, cols))
    # without duplicates, K patches inside a frame of h w = K places fill it
    assert (blocks.diff(dim=1) > 0).all() and (h * w == blocks.shape[1]).all(), "not a full block"
    return set(zip(h.tolist(), w.tolist(), strict=True))


# --- what every set of masks must satisfy ---


def check_masks(masks, batch, grid, n_targets):
    """Whole numbers in range, sorted, without duplicates; equal lengths; no target in the context."""
    n = grid[0] * grid[1]
    context, targets = masks.context, masks.targets
    assert context.dtype == targets.dtype == torch.int64
    assert context.ndim == 2 and targets.ndim == 3  # tensors: equal lengths over the batch
    assert len(context) == len(targets) == batch and targets.shape[1] == n_targets
    assert context.shape[1] >= 1 and targets.shape[2] >= 1
    for index in (context, targets):
        assert index.min() >= 0 and index.max() < n
        assert (index.diff(dim=-1) > 0).all(), "unsorted, or a patch twice"
    seen = torch.zeros(batch, n, dtype=torch.bool).scatter_(1, context, True)
    asked = torch.zeros(batch, n, dtype=torch.bool).scatter_(1, targets.flatten(1), True)
    assert not (seen & asked).any(), "a target lies in the context"


@settings(max_examples=120)
@given(
    grid=st.one_of(GRIDS, GRIDS, LINES),
    batch=st.integers(1, 5),
    n_targets=st.one_of(st.integers(1, 6), st.just(20)),
    target_scale=ordered(0.005, 0.9),
    target_aspect=ratios(30),
    context_scale=ordered(0.005, 1.0),
    context_share=st.one_of(st.none(), st.floats(0, 1)),
    target_keep=st.one_of(st.none(), st.integers(1, 40)),
    seed=st.integers(0, 2**31),
)
def test_whatever_is_accepted_is_kept(
    grid, batch, n_targets, target_scale, target_aspect, context_scale, context_share, target_keep, seed
):
    n = grid[0] * grid[1]
    context_keep = None if context_share is None else max(1, round(context_share * n))
    least = context_keep or max(1, n // 16)
    request = dict(
        n_targets=n_targets,
        target_scale=target_scale,
        target_aspect=target_aspect,
        context_scale=context_scale,
        target_keep=target_keep,
        context_keep=context_keep,
    )
    try:
        masks = block_masks(batch, grid, **request, generator=seeded(seed))
    except ValueError as error:
        # refused: then some size that may be drawn really leaves too little
        sizes = itertools.product(range(1, grid[0] + 1), range(1, grid[1] + 1))
        too_large = (s for s in sizes if s[0] * s[1] + least > n)
        assert any(is_legal(s, grid, target_scale, target_aspect) for s in too_large), str(error)
        assert f"{grid[0]}x{grid[1]}" in str(error) and str(n) in str(error) and str(least) in str(error)
        return
    # accepted: then no size that may be drawn leaves too little, now or with another seed
    assert max(h * w for h, w in sampled_sizes(grid, target_scale, target_aspect)) + least <= n
    again = block_masks(batch, grid, **request, generator=seeded(seed))
    assert torch.equal(masks.context, again.context) and torch.equal(masks.targets, again.targets)
    for i in range(3):
        masks = block_masks(batch, grid, **request, generator=seeded(seed + i))
        check_masks(masks, batch, grid, n_targets)
        kept = masks.context.shape[1]
        assert kept == context_keep if context_keep else kept >= least
        if target_keep is None:
            sizes = sizes_of(masks.targets.flatten(0, 1), grid[1])
            assert len(sizes) == 1, f"one size per batch, got {sizes}"
            assert is_legal(sizes.pop(), grid, target_scale, target_aspect)
        else:
            assert masks.targets.shape[2] <= target_keep
            assert masks.targets.shape[2] in {
                min(target_keep, h * w)
                for h, w in itertools.product(range(1, grid[0] + 1), range(1, grid[1] + 1))
                if is_legal((h, w), grid, target_scale, target_aspect)
            }


def test_the_published_settings_work_on_every_grid():
    for grid in itertools.product(range(2, 33), repeat=2):
        check_masks(block_masks(3, grid, generator=seeded(0)), 3, grid, 4)


@settings(max_examples=120)
@given(grid=st.one_of(GRIDS, LINES), scale=ordered(0.005, 1.0), aspect=ratios(50), seed=st.integers(0, 2**31))
@example(grid=(3, 25), scale=(0.5, 0.7), aspect=(1.0, 1.0), seed=0)  # a width of exactly 17.5
def test_block_sizes_are_legal_and_below_the_bound(grid, scale, aspect, seed):
    bound = largest_block(grid, scale, aspect)
    generator = seeded(seed)
    for _ in range(20):
        h, w = draw_block_size(grid, scale, aspect, generator)
        assert is_legal((h, w), grid, scale, aspect)
        assert h * w <= bound
    sizes = sampled_sizes(grid, scale, aspect)
    assert all(is_legal(size, grid, scale, aspect) for size in sizes)  # the two references agree
    assert max(h * w for h, w in sizes) <= bound
    legal = itertools.product(range(1, grid[0] + 1), range(1, grid[1] + 1))
    assert any(h * w == bound and is_legal((h, w), grid, scale, aspect) for h, w in legal)


@pytest.mark.parametrize("grid", [(14, 14), (6, 10), (4, 16), (1, 32), (32, 1), (2, 3)])
def test_a_full_context_block_is_the_whole_grid(grid):
    """The area is kept on grids that are not square too: there a square of that area would not fit."""
    assert draw_block_size(grid, (1.0, 1.0), (1.0, 1.0), seeded(0)) == grid
    areas = {math.prod(draw_block_size(grid, (0.5, 0.5), (r, r), seeded(0))) for r in (0.01, 0.3, 1.0, 3.0, 100.0)}
    n = math.prod(grid)
    assert all(abs(area - n / 2) <= 0.5 * max(grid) for area in areas)


def test_size_and_aspect_are_independent_and_fill_their_ranges():
    generator = seeded(0)
    sizes = [draw_block_size((64, 64), (0.1, 0.4), (0.5, 2.0), generator) for _ in range(4000)]
    h, w = torch.tensor(sizes, dtype=torch.float64).T
    area, ratio = h * w / 64**2, h / w
    assert abs(area.mean() - 0.25) < 0.006 and abs(ratio.mean() - 1.25) < 0.03  # means of uniform numbers, 4 sigma
    assert abs(area.var() - 0.3**2 / 12) < 0.0006 and abs(ratio.var() - 1.5**2 / 12) < 0.02
    assert abs(torch.corrcoef(torch.stack([area, ratio]))[0, 1]) < 0.07


def test_the_context_block_is_a_square_of_its_area():
    """With one target of one patch, the free patches show the context block; the targets' aspect is not its own."""
    request = dict(n_targets=1, target_scale=(0.007, 0.007), target_aspect=(3.0, 3.0))
    masks = block_masks(40, (12, 12), **request, context_scale=(0.25, 0.25), generator=seeded(0))
    assert masks.targets.shape[2] == 1
    assert masks.context.shape[1] == 35  # a 6 x 6 block, in some image less the target
    for row in masks.context.tolist():
        assert max(row) // 12 - min(row) // 12 == 5
        assert max(t % 12 for t in row) - min(t % 12 for t in row) == 5


# --- coverage ---


def axis_coverage(length, block):
    """c_j: the probability that a block covers patch j, from the start probabilities with a plain loop."""
    p = start_probabilities(length, block).tolist()
    return [sum(p[max(0, j - block + 1) : j + 1]) for j in range(length)]  # the starts that reach patch j


def test_coverage_of_an_axis_is_as_even_as_stated():
    for length in range(1, 33):
        for block in range(1, length + 1):
            p = start_probabilities(length, block)
            assert p.shape == (length - block + 1,) and p.dtype == torch.float64
            assert p.min() >= 0 and abs(p.sum() - 1) < 1e-12
            torch.testing.assert_close(p, p.flip(0), atol=1e-9, rtol=0)
            c = axis_coverage(length, block)
            mean = sum(c) / length
            assert abs(mean - block / length) < 1e-9
            if 2 * block <= length:
                assert 0.6 * mean <= min(c) and max(c) <= 1.5 * mean, (length, block)
            assert min(c) >= 0.4 * mean, (length, block)


@pytest.mark.parametrize(("length", "block"), [(8, 3), (14, 6), (32, 5)])
def test_coverage_is_more_even_than_with_uniform_starts(length, block):
    starts = length - block + 1
    uniform = [sum(s <= j < s + block for s in range(starts)) / starts for j in range(length)]
    c = axis_coverage(length, block)
    assert min(c) > 1.8 * min(uniform) and max(c) / min(c) < 0.75 * max(uniform) / min(uniform)


@pytest.mark.parametrize(("grid", "size"), [((8, 8), (3, 4)), ((6, 10), (4, 2)), ((5, 7), (5, 1)), ((4, 4), (4, 4))])
def test_coverage_in_2d_is_the_product_of_the_axes(grid, size):
    count = 40_000
    blocks = place_blocks(count, grid, size, seeded(0))
    assert blocks.shape == (count, size[0] * size[1])
    assert sizes_of(blocks, grid[1]) == {size}
    measured = torch.bincount(blocks.flatten(), minlength=grid[0] * grid[1]) / count
    rows, columns = (torch.tensor(axis_coverage(n, k)) for n, k in zip(grid, size, strict=True))
    expected = (rows[:, None] * columns).flatten().clamp(max=1)
    deviation = (measured - expected).abs() / (expected * (1 - expected) / count).sqrt().clamp_min(1e-6)
    assert deviation.max() < 5  # standard errors


def profiles(index, grid):
    """How often each patch is listed, relative to the mean: [H, W]."""
    count = torch.bincount(index.flatten(), minlength=grid[0] * grid[1]).double()
    return (count / count.mean()).view(grid)


@pytest.mark.parametrize("keep", [None, 9])
@pytest.mark.parametrize("grid", [(8, 8), (14, 14), (6, 10)])
def test_every_patch_is_target_and_context_about_equally_often(grid, keep):
    """Also after truncation: what is left of contexts and targets must not lean to any side."""
    generator = seeded(1)
    masks = [block_masks(64, grid, context_keep=keep, target_keep=keep, generator=generator) for _ in range(60)]
    for index in (
        torch.cat([m.targets.flatten() for m in masks]),
        torch.cat([m.context.flatten() for m in masks]),
    ):
        share = profiles(index, grid)
        assert share.min() > 0.45 and share.max() < 1.8
        assert (share.mean(dim=1) - share.mean(dim=1).flip(0)).abs().max() < 0.15  # top as often as bottom
        assert (share.mean(dim=0) - share.mean(dim=0).flip(0)).abs().max() < 0.15  # left as often as right


def test_target_keep_picks_any_part_of_a_block():
    grid, request = (8, 8), dict(target_scale=(0.25, 0.25), target_aspect=(1.0, 1.0))
    masks = block_masks(500, grid, **request, target_keep=5, generator=seeded(0))
    assert masks.targets.shape == (500, 4, 5)
    rows, columns = masks.targets // 8, masks.targets % 8
    for places in (rows, columns):
        assert (places.amax(dim=2) - places.amin(dim=2)).max() == 3  # within a 4 x 4 block, and up to its ends
    assert block_masks(2, grid, **request, target_keep=99, generator=seeded(0)).targets.shape[2] == 16


def test_blocks_of_an_image_differ_and_images_differ():
    masks = block_masks(64, (14, 14), generator=seeded(0))
    assert len({tuple(block) for block in masks.targets[0].tolist()}) > 1
    assert len({tuple(row) for row in masks.context.tolist()}) > 50
    other = block_masks(64, (14, 14), generator=seeded(1))
    assert masks.context.shape != other.context.shape or not torch.equal(masks.context, other.context)


# --- make_room, by hand, on a grid of one row and eight patches ---


def room(targets, inside, least):
    targets, inside = torch.tensor(targets), torch.tensor(inside, dtype=torch.bool)
    free = inside.scatter(1, targets.flatten(1), False)
    before = targets.clone(), inside.clone(), free.clone()
    moved, left = make_room(targets, inside, free, least)
    assert all(torch.equal(a, b) for a, b in zip(before, (targets, inside, free), strict=True)), "arguments changed"
    return moved.tolist(), [row.nonzero().flatten().tolist() for row in left]


def test_make_room_moves_no_more_targets_than_needed():
    three, everywhere = [[[0, 1], [2, 3], [4, 5]]], [[1] * 8]
    assert room(three, everywhere, 2) == (three, [[6, 7]])
    assert room(three, everywhere, 3) == ([[[0, 1], [2, 3], [0, 1]]], [[4, 5, 6, 7]])
    assert room(three, everywhere, 5) == ([[[0, 1], [0, 1], [0, 1]]], [[2, 3, 4, 5, 6, 7]])


def test_make_room_widens_a_context_that_one_target_fills():
    assert room([[[0, 1], [2, 3]]], [[1, 1, 1, 0, 0, 0, 0, 0]], 2) == (
        [[[0, 1], [0, 1]]],
        [[2, 3, 4, 5, 6, 7]],
    )
    assert room([[[0, 1]]], [[1, 1, 0, 0, 0, 0, 0, 0]], 1) == ([[[0, 1]]], [[2, 3, 4, 5, 6, 7]])


def test_make_room_leaves_other_images_alone():
    rich = [[0, 1], [1, 2], [0, 1]]
    short = [[0, 1], [2, 3], [4, 5]]
    moved, left = room([rich, short, short], [[1] * 8, [1] * 8, [1, 1, 1, 1, 1, 1, 1, 0]], 4)
    assert moved == [rich, [[0, 1], [2, 3], [0, 1]], [[0, 1], [0, 1], [0, 1]]]
    assert left == [[3, 4, 5, 6, 7], [4, 5, 6, 7], [2, 3, 4, 5, 6]]


# --- random subsets and random masks ---


@pytest.mark.parametrize("keep", [None, 1, 3])
def test_random_subset_draws_from_what_is_free(keep):
    free = torch.rand(4000, 2, 9, generator=seeded(0)) < 0.8
    free[..., :3] = True
    found = random_subset(free, keep, seeded(1))
    assert found.shape == (4000, 2, keep or int(free.sum(-1).min())) and (found.diff(dim=-1) > 0).all()
    assert free.gather(2, found).all() and torch.equal(found, random_subset(free, keep, seeded(1)))
    often = torch.bincount(random_subset(torch.ones(6000, 9).bool(), 3, seeded(2)).flatten(), minlength=9) / 6000
    assert (often - 1 / 3).abs().max() < 5 * math.sqrt(2 / 9 / 6000)


def test_a_seed_gives_the_masks_that_it_always_gave():
    masks = block_masks(2, (4, 4), n_targets=2, context_keep=4, target_keep=2, generator=seeded(0))
    assert masks.context.tolist() == [[0, 4, 10, 15], [6, 7, 8, 15]]
    assert masks.targets.tolist() == [[[1, 5], [3, 7]], [[1, 5], [10, 14]]]


@settings(max_examples=60)
@given(
    grid=st.one_of(GRIDS, LINES),
    batch=st.integers(1, 5),
    seen=st.floats(0, 1),
    asked=st.floats(0, 1),
    seed=st.integers(0, 2**31),
)
def test_random_masks(grid, batch, seen, asked, seed):
    n = grid[0] * grid[1]
    seen, asked = (max(1, round(share * n)) for share in (seen, asked))
    if seen + asked > n:
        with pytest.raises(ValueError, match=f"{seen}.*{asked}.*{n}"):
            random_masks(batch, grid, context_keep=seen, target_keep=asked)
        return
    masks = random_masks(batch, grid, context_keep=seen, target_keep=asked, generator=seeded(seed))
    check_masks(masks, batch, grid, 1)
    assert masks.context.shape[1] == seen and masks.targets.shape[2] == asked
    again = random_masks(batch, grid, context_keep=seen, target_keep=asked, generator=seeded(seed))
    assert torch.equal(masks.context, again.context) and torch.equal(masks.targets, again.targets)


def test_random_masks_are_uniform():
    masks = random_masks(8000, (4, 5), context_keep=6, target_keep=7, generator=seeded(0))
    for index, k in ((masks.context, 6), (masks.targets, 7)):
        share = torch.bincount(index.flatten(), minlength=20) / 8000
        assert (share - k / 20).abs().max() < 5 * (k / 20 * (1 - k / 20) / 8000) ** 0.5


# --- refusals ---


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"target_scale": (0.0, 0.2)}, r"target_scale.*\(0\.0, 0\.2\)"),
        ({"target_scale": (0.3, 0.2)}, r"target_scale.*\(0\.3, 0\.2\)"),
        ({"target_scale": (0.2, 1.1)}, r"target_scale.*1\.1"),
        ({"context_scale": (-0.1, 1.0)}, r"context_scale.*-0\.1"),
        ({"context_scale": (float("nan"), 1.0)}, "context_scale.*nan"),
        ({"target_aspect": (0.0, 1.0)}, r"target_aspect.*\(0\.0, 1\.0\)"),
        ({"target_aspect": (2.0, 1.0)}, r"target_aspect.*\(2\.0, 1\.0\)"),
        ({"target_aspect": (1.0, float("inf"))}, "target_aspect.*inf"),
        ({"n_targets": 0}, "n_targets.* 0"),
        ({"batch": 0}, "batch.* 0"),
        ({"grid": (8, 0)}, r"\(8, 0\)"),
        ({"grid": (1, 1)}, r"\(1, 1\)"),
        ({"grid": (4, 4, 4)}, r"\(4, 4, 4\)"),
        ({"context_keep": 0}, "context_keep.* 0"),
        ({"context_keep": -3}, "context_keep.*-3"),
        ({"target_keep": 0}, "target_keep.* 0"),
        ({"target_keep": -1}, "target_keep.*-1"),
        ({"context_keep": 60}, "16 of the 64 .* 8x8 .* 60 "),
        ({"target_scale": (0.9, 1.0), "target_aspect": (1.0, 1.0)}, "64 of the 64 .* 4 "),
    ],
)
def test_impossible_requests_name_the_numbers(change, named):
    request = {"batch": 2, "grid": (8, 8), **change}
    with pytest.raises(ValueError, match=named):
        block_masks(**request)


@pytest.mark.parametrize(("seen", "asked"), [(0, 4), (4, 0), (40, 25), (-1, 4)])
def test_random_masks_refuse(seen, asked):
    with pytest.raises(ValueError, match=f"{seen}.*{asked}.*64"):
        random_masks(2, (8, 8), context_keep=seen, target_keep=asked)


@settings(max_examples=40)
@given(grid=GRIDS, share=st.floats(0.5, 1.0))
def test_the_largest_context_that_fits_is_accepted(grid, share):
    """The bound is sharp: one target block and all the rest as context works, one patch more does not."""
    n = grid[0] * grid[1]
    request = dict(n_targets=3, target_scale=(0.1, 0.1 + share / 3), target_aspect=(0.5, 2.0))
    rest = n - largest_block(grid, request["target_scale"], request["target_aspect"])
    assume(rest >= 1)
    masks = block_masks(3, grid, **request, context_keep=rest, generator=seeded(0))
    check_masks(masks, 3, grid, 3)
    assert masks.context.shape[1] == rest
    with pytest.raises(ValueError, match=str(rest + 1)):
        block_masks(3, grid, **request, context_keep=rest + 1, generator=seeded(0))


def test_masks_move_are_cut_and_are_frozen():
    masks = block_masks(4, (8, 8), generator=seeded(0))
    moved = masks.to("meta")
    assert isinstance(moved, Masks) and moved.context.device.type == moved.targets.device.type == "meta"
    for index in (slice(1, 3), torch.tensor([2, 0]), torch.tensor([True, False, False, True])):
        some = masks.rows(index)
        assert isinstance(some, Masks) and torch.equal(some.context, masks.context[index])
        assert torch.equal(some.targets, masks.targets[index])
    with pytest.raises(AttributeError):
        masks.context = None
