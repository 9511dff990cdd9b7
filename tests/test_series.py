"""Series: the classes differ as promised, the confounders are what the factors say, spectra are blind to direction."""

import importlib.util

import numpy as np
import pytest
import torch
from helpers import planted, seeded
from hypothesis import given, settings
from hypothesis import strategies as st

import minijepa.datasets.series as series
from minijepa import fit, plots
from minijepa.datasets import DataUnavailable, arrow_series, course_record, event_series, heart_record, pulse
from minijepa.family import PixelTeacher, ts_jepa
from minijepa.vit import ViT

RECORD = pulse(2_000)


def spectrum(x):
    return torch.fft.rfft(x).abs()


def encoder(seed=0, dim=24):
    torch.manual_seed(seed)
    return ViT(img_size=(144,), patch_size=(12,), in_chans=1, dim=dim, depth=1, heads=2)


# --- the worlds ---


@pytest.mark.parametrize("make", [event_series, lambda n, seed=0, **kw: arrow_series(RECORD, n, seed, **kw)])
def test_series_are_seeded_standardised_and_come_with_their_factors(make):
    data, again, other = make(50), make(50), make(50, seed=1)
    assert torch.equal(data.values, again.values) and not torch.equal(data.values, other.values)
    assert data.values.shape == data.factors["clean"].shape == (50, 1, 144)
    assert torch.allclose(data.values.mean(dim=-1), torch.zeros(50, 1), atol=1e-5)
    assert torch.allclose(data.values.std(dim=-1), torch.ones(50, 1), atol=1e-5)
    assert set(data.labels.tolist()) == {0, 1} and len(data.classes) == 2
    for bad in ({"n": 0}, {"n": 5, "noise": -1.0}):
        with pytest.raises(ValueError, match="expected n of at least 1 and noise of at least 0"):
            make(**bad)


def centres(data, row):
    """Where the inner events of a clean series are and which they are, found by the values: [(time, kind)]."""
    x = data.factors["clean"][row, 0].numpy()
    time, grid = np.arange(144), np.arange(-6, 7)
    found = []
    slot, offset = int(data.factors["slot"][row]), float(data.factors["offset"][row])
    shape = {k: series.event_shapes(torch.tensor(grid / 6.0), torch.tensor(k)).numpy() for k in range(3)}
    for k in range(1, 144 // slot - 1):
        middle = round(offset + k * slot)
        fits = {}
        for late in (-1, 0, 1):
            piece = x[middle + late - 6 : middle + late + 7]
            if len(piece) == 13:
                for kind, values in shape.items():
                    fits[kind, late] = np.corrcoef(piece[2:-2], values[2:-2])[0, 1]
        found.append((time[middle], max(fits, key=fits.get)[0]))
    return found


def check_orders(module):
    """The kinds, read off the clean values, follow each other as the label says."""
    data = module.event_series(60, seed=3)
    right = []
    for row in range(60):
        kinds = [kind for _, kind in centres(data, row)]
        step = 1 if data.labels[row] == 0 else 2  # A B C, or A C B
        right += [(b - a) % 3 == step for a, b in zip(kinds, kinds[1:], strict=False)]
    assert np.mean(right) > 0.95


def test_events_follow_each_other_as_the_label_says():
    check_orders(series)
    for old, new in (
        ("[[0, 1, 2], [0, 2, 1]]", "[[0, 1, 2], [0, 1, 2]]"),
        ("start[:, None] + events", "start[:, None] + 2 * events"),
    ):
        with pytest.raises(AssertionError):
            check_orders(planted(series, old, new))


def check_confounders(module):
    """What is left without clean events, slope and spike is noise of the standard deviation asked for."""
    data = module.event_series(400, seed=1, noise=0.2)
    f = {name: values.double() for name, values in data.factors.items()}
    time = torch.arange(144)
    known = f["clean"][:, 0] + f["slope"][:, None] * torch.linspace(-1, 1, 144)
    known = known + f["spike"][:, None] * (time == f["spike_at"][:, None])
    x = data.values[:, 0].double()
    scale = torch.linalg.lstsq(
        torch.stack([x, torch.ones_like(x)], dim=2), known[:, :, None]
    ).solution  # undo standardise
    left = known - (x * scale[:, 0] + scale[:, 1])
    assert abs(left.std() - 0.2) < 0.01
    assert 3 <= f["spike"].abs().min() and f["spike"].abs().max() <= 4
    assert f["slope"].min() < -0.9 and f["slope"].max() > 0.9


def test_confounders_are_what_the_factors_say():
    check_confounders(series)
    for old, new in (("noise * torch.randn(n, LENGTH, generator=generator)\n    factors", "0\n    factors"),
                     ("x = clean + slope[:, None]", "x = clean + 2 * slope[:, None]")):  # fmt: skip
        with pytest.raises(AssertionError):
            check_confounders(planted(series, old, new))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), length=st.integers(2, 300))
