"""The monitors on representations whose state is known: which of them sees which collapse."""

import math

import numpy as np
import pytest
import torch

from minijepa.collapse import (
    alignment,
    alpha_req,
    content_share,
    lidar,
    off_diagonal_covariance,
    position_std,
    rankme,
    spectrum,
    token_std,
    uniformity,
)

B, N, D = 256, 16, 32


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def position_only():
    """A positional collapse: each place its own vector, the same in every image, and a trace of noise."""
    tokens = normal(1, N, D) + 1e-3 * normal(B, N, D, seed=1)
    return torch.nn.functional.layer_norm(tokens, (D,))


def test_a_constant():
    tokens = normal(D).expand(B, N, D)
    assert position_std(tokens) == pytest.approx(0, abs=1e-6)
    assert content_share(torch.zeros(B, N, D)) == 0.0  # nothing varies at all
    assert content_share(torch.full((4, 4, 4), 0.5)) == 0.0
    assert rankme(tokens[:, 0]) == pytest.approx(1, abs=0.01)
    assert rankme(torch.zeros(B, D)) == pytest.approx(1, abs=0.01)


def test_positional_collapse_deceives_all_but_the_two_monitors(position_only):
    flat = position_only.flatten(0, 1)
    pooled = position_only.mean(dim=1)
    assert flat.std(dim=0).mean() > 0.8 and rankme(pooled, centred=True) > 0.9 * D  # these look healthy
    assert rankme(pooled) < 1.2, "as published RankMe sees the mean of the places, one long axis"
    assert token_std(position_only) == pytest.approx(1, abs=0.05)  # V-JEPA's own, too
    assert position_std(position_only) < 0.005
    assert content_share(position_only) < 1e-4


def test_healthy_tokens():
    tokens = normal(B, N, D)
    assert position_std(tokens) == pytest.approx(1, abs=0.01)
    assert content_share(tokens) == pytest.approx(1, abs=0.01)
    assert rankme(tokens[:, 0]) > 0.97 * D


def test_rankme_of_a_constant_with_tiny_noise_is_1_as_published_and_full_if_centred():
    """arXiv:2210.02885, section 3, takes the singular values of Z itself: the constant is one long axis."""
    features = normal(D) + 1e-3 * normal(B, D, seed=1)
    assert rankme(features) == pytest.approx(1, abs=0.1)
    assert rankme(features, centred=True) > 0.97 * D
    assert position_std(features[:, None]) == pytest.approx(1e-3, rel=0.05)


@pytest.mark.parametrize("centred", [False, True])
def test_neither_rankme_has_a_scale(centred):
    """Tiny noise around zero is full rank by both definitions: only the standard deviation tells."""
    features = 1e-3 * normal(B, D, seed=1)
    assert rankme(features, centred) > 0.97 * D
    assert rankme(1000 * features, centred) == pytest.approx(rankme(features, centred), rel=1e-3)


def test_rankme_as_published_suspects_features_with_a_large_mean():
    alive = normal(B, D) + 20
    assert rankme(alive) < 4 and rankme(alive, centred=True) > 0.97 * D and position_std(alive[:, None]) > 0.9


@pytest.mark.parametrize("rank", [1, 2, 5])
def test_rankme_counts_equal_dimensions(rank):
    axes = torch.linalg.qr(normal(D, rank)).Q  # [D, rank], orthonormal
    features = torch.linalg.qr(normal(B, rank, seed=1) - normal(B, rank, seed=1).mean(dim=0)).Q @ axes.T
    assert rankme(features) == pytest.approx(rank, rel=0.01)
    assert rankme(features + 7, centred=True) == pytest.approx(rank, rel=0.01)  # what all images have in common is none


def test_rankme_equals_its_formula():
    features = normal(50, 6) * torch.tensor([5.0, 3.0, 1.0, 0.5, 0.1, 0.01]) + 2
    for z, centred in ((features, False), (features - features.mean(dim=0), True)):
        s = torch.linalg.eigvalsh((z.T @ z).double()).clamp_min(0).sqrt()  # singular values another way
        p = s / s.sum() + 1e-7
        assert rankme(features, centred) == pytest.approx(torch.exp(-(p * p.log()).sum()).item(), rel=1e-4)


def test_content_share_is_the_fraction_that_was_put_in():
    place, content = normal(1, N, D), normal(B, N, D, seed=1)
    place = (place - place.mean(dim=1, keepdim=True)) / place.std(dim=1, keepdim=True, correction=0)
    for weight in (0.1, 1.0, 3.0):
        assert content_share(place + weight * content) == pytest.approx(weight**2 / (1 + weight**2), rel=0.02)


def test_position_std_equals_numpy():
    tokens = normal(5, 3, 4)
    assert position_std(tokens) == pytest.approx(tokens.numpy().std(axis=0, ddof=1).mean(), rel=1e-5)


def test_monitors_return_plain_numbers_without_gradient():
    tokens = normal(4, 3, 8).requires_grad_()
    for value in (position_std(tokens), content_share(tokens), rankme(tokens[:, 0])):
        assert isinstance(value, float)


# --- what the other measures say, in closed form or against a second way to compute them ---


