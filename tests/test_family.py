"""The relatives: losses against loops, hidden patches stay hidden, and `fit` trains each of them."""

import inspect
import math
import re

import pytest
import torch

from minijepa import ViT, fit, moving_shapes, random_masks, shapeworld
from minijepa.family import METHODS, Data2Vec, TwoViews, info_nce, lejepa_loss, two_views
from minijepa.family.two_views import colours
from minijepa.losses import sigreg, vicreg
from minijepa.training import recipe


def encoder(seed=0):
    torch.manual_seed(seed)
    return ViT(img_size=32, patch_size=4, dim=24, depth=2, heads=2)


def masks(batch, generator=None):
    return random_masks(batch, (8, 8), context_keep=20, target_keep=28, generator=generator)


def test_info_nce_is_the_loop_over_the_formula():
    first, second = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(0))
    views = [*first, *second]
    total = 0.0
    for i, z in enumerate(views):
        similar = [math.exp(torch.cosine_similarity(z, other, dim=0).item() / 0.2) for other in views]
        total -= math.log(similar[(i + 5) % 10] / (sum(similar) - similar[i]))
    assert info_nce(first, second).item() == pytest.approx(total / 10, rel=1e-5)


def test_info_nce_of_a_collapsed_batch_is_the_logarithm_of_the_choices():
    same = torch.ones(4, 3)
    assert info_nce(same, same).item() == pytest.approx(math.log(7), rel=1e-5)
    with pytest.raises(ValueError, match="temperature must be positive, got 0"):
        info_nce(same, same, temperature=0)


def test_info_nce_looks_at_directions_only():
    first, second = torch.randn(2, 6, 4)
    assert torch.allclose(info_nce(first, second), info_nce(3 * first, 0.1 * second), atol=1e-6)


def test_lejepa_is_agreement_and_gaussianity():
    first, second = torch.randn(2, 64, 8, generator=torch.Generator().manual_seed(1))
    spread = ((first - second) / 2).square().mean()
    expected = 0.95 * spread + 0.05 * (sigreg(first) + sigreg(second)) / 2
    assert torch.allclose(lejepa_loss(first, second), expected, atol=1e-6)
    assert lejepa_loss(first, first) < lejepa_loss(first, second)


def test_two_views_are_two_different_ones_of_each_image():
    x = torch.rand(6, 3, 32, 32)
    views = two_views(x, torch.Generator().manual_seed(0))
    assert views.shape == (12, 3, 32, 32) and torch.isfinite(views).all()
    assert all(not torch.allclose(views[i], views[i + 6]) for i in range(6))
    assert torch.equal(views, two_views(x, torch.Generator().manual_seed(0)))