def test_the_magnitude_spectrum_is_blind_to_direction(seed, length):
    x = torch.randn(3, length, generator=seeded(seed), dtype=torch.float64)
    assert torch.allclose(spectrum(x), spectrum(x.flip(1)), atol=1e-9)


def check_even(module):
    u = torch.linspace(0, 2, 50, dtype=torch.float64)
    for kind in range(3):
        k = torch.tensor(kind)
        assert torch.allclose(module.event_shapes(u, k), module.event_shapes(-u, k), atol=1e-12)


def test_events_are_their_own_mirror_images():
    check_even(series)
    with pytest.raises(AssertionError):
        check_even(planted(series, "-u.square() / 0.12", "-u / 0.12"))


def check_arrow(module):
    data = module.arrow_series(RECORD, 200, seed=2, noise=0.0)
    begin, where = data.factors["begin"], torch.arange(144) * 2
    assert begin.min() >= 0 and begin.max() + 286 < len(RECORD)
    for row in range(200):
        piece = RECORD[begin[row] + where]
        piece = piece.flip(0) if data.labels[row] else piece
        assert torch.allclose(data.values[row, 0], (piece - piece.mean()) / piece.std(), atol=1e-4)
    assert 0.4 < data.labels.float().mean() < 0.6


def test_pieces_are_those_of_the_record_and_the_label_says_the_direction():
    check_arrow(series)
    with pytest.raises(AssertionError):
        check_arrow(planted(series, "pieces.flip(1)", "pieces.flip(0)"))
    with pytest.raises(AssertionError):
        check_arrow(planted(series, "label[:, None] == 1", "label[:, None] == 0"))


def test_noise_is_of_the_size_asked_for():
    data = arrow_series(RECORD, 300, noise=0.5)
    r = torch.nn.functional.cosine_similarity(data.values, data.factors["clean"], dim=-1).mean()
    assert abs(r - (1 + 0.5**2) ** -0.5) < 0.01


def test_a_record_that_is_too_short_is_refused():
    with pytest.raises(ValueError, match="the record has 100 values, a piece takes 288: give a longer record"):
        arrow_series(torch.zeros(100), 5)


def test_the_pulse_rises_faster_than_it_falls():
    slope = pulse(5_000).diff()
    assert slope.max() > -1.3 * slope.min() and (slope > 0.05).sum() < 0.7 * (slope < -0.05).sum()
    assert torch.equal(pulse(500), pulse(500)) and len(pulse(1)) == 1 and torch.isfinite(pulse(300)).all()


# --- the real record ---


def test_without_aeon_the_pulse_serves_and_the_line_says_so(monkeypatch, capsys):
    def missing():
        raise DataUnavailable("the package aeon cannot be imported")

    monkeypatch.setattr(series, "heart_record", missing)
    train, heldout = course_record()
    assert len(train) == 3_900 and len(heldout) == 3_601
    line = capsys.readouterr().out
    assert line.startswith("data in use: a procedural pulse") and "aeon cannot be imported" in line


def test_an_import_that_fails_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "aeon.datasets", None)
    with pytest.raises(DataUnavailable, match="python -m pip install aeon"):
        heart_record()


def test_the_heart_record_is_a_record_of_about_forty_beats(capsys):
    pytest.importorskip("aeon", reason="aeon holds the real series; `make test` installs it")
    record = heart_record()
    assert record.shape == (7_501,) and record.dtype == torch.float32 and 50 < record.min() < record.max() < 110
    assert torch.equal(torch.cat(course_record()), record)
    assert capsys.readouterr().out == "data in use: a heart record from aeon (7,501 values)\n"


