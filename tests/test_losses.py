"""Distances against torch and NumPy, the variance/covariance term against a loop over pairs of features."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from minijepa.losses import cosine, l1, l2, smooth_l1, variance_covariance

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