def test_colours_change_colours_and_nothing_else():
    x = torch.rand(400, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    y = colours(x, torch.Generator().manual_seed(0))
    grey = (y - y.mean(dim=1, keepdim=True)).abs().amax(dim=(1, 2, 3)) < 1e-6
    assert 0.13 < grey.float().mean() < 0.27  # of 400, around .2
    ratio = y.mean(dim=(1, 2, 3)) / x.mean(dim=(1, 2, 3))  # contrast and saturation keep the mean
    assert 0.59 < ratio.min() < 0.7 and 1.3 < ratio.max() < 1.41
    assert torch.allclose(colours(x, strength=0.0, grey=0.0), x, atol=1e-6)


def test_data2vec_never_sees_what_is_hidden():
    model, x = Data2Vec(encoder(), top=2).eval(), torch.rand(2, 3, 32, 32)
    drawn = masks(2, torch.Generator().manual_seed(0))
    before = model(x, drawn)
    patches = model.encoder.patch_embed.patches(x)  # [2, 64, 48]
    noise = patches.clone()
    for i in range(2):
        noise[i, drawn.targets[i].flatten()] = torch.rand(28, 48)
    changed = noise.unflatten(1, (8, 8)).unflatten(3, (3, 4, 4)).permute(0, 3, 1, 4, 2, 5).reshape(2, 3, 32, 32)
    after = model(changed, drawn)
    assert torch.allclose(before.prediction, after.prediction, atol=1e-6)
    assert not torch.allclose(before.target, after.target, atol=1e-3)
    assert before.prediction.shape == before.target.shape == (2, 1, 28, 24)


def test_data2vec_with_nothing_hidden_is_the_plain_encoder():
    model, x = Data2Vec(encoder(), top=2).eval(), torch.rand(2, 3, 32, 32)
    none = type(masks(2))(torch.arange(64).repeat(2, 1), torch.zeros(2, 1, 0, dtype=torch.long))
    assert torch.allclose(model(x, none).context, model.encoder(x), atol=1e-6)


def test_data2vec_refuses_rotary_positions():
    with pytest.raises(ValueError, match="rotary"):
        Data2Vec(ViT(img_size=32, patch_size=4, dim=24, depth=1, heads=2, positions="rotary"), top=1)


@pytest.mark.parametrize("loss", [info_nce, vicreg, lejepa_loss])
def test_two_views_train(loss):
    model = TwoViews(encoder(), loss)
    start = [p.clone() for p in model.parameters()]
    settings = {**recipe.TRAINING, "augment": two_views, "batch_size": 16}
    history = fit(model, shapeworld(32, seed=0), **settings, steps=3)
    assert all(math.isfinite(row["loss"]) for row in history.rows)
    moved = [not torch.equal(a, b) for a, b in zip(start, model.parameters(), strict=True)]
    assert sum(moved) >= len(moved) - 1  # the last bias of the projector cancels in some losses


def test_data2vec_trains_and_its_teacher_follows():
    model = Data2Vec(encoder(), top=2)
    start = model.target_encoder.patch_embed.proj.weight.clone()
    history = fit(model, shapeworld(32, seed=0), masks, **{**recipe.TRAINING, "batch_size": 16}, steps=3)
    assert math.isfinite(history.rows[-1]["loss"])
    assert not torch.equal(start, model.target_encoder.patch_embed.proj.weight)
    assert not any(p.requires_grad for p in model.target_encoder.parameters())


def test_batches_of_examples_that_are_compared_are_not_cut_into_microbatches():
    """Refused before anything is trained; on several processes the model asks for the whole batch itself."""
    with pytest.raises(ValueError, match="TwoViews compares the examples.*use accumulate=1, got 2"):
        fit(TwoViews(encoder(), vicreg), shapeworld(8, seed=0), steps=1, batch_size=4, augment=two_views, accumulate=2)


def test_an_augmentation_must_take_part_in_a_batch_in_parts():
    def augment(x, generator):
        return x

    with pytest.raises(ValueError, match="augment=augment does not take `rows_of`"):
        fit(recipe.build(), shapeworld(8, seed=0), masks, steps=1, batch_size=4, augment=augment, accumulate=2)


def test_two_views_of_some_rows_are_those_of_the_whole_batch():
    x = torch.rand(6, 3, 32, 32)
    whole = two_views(x, torch.Generator().manual_seed(0))
    part = two_views(x[2:5], torch.Generator().manual_seed(0), rows_of=(2, 6))
    assert torch.equal(part, torch.cat([whole[2:5], whole[8:11]]))


def test_a_relative_has_the_four_names():
    for name, method in METHODS.items():
        assert isinstance(method.NAME, str) and callable(method.model) and isinstance(method.TRAINING, dict), name
        assert method.masks is None or callable(method.masks), name


@pytest.mark.parametrize("name", [name for name in METHODS if name != "ijepa"])
def test_the_example_of_a_relative_runs(name):
    """As it stands at the top of its file, with drawn images, fewer clips, one step and small batches."""
    text = inspect.getdoc(METHODS[name])
    lines = [line[4:] for line in text.splitlines() if re.match(r"    (model|clips|fit)\b", line)]
    example = "\n".join(lines).replace("course_data()[0]", "shapeworld(16, seed=0)").replace("4_000", "16")
    example, changed = re.subn(r"steps=\d+, \*\*(\w+\.TRAINING)", r"steps=1, **{**\1, 'batch_size': 16}", example)
    assert changed == 1 and len(lines) in (2, 3)
    space = {"ViT": ViT, "fit": fit, "shapeworld": shapeworld, "moving_shapes": moving_shapes, name: METHODS[name]}
    exec(example, space)
    assert not any(module.training for module in space["model"].modules())
