"""C-JEPA and LeJEPA: their terms against loops, what a regulariser can see, and the bugs that these tests catch."""

import numpy as np
import pytest
import torch
from helpers import planted, seeded

from minijepa import ViT, fit, random_masks, shapeworld
from minijepa.family import cjepa, lejepa
from minijepa.losses import sigreg
from minijepa.predictor import Predictor


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed))


def slow_regulariser(context, prediction, target, where):
    """VICReg's three terms with loops over vectors, in float64."""
    context, prediction, target = (t.detach().double().numpy() for t in (context, prediction, target))
    b, n, d = context.shape
    invariance = 0.0
    for image in range(b):
        guess = sum(prediction[image].reshape(-1, d)) / prediction[image][..., 0].size
        truth = sum(target[image].reshape(-1, d)) / target[image][..., 0].size
        invariance += sum((guess - truth) ** 2) / d / b
    sets = {
        "positions": [context[:, j] for j in range(n)],
        "pooled": [sum(context[:, j] for j in range(n)) / n],
        "flattened": [np.concatenate([context[:, j] for j in range(n)])],
    }[where]
    v = c = 0.0
    for vectors in sets:
        cov = np.cov(vectors, rowvar=False)
        v += sum(max(0.0, 1 - np.sqrt(cov[k, k] + 1e-4)) for k in range(d)) / d / len(sets)
        c += sum(cov[i, j] ** 2 for i in range(d) for j in range(d) if i != j) / d / len(sets)
    return 25 * invariance + 25 * v + c


def step(b=6, n=4, d=5):
    """Context [B, N, D], prediction and target [B, 2, 3, D] of a step, with an own scale in each feature."""
    scale = torch.linspace(0.3, 1.5, d)
    return normal(b, n, d) * scale + 2, normal(b, 2, 3, d, seed=1), normal(b, 2, 3, d, seed=2)


def position_code(b=32, n=16, d=8):
    """A positional collapse: each position has its own vector, all images the same."""
    return normal(1, n, d, seed=3).expand(b, -1, -1) * 3


def check_cjepa(module):
    context, prediction, target = step()
    target.requires_grad_()
    prediction.requires_grad_()
    for where in ("positions", "pooled", "flattened"):
        loss = module.cjepa_regulariser(context, prediction, target, where)
        assert loss.item() == pytest.approx(slow_regulariser(context, prediction, target, where), rel=1e-4), where
    loss.backward()
    assert target.grad is None, "no gradient may flow into the targets"
    assert prediction.grad.abs().sum() > 0
    nearer = module.mean_invariance(0.5 * (prediction + target), target)
    assert 0 < nearer < module.mean_invariance(prediction, target)
    code = position_code()
    same = code[:, :2].unsqueeze(1)
    costs = {where: module.cjepa_regulariser(code, same, same, where).item() for where in module.PLACES}
    assert costs["positions"] > 24 and costs["pooled"] > 24, "a positional collapse costs all of the variance term"
    whole = model_of(module)
    x, masks = torch.rand(4, 3, 16, 16, generator=seeded()), module.shared(draw)(4, seeded())
    output = whole(x, masks)
    plain = output.energy.mean() + whole.beta * module.cjepa_regulariser(
        output.context, output.prediction, output.target, "positions"
    )
    assert torch.allclose(output.loss, plain), "the loss of I-JEPA, and beta times the regulariser"


def draw(batch, generator=None):
    return random_masks(batch, (4, 4), context_keep=6, target_keep=8, generator=generator)


def model_of(module, **settings):
    torch.manual_seed(0)
    encoder = ViT(16, 4, dim=24, depth=1, heads=2)
    return module.CJEPA(encoder, Predictor(24, encoder.grid, width=24, depth=1, heads=2), beta=0.1, **settings)


def test_the_regulariser_is_the_loop_over_images_and_positions():
    check_cjepa(cjepa)


CJEPA_BUGS = {
    "target not detached": ("target.detach().float()", "target.float()"),
    "flattened where positions are asked for": (
        '"positions": lambda tokens: tokens,',
        '"positions": lambda tokens: tokens.flatten(0, 1),',
    ),
    "invariance with the wrong sign": ("        invariance_weight * mean", "        -invariance_weight * mean"),
    "variance over positions": ('"positions": lambda tokens: tokens,', '"positions": lambda tokens: tokens.mT.mT[0],'),
    "prediction term lost": ("output.loss = output.loss + self.beta", "output.loss = self.beta"),
    "means over features": (
        "prediction.float().mean(dim=(1, 2))",
        "prediction.float().mean(dim=(1, 3))[:, :1].expand(-1, target.shape[-1])",
    ),
}


