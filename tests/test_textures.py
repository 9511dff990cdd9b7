"""Textures and scratches: drawn by loops as well, alike in a patch, predictable where they are said to be."""

import math

import pytest
import torch

from minijepa import ViT, plots, shapeworld
from minijepa.datasets.shapes import TEXTURES, gratings, scratched, surfaces, textured


@pytest.mark.parametrize("kind", TEXTURES)
def test_a_grating_is_the_cosine_of_its_factors(kind):
    waves, factors = gratings(3, kind, seed=4)
    cells = {"static": 1, "unpredictable": 4}[kind]
    assert all(values.shape == (3, cells**2) for values in factors.values())
    for image, row, column in ((0, 3, 30), (1, 17, 8), (2, 31, 31)):
        cell = (row * cells // 32) * cells + column * cells // 32
        angle, length, phase = (float(factors[name][image, cell]) for name in ("angle", "length", "phase"))
        along = math.cos(angle) * column + math.sin(angle) * row
        expected = math.sqrt(2) * math.cos(2 * math.pi * along / length + phase)
        assert float(waves[image, row, column]) == pytest.approx(expected, abs=1e-4)


def test_both_kinds_have_variance_one_and_patches_alike():
    waves = {kind: gratings(2_000, kind, seed=0)[0] for kind in TEXTURES}
    patches = {kind: w[:, 8:16, 16:24].flatten(1) for kind, w in waves.items()}
    for kind in TEXTURES:
        assert abs(float(waves[kind].mean())) < 0.02 and abs(float(waves[kind].square().mean()) - 1) < 0.02
    low, high = (torch.linalg.svdvals(patches[kind]) for kind in TEXTURES)
    assert (low - high).abs().max() < 0.06 * low.max()


def test_what_is_hidden_follows_from_what_is_seen_in_a_static_texture_alone():
    """A linear map from two rows to the row below, for one angle and length only the phase is unknown; here: kNN."""
    for kind, predictable in (("static", True), ("unpredictable", False)):
        waves, _ = gratings(6_000, kind, seed=1)
        seen, hidden = waves[:, :8, :8].flatten(1), waves[:, 8:10, :8].flatten(1)  # a cell, and two rows below it
        nearest = torch.cdist(seen[5_000:], seen[:5_000]).argmin(dim=1)
        error = (hidden[5_000:] - hidden[:5_000][nearest]).square().mean()
        assert (error < 0.6) if predictable else (error > 1.6), (kind, error)  # 2 for what tells nothing


def test_the_same_seed_gives_the_same_textures_and_fewer_are_the_first():
    waves, _ = gratings(5, "static", seed=3)
    assert torch.equal(waves[:3], gratings(3, "static", seed=3)[0])
    assert not torch.equal(waves, gratings(5, "static", seed=4)[0])


def test_a_texture_is_added_in_grey_and_clipped():
    data = shapeworld(4, seed=0)
    waves, _ = gratings(4, "static", seed=0)
    added = textured(data, waves, 0.2)
    expected = (data.images / 255 + 0.2 * waves[:, None]).clamp(0, 1) * 255
    assert (added.images - expected).abs().max() <= 0.5 and added.factors is data.factors
    assert torch.equal(textured(data, waves, 0.0).images, data.images)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: gratings(2, "slow"), "kind is 'slow'; expected one of static, unpredictable"),
        (lambda: gratings(2, "static", size=36), "size is 36; expected a multiple of 8 pixels"),
        (lambda: textured(shapeworld(2), torch.zeros(3, 32, 32), 0.1), r"waves' shape is \(3, 32, 32\)"),
        (lambda: textured(shapeworld(2), torch.zeros(2, 32, 32), -0.1), "amplitude is -0.1; expected at least 0"),
    ],
)
def test_what_cannot_be_drawn_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_a_scratch_changes_its_own_pixels_and_lies_in_the_image():
    data = surfaces(200, seed=0)
    damaged, where = scratched(data, 0.3, seed=1)
    change = (damaged.images.float() - data.images.float()) / 255  # [200, 3, 32, 32]
    assert (change >= 0).all() and torch.equal(damaged.images, scratched(data, 0.3, seed=1)[0].images)
    on, off = change.mean(dim=1)[where], change.mean(dim=1)[~where]
    assert 0.2 < on.mean() < 0.3 and off.mean() < 0.005
    sizes = where.sum(dim=(1, 2))
    assert sizes.min() >= 5 and sizes.max() <= 14  # about 10 x 1 pixels
    assert where.any(dim=1).sum(dim=1).max() <= 11 and where.any(dim=2).sum(dim=1).max() <= 11
    assert (scratched(data, -0.3, seed=1)[0].images <= data.images).all()


def test_surfaces_have_a_ground_a_grating_and_grain():
    data = surfaces(300, seed=5, amplitude=0.1, noise=0.04)
    x = data.images / 255
    assert 0.44 < x.mean() < 0.56
    waves, factors = gratings(300, "static", seed=10)
    assert torch.equal(factors["phase"], data.factors["phase"])
    flat = x - x.mean(dim=(2, 3), keepdim=True) - 0.1 * (waves - waves.mean(dim=(1, 2), keepdim=True))[:, None]
    assert 0.038 < flat.std() < 0.042
    assert torch.equal(surfaces(3, seed=5).images, surfaces(3, seed=5).images) and set(data.labels.tolist()) == {0}


def test_images_from_patches_are_the_images():
    x = torch.randn(2, 3, 32, 16)
    vit = ViT(img_size=(32, 16), patch_size=(8, 4), dim=8, depth=1, heads=1)
    assert torch.equal(plots.from_patches(vit.patch_embed.patches(x), vit.grid, (8, 4)), x)


def test_rows_of_pictures():
    images = shapeworld(3, seed=0).images
    fig = plots.picture_rows({"seen": images, "drawn": images.flip(0)})
    assert len(fig.axes) == 6 and fig.axes[3].get_ylabel() == "drawn"
    assert (fig.axes[3].images[0].get_array() == images[2].permute(1, 2, 0).numpy()).all()
    plots.plt.close(fig)