def test_aeon_is_not_imported_with_the_course():
    """numba takes seconds: only `heart_record` may ask for it."""
    source = importlib.util.find_spec("minijepa.datasets.series").loader.get_source("minijepa.datasets.series")
    assert "\nfrom aeon" not in source and "\nimport aeon" not in source


# --- TS-JEPA ---


def check_masks(module):
    masks = module.masks(16, seeded())
    assert masks.context.shape == (16, 4) and masks.targets.shape == (16, 1, 8)
    both = torch.cat([masks.context, masks.targets[:, 0]], dim=1).sort(dim=1).values
    assert torch.equal(both, torch.arange(12).expand(16, 12))


def test_seventy_per_cent_are_hidden_and_all_hidden_are_predicted():
    check_masks(ts_jepa)
    with pytest.raises(AssertionError):
        check_masks(planted(ts_jepa, "length * (1 - hidden)", "length * hidden"))
    assert ts_jepa.masks(2, seeded(), length=5, hidden=0.99).context.shape == (2, 1)


def check_loss(module):
    """The loss by hand: mean absolute difference to the target encoder's tokens, each standardised."""
    model = module.model(encoder(), weight=0.0)
    x, masks = torch.randn(6, 1, 144, generator=seeded(1)), ts_jepa.masks(6, seeded())
    output = model(x, masks)
    tokens = model.teacher.encoder(x)  # [B, N, D]
    tokens = (tokens - tokens.mean(-1, keepdim=True)) / (tokens.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    prediction = model.predictor(model.encoder(x, masks.context), masks)[:, 0]
    each = [(prediction[b] - tokens[b, masks.targets[b, 0]]).abs().mean() for b in range(6)]
    assert torch.allclose(output.loss, torch.stack(each).mean(), atol=1e-6)
    assert next(model.predictor.parameters()).shape[-1] < model.encoder.dim, "the predictor is narrower"


def test_the_loss_is_the_l1_distance_to_standardised_targets():
    check_loss(ts_jepa)
    for old, new in (("distance=l1", "distance=l2"), ("dim * 3 // 4", "dim * 2")):
        with pytest.raises(AssertionError):
            check_loss(planted(ts_jepa, old, new))


def test_the_masked_autoencoder_has_the_values_as_targets():
    model = ts_jepa.masked_autoencoder(encoder())
    x, masks = torch.randn(4, 1, 144, generator=seeded(1)), ts_jepa.masks(4, seeded())
    pieces = x.reshape(4, 12, 12)
    pieces = (pieces - pieces.mean(-1, keepdim=True)) / pieces.std(-1, keepdim=True)
    target = model(x, masks).target[:, 0]
    assert isinstance(model.teacher, PixelTeacher)
    assert torch.allclose(target, torch.stack([p[t[0]] for p, t in zip(pieces, masks.targets, strict=True)]), atol=1e-3)


@pytest.mark.parametrize("make", [ts_jepa.model, ts_jepa.masked_autoencoder])
def test_fit_trains_it_and_the_loss_falls(make):
    history = fit(make(encoder()), event_series(256), ts_jepa.masks, steps=60, **ts_jepa.TRAINING)
    losses = history.curve("loss")[1]
    assert sum(losses[-10:]) < 0.98 * sum(losses[:10])
    assert "position_std" in history.rows[0] or make is ts_jepa.masked_autoencoder


# --- the picture ---


def test_panels_show_what_is_measured_what_is_meant_and_what_is_hidden():
    data = event_series(3)
    panels = {f"series {k}": (data.values[k, 0], data.factors["clean"][k, 0]) for k in range(3)}
    fig = plots.series_panels(panels, hidden=torch.tensor([4, 1]), piece=12)
    first = fig.axes[0]
    assert [ax.get_title() for ax in fig.axes[:3]] == list(panels)
    assert np.allclose(first.lines[0].get_ydata(), data.values[0, 0]) and len(first.lines) == 2
    assert [tuple(patch.get_extents().transformed(first.transData.inverted()).intervalx.round(2))
            for patch in first.patches] == [(11.5, 23.5), (47.5, 59.5)]  # fmt: skip
    assert len(plots.series_panels({"one": (data.values[0, 0], None)}).axes[0].lines) == 1
    plots.plt.close("all")
