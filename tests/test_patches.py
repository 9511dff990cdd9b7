"""The embedders of other senses, masks of one axis, the curriculum, signals: with slow independent computations."""

import math

import pytest
import torch
from helpers import planted, seeded
from hypothesis import given
from hypothesis import strategies as st

from minijepa import JEPA, Curriculum, Predictor, ViT, WordEmbed, fit, random_masks, sincos_1d, span_masks
from minijepa.datasets import SignalData
from minijepa.masking import curriculum, spans
from minijepa.patches import PatchEmbed


def series(n=12, seed=0):
    return SignalData(torch.randn(n, 2, 24, generator=seeded(seed)), torch.zeros(n, dtype=torch.int64), ("all",), "x")


def small_vit():
    return ViT(img_size=(24,), patch_size=(4,), dim=16, depth=1, heads=2, in_chans=2)


def test_series_are_cut_like_a_strided_convolution():
    embed = PatchEmbed((4,), in_chans=2, dim=8)
    convolution = torch.nn.Conv1d(2, 8, 4, stride=4)
    convolution.load_state_dict({"weight": embed.proj.weight.view(8, 2, 4), "bias": embed.proj.bias})
    x = torch.randn(3, 2, 24)
    torch.testing.assert_close(embed(x), convolution(x).transpose(1, 2))
    keep = torch.tensor([[5, 0], [1, 2], [3, 3]])
    torch.testing.assert_close(embed(x, keep), torch.stack([embed(x)[i, keep[i]] for i in range(3)]))


def test_words_are_rows_of_a_table_and_know_their_place():
    model = ViT(img_size=(6,), patch_size=(1,), dim=16, depth=0, heads=2, embed=WordEmbed(10, 16))
    x = torch.randint(10, (3, 6), generator=seeded(0))
    expected = model.patch_embed.table.weight[x] + sincos_1d(torch.arange(6), 16)
    torch.testing.assert_close(model(x), model.norm(expected))
    keep = torch.tensor([[5, 0], [1, 2], [3, 4]])
    torch.testing.assert_close(model(x, keep), torch.stack([model(x)[i, keep[i]] for i in range(3)]))
    with pytest.raises(ValueError, match=r"images of \(6,\) pixels, got \(5,\)"):
        model(x[:, :5])


@pytest.mark.parametrize("positions", ["sincos", "rotary"])
def test_the_same_jepa_learns_from_series(positions):
    model = JEPA(
        ViT(img_size=(24,), patch_size=(4,), dim=16, depth=1, heads=2, in_chans=2, positions=positions),
        Predictor(16, (6,), width=8, depth=1, heads=2, positions=positions),
    )

    def masks(batch, generator=None):
        return span_masks(batch, 6, n_targets=2, target_scale=(0.3, 0.4), generator=generator)

    history = fit(model, series(), masks, steps=3, batch_size=4)
    assert len(history.rows) == 3 and math.isfinite(history.rows[-1]["loss"])


@given(st.integers(1, 5), st.integers(4, 40), st.integers(1, 4), st.floats(0.05, 0.4), st.integers(0, 1000))
def test_spans_are_contiguous_sorted_and_never_seen(batch, length, n_targets, scale, seed):
    masks = span_masks(batch, length, n_targets=n_targets, target_scale=(scale, scale), generator=seeded(seed))
    assert masks.targets.shape[:2] == (batch, n_targets)
    assert (masks.targets.diff(dim=-1) == 1).all()
    assert masks.targets.min() >= 0 and masks.targets.max() < length
    for context, targets in zip(masks.context, masks.targets, strict=True):
        assert len(context) >= 1 and not set(context.tolist()) & set(targets.flatten().tolist())
        assert (context.diff() > 0).all()


def test_spans_reach_every_token_about_equally():
    masks = span_masks(4000, 12, n_targets=1, target_scale=(0.25, 0.25), generator=seeded(0))
    counts = torch.bincount(masks.targets.flatten(), minlength=12) / 4000
    assert (counts.min() > 0.6 * counts.mean()) and (counts.max() < 1.5 * counts.mean())


