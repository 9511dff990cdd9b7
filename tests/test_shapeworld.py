"""ShapeWorld and the drawing engine: what is drawn is what the labels say, measured on the pixels."""

import math

import numpy as np
import pytest
import torch

from minijepa.datasets import SHAPES
from minijepa.datasets.shapes import shapeworld
from minijepa.datasets.shapes.drawing import apart, cover_image, draw_objects, paint, paint_image
from minijepa.datasets.shapes.shapeworld import MEAN, NOISE, STD


def equal(a, b):
    return all(torch.equal(a.factors[name], b.factors[name]) for name in {*a.factors, *b.factors})


def quiet(data):
    """The pictures of these factors without noise, in [0, 1]: [N, 3, S, S]."""
    return paint_image(data.factors, cover_image(data.factors, SHAPES, data.images.shape[-1]))


def draw(name, radius, angle, size=96):
    """Single shapes in the middle, how much of each pixel they cover: [N, S, S]; radius, angle: N numbers."""
    radius, angle = (torch.as_tensor(values, dtype=torch.float32)[:, None] for values in (radius, angle))
    middle = torch.full_like(radius, size / 2)
    shape = torch.zeros(radius.shape, dtype=torch.int64)
    scene = {"shape": shape, "x": middle, "y": middle, "size": radius, "rotation": angle}
    return cover_image(scene, (name,), size)[:, 0]


# --- seeds --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [32, 48])
def test_same_arguments_same_images_and_prefix(size):
    many = shapeworld(600, seed=7, size=size)  # several chunks, the last one cut
    assert many.images.shape == (600, 3, size, size) and many.images.dtype == torch.uint8
    assert torch.equal(many.images, shapeworld(600, seed=7, size=size).images)
    for few in (1, 256, 300):
        first = shapeworld(few, seed=7, size=size)
        assert torch.equal(first.images, many.images[:few]) and equal(first, many.subset(slice(few)))
    other = shapeworld(600, seed=8, size=size)
    assert (other.labels != many.labels).any() and not torch.equal(other.images, many.images)
    assert len(torch.unique(many.images.flatten(1), dim=0)) == 600  # no chunk repeats another


def test_a_seed_gives_the_images_that_it_always_gave():
    """Pixels written down when the recorded runs were made; in the second chunk too."""
    contrast, grey = shapeworld(300, seed=1).images, shapeworld(300, seed=1, colour="grey").images
    known = [
        [[51, 75, 42, 140, 138], [185, 224, 215, 160, 167], [255, 255, 201, 165, 189]],
        [[214, 148, 243, 243, 176], [149, 76, 196, 228, 122], [122, 53, 3, 0, 107]],
        [[51, 75, 42, 140, 138], [27, 66, 61, 174, 184], [80, 114, 13, 149, 177]],
        [[214, 148, 243, 243, 176], [197, 130, 236, 255, 177], [255, 115, 220, 230, 153]],
    ]
    found = torch.stack([images[i, :, 9, 7:12] for images in (contrast, grey) for i in (0, 299)]).int()  # [4, 3, 5]
    assert (found - torch.tensor(known)).abs().max() <= 1  # rounding may differ between machines


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


def test_colour_leaves_the_objects_where_they_are():
    colourful, grey = shapeworld(300), shapeworld(300, colour="grey")
    for name in ("shape", "x", "y", "size", "rotation"):
        assert torch.equal(grey.factors[name], colourful.factors[name])


def test_noise_has_the_stated_spread():
    data = shapeworld(300, colour="grey", seed=3)
    clean, noisy = quiet(data).double(), data.images.double() / 255
    middle = (clean > 0.4) & (clean < 0.6)  # where nothing is clipped
    assert (noisy - clean)[middle].std().item() == pytest.approx(NOISE, rel=0.02)
    assert (noisy - clean)[middle].mean().item() == pytest.approx(0.0, abs=1e-3)


def test_normalisation_constants_fit():
    x = shapeworld(2000, seed=5).images.double().div(255)
    for c in range(3):
        assert x[:, c].mean().item() == pytest.approx(MEAN[c], abs=0.01)
        assert x[:, c].std().item() == pytest.approx(STD[c], abs=0.01)


