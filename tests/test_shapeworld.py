"""ShapeWorld: what is drawn is what the labels say, measured on the pixels and not by the renderer."""

import colorsys
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minijepa.datasets import SHAPES
from minijepa.datasets.shapes import shapeworld
from minijepa.datasets.shapes.scene import boxes_around
from minijepa.datasets.shapes.shapeworld import MEAN, STD

TEXTURES = ("none", "stripes", "checks")
LAYOUTS = ("multi", "single", "scatter")


def equal(a, b):
    """All factors alike; nan, the mark of an absent object, equals nan."""
    return a.factors.keys() == b.factors.keys() and all(
        torch.equal(a.factors[name].double().nan_to_num(9e9), b.factors[name].double().nan_to_num(9e9))
        for name in a.factors
    )


# --- seeds --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
def test_same_arguments_same_images_and_prefix(layout):
    knobs = dict(layout=layout, seed=7, texture=("none", "stripes"), with_masks=True)
    many = shapeworld(600, **knobs)  # three chunks, the last one cut
    assert torch.equal(many.images, shapeworld(600, **knobs).images)
    for few in (1, 256, 300):
        first = shapeworld(few, **knobs)
        assert torch.equal(first.images, many.images[:few])
        assert torch.equal(first.object_masks, many.object_masks[:few])
        assert equal(first, many.subset(slice(few)))
    other = shapeworld(600, **{**knobs, "seed": 8})
    assert (other.labels != many.labels).any() and not torch.equal(other.images, many.images)
    assert len(torch.unique(many.images.flatten(1), dim=0)) == 600  # no chunk repeats another


def test_the_global_generator_and_the_threads_are_left_alone():
    torch.manual_seed(0)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        shapeworld(300)
        assert torch.equal(before, torch.get_rng_state())
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_noise_and_colour_leave_the_objects_where_they_are():
    quiet, loud = shapeworld(300, noise=0.0), shapeworld(300, noise=0.2)
    assert equal(quiet, loud)
    grey = shapeworld(300, noise=0.0, colour="grey", texture="checks", mixed=True)
    for name in ("x", "y", "size", "rotation"):
        assert torch.equal(grey.factors[name], quiet.factors[name])


def test_noise_has_the_stated_spread():
    knobs = dict(colour="grey", seed=3)
    quiet, loud = (shapeworld(300, noise=s, **knobs).images.double() / 255 for s in (0.0, 0.05))
    middle = (quiet > 0.3) & (quiet < 0.7)  # where nothing is clipped
    assert (loud - quiet)[middle].std().item() == pytest.approx(0.05, rel=0.02)
    assert (loud - quiet)[middle].mean().item() == pytest.approx(0.0, abs=1e-3)


def test_normalisation_constants_fit_the_default_world():
    data = shapeworld(2000, seed=5)
    x = data.images.double().div(255)
    for c in range(3):
        assert x[:, c].mean().item() == pytest.approx(MEAN[c], abs=0.01)
        assert x[:, c].std().item() == pytest.approx(STD[c], abs=0.01)


# --- every factor against the pixels ------------------------------------------------------------------------


def test_class_is_balanced_and_independent_of_the_other_factors():
    data = shapeworld(6000, noise=0.0, texture=TEXTURES)
    share = torch.bincount(data.labels, minlength=10) / 6000
    assert (share - 0.1).abs().max() < 4 * math.sqrt(0.09 / 6000)  # four standard errors
    columns = {name: data.factors[name][:, 0].double() for name in ("shape", "x", "y", "size", "rotation", "texture")}
    columns |= {name: data.factors[name][:, 0].double() for name in ("red", "green", "blue")}
    columns["x of object 1"] = data.factors["x"][:, 1].double()
    correlation = torch.corrcoef(torch.stack(list(columns.values())))
    assert (correlation - torch.eye(len(columns))).abs().max() < 4.5 / math.sqrt(6000)
    assert torch.equal(data.labels, data.factors["shape"][:, 0])
    assert (data.factors["shape"] == data.labels[:, None]).all()  # one class per image


def test_mixed_draws_a_class_for_each_object():
    shape = shapeworld(2000, mixed=True, noise=0.0).factors["shape"]
    assert (shape[:, 0] == shape[:, 1]).float().mean().item() == pytest.approx(0.1, abs=0.03)


