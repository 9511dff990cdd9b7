"""The specifications of assignment 11 against independent programs, and the stripes on which it trains."""

import importlib

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from minijepa.checks import which_transform as check
from minijepa.checks.values import normal
from minijepa.family import info_nce

stripes = importlib.import_module("minijepa.checks.which_transform.stripes")
MODULES = {
    name: importlib.import_module(f"minijepa.checks.which_transform.{name}")
    for name in ("partner_index", "nt_xent_logits", "barlow_twins", "beats_start")
}


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_logits_and_partners_make_the_loss_of_the_package(temperature):
    first, second = normal(5, 7), normal(5, 7, seed=1)
    logits = MODULES["nt_xent_logits"].spec_nt_xent_logits(first, second, temperature)
    partners = MODULES["partner_index"].spec_partner_index(5)
    assert torch.allclose(F.cross_entropy(logits, partners), info_nce(first, second, temperature), atol=1e-5)


def test_barlow_twins_is_that_of_the_correlations_of_numpy():
    module = MODULES["barlow_twins"]
    for b, d, weight in ((6, 3, 1.0), (9, 5, module.WEIGHT)):
        first, second = (z.double() for z in module.views(b, d, seed=b))
        c = np.corrcoef(first.T.numpy(), second.T.numpy())[:d, d:]  # [D, D]
        off = c[~np.eye(d, dtype=bool)]
        wanted = ((1 - c.diagonal()) ** 2).sum() + weight * (off**2).sum()
        assert abs(module.spec_barlow_twins(first, second, weight).item() - wanted) < 1e-9
        assert abs(module.loss_of(module.correlations(first, second), weight).item() - wanted) < 1e-9  # what trains


def test_an_answer_that_standardises_by_batch_normalisation_is_right(capsys):
    def by_batch_norm(first, second, weight=0.0051):  # as the released code does, with 1e-5 next to the variance
        c = F.batch_norm(first, None, None, training=True).T @ F.batch_norm(second, None, None, training=True)
        c = c / len(first)
        return (1 - c.diagonal()).square().sum() + weight * (c - c.diagonal().diag()).square().sum()

    check.barlow_twins(by_batch_norm)
    assert "right" in capsys.readouterr().out


def test_the_error_bar_of_the_verdict_is_that_of_the_package():
    from minijepa.probes import paired_error

    before, after = normal(50) > 0, normal(50, seed=1) > -0.5
    gain = (after.double().mean() - before.double().mean()).item()
    found = MODULES["beats_start"].verdict(before, after)
    assert found[:2] == pytest.approx((before.double().mean().item(), after.double().mean().item()))
    assert found[2] == (gain > 2 * paired_error(after, before))
    assert not MODULES["beats_start"].verdict(before, before)[2]


def test_stripes_are_what_their_labels_say():
    data = check.stripes(200, seed=3)
    assert torch.equal(data.images, check.stripes(200, seed=3).images)
    assert not torch.equal(data.images, check.stripes(200, seed=4).images)
    x = data.images[:, 0].double()
    floor = 2 * (255 * stripes.NOISE) ** 2  # what the noise alone gives
    down, across = (x.diff(dim=dim).square().mean(dim=(1, 2)).sub(floor).clamp(min=1) for dim in (1, 2))  # [n] each
    part = across / (across + down)  # near 1 for vertical stripes, which change from column to column
    guess = torch.where(part > 0.75, 0, torch.where(part < 0.25, 2, 1))
    assert (guess == data.labels).double().mean() > 0.97
    spread = x.std(dim=(1, 2))
    strong = data.factors["contrast"] == 1
    assert spread[strong].mean() > 1.2 * spread[~strong].mean()
    assert data.factors["period"].min() >= 3 and data.factors["period"].max() <= 6