# --- every factor against the pixels ------------------------------------------------------------------------


def test_class_is_balanced_and_independent_of_the_other_factors():
    data = shapeworld(6000)
    often = torch.bincount(data.labels, minlength=10) / 6000
    assert (often - 0.1).abs().max() < 4 * math.sqrt(0.09 / 6000)  # four standard errors
    columns = {name: data.factors[name][:, 0].double() for name in ("shape", "x", "y", "size", "rotation")}
    columns |= {name: data.factors[name][:, 0].double() for name in ("red", "green", "blue")}
    columns["x of object 1"] = data.factors["x"][:, 1].double()
    correlation = torch.corrcoef(torch.stack(list(columns.values())))
    assert (correlation - torch.eye(len(columns))).abs().max() < 4.5 / math.sqrt(6000)
    assert (data.factors["shape"] == data.labels[:, None]).all()  # one class per image
    assert data.classes == SHAPES and (data.factors["count"] == 4).all()


@pytest.mark.parametrize("size", [32, 64])
def test_factors_keep_their_ranges_and_their_quarters(size):
    f, scale = shapeworld(500, size=size).factors, size / 32
    assert 4.5 * scale <= f["size"].min() < 4.6 * scale and 6.4 * scale < f["size"].max() <= 6.5 * scale
    assert f["rotation"].abs().max() <= 0.35 < 0.36 and f["rotation"].abs().max() > 0.34
    middles = torch.tensor([[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]]) * size  # in reading order
    away = (torch.stack([f["x"], f["y"]], -1) - middles).abs()
    assert away.max() <= 1.5 * scale and away.max() > 1.45 * scale


def test_centre_of_mass_is_x_y():
    size = 64
    data = shapeworld(300, size=size)
    cover = cover_image(data.factors, SHAPES, size).double()  # [N, 4, S, S]
    grid, total = torch.arange(size) + 0.5, cover.sum((2, 3))
    x, y = (cover.sum(2) * grid).sum(2) / total, (cover.sum(3) * grid).sum(2) / total
    assert (x - data.factors["x"]).abs().max() < 0.6 and (y - data.factors["y"]).abs().max() < 0.6


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
def test_area_is_that_of_the_shape_at_any_size_and_angle(name):
    radius = torch.linspace(8, 40, 60).double()
    area = draw(name, radius, torch.linspace(-math.pi, math.pi, 60)).sum((1, 2)).double()
    assert torch.allclose(area, area_of(name) * radius**2, rtol=0.03)


def test_rotation_is_clockwise_by_the_label():
    angles = torch.linspace(-1.5, 1.5, 60)
    for mask, angle in zip(draw("bar", [30] * 60, angles).round().numpy(), angles.tolist(), strict=True):
        y, x = np.nonzero(mask)
        cov = np.cov(x, y)
        found = 0.5 * math.atan2(2 * cov[0, 1], cov[0, 0] - cov[1, 1])  # of the long axis; y points down
        assert abs((found - angle + math.pi / 2) % math.pi - math.pi / 2) < 0.03


def test_upright_shapes_stand_as_named():
    """A T has its beam on top, a triangle its tip, a heart its lobes; a crescent is open to the right."""
    for name in SHAPES:
        mask = draw(name, [30], [0])[0] >= 0.5
        rows = mask.sum(1)[mask.any(1)].float()
        third = len(rows) // 3
        top, bottom = rows[:third].mean(), rows[-third:].mean()
        if name in ("T", "heart"):
            assert top > 1.5 * bottom
        if name == "triangle":
            assert bottom > 1.5 * top
        if name == "crescent":
            columns = mask.sum(0)[mask.any(0)].float()
            half = len(columns) // 2
            assert columns[:half].sum() > 1.3 * columns[-half:].sum()
        if name in ("disk", "ring", "square", "plus", "bar"):
            assert (mask.float() - mask.flip(0).float()).abs().mean() < 0.02


