"""Scenes: masks, boxes, depth and counts agree with each other and with the pixels."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minijepa.datasets.shapes.drawing import cover_image
from minijepa.datasets.shapes.scenes import (
    BACKGROUND,
    FAR,
    LEAST_VISIBLE,
    NEAR,
    SceneData,
    boxes_around,
    shape_scenes,
    visible,
)

REQUESTS = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**31 - 1),
        "count": st.sampled_from([1, 2, (1, 4), (3, 4), 4]),
        "radius": st.floats(6, 12),
        "colour": st.sampled_from(["contrast", "grey"]),
        "shapes": st.sampled_from([("disk",), ("bar", "T"), ("disk", "ring", "square", "triangle", "plus")]),
    }
)


def same(a, b):
    """All factors alike; nan, the mark of an absent object, equals nan."""
    pairs = [(a.factors[name].double(), b.factors[name].double()) for name in a.factors]
    return all(torch.equal(x.nan_to_num(9e9), y.nan_to_num(9e9)) for x, y in pairs)


def test_same_arguments_same_scenes_and_prefix():
    many, again = shape_scenes(600, seed=7), shape_scenes(600, seed=7)
    assert torch.equal(many.images, again.images) and torch.equal(many.depth, again.depth) and same(many, again)
    few = shape_scenes(300, seed=7)
    cut = many.subset(slice(300))
    assert torch.equal(few.images, cut.images) and torch.equal(few.depth, cut.depth) and same(few, cut)
    assert torch.equal(few.object_masks, cut.object_masks) and torch.equal(few.boxes, cut.boxes)
    assert not torch.equal(many.images, shape_scenes(600, seed=8).images)
    assert len(torch.unique(many.images.flatten(1), dim=0)) == 600


def test_a_seed_gives_the_scenes_that_it_always_gave():
    """Pixels written down when the recorded runs were made; in the second chunk too."""
    known = [
        [[39, 41, 64, 95, 118], [85, 115, 147, 194, 199], [22, 33, 63, 103, 130]],
        [[148, 166, 120, 138, 159], [123, 124, 119, 116, 138], [53, 76, 82, 57, 77]],
    ]
    scenes = shape_scenes(300, seed=1)
    found = torch.stack([scenes.images[i, :, 9, 7:12] for i in (0, 299)]).int()
    assert (found - torch.tensor(known)).abs().max() <= 1  # rounding may differ between machines
    assert scenes.boxes[0].tolist() == [[8, 22, 14, 28], [2, 5, 10, 13], [0] * 4, [0] * 4]


def test_the_global_generator_is_left_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    shape_scenes(10)
    assert torch.equal(before, torch.get_rng_state())


@settings(max_examples=12, deadline=None)
@given(REQUESTS)
def test_all_truths_agree(request):
    data = shape_scenes(12, **request)
    n, k, size, _ = data.object_masks.shape
    there = data.factors["shape"] >= 0  # [N, K]
    # an object is there, or has no mask, no box and nan everywhere
    assert torch.equal(there, data.object_masks.flatten(2).any(2))
    assert torch.equal(there.sum(1), data.counts) and data.counts.min() >= 1
    assert torch.equal(there, ~data.factors["depth"].isnan()) and torch.equal(there, ~data.positions.isnan().any(2))
    assert torch.equal(there, torch.arange(k) < data.counts[:, None])
    count = request["count"]
    assert data.counts.max() <= (count[1] if isinstance(count, tuple) else count)
    # one object per pixel
    assert data.object_masks.sum(1).max() <= 1
    for i in range(n):
        for j in range(int(data.counts[i])):
            rows, columns = data.object_masks[i, j].nonzero().unbind(1)
            tight = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert data.boxes[i, j].tolist() == [int(v) for v in tight]
            depth = data.factors["depth"][i, j]
            assert NEAR <= depth <= FAR and (data.depth[i][data.object_masks[i, j]] == depth).all()
            assert (data.class_maps[i][data.object_masks[i, j]] == 1 + data.factors["shape"][i, j]).all()
            assert (data.instance_maps[i][data.object_masks[i, j]] == 1 + j).all()
    nothing = ~data.object_masks.any(1)
    assert (data.depth[nothing] == BACKGROUND).all()
    assert (data.class_maps[nothing] == 0).all() and (data.instance_maps[nothing] == 0).all()
    # the farthest comes first, and all objects of an image have its label
    depth = data.factors["depth"].nan_to_num(0)
    assert (depth.diff(dim=1) <= 0).all()
    assert ((data.factors["shape"] == data.labels[:, None]) | ~there).all()


@settings(max_examples=10, deadline=None)
@given(REQUESTS)
def test_the_nearer_object_hides_the_farther_one(request):
    """Each object drawn alone: where two of them would lie, the pixel shows the nearer."""
    data = shape_scenes(12, **request)
    solid = cover_image(data.factors, data.classes, 32) >= 0.5  # [N, K, S, S]; each object's own outline
    depth = data.factors["depth"].nan_to_num(math.inf)  # [N, K]
    seen = torch.where(solid, depth[:, :, None, None], math.inf)  # [N, K, S, S]
    nearest = seen.min(1)
    expected = torch.where(nearest.values.isinf(), 0, nearest.indices + 1)
    assert torch.equal(expected, data.instance_maps)
    whole, shown = solid.sum((2, 3)), data.object_masks.sum((2, 3))
    assert (shown >= whole.clamp(max=LEAST_VISIBLE)).all()


def test_objects_do_hide_each_other_sometimes():
    data = shape_scenes(400, count=4)
    # boxes of visible parts that overlap by a quarter of the smaller one
    low = torch.maximum(data.boxes[:, :, None, :2], data.boxes[:, None, :, :2])
    high = torch.minimum(data.boxes[:, :, None, 2:], data.boxes[:, None, :, 2:])
    both = (high - low).clamp(min=0).prod(-1)
    area = (data.boxes[..., 2:] - data.boxes[..., :2]).prod(-1)
    overlap = both / torch.minimum(area[:, :, None], area[:, None]).clamp(min=1)
    overlap.diagonal(dim1=1, dim2=2).zero_()
    assert 0.2 < (overlap > 0.25).flatten(1).any(1).float().mean() < 0.95
    assert (data.counts < 4).any()  # and some are hidden altogether


def test_far_objects_are_small_and_pale():
    data = shape_scenes(2000, count=1, shapes=("square",))
    depth, mask = data.factors["depth"][:, 0], data.object_masks[:, 0]
    product = data.factors["size"][:, 0] * depth
    assert 0.9 * 8.5 <= product.min() and product.max() <= 1.1 * 8.5
    pixels = data.images.float() / 255
    inside = (pixels * mask[:, None]).sum((2, 3)) / mask.sum((1, 2))[:, None]  # [N, 3]
    contrast = (inside - data.factors["background"]).abs().mean(1)
    bins = [contrast[(depth > a) & (depth <= a + 0.5)].mean() for a in (1.0, 1.5, 2.0)]
    assert bins[0] > 1.15 * bins[1] > 1.15**2 * bins[2]


def test_positions_are_where_the_pixels_are():
    data = shape_scenes(300, count=1, shapes=("disk",))
    grid = torch.arange(32) + 0.5
    mask = data.object_masks[:, 0].float()
    x = (mask.sum(1) * grid).sum(1) / mask.sum((1, 2))
    y = (mask.sum(2) * grid).sum(1) / mask.sum((1, 2))
    inside = ((data.boxes[:, 0, :2] > 0) & (data.boxes[:, 0, 2:] < 32)).all(1)  # not cut by the border
    error = (torch.stack([x, y], 1) - data.positions[:, 0]).abs()[inside]
    assert inside.sum() > 150 and error.max() < 0.35


def test_every_count_and_class_is_common():
    data = shape_scenes(2000)
    assert (data.counts.bincount(minlength=5)[1:] > 400).all() and (data.labels.bincount() > 320).all()


def test_subset_and_to_keep_everything():
    data = shape_scenes(12)
    for index in ([3, 1], torch.tensor([3, 1]), torch.arange(12) % 3 == 1, slice(2, 9)):
        cut = data.subset(index)
        assert isinstance(cut, SceneData) and torch.equal(cut.depth, data.depth[index])
        assert torch.equal(cut.images, data.images[index]) and torch.equal(cut.class_maps, data.class_maps[index])
        assert torch.equal(cut.counts, data.counts[index])
    moved = data.to("meta")
    assert isinstance(moved, SceneData) and moved.depth.device.type == moved.boxes.device.type == "meta"
    assert repr(data) == "ImageData(scenes: 12 images 32×32, 5 classes)"


def test_boxes_and_visible_pixels_of_hand_made_masks():
    masks = torch.zeros(1, 3, 5, 7, dtype=torch.bool)
    masks[0, 0, 2, 3] = True
    masks[0, 1, 0, 0] = masks[0, 1, 4, 6] = True
    assert boxes_around(masks).tolist() == [[[3, 2, 4, 3], [0, 0, 7, 5], [0, 0, 0, 0]]]
    cover = torch.tensor([[[[1.0, 1.0, 0.2]], [[0.0, 0.6, 0.4]]]])  # [1, 2, 1, 3]
    assert visible(cover).tolist() == [[[[True, False, False]], [[False, True, False]]]]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("n", 0, "at least 1"),
        ("seed", -1, r"0 to 2\^31"),
        ("radius", 3, "6 to 12"),
        ("count", 5, "1 to 4"),
        ("count", (3, 2), "least"),
        ("shapes", ("blob",), "one or more"),
        ("shapes", ("disk", "disk"), "each once"),
        ("shapes", (), "one or more"),
        ("colour", "blue", "one of"),
    ],
)
def test_impossible_arguments_are_refused(name, value, expected):
    with pytest.raises(ValueError, match=f"{name} is .*{expected}"):
        shape_scenes(**{"n": 4, name: value})
