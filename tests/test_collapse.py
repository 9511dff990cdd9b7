"""The monitors on representations whose state is known: which of them sees which collapse."""

import pytest
import torch

from minijepa.collapse import content_share, position_std, rankme

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
    assert flat.std(dim=0).mean() > 0.8 and rankme(position_only.mean(dim=1)) > 0.9 * D  # these look healthy
    assert position_std(position_only) < 0.005
    assert content_share(position_only) < 1e-4


def test_healthy_tokens():
    tokens = normal(B, N, D)
    assert position_std(tokens) == pytest.approx(1, abs=0.01)
    assert content_share(tokens) == pytest.approx(1, abs=0.01)
    assert rankme(tokens[:, 0]) > 0.97 * D


def test_rankme_is_blind_to_scale():
    """A constant with noise of one thousandth has nearly full rank: only the deviation tells."""
    features = normal(D) + 1e-3 * normal(B, D, seed=1)
    assert rankme(features) > 0.97 * D
    assert position_std(features[:, None]) == pytest.approx(1e-3, rel=0.05)
    assert rankme(1000 * features) == pytest.approx(rankme(features), rel=1e-3)


@pytest.mark.parametrize("rank", [1, 2, 5])
def test_rankme_counts_equal_dimensions(rank):
    axes = torch.linalg.qr(normal(D, rank)).Q  # [D, rank], orthonormal
    features = torch.linalg.qr(normal(B, rank, seed=1) - normal(B, rank, seed=1).mean(dim=0)).Q @ axes.T
    assert rankme(features) == pytest.approx(rank, rel=0.01)
    assert rankme(features + 7) == pytest.approx(rank, rel=0.01)  # what all images share is no dimension


def test_rankme_equals_its_formula():
    features = normal(50, 6) * torch.tensor([5.0, 3.0, 1.0, 0.5, 0.1, 0.01])
    centred = (features - features.mean(dim=0)).double()
    s = torch.linalg.eigvalsh(centred.T @ centred).clamp_min(0).sqrt()  # singular values another way
    p = s / s.sum() + 1e-7
    assert rankme(features) == pytest.approx(torch.exp(-(p * p.log()).sum()).item(), rel=1e-4)


def test_content_share_is_the_share_that_was_put_in():
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