@pytest.mark.parametrize("colour", ["contrast", "grey"])
def test_colours_are_those_of_the_pixels(colour):
    data = shapeworld(200, colour=colour)
    x, f = quiet(data), data.factors
    full = cover_image(f, SHAPES, 32) == 1  # [N, 4, S, S]: pixels that show one object and nothing else
    nothing = cover_image(f, SHAPES, 32).sum(1) == 0  # [N, S, S]
    assert torch.equal(x.movedim(1, 3)[nothing], f["background"][:, None, None].expand(-1, 32, 32, -1)[nothing])
    rgb = torch.stack([f[name] for name in ("red", "green", "blue")], -1)  # [N, 4, 3]
    for k in range(4):
        own = full[:, k] & (full.sum(1) == 1)
        torch.testing.assert_close(x.movedim(1, 3)[own], rgb[:, k, None, None].expand(-1, 32, 32, -1)[own])
    assert 0.25 <= f["background"].min() and f["background"].max() <= 0.75
    contrast = (rgb - f["background"][:, None]).abs()
    assert contrast.min() > 0.2499 and contrast.max() < 0.6001
    assert bool((rgb == rgb[..., :1]).all()) == (colour == "grey")


# --- the engine ---------------------------------------------------------------------------------------------


def test_objects_that_are_not_there_have_no_factors():
    scene, _ = draw_objects(4000, ("disk", "ring"), (1, 3), "contrast", torch.Generator().manual_seed(0))
    often = torch.bincount(scene["count"], minlength=4) / 4000
    assert often[0] == 0 and (often[1:] - 1 / 3).abs().max() < 4 * math.sqrt(2 / 9 / 4000)
    present = torch.arange(3) < scene["count"][:, None]
    assert torch.equal(scene["shape"] >= 0, present)
    for name in ("rotation", "red", "green", "blue"):
        assert torch.equal(torch.isfinite(scene[name]), present)
    scene |= {name: torch.full(present.shape, 9.0) for name in ("x", "y", "size")}
    cover = cover_image(scene, ("disk", "ring"), 16)
    assert torch.equal(cover.flatten(2).any(2), present) and not paint_image(scene, cover).isnan().any()


def test_later_objects_hide_earlier_ones():
    cover = torch.tensor([[[[1.0, 1.0, 0.0, 0.0]], [[0.0, 1.0, 0.5, 0.0]]]])  # [1, 2, 1, 4]
    picture = paint(torch.tensor([[0.2]]), torch.tensor([[[0.4], [0.8]]]), cover)
    torch.testing.assert_close(picture[0, 0, 0], torch.tensor([0.4, 0.8, 0.5, 0.2]))


def test_apart_keeps_objects_apart_where_there_is_room():
    tries = 24 * torch.rand(2000, 4, 16, 2, generator=torch.Generator().manual_seed(0))
    x, y = apart(tries, torch.full((2000, 4), 4.0))
    distance = torch.hypot(x[:, :, None] - x[:, None], y[:, :, None] - y[:, None]) + 99 * torch.eye(4)
    assert (distance.flatten(1).amin(1) > 7.99).float().mean() > 0.97
    assert torch.equal(torch.stack([x, y], -1)[:, 0], tries[:, 0, 0])  # the first stands where it was drawn first


def test_a_nearest_neighbour_tells_the_shapes_apart():
    generator = torch.Generator().manual_seed(0)

    def crops(n):
        angle = 0.7 * torch.rand(n, generator=generator) - 0.35
        pictures = [draw(name, 8 + 3 * torch.rand(n, generator=generator), angle, size=32) for name in SHAPES]
        return torch.nn.functional.normalize(torch.cat(pictures).flatten(1).float(), dim=1)  # [10 n, 1024]

    train, test = crops(60), crops(20)
    predicted = (test @ train.T).argmax(1) // 60
    assert (predicted == torch.arange(10).repeat_interleave(20)).float().mean() > 0.95


@pytest.mark.parametrize(
    "name, value, expected",
    [
        ("n", 0, "at least 1"),
        ("n", 2.5, "whole number"),
        ("seed", -1, "0 to"),
        ("size", 8, "16 to 128"),
        ("size", 32.0, "whole number"),
        ("colour", "red", "contrast, grey"),
    ],
)
def test_impossible_arguments_name_themselves(name, value, expected):
    with pytest.raises(ValueError, match=f"^{name} is ") as error:
        shapeworld(**{"n": 1, name: value})
    assert expected in str(error.value)