@pytest.mark.parametrize("bug", CJEPA_BUGS)
def test_the_checks_find_a_planted_bug(bug):
    with pytest.raises(AssertionError):
        check_cjepa(planted(cjepa, *CJEPA_BUGS[bug]))


def test_flattened_does_not_see_a_positional_collapse():
    """What the notebook's wrong condition rests on: position codes satisfy variance and covariance over tokens."""
    code = torch.linalg.qr(normal(16, 8, seed=3) - normal(16, 8, seed=3).mean(dim=0))[0] * 4  # [N, D], white
    code = code.expand(32, -1, -1)
    same = code[:, :2].unsqueeze(1)
    costs = {where: cjepa.cjepa_regulariser(code, same, same, where).item() for where in cjepa.PLACES}
    assert costs["flattened"] < 0.5 and costs["positions"] > 24 and costs["pooled"] > 24


def test_the_masks_are_one_for_the_whole_batch_and_another_in_the_next():
    masks = cjepa.masks(5, seeded())
    assert masks.context.shape == (5, 20) and masks.targets.shape == (5, 1, 28)
    assert (masks.context == masks.context[0]).all() and (masks.targets == masks.targets[0]).all()
    assert not set(masks.context[0].tolist()) & set(masks.targets[0].flatten().tolist())
    assert not torch.equal(masks.context, cjepa.masks(5, seeded(1)).context)
    assert torch.equal(masks.context, cjepa.masks(5, seeded()).context)


def test_what_cannot_be_compared_is_refused():
    x = torch.rand(4, 3, 16, 16)
    with pytest.raises(ValueError, match="give a whole batch one mask"):
        model_of(cjepa)(x, draw(4, seeded()))
    assert torch.isfinite(model_of(cjepa, where="pooled")(x, draw(4, seeded())).loss)
    with pytest.raises(ValueError, match="where must be one of positions, pooled, flattened, got 'tokens'"):
        cjepa.cjepa_regulariser(*step(), where="tokens")
    with pytest.raises(ValueError, match="at least 2 of them, got a batch of 1"):
        cjepa.cjepa_regulariser(*step(b=1))
    with pytest.raises(ValueError, match="CJEPA compares the examples"):
        fit(model_of(cjepa), shapeworld(8, seed=0, size=16), cjepa.shared(draw), steps=1, batch_size=4, accumulate=2)


def test_nothing_weighs_nothing():
    """beta = 0 is I-JEPA: the same loss and the same gradients."""
    x, masks = torch.rand(4, 3, 16, 16, generator=seeded()), cjepa.shared(draw)(4, seeded())
    model = model_of(cjepa)
    model.beta = 0.0
    output = model(x, masks)
    assert output.loss.item() == output.energy.mean().item()


# --- LeJEPA ---


def check_lejepa(module):
    first, second = normal(64, 8), normal(64, 8, seed=1) * 3
    total = 0.0
    for a, b in zip(first.double(), second.double(), strict=True):
        centre = (a + b) / 2
        total += ((a - centre).square().sum() + (b - centre).square().sum()).item() / (2 * 64 * 8)
    gauss = (sigreg(first).item() + sigreg(second).item()) / 2
    assert abs(sigreg(first).item() - sigreg(second).item()) > 1, "the two views must differ for this check"
    for weight in (0.0, 0.05, 1.0):
        expected = (1 - weight) * total + weight * gauss
        assert module.lejepa_loss(first, second, weight).item() == pytest.approx(expected, rel=1e-4), weight
    one, other = first.clone().requires_grad_(), second.clone().requires_grad_()
    module.lejepa_loss(one, other).backward()
    assert all(z.grad is not None and z.grad.abs().sum() > 0 for z in (one, other)), (
        "no stop-gradient: both views learn"
    )


def test_lejepa_is_the_loop_over_images():
    check_lejepa(lejepa)


LEJEPA_BUGS = {
    "weight on the wrong term": ("(1 - weight) * agree + weight *", "weight * agree + (1 - weight) *"),
    "SIGReg of one view only": ("(sigreg(first) + sigreg(second)) / 2", "sigreg(first)"),
    "stop-gradient at the centre and a view": (
        "centre = (first + second) / 2",
        "second = second.detach(); centre = (first + second) / 2",
    ),
    "distance of the views, not to their centre": (
        "((first - centre).square().mean() + (second - centre).square().mean()) / 2",
        "(first - second).square().mean()",
    ),
}


@pytest.mark.parametrize("bug", LEJEPA_BUGS)
def test_the_checks_find_a_planted_bug_in_lejepa(bug):
    with pytest.raises(AssertionError):
        check_lejepa(planted(lejepa, *LEJEPA_BUGS[bug]))