def test_a_choice_of_shapes_counts_in_its_own_order():
    assert shapeworld(1, shapes="star").classes == ("star",)
    few = shapeworld(200, shapes=("star", "disk"), layout="single", noise=0.0, colour="grey", with_masks=True)
    assert few.classes == ("star", "disk") and set(few.labels.tolist()) == {0, 1}
    area = few.object_masks[:, 0].sum((1, 2)) / few.factors["size"][:, 0] ** 2
    assert area[few.labels == 0].max() < 2 < area[few.labels == 1].min()  # a star is thinner than a disk


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [32, 48])
def test_centre_of_mass_is_x_y(layout, size):
    # A turned shape keeps its centre, so rotation is free here; one object, or objects that do not touch.
    knobs = dict(count=1) if layout != "multi" else dict(radius=4.0 * size / 32)
    data = shapeworld(300, layout=layout, size=size, rotation=math.pi, with_masks=True, noise=0.0, **knobs)
    pixels = np.arange(size) + 0.5
    for i in range(300):
        for k in range(data.factors["x"].shape[1]):
            mask = data.object_masks[i, k].numpy()
            x, y = data.factors["x"][i, k].item(), data.factors["y"][i, k].item()
            radius = data.factors["size"][i, k].item()
            if min(x, y, size - x, size - y) < 1.3 * radius:
                continue  # cut by the border
            rows, columns = np.nonzero(mask)
            assert abs(pixels[columns].mean() - x) < 0.75
            assert abs(pixels[rows].mean() - y) < 0.75


def area_of(name):
    """Closed form of each outline's area at radius 1, from the geometry and not from the distances."""
    if name == "star":  # ten triangles between a tip, the neighbouring notch and the centre
        return 10 * 0.5 * 1.1 * 0.42 * math.sin(math.pi / 5)
    if name == "heart":  # a square of diagonal 2s and two half disks on its sides
        s = 0.84
        return 2 * s**2 + math.pi * s**2 / 2
    if name == "crescent":  # a disk less its lens with the disk that bites it
        r, q, d = 0.96, 0.8, 0.47
        a = math.acos((d * d + r * r - q * q) / (2 * d * r))
        b = math.acos((d * d + q * q - r * r) / (2 * d * q))
        lens = r * r * (a - math.sin(2 * a) / 2) + q * q * (b - math.sin(2 * b) / 2)
        return math.pi * r * r - lens
    return {
        "disk": math.pi * 0.92**2,
        "ring": math.pi * (1.0**2 - 0.52**2),
        "square": 1.6**2,
        "triangle": 3 * math.sqrt(3) * 0.56**2,
        "plus": 2 * 2.0 * 0.6 - 0.6**2,
        "bar": 2.1 * 0.6,
        "T": 1.9 * 0.54 + 0.54 * 1.72 - 0.54 * (0.6 - 0.06),
    }[name]


@pytest.mark.parametrize("name", SHAPES)
def test_area_is_that_of_the_shape_and_grows_with_its_size(name):
    data = shapeworld(
        60,
        layout="single",
        size=96,
        shapes=(name,),
        radius=(8, 30),
        rotation=math.pi,
        noise=0.0,
        with_masks=True,
    )
    area, radius = data.object_masks[:, 0].sum((1, 2)).double(), data.factors["size"][:, 0].double()
    assert torch.allclose(area, area_of(name) * radius**2, rtol=0.03, atol=0.35 * radius.max().item())
    order = radius.argsort()
    assert torch.corrcoef(torch.stack([area[order], torch.arange(60.0).double()]))[0, 1] > 0.9


def test_rotation_turns_clockwise_by_the_label():
    data = shapeworld(
        100,
        layout="single",
        size=96,
        shapes=("bar",),
        radius=(20, 30),
        rotation=1.5,
        noise=0.0,
        with_masks=True,
    )
    for mask, angle in zip(data.object_masks[:, 0].numpy(), data.factors["rotation"][:, 0].tolist(), strict=True):
        y, x = np.nonzero(mask)
        cov = np.cov(x, y)
        found = 0.5 * math.atan2(2 * cov[0, 1], cov[0, 0] - cov[1, 1])  # of the long axis; y points down
        assert abs((found - angle + math.pi / 2) % math.pi - math.pi / 2) < 0.03
    assert data.factors["rotation"].abs().max() > 1.3