def decaying(alpha, dims=24, images=400):
    """Features whose covariance has exactly the eigenvalues i^-alpha, in a rotated basis."""
    scores = normal(images, dims)
    scores = torch.linalg.qr(scores - scores.mean(dim=0)).Q * (images - 1) ** 0.5  # covariance I
    scale = torch.arange(1, dims + 1).float() ** (-alpha / 2)
    return scores * scale @ torch.linalg.qr(normal(dims, dims, seed=1)).Q.T


@pytest.mark.parametrize("alpha", [0.0, 0.7, 1.0, 2.5])
def test_alpha_and_spectrum_of_a_power_law(alpha):
    features = decaying(alpha)
    assert alpha_req(features) == pytest.approx(alpha, abs=1e-3)
    assert alpha_req(100 * features + 3) == pytest.approx(alpha, abs=1e-3)
    expected = torch.arange(1, 25).float() ** (-alpha / 2)
    torch.testing.assert_close(spectrum(features), expected, rtol=1e-3, atol=1e-5)


def test_a_spectrum_that_falls_off_a_cliff_has_no_exponent():
    assert alpha_req(normal(B, 2) @ normal(2, D, seed=1)) == math.inf
    assert alpha_req(torch.ones(B, D)) == math.inf


def test_spectrum_equals_the_standard_deviations_along_the_axes():
    features = normal(B, D) * torch.linspace(0.1, 3, D)
    covariance = torch.cov(features.T)
    expected = torch.linalg.eigvalsh(covariance).flip(0).sqrt()
    torch.testing.assert_close(spectrum(features), expected, rtol=1e-3, atol=1e-4)
    assert len(spectrum(normal(5, D))) == 5


def test_token_std_equals_numpy():
    tokens = normal(5, 3, 4)
    expected = np.sqrt(tokens.numpy().var(axis=1, ddof=1) + 1e-4).mean()
    assert token_std(tokens) == pytest.approx(expected, rel=1e-5)


def test_off_diagonal_covariance_equals_numpy():
    features = normal(40, 6) @ normal(6, 6, seed=1)
    c = np.cov(features.numpy().T)
    assert off_diagonal_covariance(features) == pytest.approx((c**2).sum() / 6 - (np.diag(c) ** 2).sum() / 6, rel=1e-4)
    assert off_diagonal_covariance(torch.ones(8, 4)) == 0  # a complete collapse scores perfectly


def test_alignment_and_uniformity_equal_double_loops():
    views = normal(7, 3, 5)
    x = [[v / np.linalg.norm(v) for v in image] for image in views.numpy().astype(np.float64)]
    pairs = [((a - b) ** 2).sum() for image in x for i, a in enumerate(image) for b in image[i + 1 :]]
    assert alignment(views) == pytest.approx(np.mean(pairs), rel=1e-5)
    first = [image[0] for image in x]
    pairs = [np.exp(-2 * ((a - b) ** 2).sum()) for i, a in enumerate(first) for b in first[i + 1 :]]
    assert uniformity(views[:, 0]) == pytest.approx(np.log(np.mean(pairs)), rel=1e-5)


def test_ends_of_alignment_and_uniformity():
    same = normal(B, 1, D).expand(-1, 4, -1)
    assert alignment(same) == pytest.approx(0, abs=1e-5)
    opposite = torch.cat([same[:, :1], -same[:, :1]], dim=1)
    assert alignment(opposite) == pytest.approx(4, rel=1e-5)
    assert uniformity(torch.ones(B, D)) == pytest.approx(0, abs=1e-5)
    assert uniformity(normal(B, 256)) == pytest.approx(-4, abs=0.1)
    assert uniformity(1e-6 * normal(B, 256)) == pytest.approx(-4, abs=0.1)  # blind to length


def informative(k, images=1000, views=10):
    """D features of equal variance: k say which image it is (and a little noise), the others differ by view alone."""
    image, view = normal(images, 1, D, seed=2), normal(images, views, D, seed=3)
    about_the_image = torch.arange(D) < k
    return torch.where(about_the_image, 0.9**0.5 * image + 0.1**0.5 * view, view)


def test_lidar_counts_what_is_about_the_image_and_rankme_what_varies():
    counts = {k: lidar(informative(k)) for k in (2, 8, 32)}
    assert all(rankme(informative(k)[:, 0]) > 0.95 * D for k in counts)
    assert counts[2] < 6 < counts[8] < 13 < 0.95 * D < counts[32]


def test_lidar_equals_the_generalised_eigenvalues():
    views = informative(4, images=60, views=5)[..., :6].double()
    means = views.mean(dim=1)
    between = np.cov(means.numpy().T, bias=True)
    within = np.mean([np.cov(v.numpy().T, bias=True) for v in views], axis=0) + 1e-4 * np.eye(6)
    values = np.linalg.eigvals(np.linalg.solve(within, between)).real  # the same spectrum, no square root
    p = values / values.sum() + 1e-7
    assert lidar(views) == pytest.approx(np.exp(-(p * np.log(p)).sum()), rel=1e-6)


def test_lidar_ignores_scale_too():
    """What the paper's delta does not save: where everything is equally small, nothing stands out."""
    dead = normal(1, 1, D) + 1e-3 * normal(500, 8, D, seed=1)
    assert lidar(dead) > 0.9 * D
    assert lidar(1000 * informative(4)) == pytest.approx(lidar(informative(4)), rel=0.01)
