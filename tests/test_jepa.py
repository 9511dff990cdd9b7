"""The method against the same step written with loops over images and blocks; who gets a gradient."""

import copy

import pytest
import torch
from torch.nn import functional as F

from minijepa.datasets.clips import ClipData
from minijepa.ema import EMATeacher
from minijepa.family.mae import PixelTeacher
from minijepa.jepa import JEPA
from minijepa.losses import cosine, l1, l2, smooth_l1, variance_covariance
from minijepa.masking.blocks import block_masks
from minijepa.masking.sampling import MaskSets
from minijepa.masking.tubes import random_tubes
from minijepa.predictor import Predictor
from minijepa.training.fit import fit
from minijepa.vit import ViT

B, M, GRID = 3, 2, (4, 4)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def make(weight=0.0, distance=smooth_l1, teacher=None, out_dim=None, **kwargs):
    torch.manual_seed(0)
    encoder = ViT(8, 2, dim=24, depth=2, heads=3)
    predictor = Predictor(24, GRID, width=12, depth=1, heads=3, out_dim=out_dim)
    model = JEPA(encoder, predictor, teacher=teacher and teacher(encoder), distance=distance, weight=weight, **kwargs)
    with torch.no_grad():  # a teacher that is not the student, as after some steps
        for i, p in enumerate(model.teacher.parameters()):
            p.add_(0.05 * torch.randn(p.shape, generator=seeded(i)))
    return model


@pytest.fixture
def x():
    return torch.randn(B, 3, 8, 8, generator=seeded(1))


@pytest.fixture
def masks():
    return block_masks(B, GRID, n_targets=M, target_scale=(0.2, 0.3), context_keep=6, generator=seeded(2))


def by_hand(model, x, masks):
    """L = mean over images, blocks and tokens of D(prediction, target), one image and one block at a time."""
    energies, contexts = [], []
    for b in range(len(x)):
        tokens = model.encoder.embed(x[b : b + 1])[:, masks.context[b]]  # embed all, then keep
        for block in model.encoder.blocks:
            tokens = block(tokens)
        s_x = model.encoder.norm(tokens)  # [1, K_c, D]
        contexts.append(s_x[0])
        with torch.no_grad():
            s_y = model.teacher.encoder(x[b : b + 1])  # the whole image
            s_y = (s_y - s_y.mean(-1, keepdim=True)) / (s_y.var(-1, keepdim=True, correction=0) + 1e-5).sqrt()
        p = model.predictor
        for target in masks.targets[b]:
            asked = p.mask_tokens[0] + p.pos_embed[target]  # [K_t, width]
            sequence = torch.cat([p.embed(s_x[0]) + p.pos_embed[masks.context[b]], asked])[None]
            for block in p.blocks:
                sequence = block(sequence)
            prediction = p.proj(p.norm(sequence))[0, -len(target) :]
            energies.append(torch.stack([model.distance(prediction[i], s_y[0, j]) for i, j in enumerate(target)]))
    loss = torch.stack(energies).mean()
    if model.weight:
        loss = loss + model.weight * variance_covariance(torch.stack([c.mean(dim=0) for c in contexts]))
    return loss, torch.stack(energies).view(len(x), len(masks.targets[0]), -1)