def test_upright_shapes_stand_as_named():
    """A T has its beam on top, a triangle its tip, a heart its lobes; a crescent is open to the right."""
    data = shapeworld(len(SHAPES) * 8, layout="single", size=64, rotation=0.0, jitter=0.0, noise=0.0, with_masks=True)
    for mask, label in zip(data.object_masks[:, 0], data.labels.tolist(), strict=True):
        rows = mask.sum(1)[mask.any(1)].float()
        third = len(rows) // 3
        top, bottom = rows[:third].mean(), rows[-third:].mean()
        if SHAPES[label] in ("T", "heart"):
            assert top > 1.5 * bottom
        if SHAPES[label] == "triangle":
            assert bottom > 1.5 * top
        if SHAPES[label] == "crescent":
            columns = mask.sum(0)[mask.any(0)].float()
            half = len(columns) // 2
            assert columns[:half].sum() > 1.3 * columns[-half:].sum()
        if SHAPES[label] in ("disk", "ring", "square", "plus", "bar"):
            assert (mask.float() - mask.flip(0).float()).abs().mean() < 0.02


@pytest.mark.parametrize("colour", ["contrast", "shared", "grey", "hue"])
def test_colours_are_those_of_the_pixels(colour):
    data = shapeworld(200, colour=colour, shapes=("disk", "square", "heart"), noise=0.0, with_masks=True)
    x = data.images.double() / 255
    f = data.factors
    for i in range(200):
        ground = x[i][:, ~data.object_masks[i].any(0)]
        assert (ground.median(1).values - f["background"][i]).abs().max() < 1 / 255
        for k in range(4):
            column, row = int(f["x"][i, k]), int(f["y"][i, k])
            rgb = [f[name][i, k].item() for name in ("red", "green", "blue")]
            assert (x[i, :, row, column] - torch.tensor(rgb)).abs().max() < 0.51 / 255
            hue, saturation, _ = colorsys.rgb_to_hsv(*rgb)
            if saturation < 1e-3:
                assert f["hue"][i, k] == -1
            else:  # the two definitions of hue agree in each sixth's ends; allow for their bins' borders
                difference = (hue * 8 - f["hue"][i, k].item() + 4) % 8 - 4
                assert abs(difference) < 0.6
    rgb = torch.stack([f[name] for name in ("red", "green", "blue")], -1)
    if colour == "shared":
        assert (rgb == rgb[:, :1]).all()
    if colour == "grey":
        assert (rgb == rgb[..., :1]).all() and (f["hue"] == -1).all()
    if colour == "hue":
        assert torch.bincount(f["hue"].flatten(), minlength=8).min() > 800 / 8 * 0.6
    else:
        contrast = (rgb - f["background"][:, None]).abs()
        assert contrast.min() > 0.2499 and contrast.max() < 0.6001


def test_texture_is_on_the_objects_that_say_so():
    data = shapeworld(
        200,
        size=64,
        shapes=("square",),
        rotation=0.0,
        colour="grey",
        texture=TEXTURES,
        amplitude=0.2,
        noise=0.0,
    )
    x = data.images[:, 0].double() / 255
    for i in range(200):
        for k in range(4):
            column, row = int(data.factors["x"][i, k]), int(data.factors["y"][i, k])
            patch = x[i, row - 5 : row + 6, column - 5 : column + 6]  # inside the square
            kind, colour = data.factors["texture"][i, k].item(), data.factors["red"][i, k].item()
            if kind == 0:
                assert patch.std() < 1e-9
            elif 0.2 < colour < 0.8:  # neither end is clipped
                assert patch.max() - patch.min() == pytest.approx(0.4, abs=0.03)
                along = patch.std(1).max()  # upright stripes run along the rows
                assert along < 1e-9 if kind == 1 else along > 0.05


# --- count, masks, boxes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
def test_count_masks_and_boxes_agree_by_brute_force(layout):
    count = None if layout == "single" else (1, 4)
    data = shapeworld(300, layout=layout, count=count, with_masks=True, noise=0.0)
    masks, boxes, k = data.object_masks, data.boxes, data.object_masks.shape[1]
    assert masks.dtype == torch.bool and boxes.dtype == torch.float32
    assert masks.shape == (300, k, 32, 32) and boxes.shape == (300, k, 4)
    assert masks.sum(1).max() == 1  # a pixel shows one object
    assert torch.equal(masks.flatten(2).any(2).sum(1), data.factors["count"])
    present = torch.arange(k) < data.factors["count"][:, None]
    assert (masks.flatten(2).any(2) == present).all()
    for name in ("x", "y", "size", "rotation", "red", "green", "blue"):
        assert torch.equal(torch.isfinite(data.factors[name]), present)
    for name in ("shape", "texture"):
        assert torch.equal(data.factors[name] >= 0, present)
    for i in range(300):
        for j in range(k):
            rows, columns = np.nonzero(masks[i, j].numpy())
            want = [0.0] * 4
            if len(rows):
                want = [min(columns), min(rows), max(columns) + 1, max(rows) + 1]
            assert boxes[i, j].tolist() == want


