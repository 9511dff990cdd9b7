"""The relatives that change the target (data2vec, data2vec 2.0, Bootleg, SALT, two targets), computed slowly."""

import copy

import pytest
import torch
from helpers import planted, seeded
from torch.nn import functional as F

from minijepa import JEPA, Predictor, ViT, fit, shapeworld
from minijepa.family import bootleg, data2vec, data2vec2, mae, salt, two_targets
from minijepa.losses import variance_covariance
from minijepa.masking import Masks, MaskSets


def encoder(seed=0, depth=3):
    torch.manual_seed(seed)
    return ViT(img_size=32, patch_size=8, dim=24, depth=depth, heads=2)


def images(count=3):
    return torch.randn(count, 3, 32, 32, generator=seeded())


def some_masks(count=3):
    """Four of 16 patches seen, five others asked for."""
    order = torch.rand(count, 16, generator=seeded(1)).argsort(dim=1)
    return Masks(order[:, :4].sort(dim=1).values, order[:, None, 4:9].sort(dim=2).values)


def layers_by_hand(vit, x):
    """Every block's output, the last one after the final LayerNorm; then each token's mean 0 and variance 1."""
    tokens = vit.patch_embed.proj(vit.patch_embed.patches(x)) + vit.pos_embed
    outputs = []
    for block in vit.blocks:
        tokens = block(tokens)
        outputs.append(tokens)
    outputs[-1] = vit.norm(outputs[-1])
    means = [(y, y.mean(dim=-1, keepdim=True), y.var(dim=-1, keepdim=True, correction=0)) for y in outputs]
    return [(y - mean) / (variance + 1e-5).sqrt() for y, mean, variance in means]


def moved(model):
    """The context encoder after a change that its targets must not follow."""
    with torch.no_grad():
        for p in model.encoder.parameters():
            p.add_(torch.randn(p.shape, generator=seeded(5)), alpha=0.1)
    return model


def no_gradient_reaches(part):
    assert all(p.grad is None for p in part.parameters())


# --- data2vec: the mean of the layers; mask tokens at the hidden patches ---