def test_random_masks_of_a_series():
    masks = random_masks(5, (12,), context_keep=4, target_keep=8, generator=seeded(0))
    together = torch.cat([masks.context, masks.targets[:, 0]], dim=1).sort(dim=1).values
    assert (together == torch.arange(12)).all()


def kinds(masks, steps, draws=400):
    """How often the hard sampler is drawn at each step, one number per step."""
    return [sum(masks.at(step)(1, seeded(1000 * step + i)) == "hard" for i in range(draws)) / draws for step in steps]


def sampler(name):
    return lambda batch, generator=None: name


def test_a_curriculum_draws_what_its_formula_says():
    masks = Curriculum(sampler("easy"), sampler("hard"), steps=100)
    assert masks.share(0) == pytest.approx(0.01) and masks.share(100) == 1 and masks.share(1000) == 1
    assert masks.share(25) == pytest.approx(0.5, abs=1e-3)
    for found, step in zip(kinds(masks, (0, 25, 64, 99)), (0, 25, 64, 99), strict=True):
        assert abs(found - math.sqrt(step / 100)) < 0.08
    wrong = planted(curriculum, "hard = float(", "hard = 1 - float(")
    assert kinds(wrong.Curriculum(sampler("easy"), sampler("hard"), steps=100, start=0), (100,)) == [1.0]
    with pytest.raises(ValueError, match="steps must be at least 1 and start in"):
        Curriculum(None, None, 0)


def test_a_curriculum_of_a_resumed_run_goes_on_where_it_was(tmp_path):
    """The masks of a step follow from seed and step, so a run in two parts is the run in one."""

    def masks(keep):
        return lambda batch, generator=None: random_masks(
            batch, (6,), context_keep=keep, target_keep=2, generator=generator
        )

    def run(stops):
        torch.manual_seed(0)
        model = JEPA(small_vit(), Predictor(16, (6,), width=8, depth=1, heads=2))
        for stop in stops:
            calls = [lambda step, *_, stop=stop: (_ for _ in ()).throw(RuntimeError) if step == stop else None]
            try:
                fit(model, series(), Curriculum(masks(1), masks(4), 8), steps=8, batch_size=4, save_every=1,
                    checkpoint=tmp_path / f"{len(stops)}.pt", resume=True, callbacks=calls)  # fmt: skip
            except RuntimeError:
                torch.manual_seed(1)
                model = JEPA(small_vit(), Predictor(16, (6,), width=8, depth=1, heads=2))
        return model.state_dict()

    one, two = run([None]), run([4, None])
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_spans_of_another_axis_would_be_noticed():
    wrong = planted(spans, "(1, length)", "(2, length // 2)")
    masks = wrong.span_masks(3, 12, n_targets=1, target_scale=(0.4, 0.4), generator=seeded(0))
    assert (masks.targets.diff(dim=-1) != 1).any()


def test_signals_refuse_other_forms():
    with pytest.raises(ValueError, match=r"float32 \[N, C, ...\], found torch.float32 \[4, 8\]"):
        SignalData(torch.zeros(4, 8), torch.zeros(4, dtype=torch.int64), ("a",), "x")
    with pytest.raises(ValueError, match="one per signal"):
        SignalData(torch.zeros(4, 1, 8), torch.zeros(4), ("a",), "x")
    with pytest.raises(ValueError, match="pitch has 3 rows for 4 signals"):
        SignalData(torch.zeros(4, 1, 8), torch.zeros(4, dtype=torch.int64), ("a",), "x", {"pitch": torch.zeros(3)})
    part = series().subset(torch.tensor([3, 1]))
    assert torch.equal(part.batch(), series().batch([3, 1])) and len(part.labels) == 2
    assert repr(part) == "SignalData(x: 2 signals 2×24, 1 classes)"
