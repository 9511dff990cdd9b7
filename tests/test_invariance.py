"""Invariance: each loss against loops over its formula, what is trained and what is not, and planted bugs.

A function `check_...(module)` passes on the module of the package and must fail on each copy with a planted bug.
"""

import copy
import importlib
import math

import pytest
import torch
from helpers import planted, seeded
from torch.nn import functional as F

from minijepa import ViT, fit, losses, shapeworld
from minijepa.datasets import captioned, single_shapes
from minijepa.family import METHODS, byol, clip, moco, simclr

WITHOUT_TRANSFORMERS = (
    "compares with transformers; `make test` installs it where it can be had, or pip install -e '.[oracles]'"
)

# the package has a function of this name
two_views_file = importlib.import_module("minijepa.family.two_views")
SMALL = {"width": 8, "hidden": 16}


def encoder(seed=0):
    torch.manual_seed(seed)
    return ViT(img_size=8, patch_size=4, dim=12, depth=1, heads=2)


def units(*shape, seed=0):
    return F.normalize(torch.randn(*shape, generator=seeded(seed), dtype=torch.float64), dim=-1)


def pictures(n=4, seed=0):
    """Two views of n images, random and unrelated: [2 n, 3, 8, 8] in float64."""
    return torch.randn(2 * n, 3, 8, 8, generator=seeded(seed), dtype=torch.float64)


def other_weights(module, seed=5):
    """Moves the slow copy away from the trained branch, so that a mix-up of the two shows."""
    with torch.no_grad():
        for p in module.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=seeded(seed), dtype=p.dtype))


def cosine_of(a, b):
    """By hand."""
    dot = sum(x * y for x, y in zip(a.tolist(), b.tolist(), strict=True))
    return dot / math.sqrt(sum(x * x for x in a.tolist()) * sum(y * y for y in b.tolist()))


def gradients(module):
    return [p.grad for p in module.parameters() if p.grad is not None and p.grad.abs().max() > 0]


# --- SimCLR ---


def check_simclr(module):
    """NT-Xent as in the paper: for each of the 2 B views, the sum over all others but itself."""
    first, second = torch.randn(2, 5, 7, generator=seeded())
    views, total = [*first, *second], 0.0
    for i, z in enumerate(views):
        similar = [math.exp(cosine_of(z, other) / 0.2) for other in views]
        total -= math.log(similar[(i + 5) % 10] / (sum(similar) - similar[i]))
    assert module.info_nce(first, second).item() == pytest.approx(total / 10, rel=1e-5)
    same = torch.ones(4, 3)
    assert module.info_nce(same, same).item() == pytest.approx(math.log(7), rel=1e-5)
    right = module.info_nce(first, first + 0.01 * second).item()
    assert right < module.info_nce(first, first.roll(1, dims=0)).item()  # views of one image belong together


def check_views(module):
    """The loss receives the two views of one image at one index."""
    model = module.TwoViews(encoder(), lambda first, second: (first - second).abs().max(), **SMALL).eval()
    x = torch.rand(3, 3, 8, 8, generator=seeded())
    assert model(torch.cat([x, x])).loss.item() == pytest.approx(0, abs=1e-6)
    assert model(torch.cat([x, x.flip(0)])).loss > 0.01


# --- MoCo ---


def make_moco(module, size=6):
    model = module.MoCo(encoder(), size=size, temperature=0.3, **SMALL).double()
    other_weights(model.teacher)
    return model


def check_moco_loss(module):
    """Equation 1 with loops."""
    query, key, queue = units(4, 5), units(4, 5, seed=1), units(6, 5, seed=2)
    total = 0.0
    for q, k in zip(query, key, strict=True):
        positive = math.exp(cosine_of(q, k) / 0.3)
        total -= math.log(positive / (positive + sum(math.exp(cosine_of(q, old) / 0.3) for old in queue)))
    assert module.moco_loss(query, key, queue, 0.3).item() == pytest.approx(total / 4, rel=1e-9)
    same = F.normalize(torch.ones(6, 5), dim=1)
    assert module.moco_loss(same, same, same, 0.3).item() == pytest.approx(math.log(7), rel=1e-5)


