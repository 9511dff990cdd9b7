"""The specifications of assignment 24 against independent programs, and right answers of other forms."""

import importlib
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from minijepa.checks import CheckFailed
from minijepa.checks import senses as check
from minijepa.checks.values import normal
from minijepa.datasets import log_mel, mel_filters, say
from minijepa.family import clip_loss
from minijepa.masking import Curriculum, Masks
from minijepa.probes import recall_at_1

MODULES = {
    name: importlib.import_module(f"minijepa.checks.senses.{name}")
    for name in ("embed_pieces", "mel_bands", "span_masks", "hard_batches", "pair_loss", "shared_recall")
}


def spec(name):
    return getattr(MODULES[name], f"spec_{name}")


def test_tokens_of_pieces_are_those_of_a_strided_convolution():
    x, weight, bias, keep = (
        normal(3, 2, 20),
        normal(6, 8, seed=1),
        normal(6, seed=2),
        torch.tensor([[4, 0], [1, 2], [3, 1]]),
    )
    every = F.conv1d(x, weight.view(6, 2, 4), bias, stride=4).mT  # [3, 5, 6]
    wanted = torch.stack([one[k] for one, k in zip(every, keep, strict=True)])
    assert torch.allclose(spec("embed_pieces")(x, keep, 4, weight, bias), wanted, atol=1e-5)


def test_decibels_are_those_of_the_package_and_of_a_library_transform():
    wave, window = say("ai")[None, :2_048], MODULES["mel_bands"].hann(256)
    mine = spec("mel_bands")(wave, window, mel_filters().float())
    assert torch.allclose(mine, log_mel(wave)[:, :, :-1], atol=0.01)
    power = torch.stft(wave, 256, 128, window=window, center=False, return_complex=True).abs().square()  # [1, 129, 15]
    assert torch.allclose(mine, 10 * torch.log10(mel_filters().float() @ power + 1e-4), atol=0.01)


@given(st.integers(1, 5), st.integers(1, 3), st.integers(1, 4), st.integers(0, 10**6))
def test_span_masks_are_masks_without_a_leak(b, m, width, seed):
    g = torch.Generator().manual_seed(seed)
    starts, numbers = torch.randint(16 - width + 1, (b, m), generator=g), torch.rand(b, 16, generator=g)
    context, targets = spec("span_masks")(starts, width, numbers)
    masks = Masks(context, targets)
    assert masks.targets.shape == (b, m, width) and targets.max() < 16
    free = [set(range(16)) - {s + i for s in row for i in range(width)} for row in starts.tolist()]
    assert context.shape == (b, min(map(len, free)))
    for row, rest, u in zip(context.tolist(), free, numbers.tolist(), strict=True):
        assert row == sorted(set(row)) and set(row) <= rest
        assert max(u[t] for t in row) <= min((u[t] for t in rest - set(row)), default=1)


def test_span_masks_see_each_free_token_equally_often():
    """A second series is poorer, so that the first one loses half of its free tokens: each with the same chance."""
    starts = torch.tensor([[0, 0, 0], [0, 4, 8]])
    seen = torch.zeros(16)
    for seed in range(400):
        numbers = torch.rand(2, 16, generator=torch.Generator().manual_seed(seed))
        seen[spec("span_masks")(starts, 4, numbers)[0][0]] += 1 / 400
    assert seen[:4].sum() == 0 and (seen[4:] - 4 / 12).abs().max() < 0.1


def test_hard_batches_are_as_frequent_as_the_package_says():
    g, package = torch.Generator().manual_seed(0), Curriculum(None, None, 80)
    for step in (0, 20, 60, 90):
        share, hard = spec("hard_batches")(torch.full((4_000,), step), 80, torch.rand(4_000, generator=g))
        assert abs(share[0].item() - package.share(step)) < 1e-6 and abs(hard.float().mean() - share[0]) < 0.03
    assert abs(package.share(20) - 0.5) < 1e-3


