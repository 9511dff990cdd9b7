"""Crop and flip on images whose every pixel says where it came from."""

import pytest
import torch

from minijepa.datasets.augment import crop_flip

STILL = {"scale": (1.0, 1.0), "aspect": (1.0, 1.0), "flip": False}


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def ramps(count, size=32):
    """[B, 2, H, W]: channel 0 is the column of each pixel, channel 1 the row, as fractions of the side."""
    places = (torch.arange(size) + 0.5) / size
    row, column = torch.meshgrid(places, places, indexing="ij")
    return torch.stack([column, row]).expand(count, 2, size, size).contiguous()


def inner(x):
    """Away from the border, where a crop at the edge mirrors its last half pixel."""
    return x[..., 2:-2, 2:-2]


def extents(y, size=32):
    """Width (negative if mirrored), height and centre of each crop, read off the ramps: tensors [B]."""
    step_x = inner(y)[:, 0].diff(dim=2).mean(dim=(1, 2)) * size
    step_y = inner(y)[:, 1].diff(dim=1).mean(dim=(1, 2)) * size
    return step_x, step_y, y[:, 0].mean(dim=(1, 2)), y[:, 1].mean(dim=(1, 2))


@pytest.mark.parametrize("shape", [(4, 3, 32, 32), (2, 1, 7, 12)])
def test_nothing_to_do_is_the_identity(shape):
    x = torch.randn(shape, generator=seeded(0))
    y = crop_flip(x, seeded(1), **STILL)
    assert y.shape == shape and y.dtype == x.dtype
    torch.testing.assert_close(y, x, atol=1e-4, rtol=0)


def test_flip_mirrors_half_of_the_images():
    x = torch.randn(400, 1, 6, 9, generator=seeded(0))
    y = crop_flip(x, seeded(1), **{**STILL, "flip": True})
    same = torch.isclose(y, x, atol=1e-4).flatten(1).all(dim=1)
    mirrored = torch.isclose(y, x.flip(3), atol=1e-4).flatten(1).all(dim=1)
    assert (same ^ mirrored).all()
    assert abs(mirrored.double().mean() - 0.5) < 4.5 * (0.25 / 400) ** 0.5


def test_a_crop_is_a_rectangle_inside_the_image():
    """A ramp stays a ramp; its slope is the crop's size, its mean the crop's centre."""
    x = ramps(500)
    y = crop_flip(x, seeded(0), scale=(0.3, 0.8), aspect=(0.75, 4 / 3))
    for channel, still in ((0, 1), (1, 2)):
        assert inner(y)[:, channel].diff(dim=still).abs().max() < 1e-4  # rows along columns, columns along rows
    slopes = inner(y)[:, 0].diff(dim=2)
    assert (slopes.amax(dim=(1, 2)) - slopes.amin(dim=(1, 2))).max() < 1e-4
    width, height, cx, cy = extents(y)
    area, aspect = width.abs() * height, width.abs() / height
    assert area.min() > 0.3 - 1e-3 and area.max() < 0.8 + 1e-3
    assert aspect.min() > 0.75 - 1e-3 and aspect.max() < 4 / 3 + 1e-3
    for centre, side in ((cx, width.abs()), (cy, height)):
        assert ((centre - side / 2) > -5e-3).all() and ((centre + side / 2) < 1 + 5e-3).all()
    assert y.min() > 0 and y.max() < 1


def test_areas_aspects_and_places_fill_their_ranges():
    y = crop_flip(ramps(3000, 16), seeded(0), scale=(0.2, 0.5), aspect=(0.5, 2.0), flip=False)
    width, height, cx, cy = extents(y, 16)
    area, log_aspect = width * height, (width / height).log2()
    assert abs(area.mean() - 0.35) < 0.01 and area.min() < 0.21 and area.max() > 0.49
    assert abs(log_aspect.mean()) < 0.05 and abs(log_aspect.var() - 4 / 12) < 0.03  # log-uniform on [-1, 1]
    for centre, side in ((cx, width), (cy, height)):
        place = (centre - side / 2) / (1 - side)  # 0: at the one edge, 1: at the other
        assert abs(place.mean() - 0.5) < 0.03 and place.min() < 0.05 and place.max() > 0.95
    assert abs(torch.corrcoef(torch.stack([cx, cy]))[0, 1]) < 0.08


def test_a_fixed_crop_has_the_expected_values():
    """A quarter of the area, square: sixteen source pixels become thirty-two, half a source pixel apart."""
    y = crop_flip(ramps(6), seeded(3), scale=(0.25, 0.25), aspect=(1.0, 1.0), flip=False)
    width, height, cx, cy = extents(y)
    torch.testing.assert_close(width, torch.full((6,), 0.5), atol=1e-3, rtol=0)
    torch.testing.assert_close(height, torch.full((6,), 0.5), atol=1e-3, rtol=0)
    step = (torch.arange(32) - 15.5) / 64
    torch.testing.assert_close(inner(y)[:, 0, 0], (cx[:, None] + step)[:, 2:-2], atol=2e-3, rtol=0)
    torch.testing.assert_close(inner(y)[:, 1, :, 0], (cy[:, None] + step)[:, 2:-2], atol=2e-3, rtol=0)


def test_each_image_has_its_own_crop_and_a_seed_repeats_them():
    x = ramps(20)
    y = crop_flip(x, seeded(0))
    assert len({tuple(row) for row in y.flatten(1).tolist()}) == 20
    assert torch.equal(crop_flip(x, seeded(0)), y)
    assert not torch.equal(crop_flip(x, seeded(1)), y)
    assert torch.equal(x, ramps(20))  # the input is not written to


def test_rows_of_a_batch_get_the_crops_of_the_whole_batch():
    x = ramps(6)
    whole = crop_flip(x, seeded(0))
    parts = [crop_flip(x[i : i + 2], seeded(0), rows_of=(i, 6)) for i in (0, 2, 4)]
    assert torch.equal(torch.cat(parts), whole)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"scale": (0.0, 1.0)}, r"\(0\.0, 1\.0\)"),
        ({"scale": (0.5, 1.2)}, r"\(0\.5, 1\.2\)"),
        ({"scale": (0.9, 0.3)}, r"\(0\.9, 0\.3\)"),
        ({"aspect": (0.0, 1.0)}, r"\(0\.0, 1\.0\)"),
        ({"aspect": (2.0, 0.5)}, r"\(2\.0, 0\.5\)"),
        ({"aspect": (1.0, float("inf"))}, "inf"),
    ],
)
def test_impossible_crops_name_the_numbers(change, named):
    with pytest.raises(ValueError, match=named):
        crop_flip(torch.zeros(2, 3, 8, 8), **change)