def check_moco_step(module):
    """Queries from the first view, keys from the slow copy and the second view; the queue as it was before the step."""
    model, x = make_moco(module), pictures()
    before = model.queue.clone()
    output = model(x)
    with torch.no_grad():
        query = torch.stack([model.online.projector(model.online.encoder(v[None]).mean(1))[0] for v in x[:4]])
        key = torch.stack([model.teacher.projector(model.teacher.encoder(v[None]).mean(1))[0] for v in x[4:]])
    total = 0.0
    for q, k in zip(query, key, strict=True):
        positive = math.exp(cosine_of(q, k) / 0.3)
        total -= math.log(positive / (positive + sum(math.exp(cosine_of(q, old) / 0.3) for old in before)))
    assert output.loss.item() == pytest.approx(total / 4, rel=1e-5)
    output.loss.backward()
    assert gradients(model.online.encoder) and gradients(model.online.projector)
    assert not gradients(model.teacher) and not any(p.requires_grad for p in model.teacher.parameters())
    assert torch.equal(model.queue, before)
    model.after_step(0.9)
    torch.testing.assert_close(model.queue[:4].double(), F.normalize(key.double(), dim=1), atol=1e-6, rtol=0)
    assert torch.equal(model.queue[4:], before[:2])  # the newest of those that were there


def check_follows(module, model):
    """After a step each parameter of the slow copy, the projector's too, is tau old + (1 - tau) trained."""
    old = copy.deepcopy(model.teacher)
    with torch.no_grad():
        for p in model.online.parameters():
            p.add_(1.0)
    model.after_step(0.75)
    triples = zip(model.teacher.parameters(), old.parameters(), model.online.parameters(), strict=True)
    for now, before, trained in triples:
        torch.testing.assert_close(now, 0.75 * before + 0.25 * trained)


def check_moco(module):
    check_moco_loss(module)
    check_moco_step(module)
    model = make_moco(module)
    model(pictures())
    check_follows(module, model)


# --- BYOL ---


def check_byol_loss(module):
    """Equation 2 with loops: the squared distance of the two unit vectors."""
    prediction, target, total = 3 * units(4, 5) + 1, units(4, 5, seed=1), 0.0
    for p, t in zip(prediction.tolist(), target.tolist(), strict=True):
        p, t = ([x / math.sqrt(sum(y * y for y in v)) for x in v] for v in (p, t))
        total += sum((x - y) ** 2 for x, y in zip(p, t, strict=True))
    assert module.byol_loss(prediction, target).item() == pytest.approx(total / 4, rel=1e-6)
    assert module.byol_loss(prediction, -prediction).item() == pytest.approx(4, rel=1e-6)


def check_byol(module):
    check_byol_loss(module)
    model, x = module.BYOL(encoder(), **SMALL).double(), pictures()
    other_weights(model.teacher)
    model.eval()  # BatchNorm's stored statistics, so that each view can be passed alone
    output = model(x)
    total = 0.0
    with torch.no_grad():
        for i in range(4):
            for a, b in ((x[i], x[4 + i]), (x[4 + i], x[i])):  # view a predicts view b
                q = model.predictor(model.online.projector(model.online.encoder(a[None]).mean(1)))[0]
                t = model.teacher.projector(model.teacher.encoder(b[None]).mean(1))[0]
                total += 2 - 2 * cosine_of(q, t)
    assert output.loss.item() == pytest.approx(total / 4, rel=1e-5)
    output.loss.backward()
    for part in (model.online.encoder, model.online.projector, model.predictor):
        assert gradients(part)
    assert not gradients(model.teacher) and not any(p.requires_grad for p in model.teacher.parameters())
    # the gradient is that with the target as a constant
    first = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    q1, q2 = model.predictor(model.online.embed(x)[1]).chunk(2)
    t1, t2 = (t.detach() for t in model.teacher.embed(x)[1].chunk(2))
    (4 - 2 * F.cosine_similarity(q1, t2).mean() - 2 * F.cosine_similarity(q2, t1).mean()).backward()
    for name, p in model.named_parameters():
        if p.grad is not None:
            torch.testing.assert_close(p.grad, first[name], atol=1e-7, rtol=1e-4)
    check_follows(module, model)


