"""Scenes: masks, boxes, depth and counts agree with each other and with the pixels."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minijepa.datasets.shapes.scene import Knobs, render
from minijepa.datasets.shapes.scenes import BACKGROUND, FAR, LEAST_VISIBLE, NEAR, SceneData, shape_scenes

KNOBS = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**31 - 1),
        "size": st.sampled_from([24, 32, 48]),
        "count": st.sampled_from([1, 2, (1, 4), (3, 4), 4]),
        "radius": st.batch(6, 12),
        "fog": st.batch(0, 2),
        "mixed": st.booleans(),
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


def test_the_global_generator_is_left_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    shape_scenes(10)
    assert torch.equal(before, torch.get_rng_state())


@settings(max_examples=12)
@given(KNOBS)
def test_all_truths_agree(knobs):
    data = shape_scenes(12, **knobs)
    n, k, size, _ = data.object_masks.shape
    there = data.factors["shape"] >= 0  # [N, K]
    # an object is there, or has no mask, no box and nan everywhere
    assert torch.equal(there, data.object_masks.flatten(2).any(2))
    assert torch.equal(there.sum(1), data.counts) and data.counts.min() >= 1
    assert torch.equal(there, ~data.factors["depth"].isnan()) and torch.equal(there, ~data.positions.isnan().any(2))
    assert torch.equal(there, torch.arange(k) < data.counts[:, None])
    least, most = knobs["count"] if isinstance(knobs["count"], tuple) else (1, knobs["count"])
    assert data.counts.max() <= most
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
    # the label is the shape of the nearest object; unmixed, of all
    nearest = data.factors["depth"].nan_to_num(math.inf).argmin(1)
    assert torch.equal(data.labels, data.factors["shape"][torch.arange(n), nearest])
    if not knobs["mixed"]:
        assert ((data.factors["shape"] == data.labels[:, None]) | ~there).all()


@settings(max_examples=10)
@given(KNOBS)
def test_the_nearer_object_hides_the_farther_one(knobs):
    """Each object drawn alone: where two of them would lie, the pixel shows the nearer."""
    data = shape_scenes(12, **knobs)
    n, k, size, _ = data.object_masks.shape
    scene = dict(data.factors)
    drawing = Knobs(size, "scatter", data.classes, True, (1, 4), (1.0, 2.0), 0.0, 0.0, "contrast", ("none",), 0.0)
    _, cover = render(scene, drawing)  # [N, K, S, S]; each object's own outline
    solid = cover >= 0.5
    depth = data.factors["depth"].nan_to_num(math.inf)  # [N, K]
    seen = torch.where(solid, depth[:, :, None, None], math.inf)  # [N, K, S, S]
    nearest = seen.min(1)
    expected = torch.where(nearest.values.isinf(), 0, nearest.indices + 1)
    assert torch.equal(expected, data.instance_maps)
    whole, visible = solid.sum((2, 3)), data.object_masks.sum((2, 3))
    assert (visible >= whole.clamp(max=LEAST_VISIBLE)).all()


def test_objects_do_hide_each_other_sometimes():
    data = shape_scenes(400, count=4)
    # boxes of visible parts that overlap by a quarter of the smaller one
    low = torch.maximum(data.boxes[:, :, None, :2], data.boxes[:, None, :, :2])
    high = torch.minimum(data.boxes[:, :, None, 2:], data.boxes[:, None, :, 2:])
    both = (high - low).clamp(min=0).prod(-1)
    area = (data.boxes[..., 2:] - data.boxes[..., :2]).prod(-1)
    share = both / torch.minimum(area[:, :, None], area[:, None]).clamp(min=1)
    share.diagonal(dim1=1, dim2=2).zero_()
    assert 0.2 < (share > 0.25).flatten(1).any(1).float().mean() < 0.95
    assert (data.counts < 4).any()  # and some are hidden altogether


def test_far_objects_are_small_and_pale():
    data = shape_scenes(2000, count=1, noise=0.0, shapes=("square",))
    depth, mask = data.factors["depth"][:, 0], data.object_masks[:, 0]
    product = data.factors["size"][:, 0] * depth
    assert 0.9 * 8.5 <= product.min() and product.max() <= 1.1 * 8.5
    pixels = data.images.float() / 255
    inside = (pixels * mask[:, None]).sum((2, 3)) / mask.sum((1, 2))[:, None]  # [N, 3]
    contrast = (inside - data.factors["background"]).abs().mean(1)
    bins = [contrast[(depth > a) & (depth <= a + 0.5)].mean() for a in (1.0, 1.5, 2.0)]
    assert bins[0] > 1.15 * bins[1] > 1.15**2 * bins[2]
    clear = shape_scenes(2000, count=1, noise=0.0, shapes=("square",), fog=0.0).images.float() / 255
    inside = (clear * mask[:, None]).sum((2, 3)) / mask.sum((1, 2))[:, None]
    contrast = (inside - data.factors["background"]).abs().mean(1)
    near, far = contrast[depth < 1.3].mean(), contrast[depth > 2.2].mean()
    assert abs(near - far) < 0.1 * near  # without fog depth does not change colours


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


def test_subset_keeps_everything():
    data = shape_scenes(12)
    for index in ([3, 1], torch.tensor([3, 1]), torch.arange(12) % 3 == 1, slice(2, 9)):
        cut = data.subset(index)
        assert isinstance(cut, SceneData) and torch.equal(cut.depth, data.depth[index])
        assert torch.equal(cut.images, data.images[index]) and torch.equal(cut.class_maps, data.class_maps[index])
        assert torch.equal(cut.counts, data.counts[index])
    assert repr(data) == "ImageData(scenes: 12 images 32×32, 5 classes)"


@pytest.mark.parametrize(
    ("knob", "value", "expected"),
    [
        ("n", 0, "at least 1"),
        ("seed", -1, "0 to 2³¹"),
        ("size", 8, "16 to 128"),
        ("radius", 3, "6 to 12"),
        ("fog", 3, "0 to 2"),
        ("noise", 2, "0 to 1"),
        ("count", 5, "1 to 4"),
        ("shapes", ("blob",), "one or more"),
        ("colour", "blue", "one of"),
    ],
)
def test_impossible_knobs_are_refused(knob, value, expected):
    with pytest.raises(ValueError, match=f"{knob} is .*{expected}"):
        shape_scenes(**{"n": 4, knob: value})