def test_counts_are_all_drawn_and_quarters_are_not_preferred():
    data = shapeworld(4000, count=(1, 4), noise=0.0)
    share = torch.bincount(data.factors["count"], minlength=5) / 4000
    assert share[0] == 0 and (share[1:] - 0.25).abs().max() < 4 * math.sqrt(0.25 * 0.75 / 4000)
    one = data.factors["count"] == 1
    quarter = (data.factors["x"][one, 0] > 16).long() + 2 * (data.factors["y"][one, 0] > 16).long()
    assert (torch.bincount(quarter, minlength=4) / one.sum() - 0.25).abs().max() < 0.06
    four = data.factors["count"] == 4
    assert (data.factors["x"][four] > 16).tolist() == [[False, True, False, True]] * int(four.sum())


def test_painters_order_later_objects_hide_earlier_ones():
    knobs = dict(layout="scatter", count=4, radius=9.0, shapes=("disk",), colour="hue", noise=0.0)
    data = shapeworld(200, **knobs, with_masks=True)
    f, overlaps = data.factors, 0
    rgb = torch.stack([f["red"], f["green"], f["blue"]], -1)  # [200, 4, 3]
    grid = torch.arange(32) + 0.5
    for i in range(200):
        distance = [torch.hypot(grid - f["x"][i, k], grid[:, None] - f["y"][i, k]) - 0.92 * 9 for k in range(4)]
        owner = torch.full((32, 32), -1)
        for k in range(4):
            owner[distance[k] < 0] = k
        for k in range(4):
            assert (data.object_masks[i, k] != (owner == k)).sum() <= 2  # rounding on the outline
        overlaps += (sum((d < 0).long() for d in distance) > 1).any().item()
        # Away from every outline a pixel has the colour of the object that owns it.
        inner = torch.stack(distance).abs().amin(0) > 1
        painted = data.images[i].permute(1, 2, 0)[inner & (owner >= 0)] / 255
        assert torch.allclose(painted, rgb[i][owner[inner & (owner >= 0)]], atol=0.51 / 255)
    assert overlaps > 150


def test_scatter_keeps_objects_apart_where_there_is_room():
    f = shapeworld(2000, layout="scatter", count=4, radius=4.0, noise=0.0).factors
    distance = torch.hypot(f["x"][:, :, None] - f["x"][:, None], f["y"][:, :, None] - f["y"][:, None])
    nearest = (distance + 99 * torch.eye(4)).flatten(1).amin(1)
    assert (nearest > 7.99).float().mean() > 0.97
    for name in ("x", "y"):  # all of the image is used, and no object is cut by the border
        assert 3.99 < f[name].min() < 4.3 and 27.7 < f[name].max() < 28.01


def test_boxes_of_hand_made_masks():
    masks = torch.zeros(1, 3, 5, 7, dtype=torch.bool)
    masks[0, 0, 2, 3] = True
    masks[0, 1, 0, 0] = masks[0, 1, 4, 6] = True
    assert boxes_around(masks).tolist() == [[[3, 2, 4, 3], [0, 0, 7, 5], [0, 0, 0, 0]]]


# --- shapes can be told apart -------------------------------------------------------------------------------


def test_a_nearest_neighbour_tells_the_shapes_apart():
    knobs = dict(layout="single", colour="grey", rotation=0.0, noise=0.0)
    train, test = shapeworld(1500, seed=0, **knobs), shapeworld(500, seed=1, **knobs)

    def contrast(data):  # how far from the background, whichever way
        x = (data.images[:, 0].float() / 255 - data.factors["background"][:, :1, None]).abs().flatten(1)
        return x / x.norm(dim=1, keepdim=True)

    nearest = (contrast(test) @ contrast(train).T).topk(3, dim=1).indices  # [500, 3]
    predicted = train.labels[nearest].mode(1).values
    hits = (predicted == test.labels).float()
    assert hits.mean() > 0.9
    assert all(hits[test.labels == label].mean() > 0.75 for label in range(10))


# --- knobs --------------------------------------------------------------------------------------------------