# --- VICReg ---


def check_vicreg(module):
    """Invariance, variance and covariance with loops, on a batch that varies too little and one that varies enough."""
    for spread in (0.3, 2.0):
        z, other = spread * torch.randn(2, 6, 3, generator=seeded(), dtype=torch.float64)
        expected = 25 * sum((a - b) ** 2 for a, b in zip(z.flatten(), other.flatten(), strict=True)) / 18
        for view in (z, other):
            centred = view - view.mean(dim=0)
            for i in range(3):
                for j in range(3):
                    c = sum(centred[n, i] * centred[n, j] for n in range(6)) / 5
                    expected = expected + (25 / 2 * max(0.0, 1 - (c + 1e-4) ** 0.5) if i == j else c**2) / 3
        assert module.vicreg(z, other).item() == pytest.approx(float(expected), rel=1e-4)


# --- CLIP ---


def check_clip_loss(module):
    """Both cross-entropies with loops."""
    u, v, total = units(5, 4), units(5, 4, seed=1), 0.0
    for i in range(5):
        row = [math.exp(7 * cosine_of(u[i], v[j])) for j in range(5)]
        column = [math.exp(7 * cosine_of(u[j], v[i])) for j in range(5)]
        total -= (math.log(row[i] / sum(row)) + math.log(column[i] / sum(column))) / 2
    assert module.clip_loss(u, v, 7.0).item() == pytest.approx(total / 5, rel=1e-9)
    assert module.clip_loss(u, v, 7.0).item() == pytest.approx(module.clip_loss(v, u, 7.0).item(), rel=1e-9)
    same = F.normalize(torch.ones(5, 4), dim=1)
    assert module.clip_loss(same, same, 7.0).item() == pytest.approx(math.log(5), rel=1e-5)


def make_clip(module):
    torch.manual_seed(0)
    return module.CLIP(encoder(), module.TextEncoder(words=9, dim=8, depth=1), width=6)


CAPTIONS = torch.tensor([[1, 2, 3, 0], [4, 5, 6, 7], [8, 1, 0, 0]])


def check_clip(module):
    check_clip_loss(module)
    model, x = make_clip(module), torch.randn(3, 3, 8, 8, generator=seeded())
    with torch.no_grad():
        model.log_scale.fill_(10.0)  # e^10 is far above 100
        output = model((x, CAPTIONS))
        assert output.scale.item() == pytest.approx(100, rel=1e-5) == model.log_scale.exp().item()
        model.log_scale.fill_(1.0)
        output = model((x, CAPTIONS))
        u = model.image_head(model.encoder(x).mean(dim=1))
        # a caption alone and without its padding: what other captions say, and how long they are, has no effect
        v = torch.cat([model.text_head(model.text(row[row > 0][None])) for row in CAPTIONS])
    total = 0.0
    for i in range(3):
        row = [math.exp(math.e * cosine_of(u[i], v[j])) for j in range(3)]
        column = [math.exp(math.e * cosine_of(u[j], v[i])) for j in range(3)]
        total -= (math.log(row[i] / sum(row)) + math.log(column[i] / sum(column))) / 2
    assert output.loss.item() == pytest.approx(total / 3, rel=1e-5)


# --- the checks, and the bugs that they find ---

CHECKS = {
    simclr: check_simclr, two_views_file: check_views, moco: check_moco, byol: check_byol, losses: check_vicreg,
    clip: check_clip,
}  # fmt: skip


@pytest.mark.parametrize("module", CHECKS, ids=lambda module: module.__name__.rpartition(".")[2])
def test_each_method_is_its_formula(module):
    CHECKS[module](module)


