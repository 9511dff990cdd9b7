"""Distances against torch and NumPy, regularisers against loops, integrals and published constants."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from minijepa.jepa import JEPA
from minijepa.losses import (
    cosine,
    covariance,
    l1,
    l2,
    sigreg,
    smooth_l1,
    variance,
    variance_covariance,
    vicreg,
)
from minijepa.masking import random_masks
from minijepa.predictor import Predictor
from minijepa.vit import ViT

DISTANCES = [smooth_l1, l2, l1, cosine]


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(0)
    return 2 * torch.randn(2, 3, 5, 8, generator=generator), 2 * torch.randn(2, 3, 5, 8, generator=generator)


@pytest.mark.parametrize("distance", DISTANCES)
def test_one_number_per_token(distance, pair):
    energy = distance(*pair)
    assert energy.shape == (2, 3, 5) and (energy > 0).all() and energy.isfinite().all()
    torch.testing.assert_close(distance(pair[1], pair[0]), energy)  # symmetric
    torch.testing.assert_close(distance(pair[0], pair[0]), torch.zeros(2, 3, 5), atol=1e-6, rtol=0)
    tokens = [distance(a, b) for a, b in zip(pair[0].flatten(0, 2), pair[1].flatten(0, 2), strict=True)]
    torch.testing.assert_close(torch.stack(tokens).view(2, 3, 5), energy)  # no token hears of another


def test_closed_forms_in_numpy(pair):
    a, b = (x.numpy().astype(np.float64) for x in pair)
    d = np.abs(a - b)
    assert (d < 1).any() and (d > 1).any()
    expected = {
        smooth_l1: np.where(d < 1, d**2 / 2, d - 0.5).mean(axis=-1),
        l2: (d**2).mean(axis=-1),
        l1: d.mean(axis=-1),
        cosine: 1 - (a * b).sum(axis=-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1),
    }
    for distance, value in expected.items():
        np.testing.assert_allclose(distance(*pair).numpy(), value, rtol=1e-5, atol=1e-6)


def test_means_equal_torchs_losses(pair):
    torch.testing.assert_close(smooth_l1(*pair).mean(), F.smooth_l1_loss(*pair))
    torch.testing.assert_close(l2(*pair).mean(), F.mse_loss(*pair))
    torch.testing.assert_close(l1(*pair).mean(), F.l1_loss(*pair))


def test_cosine_is_blind_to_length_and_stays_within_its_range(pair):
    a, b = pair
    torch.testing.assert_close(cosine(3 * a, 0.1 * b), cosine(a, b))
    torch.testing.assert_close(cosine(a, -a), torch.full((2, 3, 5), 2.0))
    assert cosine(torch.zeros(1, 4), torch.ones(1, 4)).isfinite().all()


@pytest.mark.parametrize("distance", DISTANCES)
def test_gradient_points_at_the_target(distance, pair):
    a, b = pair[0].clone().requires_grad_(), pair[1]
    before = distance(a, b).sum()
    before.backward()
    assert a.grad.isfinite().all() and (a.grad.abs().amax(dim=-1) > 0).all()
    with torch.no_grad():
        assert distance(a - 1e-2 * a.grad, b).sum() < before


def slow_variance_covariance(z, target_std, eps):
    """The two terms of VICReg with explicit loops, in float64."""
    z = z.numpy().astype(np.float64)
    n, d = z.shape
    means = [sum(z[i, k] for i in range(n)) / n for k in range(d)]
    variance = covariance = 0.0
    for j in range(d):
        for k in range(d):
            c = sum((z[i, j] - means[j]) * (z[i, k] - means[k]) for i in range(n)) / (n - 1)
            if j == k:
                variance += max(0.0, target_std - (c + eps) ** 0.5) / d
            else:
                covariance += c**2 / d
    return variance + covariance


@pytest.mark.parametrize(("shape", "spread"), [((7, 5), 0.4), ((2, 3), 1.0), ((20, 4), 3.0), ((6, 1), 0.1)])
@pytest.mark.parametrize("target_std", [1.0, 0.5])
def test_variance_covariance_equals_the_double_loop(shape, spread, target_std):
    z = 5 + spread * torch.randn(shape, generator=torch.Generator().manual_seed(0))
    value = variance_covariance(z, target_std=target_std)
    assert value.ndim == 0 and value >= 0
    assert value.item() == pytest.approx(slow_variance_covariance(z, target_std, 1e-4), rel=1e-4, abs=1e-6)


def test_variance_covariance_by_hand():
    constant = torch.ones(4, 3)
    assert variance_covariance(constant).item() == pytest.approx(1 - 0.01)  # 1 - sqrt(1e-4), no covariance
    column = torch.tensor([-3.0, -1.0, 1.0, 3.0])  # variance 20 / 3
    assert variance_covariance(column[:, None]).item() == 0
    assert variance_covariance(torch.stack([column, column], 1)).item() == pytest.approx((20 / 3) ** 2, rel=1e-5)
    other = torch.tensor([3.0, -3.0, -3.0, 3.0])  # uncorrelated with the column
    assert variance_covariance(torch.stack([column, other], 1)).item() == pytest.approx(0, abs=1e-6)


def test_variance_covariance_pulls_a_collapsed_batch_apart():
    z = (1 + 1e-3 * torch.randn(8, 4, generator=torch.Generator().manual_seed(0))).requires_grad_()
    variance_covariance(z).backward()
    assert z.grad.isfinite().all() and z.grad.abs().max() > 0
    with torch.no_grad():
        assert (z - z.grad).std(dim=0).mean() > 1.5 * z.std(dim=0).mean()
    equal = torch.ones(8, 4, requires_grad=True)
    variance_covariance(equal).backward()
    assert equal.grad.isfinite().all()  # eps keeps the root of a zero variance finite


@pytest.mark.parametrize("shape", [(1, 4), (4,), (2, 3, 4), (0, 4)])
def test_variance_covariance_refuses(shape):
    with pytest.raises(ValueError, match=str(list(shape))[1:-1]):
        variance_covariance(torch.zeros(shape))


# --- VICReg with all terms ---


def slow_vicreg(a, b):
    """The released form, from the slow variance/covariance: weights 25, 25, 1, the variance halved over two views."""
    terms = [slow_variance_covariance(z, 1.0, 1e-4) for z in (a, b)]
    stds = [np.sqrt(z.numpy().astype(np.float64).var(axis=0, ddof=1) + 1e-4) for z in (a, b)]
    variances = [np.maximum(0, 1 - std).mean() for std in stds]
    covariances = [both - v for both, v in zip(terms, variances, strict=True)]
    return 25 * ((a - b) ** 2).mean().item() + 25 * sum(variances) / 2 + sum(covariances)


def test_vicreg_equals_the_loops():
    generator = torch.Generator().manual_seed(3)
    a, b = 0.7 * torch.randn(9, 4, generator=generator), 0.5 + 0.3 * torch.randn(9, 4, generator=generator)
    assert vicreg(a, b).item() == pytest.approx(slow_vicreg(a, b), rel=1e-5)
    assert vicreg(b, a).item() == pytest.approx(vicreg(a, b).item(), rel=1e-6)
    # one view: the same without invariance, and with one covariance instead of two
    assert vicreg(a).item() == pytest.approx(25 * variance(a).item() + covariance(a).item(), rel=1e-6)
    assert variance_covariance(a).item() == pytest.approx(vicreg(a, weights=(0, 1, 1)).item(), rel=1e-6)


def test_vicreg_of_tokens_is_the_mean_over_positions():
    z = torch.randn(8, 5, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([0.2, 1.0, 3.0])
    each = [vicreg(z[:, n]).item() for n in range(5)]
    assert vicreg(z).item() == pytest.approx(sum(each) / 5, rel=1e-5)


def test_only_vicreg_per_position_sees_a_positional_collapse():
    """Flattened tokens differ from each other, though no image differs from any other."""
    places = torch.randn(1, 200, 4, generator=torch.Generator().manual_seed(0)).expand(32, -1, -1)
    assert variance(places).item() == pytest.approx(0.99, abs=1e-4)  # 1 - sqrt(1e-4): nothing varies over images
    assert variance(places.reshape(-1, 4)).item() < 0.1  # the wrong way: images and positions as one batch


@pytest.mark.parametrize("shape", [(1, 4), (4,), (1, 3, 4), (2, 3, 4, 5)])
def test_vicreg_refuses(shape):
    with pytest.raises(ValueError, match=str(list(shape))[1:-1]):
        vicreg(torch.zeros(shape))


def test_vicreg_refuses_views_of_two_shapes():
    with pytest.raises(ValueError, match=r"\(4, 3\) and \(5, 3\)"):
        vicreg(torch.zeros(4, 3), torch.zeros(5, 3))


# --- SIGReg: published constants (17 knots up to 3) and the plain integral ---


def test_sigreg_of_normal_samples_is_what_theory_says():
    """E |ecf - phi|^2 = (1 - phi^2) / B, so the mean over samples of N(0, 1) is 1.0525 for every B."""
    for n in (4, 64):
        z = torch.randn(600, n, 1, generator=torch.Generator().manual_seed(n))
        assert np.mean([sigreg(one, directions=1).item() for one in z]) == pytest.approx(1.0525, abs=0.12)
    t = torch.linspace(0, 3, 17)
    gauss = (-t.square() / 2).exp()
    assert 2 * torch.trapezoid((1 - gauss**2) * gauss, t).item() == pytest.approx(1.0525, abs=1e-4)


@pytest.mark.parametrize("n", [2, 256])
def test_sigreg_of_collapsed_features(n):
    assert sigreg(torch.zeros(n, 8)).item() / n == pytest.approx(0.40205, abs=1e-5)
    assert sigreg(torch.ones(n, 1)).item() / n == pytest.approx(1.186, abs=1e-3)  # one feature: projections +1 or -1


@pytest.mark.parametrize(("sigma", "expected"), [(0.5, 0.1512), (1.0, 0.0), (2.0, 0.2361)])
def test_sigreg_of_normals_of_another_width(sigma, expected):
    quantiles = torch.distributions.Normal(0, sigma).icdf((torch.arange(20_000) + 0.5) / 20_000)  # no sampling noise
    assert sigreg(quantiles[:, None], directions=1).item() / 20_000 == pytest.approx(expected, abs=1e-4)


def test_sigreg_equals_the_integral():
    z = 0.8 * torch.randn(12, 5, generator=torch.Generator().manual_seed(0)) + 0.3
    a = torch.randn(5, 7, generator=torch.Generator().manual_seed(9))
    x = (z.double() @ (a / a.norm(dim=0)).double()).numpy()  # [12, 7]
    t = np.linspace(-3, 3, 20_001)
    ecf = np.exp(1j * x[..., None] * t).mean(axis=0)  # [7, T], complex: the definition
    integrand = np.abs(ecf - np.exp(-(t**2) / 2)) ** 2 * np.exp(-(t**2) / 2)
    integral = 12 * ((integrand[:, 1:] + integrand[:, :-1]) / 2 * (t[1] - t[0])).sum(axis=1).mean()
    value = sigreg(z, directions=7, generator=torch.Generator().manual_seed(9))
    assert value.item() == pytest.approx(integral, rel=2e-3)


def test_sigreg_directions_come_from_the_generator():
    z = torch.randn(16, 6, generator=torch.Generator().manual_seed(0)) * torch.arange(1.0, 7)
    assert torch.equal(sigreg(z), sigreg(z))  # without one: the same each time
    generator = torch.Generator().manual_seed(5)
    first, second = sigreg(z, 4, generator), sigreg(z, 4, generator)
    assert first != second and torch.equal(first, sigreg(z, 4, torch.Generator().manual_seed(5)))
    state = torch.get_rng_state()
    sigreg(z)
    assert torch.equal(state, torch.get_rng_state())  # the global generator is left alone


@pytest.mark.parametrize("regulariser", [sigreg, vicreg, variance_covariance])
def test_regularisers_pull_a_collapsed_batch_apart(regulariser):
    start = 1e-2 * torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
    z = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([z], lr=0.05)
    for _ in range(50):
        optimizer.zero_grad()
        regulariser(z).backward()
        optimizer.step()
    assert z.isfinite().all()
    assert z.std(dim=0).min() > 0.5 and z.std(dim=0).max() < 2, "each feature should have a standard deviation near 1"


def test_sigreg_moves_the_mean_to_zero_and_vicreg_does_not_care():
    z = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
    assert sigreg(z + 2).item() > 10 * sigreg(z).item()
    assert vicreg(z + 2).item() == pytest.approx(vicreg(z).item(), rel=1e-4)


@pytest.mark.parametrize("shape", [(1, 4), (4,), (2, 3, 4)])
def test_sigreg_refuses(shape):
    with pytest.raises(ValueError, match=str(list(shape))[1:-1]):
        sigreg(torch.zeros(shape))


@pytest.mark.parametrize("regulariser", [sigreg, vicreg])
def test_regularisers_fit_into_a_jepa(regulariser):
    encoder = ViT(8, 2, dim=12, depth=1, heads=3)
    model = JEPA(encoder, Predictor(12, (4, 4), width=12, depth=1, heads=3), regulariser=regulariser, weight=0.5)
    x = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    out = model(x, random_masks(3, (4, 4), context_keep=5, target_keep=4, generator=torch.Generator().manual_seed(0)))
    expected = out.energy.mean() + 0.5 * regulariser(out.context.mean(dim=1))
    torch.testing.assert_close(out.loss, expected)
    out.loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in encoder.parameters())