@st.composite
def legal_knobs(draw):
    layout = draw(st.sampled_from(LAYOUTS))
    size = draw(st.integers(16, 64))
    radius = sorted(draw(st.tuples(st.batch(1.5, size / 2), st.batch(1.5, size / 2))))
    room = {"multi": size / 4, "single": size / 2, "scatter": 0}[layout]
    count = (1, 1) if layout == "single" else tuple(sorted(draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))))
    return dict(
        layout=layout,
        size=size,
        radius=tuple(radius),
        jitter=draw(st.batch(0, room)),
        count=count,
        shapes=tuple(draw(st.lists(st.sampled_from(SHAPES), min_size=1, unique=True))),
        mixed=draw(st.booleans()),
        rotation=draw(st.batch(0, math.pi)),
        colour=draw(st.sampled_from(["contrast", "shared", "grey", "hue"])),
        texture=tuple(draw(st.lists(st.sampled_from(TEXTURES), min_size=1, unique=True))),
        amplitude=draw(st.batch(0, 0.5)),
        noise=draw(st.batch(0, 1)),
        with_masks=True,
        seed=draw(st.integers(0, 2**31 - 1)),
    )


@settings(max_examples=60)
@given(legal_knobs(), st.integers(1, 5))
def test_any_legal_knobs_draw_what_they_say(knobs, n):
    data = shapeworld(n, **knobs)
    f, size, k = data.factors, knobs["size"], knobs["count"][1]
    assert data.images.shape == (n, 3, size, size) and data.images.dtype == torch.uint8
    assert data.classes == knobs["shapes"] and f["shape"].max() < len(data.classes)
    assert (f["count"] >= knobs["count"][0]).all() and (f["count"] <= k).all()
    present = torch.arange(k) < f["count"][:, None]
    for name, values in f.items():
        assert len(values) == n
        if name not in ("count", "background"):
            assert values.shape == (n, k)
            assert values.dtype == (torch.int64 if name in ("shape", "texture", "hue") else torch.float32)
    slack = 1e-4
    for name, low, high in (
        ("size", *knobs["radius"]),
        ("rotation", -knobs["rotation"], knobs["rotation"]),
        ("x", 0, size),
        ("y", 0, size),
        ("red", 0, 1),
    ):
        values = f[name][present]
        assert (values >= low - slack).all() and (values <= high + slack).all(), name
    if knobs["layout"] == "single":
        assert ((f["x"] - size / 2).abs() <= knobs["jitter"] + slack).all()
    kinds = {TEXTURES.index(name) for name in knobs["texture"]}
    assert set(f["texture"][present].tolist()) <= kinds
    assert not data.object_masks[~present].any() and data.object_masks.sum(1).max() <= 1
    assert torch.equal(data.images, shapeworld(n, **knobs).images)


@pytest.mark.parametrize(
    "name, value, expected",
    [
        ("n", 0, "at least 1"),
        ("n", 2.5, "whole number"),
        ("seed", -1, "0 to"),
        ("size", 8, "16 to 128"),
        ("size", 32.0, "whole number"),
        ("layout", "grid", "multi, single, scatter"),
        ("shapes", ("disk", "blob"), "disk, ring"),
        ("shapes", ("disk", "disk"), "each once"),
        ("shapes", (), "one or more"),
        ("count", 5, "1 to 4"),
        ("count", (3, 2), "least"),
        ("count", 1.5, "1 to 4"),
        ("count", (1, 2, 3), "a pair"),
        ("radius", 17, "1.5 to 16"),
        ("radius", (6, 5), "least"),
        ("radius", math.nan, "1.5 to 16"),
        ("jitter", 9, "0 to 8"),
        ("rotation", 4, "π"),
        ("colour", "red", "contrast"),
        ("texture", "dots", "none, stripes, checks"),
        ("amplitude", 0.6, "0.5"),
        ("noise", -0.1, "0 to 1"),
        ("noise", math.nan, "0 to 1"),
    ],
)
def test_impossible_knobs_name_themselves(name, value, expected):
    with pytest.raises(ValueError, match=f"^{name} is ") as error:
        shapeworld(**{"n": 1, name: value})
    assert expected in str(error.value)


def test_knobs_that_do_not_go_together():
    with pytest.raises(ValueError, match='layout "single"'):
        shapeworld(1, layout="single", count=2)
    with pytest.raises(ValueError, match='layout "scatter"'):
        shapeworld(1, layout="scatter", jitter=1)