COPY = "copy.deepcopy(self.online).requires_grad_(False)"
BYOL_TARGETS = "with torch.no_grad():\n            t1, t2 = self.teacher.embed(x)[1]"
BUGS = {
    "SimCLR, temperature inverted": (simclr, "z.T / temperature)", "z.T * temperature)"),
    "SimCLR, a view is its own negative": (simclr, '.fill_diagonal_(float("-inf"))', ""),
    "SimCLR, the partner is another image": (simclr, ".roll(b)", ".roll(b - 1)"),
    "two views of different images are paired": (two_views_file, "*z.float().chunk(2)", "z[::2], z[1::2]"),
    "MoCo, temperature inverted": (moco, "dim=1) / temperature", "dim=1) * temperature"),
    "MoCo, the own key is a negative too": (moco, "key, self.queue.float(", "key, torch.cat([key, self.queue]).float("),
    "MoCo, query and key from one view": (moco, "self.teacher.embed(second", "self.teacher.embed(first"),
    "MoCo, keys from the trained branch": (moco, "self.teacher.embed(second", "self.online.embed(second"),
    "MoCo, the queue never takes keys in": (moco, "[self.key.to(self.queue.dtype), self.queue]", "[self.queue]"),
    "MoCo, the newest keys leave first": (moco, "[: len(self.queue)]", "[-len(self.queue) :]"),
    "MoCo, the slow copy is trained": (moco, COPY, "copy.deepcopy(self.online)"),
    "MoCo, the slow projector stays": (moco, "follow(self.teacher, self.online,",
                                       "follow(self.teacher.encoder, self.online.encoder,"),
    "BYOL, symmetric loss forgotten": (byol, " + byol_loss(q2, t1)", ""),
    "BYOL, each view predicts itself": (byol, "byol_loss(q1, t2) + byol_loss(q2, t1)",
                                        "byol_loss(q1, t1) + byol_loss(q2, t2)"),
    "BYOL, lengths count": (byol, "2 * cosine(prediction, target)", "(prediction - target).square().sum(dim=1)"),
    "BYOL, target not detached": (byol, BYOL_TARGETS, "if True:\n            t1, t2 = self.online.embed(x)[1]"),
    "BYOL, the slow copy is trained": (byol, COPY, "copy.deepcopy(self.online)"),
    "BYOL, the slow projector stays": (byol, "follow(self.teacher, self.online,",
                                       "follow(self.teacher.encoder, self.online.encoder,"),
    "BYOL, momentum inverted": (byol, "self.online, momentum)", "self.online, 1 - momentum)"),
    "VICReg, variance hinge sign": (losses, "F.relu(target_std - std)", "F.relu(std - target_std)"),
    "VICReg, covariance with its diagonal": (
        losses, " - c.diagonal(dim1=-2, dim2=-1).square().sum(dim=-1)", ""),
    "VICReg, one branch is not regularised": (losses, "(variance(z) + variance(other)) / 2", "variance(z)"),
    "CLIP, only images choose": (clip, "F.cross_entropy(logits.T, answer)", "F.cross_entropy(logits, answer)"),
    "CLIP, temperature inverted": (clip, "scale * images @ captions.T", "images @ captions.T / scale"),
    "CLIP, the scale grows without end": (clip, "clamp_(max=math.log(LARGEST_SCALE))", "clamp_(max=math.inf)"),
    "CLIP, padding is read": (clip, "src_key_padding_mask=padding", "src_key_padding_mask=None"),
    "CLIP, padding counts in the mean": (clip, "x.masked_fill(padding.unsqueeze(-1), 0)", "x"),
}  # fmt: skip


@pytest.mark.parametrize("bug", BUGS)
def test_the_checks_find_a_planted_bug(bug):
    module, old, new = BUGS[bug]
    with pytest.raises(AssertionError):
        CHECKS[module](planted(module, old, new))


# --- maintained libraries, where installed ---


def test_clip_loss_is_that_of_transformers():
    oracle = pytest.importorskip(
        "transformers.models.clip.modeling_clip", reason=WITHOUT_TRANSFORMERS
    ).image_text_contrastive_loss
    u, v = units(7, 5), units(7, 5, seed=3)
    assert clip.clip_loss(u, v, 9.0).item() == pytest.approx(oracle(9.0 * v @ u.T).item(), rel=1e-9)


