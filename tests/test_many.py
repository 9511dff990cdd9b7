"""Many senses: tones sound as the factors say, ceilings follow from the grammar, M3-JEPA computes what it claims."""

import math

import pytest
import torch
from helpers import planted, seeded
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from minijepa import fit
from minijepa.datasets import (
    MODALITIES,
    contents,
    loudness,
    recall_ceiling,
    senses,
    shared,
    shared_key,
    single_shapes,
    tones,
)
from minijepa.family import data2vec, m3_jepa, named
from minijepa.masking import MaskSets
from minijepa.probes import recall_at_1, retrieval
from minijepa.vit import ViT, count_parameters

DIRECTIONS = m3_jepa.DIRECTIONS


@pytest.fixture(scope="module")
def data():
    return senses(600, seed=0)


@pytest.fixture
def vectors():
    return torch.randn(40, 3, 64, generator=seeded(3))


# --- tones ---


def test_the_same_seed_gives_the_same_tones_and_fewer_are_the_first_of_them(data):
    few = senses(300, seed=0)
    assert torch.equal(few.tones.values, data.tones.values[:300])
    assert torch.equal(few.images.images, data.images.images[:300])
    assert torch.equal(few.captions, data.captions[:300])
    assert not torch.equal(senses(300, seed=1).tones.values, few.tones.values)
    with pytest.raises(ValueError, match="pitches must be 3 or 6"):
        tones(data.images.factors, pitches=4)