@pytest.mark.parametrize("weight", [0.0, 0.3])
@pytest.mark.parametrize("distance", [smooth_l1, l2, l1, cosine])
def test_loss_and_gradients_equal_the_step_by_hand(weight, distance, x, masks):
    model = make(weight, distance)
    twin = copy.deepcopy(model)
    out = model(x, masks)
    loss, energy = by_hand(twin, x, masks)
    torch.testing.assert_close(out.loss, loss, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(out.energy, energy, atol=1e-5, rtol=1e-4)
    out.loss.backward()
    loss.backward()
    others = dict(twin.named_parameters())
    for name, p in model.named_parameters():
        if p.grad is None:
            assert others[name].grad is None
        else:
            torch.testing.assert_close(p.grad, others[name].grad, atol=1e-5, rtol=1e-4, msg=name)


def test_the_smooth_l1_loss_is_torchs(x, masks):
    out = make()(x, masks)
    torch.testing.assert_close(out.loss, F.smooth_l1_loss(out.prediction, out.target))


def test_output_shapes_and_targets(x, masks):
    out = make()(x, masks)
    k_c, k_t = masks.context.shape[1], masks.targets.shape[2]
    assert out.loss.ndim == 0 and out.energy.shape == (B, M, k_t)
    assert out.prediction.shape == out.target.shape == (B, M, k_t, 24)
    assert out.context.shape == (B, k_c, 24) and out.all_targets.shape == (B, 16, 24)
    for b in range(B):
        for m in range(M):
            assert torch.equal(out.target[b, m], out.all_targets[b][masks.targets[b, m]])


def test_gradient_reaches_student_and_predictor_and_not_the_teacher(x, masks):
    model = make()
    model(x, masks).loss.backward()
    for part in (model.encoder, model.predictor):
        for name, p in part.named_parameters():
            assert p.grad is not None and p.grad.abs().max() > 0, name
    assert all(p.grad is None and not p.requires_grad for p in model.teacher.parameters())


def test_the_student_never_sees_a_hidden_patch_and_the_teacher_sees_all(x, masks):
    model = make()
    before = model(x, masks)
    changed = x.clone()
    patches = torch.ones(B, 16, dtype=torch.bool).scatter_(1, masks.context, False)  # hidden from the student
    pixels = patches.view(B, 1, 4, 4).repeat_interleave(2, 2).repeat_interleave(2, 3)
    changed += 3 * pixels * torch.randn(x.shape, generator=seeded(3))
    after = model(changed, masks)
    assert torch.equal(after.context, before.context) and torch.equal(after.prediction, before.prediction)
    assert (after.all_targets - before.all_targets).abs().amax(dim=-1).min() > 1e-3  # every token hears of it


def test_weight_zero_is_plain_and_the_weight_is_linear(x, masks):
    def refuse(z):
        raise AssertionError("weight 0 must not even call the regulariser")

    plain = make(0.0, regulariser=refuse)(x, masks)
    torch.testing.assert_close(plain.loss, plain.energy.mean())
    seen = []

    def regulariser(z):
        seen.append(z)
        return z.square().sum()

    out = make(0.25, regulariser=regulariser)(x, masks)
    torch.testing.assert_close(seen[0], out.context.mean(dim=1))
    torch.testing.assert_close(out.loss, plain.loss + 0.25 * out.context.mean(dim=1).square().sum())


def test_after_step_moves_the_teacher_only():
    model = make()
    student = [p.clone() for p in model.encoder.parameters()]
    teacher = [p.clone() for p in model.teacher.encoder.parameters()]
    model.after_step(0.75)
    for t, old, s in zip(model.teacher.encoder.parameters(), teacher, student, strict=True):
        torch.testing.assert_close(t, 0.75 * old + 0.25 * s, atol=1e-6, rtol=1e-5)
    assert all(torch.equal(a, b) for a, b in zip(model.encoder.parameters(), student, strict=True))


def test_a_fresh_teacher_is_a_copy_of_the_student():
    torch.manual_seed(0)
    model = JEPA(ViT(8, 2, dim=24, depth=1, heads=3), Predictor(24, GRID, width=12, depth=1))
    assert isinstance(model.teacher, EMATeacher) and model.target_encoder is model.teacher.encoder
    pairs = zip(model.encoder.parameters(), model.teacher.encoder.parameters(), strict=True)
    assert all(torch.equal(a, b) and a is not b for a, b in pairs)


# --- V-JEPA: clips, L1, two sets of masks in one step ---


def make_clips(**kwargs):
    torch.manual_seed(0)
    encoder = ViT((4, 8, 8), (2, 4, 4), dim=24, depth=2, heads=3, in_chans=1)
    predictor = Predictor(24, encoder.grid, width=24, depth=1, heads=3, mask_tokens=2)
    model = JEPA(encoder, predictor, distance=l1, **kwargs)
    with torch.no_grad():
        for i, p in enumerate(model.parameters()):
            p.add_(0.1 * torch.randn(p.shape, generator=seeded(i)))
    return model, torch.randn(B, 1, 4, 8, 8, generator=seeded(1))


def two_sets():
    short = random_tubes(B, (2, 2, 2), context_keep=2, target_keep=1, generator=seeded(2))
    long = random_tubes(B, (2, 2, 2), context_keep=1, target_keep=3, generator=seeded(3))
    return MaskSets((short, long))


@pytest.mark.parametrize("weight", [0.0, 0.3])
def test_two_sets_are_the_mean_of_two_steps_each_with_its_own_mask_token(weight):
    model, x = make_clips(weight=weight)
    sets = two_sets()
    out = model(x, sets)
    losses = []
    for number, masks in enumerate(sets.sets):
        twin = copy.deepcopy(model)
        with torch.no_grad():  # a model with one mask token, the one of this set
            twin.predictor.mask_tokens[0].copy_(model.predictor.mask_tokens[number])
        alone = twin(x, masks)
        losses.append(alone.loss)
        torch.testing.assert_close(out.energy[number], alone.energy, atol=0, rtol=0)
        assert torch.equal(out.prediction[number], alone.prediction) and torch.equal(out.context[number], alone.context)
        if not weight:
            torch.testing.assert_close(alone.loss, (alone.prediction - alone.target).abs().mean())
    torch.testing.assert_close(out.loss, sum(losses) / 2)
    assert out.all_targets.shape == (B, 8, 24)
    out.loss.backward()
    for token in model.predictor.mask_tokens:
        assert token.grad.abs().max() > 0
    swapped = model(x, MaskSets(sets.sets[::-1]))
    assert (swapped.prediction[1] - out.prediction[0]).abs().max() > 1e-4  # the tokens differ


def test_one_set_is_the_image_path_bit_for_bit(x, masks):
    """A single Masks, a MaskSets of one, and the step as it was before there were sets: the same numbers."""
    model = make(0.1)
    a, b = model(x, masks), model(x, MaskSets((masks,)))
    context = model.encoder(x, keep=masks.context)
    prediction = model.predictor(context, masks)
    target = model.teacher(x).gather(1, masks.targets.flatten(1)[..., None].expand(-1, -1, 24))
    energy = smooth_l1(prediction, target.view_as(prediction))
    loss = energy.mean() + 0.1 * variance_covariance(context.mean(dim=1))
    assert torch.equal(a.loss, loss) and torch.equal(b.loss, loss)
    assert torch.equal(a.energy, energy) and torch.equal(b.energy[0], energy)
    assert "mask_tokens.0" in model.predictor.state_dict() and len(model.predictor.mask_tokens) == 1


def test_fit_trains_on_clips_with_two_sets():
    model, _ = make_clips()
    clips = torch.randint(0, 256, (16, 1, 4, 8, 8), dtype=torch.uint8, generator=seeded(0))
    data = ClipData(clips, {}, {}, "noise", (0.5,), (0.25,))
    history = fit(model, data, lambda batch, generator: two_sets_of(batch, generator), steps=3, batch_size=4, lr=1e-3)
    assert len(history.rows) == 3 and all(row["loss"] > 0 for row in history.rows)
    assert history.rows[0]["position_std"] > 0


def two_sets_of(batch, generator):
    return MaskSets(
        tuple(random_tubes(batch, (2, 2, 2), context_keep=k, target_keep=4 - k, generator=generator) for k in (2, 1))
    )


def test_more_tokens_do_not_change_the_first():
    """Weights drawn from one seed: a predictor with two mask tokens starts like one with one."""
    ones = []
    for count in (1, 2):
        torch.manual_seed(5)
        ones.append(Predictor(24, GRID, width=12, depth=1, mask_tokens=count))
    for name, p in ones[0].named_parameters():
        assert torch.equal(p, dict(ones[1].named_parameters())[name]), name
    assert len(ones[1].mask_tokens) == 2 and ones[1].mask_tokens[1].abs().max() > 0


# --- MAE's box: pixels as targets ---


def test_pixel_targets_equal_brute_force(x):
    encoder = ViT(8, (4, 2), dim=16, depth=1, heads=2)
    teacher = PixelTeacher(encoder)
    y = teacher(x.requires_grad_())
    assert teacher.dim == 24 and y.shape == (B, 8, 24) and not y.requires_grad
    for b in range(B):
        for n in range(8):
            r, c = divmod(n, 4)
            patch = x[b, :, 4 * r : 4 * r + 4, 2 * c : 2 * c + 2].detach().double().flatten()
            mean = sum(patch) / 24
            variance = sum((v - mean) ** 2 for v in patch) / 23  # MAE's code divides by n - 1
            expected = (patch - mean) / (variance + 1e-6).sqrt()
            torch.testing.assert_close(y[b, n].double(), expected, atol=1e-5, rtol=1e-5)
    assert PixelTeacher(encoder)(torch.ones(1, 3, 8, 8)).abs().max() == 0  # a flat patch is finite


def test_with_pixels_the_same_engine_is_mae_like(x, masks):
    model = make(teacher=PixelTeacher, out_dim=12)
    out = model(x, masks)
    assert out.target.shape[-1] == 12
    torch.testing.assert_close(out.loss, F.smooth_l1_loss(out.prediction, out.target))
    out.loss.backward()
    assert all(p.grad is not None for p in model.encoder.parameters())
    before = [p.clone() for p in model.parameters()]
    model.after_step(0.5)  # pixels do not learn
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), before, strict=True))
    assert model.target_encoder is model.encoder