# --- what else they promise ---


def test_a_temperature_must_be_positive():
    with pytest.raises(ValueError, match="temperature must be positive, got -1"):
        moco.moco_loss(units(2, 3), units(2, 3), units(4, 3), temperature=-1)


def test_the_queue_holds_the_keys_of_the_last_batches_newest_first():
    model = make_moco(moco, size=10).eval()
    keys = []
    for seed in range(4):
        model(pictures(seed=seed))
        keys.insert(0, model.key)
        model.after_step(0.9)
    torch.testing.assert_close(model.queue.float(), torch.cat(keys)[:10])
    assert torch.allclose(model.queue.norm(dim=1), torch.ones(10, dtype=torch.float64), atol=1e-6)
    assert "queue" in model.state_dict()  # so a resumed run goes on with it


def test_a_queue_shorter_than_the_batch_keeps_some_of_it():
    model = make_moco(moco, size=3)
    model(pictures())
    model.after_step(0.9)
    torch.testing.assert_close(model.queue.float(), model.key[:3])


def test_byol_without_predictor_and_without_slow_copy():
    """The ablations: no parameters between branch and loss, and a target that is the trained branch itself."""
    model = byol.BYOL(encoder(), predictor=False, **SMALL)
    assert not list(model.predictor.parameters())
    settings = {**byol.TRAINING, "batch_size": 8, "augment": None, "momentum": (0.0, 0.0)}

    class Doubles:
        """Each image twice: two equal views."""

        data = shapeworld(16, seed=0, size=16)

        def __len__(self):
            return 16

        def batch(self, index, device=None):
            x = self.data.batch(index, device)
            return torch.cat([x, x])

    torch.manual_seed(0)
    model = byol.BYOL(ViT(16, 4, dim=12, depth=1, heads=2), predictor=False, **SMALL)
    history = fit(model, Doubles(), steps=3, **settings)
    assert max(history.curve("loss")[1]) < 1e-5  # the same view, the same branch: nothing to predict
    for a, b in zip(model.teacher.parameters(), model.online.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("name", ["moco", "byol"])
def test_the_encoder_to_keep_is_the_trained_one(name):
    model = METHODS[name].model(encoder())
    assert model.target_encoder is model.encoder is model.online.encoder is not model.teacher.encoder


def test_clip_trains_on_pairs_and_finds_captions():
    data = captioned(single_shapes(256, seed=0))
    torch.manual_seed(0)
    model = clip.model(ViT(32, 8, dim=24, depth=1, heads=2))
    start = copy.deepcopy(model)
    history = fit(model, data, steps=40, **{**clip.TRAINING, "batch_size": 64})
    losses_of = history.curve("loss")[1]
    assert losses_of[0] > 0.8 * math.log(64) and losses_of[-1] < 0.75 * losses_of[0]
    assert {"position_std", "content_share", "scale"} <= set(history.rows[0])
    moved = {n: not torch.equal(p, q) for (n, p), q in zip(model.named_parameters(), start.parameters(), strict=True)}
    assert all(moved.values()), [name for name, changed in moved.items() if not changed]
    with pytest.raises(ValueError, match="CLIP compares the examples"):
        fit(model, data, steps=1, batch_size=4, accumulate=2)


def test_clips_example_runs():
    text = (
        clip.__doc__.split("\n    model = ")[1]
        .replace("4_000", "16")
        .replace("steps=300, **clip.TRAINING", "steps=1, **{**clip.TRAINING, 'batch_size': 8}")
    )
    space = {"ViT": ViT, "fit": fit, "captioned": captioned, "single_shapes": single_shapes, "clip": clip}
    exec("model = " + text.replace("\n    ", "\n"), space)
    assert not space["model"].training


def test_a_text_encoder_tells_the_order_of_words():
    text = make_clip(clip).text
    assert not torch.allclose(text(torch.tensor([[1, 2, 3]])), text(torch.tensor([[3, 2, 1]])), atol=1e-3)