@pytest.mark.parametrize("temperature", [0.03, 0.5])
def test_pair_loss_is_that_of_the_package_and_of_numpy(temperature):
    a, b = normal(6, 4), normal(6, 4, seed=1)
    found = spec("pair_loss")(a, b, temperature)
    unit = F.normalize(a, dim=1), F.normalize(b, dim=1)
    assert torch.allclose(found, clip_loss(*unit, 1 / temperature), atol=1e-5)
    logits = unit[0].double().numpy() @ unit[1].double().numpy().T / temperature
    rows, columns = (np.log(np.exp(logits).sum(axis=axis)) - logits.diagonal() for axis in (1, 0))
    assert abs(found.item() - (rows.mean() + columns.mean()) / 2) < 1e-5
    assert abs(spec("pair_loss")(torch.ones(5, 3), torch.ones(5, 3), temperature).item() - math.log(5)) < 1e-6


def test_shared_hits_are_those_of_the_package_and_of_drawing_lots():
    p, y = MODULES["shared_recall"].told([0, 1, 1, 2, 0, 0, 0, 3, 3], [0, 1, 1, 0, 0, 4, 0, 3, 3])
    found = spec("shared_recall")(p, y, 4)
    assert abs(found - recall_at_1(p, y, 4)) < 1e-6
    g, hits = torch.Generator().manual_seed(0), []
    cosines = F.normalize(p[:8].view(2, 4, 3), dim=2) @ F.normalize(y[:8].view(2, 4, 3), dim=2).mT
    for _ in range(3_000):  # a tiny random number decides each tie
        drawn = (cosines + 1e-4 * torch.rand(2, 4, 4, generator=g)).argmax(dim=2)
        hits.append((drawn == torch.arange(4)).float().mean())
    assert abs(found - torch.stack(hits).mean().item()) < 0.02


# --- right answers of another form, and what the tables of mistakes cannot hold ---------------------------


def by_stft(waves, window, triangles, floor=1e-4):
    size = len(window)
    found = torch.stft(waves, size, size // 2, window=window, center=False, return_complex=True)  # [B, bins, pieces]
    return 10 * ((triangles @ (found.real**2 + found.imag**2)) + floor).log10()


def by_lists(starts, width, numbers):
    targets = [[list(range(s, s + width)) for s in row] for row in starts.tolist()]
    free = [[t for t in range(numbers.shape[1]) if t not in sum(spans, [])] for spans in targets]
    k = min(len(tokens) for tokens in free)
    chosen = [sorted(sorted(tokens, key=lambda t: float(u[t]))[:k]) for tokens, u in zip(free, numbers, strict=True)]
    return torch.tensor(chosen), torch.tensor(targets)


def by_logsumexp(first, second, temperature):
    z = torch.cosine_similarity(first[:, None], second[None], dim=2) / temperature
    return (z.logsumexp(0).mean() + z.logsumexp(1).mean()) / 2 - z.diagonal().mean()


def by_step(step, steps, numbers, start=0.01):
    share = torch.tensor([Curriculum(None, None, steps, start).share(s) for s in step.tolist()])
    return share, torch.lt(numbers, share)


RIGHT = {"mel_bands": by_stft, "span_masks": by_lists, "pair_loss": by_logsumexp, "hard_batches": by_step}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_answer_of_another_form_passes(name, capsys):
    getattr(check, name)(RIGHT[name])
    assert "right" in capsys.readouterr().out


def test_a_tensor_of_one_number_is_a_right_count_of_hits(capsys):
    check.shared_recall(lambda p, y, g: torch.tensor(recall_at_1(p, y, g)))
    assert "right" in capsys.readouterr().out


def test_no_half_of_an_answer_passes():
    for answer in (lambda *a: None, lambda *a: by_lists(*a)[0], lambda *a: list(by_lists(*a))):
        with pytest.raises(CheckFailed):
            check.span_masks(answer)
    for answer in (lambda *a: by_step(*a)[1], lambda *a: by_step(*a)[0]):
        with pytest.raises(CheckFailed):
            check.hard_batches(answer)