def check_data2vec(module):
    model, x, masks = module.Data2Vec(encoder(), top=2), images(), some_masks()
    out = moved(model)(x, masks)
    expected = sum(layers_by_hand(model.teacher.encoder, x)[-2:]) / 2
    assert torch.allclose(out.all_targets, expected, atol=1e-5)
    hidden = masks.targets[:, 0]
    error = torch.stack([model.head(out.context)[i, hidden[i]] - expected[i, hidden[i]] for i in range(3)])
    assert torch.allclose(out.loss, F.smooth_l1_loss(error, torch.zeros_like(error)), atol=1e-6)
    out.loss.backward()
    no_gradient_reaches(model.teacher)
    other = x.clone()  # other pixels in the hidden patches change nothing that the encoder sees
    patches = other.view(3, 3, 4, 8, 4, 8)
    for i in range(3):
        for j in hidden[i]:
            patches[i, :, j // 4, :, j % 4] += 1
    seen = [module.encode_with_mask_tokens(model.encoder, model.mask_token, each, hidden) for each in (x, other)]
    assert torch.equal(*seen)


# --- data2vec 2.0: M masks, one pass of the target encoder ---


def check_data2vec2(module):
    model, x = module.model(encoder(), weight=0.0), images()
    parts = [some_masks(), Masks(15 - some_masks().context.flip(1), 15 - some_masks().targets.flip(2))]
    calls = []
    model.teacher.register_forward_hook(lambda *_: calls.append(1))
    out = moved(model)(x, MaskSets(tuple(parts)))
    assert len(calls) == 1, "one pass of the target encoder for all masks"
    expected = sum(layers_by_hand(model.teacher.encoder, x)) / 3
    errors = []
    for masks in parts:
        prediction = model.predictor(model.encoder(x, keep=masks.context), masks)[:, 0]
        for i in range(3):
            errors.append((prediction[i] - expected[i, masks.targets[i, 0]]).square().mean())
    assert torch.allclose(out.loss, torch.stack(errors).mean(), atol=1e-6)
    out.loss.backward()
    no_gradient_reaches(model.teacher)


def check_data2vec2_masks(module):
    sets = module.masks(50, seeded(), count=3).sets
    assert len(sets) == 3 and not torch.equal(sets[0].context, sets[1].context)
    for masks in sets:
        rows, columns = masks.context // 8, masks.context % 8
        assert masks.context.shape == (50, 16) and masks.targets.shape == (50, 1, 28)
        assert (rows.amax(1) - rows.amin(1) == 3).all() and (columns.amax(1) - columns.amin(1) == 3).all(), "a block"
        both = torch.cat([masks.context, masks.targets[:, 0]], dim=1)
        assert all(len(set(row.tolist())) == 44 for row in both), "nothing seen is asked for"


# --- Bootleg: every layer of the target encoder, one after the other ---


def check_bootleg(module):
    model, x, masks = module.model(encoder(), weight=0.0), images(), some_masks()
    out = moved(model)(x, masks)
    expected = torch.cat(layers_by_hand(model.teacher.encoder, x), dim=-1)  # [3, 16, 3 * 24]
    assert out.all_targets.shape == (3, 16, 72) and torch.allclose(out.all_targets, expected, atol=1e-5)
    prediction = model.predictor(model.encoder(x, keep=masks.context), masks)
    error = torch.stack([prediction[i, 0] - expected[i, masks.targets[i, 0]] for i in range(3)])
    assert torch.allclose(out.loss, F.smooth_l1_loss(error, torch.zeros_like(error)), atol=1e-6)
    out.loss.backward()
    no_gradient_reaches(model.teacher)
    model.after_step(0.0)
    assert all(
        torch.equal(a, b) for a, b in zip(model.teacher.encoder.parameters(), model.encoder.parameters(), strict=True)
    )


# --- SALT: pixels first, then a target encoder that stays ---


def check_salt(module):
    x, masks = images(), some_masks()
    teacher = encoder(seed=1, depth=1)  # smaller than the encoder that learns from it
    model = module.model(encoder(), teacher)
    expected = layers_by_hand(copy.deepcopy(teacher), x)[-1]
    model.after_step(0.0)
    out = model(x, masks)
    assert torch.allclose(out.all_targets, expected, atol=1e-5), "the target encoder does not follow"
    out.loss.backward()
    no_gradient_reaches(model.teacher)
    assert model.target_encoder is model.encoder, "the new encoder is the one to keep"
    stage1 = module.pixel_model(encoder())
    patches = torch.stack([each.reshape(3, 4, 8, 4, 8).permute(1, 3, 0, 2, 4).reshape(16, -1) for each in x])
    normal = (patches - patches.mean(-1, keepdim=True)) / (patches.var(-1, keepdim=True) + 1e-6).sqrt()
    prediction = stage1.predictor(stage1.encoder(x, keep=masks.context), masks)
    errors = [(prediction[i, 0] - normal[i, masks.targets[i, 0]]).square().mean() for i in range(3)]
    assert torch.allclose(stage1(x, masks).loss, torch.stack(errors).mean(), atol=1e-5)


# --- two targets: latents and pixels, and a predictor that reads every layer ---


def normalised_pixels(x):
    """The patches of 8 x 8 pixels of images [B, 3, 32, 32], each with mean 0 and variance 1: [B, 16, 192]."""
    patches = torch.stack([each.reshape(3, 4, 8, 4, 8).permute(1, 3, 0, 2, 4).reshape(16, -1) for each in x])
    return (patches - patches.mean(-1, keepdim=True)) / (patches.var(-1, keepdim=True) + 1e-6).sqrt()


def check_two_targets(module):
    x, masks = images(), some_masks()
    for latents, pixels in ((True, True), (True, False), (False, True)):
        model = moved(module.model(encoder(), latents=latents, pixels=pixels, weight=0.0))
        prediction = model.predictor(layers_read(model.encoder, x, masks), masks)
        expected = 0.0
        if latents:
            s_y = layers_by_hand(model.teacher.encoder, x)[-1]
            expected += (
                sum(F.smooth_l1_loss(prediction[i, 0, :, :24], s_y[i, masks.targets[i, 0]]) for i in range(3)) / 3
            )
        if pixels:
            y, start = normalised_pixels(x), 24 * latents
            expected += sum(F.mse_loss(prediction[i, 0, :, start:], y[i, masks.targets[i, 0]]) for i in range(3)) / 3
        out = model(x, masks)
        assert torch.allclose(out.loss, expected, atol=1e-5), (latents, pixels)
        out.loss.backward()
        no_gradient_reaches(model.teacher)
        assert all(p.grad is not None for p in model.encoder.parameters())
    regularised = module.model(encoder(), weight=0.5)
    out = regularised(x, masks)
    extra = 0.5 * variance_covariance(regularised.encoder(x, keep=masks.context).mean(dim=1))
    assert torch.allclose(out.loss, out.energy.mean() + extra, atol=1e-5)
    regularised.after_step(0.0)
    assert all(
        torch.equal(a, b)
        for a, b in zip(regularised.teacher.encoder.parameters(), regularised.encoder.parameters(), strict=True)
    )


def layers_read(vit, x, masks):
    """What the predictor is given: every layer at the patches seen, each token with mean 0 and variance 1."""
    tokens = torch.stack([vit.embed(x)[i, masks.context[i]] for i in range(len(x))])
    outputs = []
    for block in vit.blocks:
        tokens = block(tokens)
        outputs.append(tokens)
    outputs[-1] = vit.norm(outputs[-1])
    return torch.cat([F.layer_norm(y, y.shape[-1:]) for y in outputs], dim=-1)


def test_without_its_levers_two_targets_is_mae_or_ijepa():
    x, masks = images(), some_masks()
    torch.manual_seed(1)
    plain = two_targets.model(encoder(), latents=False, every_layer=False, weight=0.0)
    torch.manual_seed(1)
    other = mae.model(encoder())
    assert torch.equal(plain(x, masks).loss, other(x, masks).loss)
    torch.manual_seed(1)
    latent = two_targets.model(encoder(), pixels=False, every_layer=False)
    torch.manual_seed(1)
    vit = encoder()
    ijepa = JEPA(vit, Predictor(24, vit.grid, width=48, depth=2, heads=3), weight=0.03)
    assert torch.equal(latent(x, masks).loss, ijepa(x, masks).loss)


def test_two_targets_needs_one():
    with pytest.raises(ValueError, match="a target"):
        two_targets.model(encoder(), latents=False, pixels=False)


BUGS = {
    "data2vec: only the last layer": (data2vec, "EMATeacher(encoder, top=top)", "EMATeacher(encoder)", check_data2vec),
    "data2vec: hidden patches seen": (
        data2vec, "mask_token.to(tokens.dtype), tokens)", "tokens, tokens)", check_data2vec
    ),
    "data2vec: target not detached": (
        data2vec, "all_targets = self.teacher(x)  #", "all_targets = self.encoder(x)  #", check_data2vec
    ),
    "data2vec 2.0: targets of other images": (
        data2vec2, "all_targets.repeat(m, 1, 1)", "all_targets.repeat_interleave(m, 0)", check_data2vec2
    ),
    "data2vec 2.0: one mask for all": (
        data2vec2, "[each.context for each in masks.sets]", "[masks.sets[0].context for each in masks.sets]",
        check_data2vec2,
    ),
    "data2vec 2.0: block asked for, not seen": (
        data2vec2, "Masks(drawn.targets[:, 0], drawn.context.unsqueeze(1))", "drawn", check_data2vec2_masks
    ),
    "data2vec 2.0: the same mask M times": (
        data2vec2, "tuple(around_a_block() for _ in range(count))", "(around_a_block(),) * count",
        check_data2vec2_masks,
    ),
    "Bootleg: layers not normalised": (
        bootleg, "nn.functional.layer_norm(y.float(), y.shape[-1:])", "y.float()", check_bootleg
    ),
    "Bootleg: layers of the context encoder": (
        bootleg, "super().__init__(encoder)", "super().__init__(encoder); self.encoder = encoder", check_bootleg
    ),
    "Bootleg: last layer forgotten": (
        bootleg, "(i + 1) * len(layers) // levels - 1", "max(0, i - 1)",
        check_bootleg,
    ),
    "SALT: the target encoder follows": (
        salt, '"""What is frozen does not follow."""',
        "[p.data.copy_(q) for p, q in zip(self.frozen.parameters(), encoder.parameters())]", check_salt
    ),
    "SALT: its frozen encoder is kept": (
        salt, "self.frozen = copy", "self.encoder = self.frozen = copy", check_salt
    ),
    "SALT: another distance on pixels": (
        salt, "out_dim=pixels.dim), pixels, l2)", "out_dim=pixels.dim), pixels)", check_salt
    ),
    "two targets: the last layer alone, repeated": (
        two_targets, "several(layers, len(layers))", "several([layers[-1]] * len(layers), len(layers))",
        check_two_targets,
    ),
    "two targets: one distance for both": (two_targets, "energy + l2(", "energy + smooth_l1(", check_two_targets),
    "two targets: latents forgotten": (two_targets, "if cut:", "if False:", check_two_targets),
    "two targets: the regulariser of all layers": (
        two_targets, "return layers[-1], self.predictor", "return sum(layers), self.predictor", check_two_targets
    ),
}  # fmt: skip


METHODS = {
    check_data2vec: data2vec,
    check_data2vec2: data2vec2,
    check_data2vec2_masks: data2vec2,
    check_bootleg: bootleg,
    check_salt: salt,
    check_two_targets: two_targets,
}


@pytest.mark.parametrize("check", METHODS, ids=lambda check: check.__name__)
def test_the_method_is_what_its_paper_says(check):
    check(METHODS[check])


@pytest.mark.parametrize("words", BUGS)
def test_a_planted_bug_is_caught(words):
    module, old, new, check = BUGS[words]
    with pytest.raises(AssertionError):
        check(planted(module, old, new))


def test_both_stages_of_salt_train():
    data = shapeworld(16, seed=0)
    settings = {**salt.TRAINING, "batch_size": 8}
    pixels = salt.pixel_model(ViT(32, 4, dim=24, depth=1, heads=2))
    fit(pixels, data, salt.masks, steps=2, **settings)
    model = salt.model(ViT(32, 4, dim=24, depth=2, heads=2), pixels.encoder)
    frozen = [p.clone() for p in model.teacher.parameters()]
    start = [p.clone() for p in model.encoder.parameters()]
    fit(model, data, salt.masks, steps=2, **settings)
    assert all(torch.equal(a, b) for a, b in zip(frozen, model.teacher.parameters(), strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(start, model.encoder.parameters(), strict=True))