def test_a_tone_sounds_as_the_factors_say(data):
    """Measured in the spectrogram: the loudest low band is the pitch, bands of overtones the timbre."""
    power = data.tones.values[:, 0].mean(dim=2)  # [N, 32 bands]
    factors = data.factors
    pitch = power[:, :8].argmax(dim=1)  # bands of 64 Hz: 224 Hz is 3, 352 Hz is 5, 480 Hz is 7
    assert (pitch == 3 + 2 * (factors["colour"] % 3)).float().mean() > 0.98
    level = {order: power[torch.arange(600), ((224 + 128 * (factors["colour"] % 3)) * order // 64)] for order in (2, 3)}
    quiet = power[:, 27:].mean()
    for order, silent in ((2, (0, 1)), (3, (0, 2))):
        is_silent = torch.isin(factors["shape"], torch.tensor(silent))
        assert level[order][is_silent].mean() < quiet + 0.5 < level[order][~is_silent].mean() - 0.5


def test_loudness_has_as_many_pulses_as_the_row_says_and_longer_ones_for_large(data):
    series = loudness(data.tones)
    x = series.values[:, 0]
    on = x > x.mean(dim=1, keepdim=True)
    rises = (on[:, 1:] & ~on[:, :-1]).sum(dim=1)  # a pulse that is on at the beginning does not rise
    for row, pulses in enumerate((2, 3, 5)):
        found = rises[data.factors["row"] == row].float()
        assert pulses - 1 <= found.median() <= pulses, (row, found.median())
    assert on[data.factors["size"] == 1].float().mean() > on[data.factors["size"] == 0].float().mean() + 0.2
    assert series.values.shape == (600, 1, 64) and torch.equal(series.labels, data.factors["row"])


def test_nothing_of_the_column_is_in_a_tone_and_opposite_colours_sound_alike():
    base = single_shapes(64, seed=2).factors
    same = {**base, "column": (base["column"] + 1) % 3, "colour": (base["colour"] + 3) % 6}
    assert torch.equal(tones(base).values, tones(same).values)
    assert not torch.equal(tones(base, pitches=6).values, tones(same, pitches=6).values)
    for name, count in (("shape", 4), ("size", 2), ("row", 3)):
        assert not torch.equal(tones(base).values, tones({**base, name: (base[name] + 1) % count}).values), name


def test_the_constants_are_those_of_the_tones(data):
    assert abs(data.tones.values.mean()) < 0.05 and abs(data.tones.values.std() - 1) < 0.05


# --- what one sense can know of another ---


def test_shared_keys_are_equal_where_no_shared_factor_differs(data):
    """Against the words: two objects are told apart by caption and tone if shape, size or pitch differ."""
    factors = data.factors
    key = shared_key(factors, "caption", "tone")
    truth = torch.stack([factors["shape"], factors["colour"] % 3, factors["size"]], dim=1)
    equal = (truth[:, None] == truth[None]).all(dim=2)
    assert torch.equal(key[:, None] == key[None], equal)
    assert shared("caption", "tone") == {"shape": 4, "colour": 3, "size": 2}
    assert shared("image", "caption") == {"shape": 4, "colour": 6, "size": 2, "column": 3}
    assert "row" not in contents()["caption"] and "column" not in contents()["tone"]
    words = {tuple(caption) for caption in data.captions.tolist()}
    assert len(words) <= 4 * 6 * 2 * 3


@pytest.mark.parametrize(("source", "target"), [(MODALITIES[s], MODALITIES[t]) for s, t in DIRECTIONS])
def test_the_ceiling_is_what_an_oracle_reaches_on_drawn_factors(source, target):
    """An oracle picks one of the targets that agree with the source in all that is shared: simulated."""
    factors = {
        name: torch.randint(0, count, (20_000,), generator=seeded(index))
        for index, (name, count) in enumerate(contents()["image"].items())
    }
    key = shared_key(factors, source, target).view(200, 100)
    agree = (key[:, :, None] == key[:, None, :]).sum(dim=2)  # [200, 100], itself included
    assert abs((1 / agree).mean().item() - recall_ceiling(source, target)) < 0.02
    assert recall_ceiling(source, target) == recall_ceiling(target, source)


@settings(max_examples=30, deadline=None)
@given(gallery=st.integers(1, 60))
def test_the_ceiling_is_the_expectation_written_out(gallery):
    cases, p = 24, 1 / 24
    terms = (
        math.comb(gallery - 1, k) * p**k * (1 - p) ** (gallery - 1 - k) / (1 + k) for k in range(gallery)
    )  # of the binomial number of others that agree
    assert math.isclose(recall_ceiling("caption", "tone", gallery), sum(terms), rel_tol=1e-9)
    assert cases == math.prod(shared("caption", "tone").values())


def test_more_shared_factors_lift_the_ceiling_and_an_empty_gallery_is_refused():
    assert recall_ceiling("caption", "tone", unsaid=(), pitches=6) > recall_ceiling("caption", "tone")
    with pytest.raises(ValueError, match="got 0"):
        recall_ceiling("image", "tone", 0)


# --- retrieval ---


def naive_recall(prediction, target, gallery):
    hits = []
    for start in range(0, len(target) // gallery * gallery, gallery):
        for i in range(start, start + gallery):
            cosines = [
                float(F.cosine_similarity(prediction[i], target[j], dim=0)) for j in range(start, start + gallery)
            ]
            best = [j for j, c in enumerate(cosines) if c > max(cosines) - 1e-6]
            hits.append((i - start in best) / len(best))
    return sum(hits) / len(hits)


def test_recall_is_what_a_loop_finds_also_with_equal_targets():
    target = torch.randn(6, 8, generator=seeded(0))[torch.randint(0, 6, (50,), generator=seeded(1))]  # many equal
    prediction = target + 0.7 * torch.randn(50, 8, generator=seeded(2))
    assert math.isclose(recall_at_1(prediction, target, 25), naive_recall(prediction, target, 25), abs_tol=1e-6)
    assert math.isclose(recall_at_1(prediction, target, 20), naive_recall(prediction, target, 20), abs_tol=1e-6)
    assert recall_at_1(prediction, target, 20, each=True).shape == (40,)
    with pytest.raises(ValueError, match="got 51"):
        recall_at_1(prediction, target, 51)


def test_a_constant_target_is_found_by_chance_only_and_greedy_ties_are_caught():
    ones = torch.ones(40, 4)
    assert math.isclose(recall_at_1(ones, ones, 20), 1 / 20, rel_tol=1e-6)
    bad = planted(retrieval, "(own / nearest.sum(dim=2))", "(own.double())")
    assert bad.recall_at_1(ones, ones, 20) == 1.0


# --- the predictor ---


def naive_mixture(trunk, x, direction):
    rows = []
    for row in x:
        gate = trunk.gates[direction if len(trunk.gates) > 1 else 0]
        p = (gate.weight @ row + gate.bias).exp()
        p = p / p.sum()
        best = sorted(range(len(p)), key=lambda e: -p[e])[: trunk.k]
        rows.append(sum(p[e] * trunk.experts[e](row[None])[0] for e in best))
    return torch.stack(rows)


@pytest.mark.parametrize("gates", [1, 6])
def test_a_mixture_is_the_sum_over_the_largest_gates(gates):
    torch.manual_seed(0)
    trunk, x = m3_jepa.Mixture(gates, dim=16, experts=5, k=2, inner=8), torch.randn(7, 16, generator=seeded(1))
    for direction in (0, 4):
        assert torch.allclose(trunk(x, direction), naive_mixture(trunk, x, direction), atol=1e-5)
        weights = trunk.weights(x, direction)
        assert ((weights > 0).sum(dim=1) == 2).all() and (weights.sum(dim=1) < 1).all()
    assert torch.equal(trunk.weights(x, 0), trunk.weights(x, 4)) == (gates == 1)
    with pytest.raises(ValueError, match="got 6"):
        m3_jepa.Mixture(experts=5, k=6)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (".scatter(1, best.indices, best.values)", ".scatter(1, best.indices, best.values / best.values.sum(1, True))"),
        ("p.topk(self.k, dim=1)", "p.topk(self.k, dim=1, largest=False)"),
        ("self.gates[direction % len(self.gates)]", "self.gates[0]"),
    ],
)
def test_planted_bugs_of_the_gate_are_caught(old, new):
    torch.manual_seed(0)
    trunk, x = planted(m3_jepa, old, new).Mixture(6, dim=16), torch.randn(7, 16, generator=seeded(1))
    assert not torch.allclose(trunk(x, 4), naive_mixture(trunk, x, 4), atol=1e-5)


def test_the_loss_is_half_smooth_l1_and_half_info_nce_written_out(vectors):
    torch.manual_seed(0)
    method = m3_jepa.model()
    for source, target in DIRECTIONS:
        p, y = method.predictor(vectors[:, source], (source, target)), vectors[:, target]
        d = (p - y).abs()
        l2 = torch.where(d < 1, d.square() / 2, d - 0.5).mean()
        cosines = torch.stack([torch.stack([F.cosine_similarity(a, b, dim=0) for b in y]) for a in p]) / 0.03
        own = cosines.diagonal()
        nce = ((cosines.logsumexp(dim=1) - own).mean() + (cosines.logsumexp(dim=0) - own).mean()) / 2
        output = method(vectors, m3_jepa.direction_masks(40, (source, target)))
        assert torch.allclose(output.loss, (l2 + nce) / 2, rtol=1e-4)
        assert torch.allclose(torch.stack([output.l2, output.contrast]), torch.stack([l2, nce]), rtol=1e-4)


def test_together_is_the_mean_of_six_directions_and_alternating_takes_them_in_turn(vectors):
    torch.manual_seed(0)
    method, schedule = m3_jepa.model(), m3_jepa.Alternating()
    each = [method(vectors, schedule.at(step)(40, None)).loss for step in range(6)]
    masks = m3_jepa.together(40)
    assert isinstance(masks, MaskSets) and len(masks.sets) == 6
    assert torch.allclose(method(vectors, masks).loss, torch.stack(each).mean(), rtol=1e-5)
    seen = [schedule.at(step)(2, None) for step in range(12)]
    pairs = [(int(m.context[0, 0]), int(m.targets[0, 0, 0])) for m in seen]
    assert tuple(pairs[:6]) == DIRECTIONS and pairs[6:] == pairs[:6] and len(set(pairs)) == 6


def test_a_blind_predictor_gives_all_targets_of_a_source_the_same_and_its_own_gates_do_not(vectors):
    for trunk, differs in ((m3_jepa.OneMLP(), False), (m3_jepa.Mixture(1), False), (m3_jepa.Mixture(6), True),
                           (m3_jepa.MLPPerDirection(), True)):  # fmt: skip
        torch.manual_seed(0)
        blind = m3_jepa.model(trunk, maps=1, told=False).predictions(vectors)
        assert torch.equal(blind[0], blind[1]) != differs, type(trunk).__name__
        assert not blind.requires_grad
    told = m3_jepa.model(m3_jepa.OneMLP(), maps=1).predictions(vectors)
    assert not torch.equal(told[0], told[1])


def test_trunks_that_are_compared_have_about_as_many_parameters():
    sizes = [count_parameters(t) for t in (m3_jepa.OneMLP(256), m3_jepa.Mixture(1), m3_jepa.MLPPerDirection(43))]
    assert max(sizes) / min(sizes) < 1.02
    assert count_parameters(m3_jepa.Mixture(6)) / min(sizes) < 1.06


def test_gradient_cosines_are_those_of_backward_and_see_a_conflict(vectors):
    torch.manual_seed(0)
    method = m3_jepa.model(m3_jepa.OneMLP(32), maps=1, told=False)
    opposed = vectors.clone()
    opposed[:, 2] = -opposed[:, 1]
    found = m3_jepa.gradient_cosines(method, opposed)
    rows = []
    for direction in DIRECTIONS[:2]:
        method.zero_grad()
        method(opposed, m3_jepa.direction_masks(40, direction)).loss.backward()
        rows.append(torch.cat([p.grad.flatten() for p in method.predictor.trunk.parameters()]))
    assert torch.allclose(found[0, 1], F.cosine_similarity(*rows, dim=0), atol=1e-4)
    assert torch.allclose(found.diagonal(), torch.ones(6), atol=1e-4) and torch.allclose(found, found.T)
    assert found[0, 1] < -0.2 < found[0, 3]


def test_ridge_is_scikit_learns(vectors):
    from sklearn.linear_model import Ridge

    train, test = vectors[:30].repeat(4, 1, 1) + 0.1 * torch.randn(120, 3, 64, generator=seeded(5)), vectors[30:]
    found = m3_jepa.ridge(train.double(), test.double(), penalty=2.0)
    for i, (s, t) in enumerate(DIRECTIONS):
        one = torch.ones(120, 1)
        oracle = Ridge(alpha=2.0, fit_intercept=False).fit(
            torch.cat([train[:, s], one], 1).double(), train[:, t].double()
        )
        expected = oracle.predict(torch.cat([test[:, s], torch.ones(10, 1)], 1).double())
        assert torch.allclose(found[i], torch.from_numpy(expected), atol=1e-6)


# --- together: from drawn objects to retrieval ---


def test_encoders_learn_factors_and_a_predictor_between_them_beats_its_own_start(data):
    torch.manual_seed(0)
    encoders = named.model()
    words = encoders.caption.table.clone()
    history = fit(encoders, data, steps=60, **named.TRAINING)
    assert torch.equal(words, encoders.caption.table), "captions have a random encoder"
    assert history.rows[-1]["tone"] > history.rows[0]["tone"] + 0.2
    train, test = encoders.vectors(data), encoders.vectors(senses(200, seed=1))
    assert train.values.shape == (600, 3, 64) and not train.values.requires_grad
    alone = encoders.vectors(senses(200, seed=1), batch_size=7)
    assert torch.allclose(alone.values, test.values, atol=1e-5), "no object changes another's vector"
    torch.manual_seed(0)
    method = m3_jepa.model()
    assert fit(method, train, m3_jepa.Alternating(), steps=1, **m3_jepa.TRAINING).rows[0]["contrast"] > 0

    def score():
        pairs = zip(method.predictions(test.values), DIRECTIONS, strict=True)
        return sum(recall_at_1(p, test.values[:, t]) for p, (_, t) in pairs) / 6

    before = score()
    fit(method, train, m3_jepa.Alternating(), steps=120, **m3_jepa.TRAINING)
    assert score() > before + 0.05
    routes = method.routes(test.values)
    assert routes.shape == (6, 200, 4) and ((routes > 0).sum(dim=2) == 2).all()


# --- data2vec on any grid ---


def test_data2vec_hides_a_block_of_any_grid():
    old = data2vec.masks(5, seeded(1))
    new = data2vec.masks_for((8, 8))(5, seeded(1))
    assert torch.equal(old.context, new.context) and torch.equal(old.targets, new.targets)
    for seed in range(20):
        spans = data2vec.masks_for((16,))(4, seeded(seed)).targets[:, 0]
        assert (spans[:, 1:] - spans[:, :-1] == 1).all(), "a span is in one piece"
        assert 0.35 * 16 <= spans.shape[1] <= 0.65 * 16


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((3, 32, 32), {"img_size": 32, "patch_size": 8}),
        ((1, 32, 32), {"img_size": (32, 32), "patch_size": (32, 2), "in_chans": 1}),
        ((1, 64), {"img_size": (64,), "patch_size": (4,), "in_chans": 1}),
    ],
)
def test_the_same_data2vec_takes_images_sound_and_series(shape, size):
    torch.manual_seed(0)
    encoder = ViT(dim=32, depth=2, heads=2, **size)
    method = data2vec.model(encoder)
    x = torch.randn(4, *shape, generator=seeded(0))
    output = method(x, data2vec.masks_for(encoder.grid)(4, seeded(1)))
    output.loss.backward()
    assert output.all_targets.shape == (4, 16, 32)
    assert encoder.patch_embed.proj.weight.grad.abs().sum() > 0 and method.mask_token.grad.abs().sum() > 0
