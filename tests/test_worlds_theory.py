"""The linear theory: dynamics against autograd and samples, plateaus and times in closed form, planted bugs."""

import math

import pytest
import torch
from helpers import planted, seeded

from minijepa.losses import vicreg
from minijepa.worlds import depth, linear_views, spectral


def covariances(n=6, seed=0):
    """Signal and noise covariances of n numbers, not diagonal."""
    A, B = torch.randn(2, n, n, generator=seeded(seed), dtype=torch.float64)
    return A @ A.T / n, 0.3 * B @ B.T / n


def weights(width=3, n=6, seed=1):
    generator = seeded(seed)
    W, Wa = torch.randn(2, width, n, generator=generator, dtype=torch.float64)
    return W, torch.randn(width, width, generator=generator, dtype=torch.float64), Wa


# --- two views of one signal ---


def test_the_expected_loss_is_the_mean_over_samples():
    signal, noise = covariances()
    W, Wp, Wa = weights()
    s = torch.randn(200_000, 6, generator=seeded(2), dtype=torch.float64) @ torch.linalg.cholesky(signal).T
    n, m = torch.randn(2, 200_000, 6, generator=seeded(3), dtype=torch.float64) @ torch.linalg.cholesky(noise).T
    sampled = ((s + n) @ (Wp @ W).T - (s + m) @ Wa.T).square().sum(dim=1) / 2
    expected = linear_views.views_loss(W, Wp, Wa, signal, noise).item()
    assert abs(expected - sampled.mean().item()) < 5 * sampled.std().item() / 200_000**0.5


def slow_steps(signal, noise, stop_gradient, weight_decay, steps, lr=0.1, width=3, seed=0):
    """`train_views` with autograd on the expected loss, from its own initial weights."""
    start = linear_views.train_views(signal, noise, width=width, steps=0, seed=seed)
    W, Wp = start.W.clone().requires_grad_(), start.predictor.clone().requires_grad_()
    for _ in range(steps):
        target = W.detach() if stop_gradient else W
        loss = linear_views.views_loss(W, Wp, target, signal, noise)
        loss = loss + weight_decay / 2 * (W.square().sum() + Wp.square().sum())
        dW, dWp = torch.autograd.grad(loss, (W, Wp))
        with torch.no_grad():
            W, Wp = (W - lr * dW).requires_grad_(), (Wp - lr * dWp).requires_grad_()
    return W.detach(), Wp.detach()


def check_views(module):
    signal, noise = covariances()
    for stop_gradient in (True, False):
        W, Wp = slow_steps(signal, noise, stop_gradient, 0.03, steps=50)
        settings = dict(width=3, steps=50, stop_gradient=stop_gradient, weight_decay=0.03)
        run = module.train_views(signal, noise, **settings)
        assert torch.allclose(run.W, W, atol=1e-9) and torch.allclose(run.predictor, Wp, atol=1e-9), stop_gradient
    eye = torch.eye(8, dtype=torch.float64)
    kept = module.train_views(eye, 0.5 * eye, width=2, steps=600, weight_decay=0.1)
    expected = module.plateau(1.0, 0.5, 0.1)
    assert kept.eigenvalues[-1, 0].item() == pytest.approx(expected, rel=0.01)


def test_the_dynamics_are_gradient_descent_on_the_expected_loss():
    check_views(linear_views)


VIEWS_BUGS = {
    "stop-gradient missing": ("if not stop_gradient:", "if True:"),
    "gradient of the target never added": ("if not stop_gradient:", "if False:"),
    "target not moved": ("Wa = momentum * Wa + (1 - momentum) * W\n", "Wa = Wa\n"),
    "momentum the wrong way round": ("momentum * Wa + (1 - momentum) * W", "(1 - momentum) * Wa + momentum * W"),
    "noise counted as shared": ("error = Wp @ W @ S - Wa @ signal", "error = Wp @ W @ S - Wa @ S"),
    "predictor not transposed": ("dW = Wp.T @ error", "dW = Wp @ error"),
    "weight decay with the wrong sign": ("error @ W.T + weight_decay * Wp", "error @ W.T - weight_decay * Wp"),
    "the smaller root": ("(1 + math.sqrt(max(root, 0.0)))", "(1 - math.sqrt(max(root, 0.0)))"),
}


@pytest.mark.parametrize("bug", VIEWS_BUGS)
def test_the_checks_find_a_planted_bug_in_the_dynamics(bug):
    with pytest.raises(AssertionError):
        check_views(planted(linear_views, *VIEWS_BUGS[bug]))


def isotropic(**settings):
    eye = torch.eye(12, dtype=torch.float64)
    return linear_views.train_views(eye, 0.5 * eye, steps=1_000, **settings)


def test_without_a_predictor_the_code_decays_at_the_rate_of_the_noise():
    """W' = - W N: with N = .5 I each step multiplies W by 1 - lr / 2, exactly."""
    run = linear_views.train_views(torch.eye(5).double(), 0.5 * torch.eye(5).double(), predictor=False, steps=100)
    start = run.eigenvalues[0]
    expected = [start * 0.95 ** (2 * step) for step in run.steps.tolist()]
    assert torch.allclose(run.eigenvalues, torch.stack(expected), rtol=1e-8)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_without_stop_gradient_it_collapses_and_with_it_the_eigenspaces_align(seed):
    collapsed = isotropic(stop_gradient=False, seed=seed)
    norms = collapsed.eigenvalues.sum(dim=1)
    assert norms[-1] < 1e-3 * norms[0] and (norms.diff() < 1e-12).all()
    kept = isotropic(weight_decay=0.05, seed=seed)
    plateau = linear_views.plateau(1.0, 0.5, 0.05)
    alive = kept.eigenvalues[-1] > 0.1
    assert alive.sum() >= 2 and kept.eigenvalues[-1][alive].tolist() == pytest.approx([plateau] * alive.sum(), rel=0.02)
    assert kept.alignment[0] < 0.98 and kept.alignment[-1] > 0.9999
    slow = isotropic(weight_decay=0.05, momentum=0.99, seed=seed)
    assert slow.eigenvalues[-1].max() == pytest.approx(plateau, rel=0.1), "an EMA has the same plateau"


def test_too_much_weight_decay_kills_the_weakest_directions_first():
    assert linear_views.critical_decay(1.0, 0.5) == pytest.approx(1 / 6)
    signal = torch.eye(8, dtype=torch.float64)
    for variance, survives in ((2.0, True), (1.0, True), (0.5, False)):
        run = linear_views.train_views(variance * signal, 0.5 * signal, width=2, steps=1_500, weight_decay=0.15)
        end = linear_views.plateau(variance, 0.5, 0.15)
        assert (end > 0) == survives == (linear_views.critical_decay(variance, 0.5) > 0.15)
        assert run.eigenvalues[-1, 0].item() == pytest.approx(end, rel=0.01, abs=1e-6)
    with pytest.raises(ValueError, match="gets no gradient, got momentum=0.9"):
        linear_views.train_views(signal, signal, stop_gradient=False, momentum=0.9)


# --- depth ---


def deep_network(method, layers, lam, rho, start, lr, steps):
    """One feature of a deep linear network, layer by layer, with autograd: the encoder's product after each step."""
    v = torch.tensor(start ** (1 / layers), dtype=torch.float64, requires_grad=True)
    a = [torch.tensor(start ** (1 / layers), dtype=torch.float64, requires_grad=True) for _ in range(layers)]
    path = []
    for _ in range(steps):
        encoder = math.prod(a)
        # E (v e x - target)^2 / 2 up to a constant, with E x^2 = lam / rho and E x y = lam
        reach = encoder.detach() if method == "jepa" else 1.0
        loss = (v * encoder) ** 2 * lam / rho / 2 - v * encoder * reach * lam
        gradients = torch.autograd.grad(loss, [v, *a])
        with torch.no_grad():
            v, *a = [(p - lr * g).requires_grad_() for p, g in zip([v, *a], gradients, strict=True)]
        path.append(math.prod(a).item())
    return path


def check_depth(module):
    for method in ("jepa", "mae"):
        for layers in (1, 3):
            path = deep_network(method, layers, 1.2, 0.8, start=0.2, lr=0.02, steps=300)
            times = [2.0, 4.0, 6.0]
            flow = module.grow(method, layers, 1.2, 0.8, times, start=0.2).tolist()
            assert flow == pytest.approx([path[int(50 * t) - 1] for t in times], rel=0.03), (method, layers)
            end = module.fixed_point(method, layers, 0.8)
            assert module.growth(method, end, layers, 1.2, 0.8) == pytest.approx(0, abs=1e-12)
            time = module.learning_time(method, layers, 1.2, 0.8, start=0.1)
            reached = module.grow(method, layers, 1.2, 0.8, [time], start=0.1, steps_between=4_000).item()
            assert reached == pytest.approx(end / 2, rel=1e-3), (method, layers)


def test_the_equations_are_deep_networks_and_the_times_their_times():
    check_depth(depth)


DEPTH_BUGS = {
    "target not detached": ('{"jepa": 3 - 1 / depth,', '{"jepa": 2 - 1 / depth,'),
    "depth lost": ("return depth * lam * (w **", "return lam * (w **"),
    "rho on the wrong side": ("- w**3 / rho)", "- w**3 * rho)"),
    "half of the wrong end": ('{"jepa": depth, "mae"', '{"jepa": 1, "mae"'),
}


@pytest.mark.parametrize("bug", DEPTH_BUGS)
def test_the_checks_find_a_planted_bug_in_the_depth(bug):
    with pytest.raises((AssertionError, ValueError)):
        check_depth(planted(depth, *DEPTH_BUGS[bug]))


def ratio(method, layers, lam, **settings):
    """Time of A (lam 1, rho .8), the more covariant, over that of B (lam, rho 1), the more predictable."""
    first = depth.learning_time(method, layers, 1.0, 0.8, **settings)
    return first / depth.learning_time(method, layers, lam, 1.0, **settings)


def test_depth_flips_the_order_for_a_jepa_only_and_not_everywhere():
    assert [round(ratio("jepa", layers, 0.9), 2) for layers in (1, 2, 3, 4, 6)] == [0.90, 0.97, 1.05, 1.14, 1.31]
    assert all(0.85 < ratio("mae", layers, 0.9) < 0.9 for layers in (1, 2, 3, 4, 6))
    assert all(ratio("jepa", layers, 0.5) < 0.8 for layers in (1, 2, 3, 4, 6)), "a larger gap in lam: no flip"
    assert all(ratio("jepa", layers, 0.9, start=0.001) < 1 for layers in (1, 2, 3, 4)), "a smaller start: later"
    with pytest.raises(ValueError, match="the feature starts at 0.2, above 0.5"):
        depth.learning_time("jepa", 6, 1.0, 0.8, start=0.2)
    with pytest.raises(ValueError, match="method must be one of jepa, mae, got 'ae'"):
        depth.growth("ae", 0.1, 1, 1.0, 1.0)


# --- spectral ---


def ring(nodes):
    """Edges of a ring, int64 [nodes, 2]: each node is a first end once and a second end once."""
    return torch.stack([torch.arange(nodes), (torch.arange(nodes) + 1) % nodes], dim=1)


def minimise(parameters, loss, steps=500, lr=0.05):
    optimiser = torch.optim.Adam(parameters, lr=lr)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = lr * (1 - step / steps)
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()


def check_spectral(module):
    edges = ring(12)
    L = module.laplacian(edges, 12)
    z = torch.randn(12, 3, generator=seeded(), dtype=torch.float64)
    slow = sum((z[i] - z[j]).square().sum() for i, j in edges.tolist())
    assert torch.allclose((z.T @ L @ z).trace(), slow)
    angles = 2 * math.pi * torch.arange(12).double() / 12
    waves = torch.stack([angles.cos(), angles.sin()], dim=1)
    assert module.subspace_overlap(module.spectral_embedding(L, 2), waves) == pytest.approx(1, abs=1e-9)
    assert module.subspace_overlap(waves, torch.randn(12, 2, generator=seeded(), dtype=torch.float64)) < 0.7
    generator = seeded(4)
    signal = torch.randn(500, 5, generator=generator) * torch.tensor([2.0, 1.5, 1.0, 0.7, 0.5])
    first, second = (signal + 0.5 * torch.randn(500, 5, generator=generator) for _ in range(2))
    W = module.smoothest_encoder(first, second, 2)
    S = torch.cov(torch.cat([first, second]).double().T, correction=0)
    assert torch.allclose(W @ S @ W.T, torch.eye(2).double(), atol=1e-9), "the code is white"
    rough = [((first - second).double() @ w).square().mean() / (w @ S @ w) for w in (*W, *torch.eye(5).double())]
    assert max(rough[:2]) < min(rough[4:]), "smoother than the coordinates with the least signal"
    assert rough[0] <= min(rough) + 1e-12


def test_laplacian_and_the_two_embeddings_by_hand():
    check_spectral(spectral)


SPECTRAL_BUGS = {
    "the constant kept": ("[1][:, 1 : k + 1]", "[1][:, :k]"),
    "the roughest directions": ("(white @ D @ white)[1][:, :k]", "(white @ D @ white)[1][:, -k:]"),
    "edges with one direction": ("        A[j, i] += 1\n", ""),
    "not whitened": (".T @ white\n", ".T\n"),
}


@pytest.mark.parametrize("bug", SPECTRAL_BUGS)
def test_the_checks_find_a_planted_bug_in_the_spectra(bug):
    with pytest.raises(AssertionError):
        check_spectral(planted(spectral, *SPECTRAL_BUGS[bug]))


@pytest.mark.parametrize("weights", [(25.0, 25.0, 1.0), (5.0, 25.0, 1.0), (25.0, 25.0, 25.0)])
def test_vicreg_of_free_codes_is_the_spectral_embedding(weights):
    """Whatever its weights: they decide how long the axes are, not which space they span."""
    edges = ring(24)
    z = torch.randn(24, 2, generator=seeded(), requires_grad=True)
    minimise([z], lambda: vicreg(z[edges[:, 0]], z[edges[:, 1]], weights))
    centred = (z - z.mean(dim=0)).detach()
    smooth = spectral.spectral_embedding(spectral.laplacian(edges, 24), 2)
    assert spectral.subspace_overlap(centred, smooth) > 0.999
    assert centred.std(dim=0).min() > 0.5, "not a collapse"


@pytest.mark.parametrize("weights", [(25.0, 25.0, 1.0), (5.0, 25.0, 5.0)])
def test_vicreg_of_linear_codes_is_the_smoothest_encoder(weights):
    """Each pair is used in both orders, so that both views have one covariance."""
    generator = seeded(1)
    signal = torch.randn(300, 6, generator=generator) * torch.tensor([0.2, 0.5, 1.0, 1.5, 0.3, 0.1])
    a, b = (signal + 0.4 * torch.randn(300, 6, generator=generator) for _ in range(2))
    first, second = torch.cat([a, b]), torch.cat([b, a])
    best = spectral.smoothest_encoder(first, second, 2)
    W = (0.3 * torch.randn(2, 6, generator=generator)).requires_grad_()
    minimise([W], lambda: vicreg(first @ W.T, second @ W.T, weights))
    assert spectral.subspace_overlap(W.detach().T, best.T) > 0.999
    pca = torch.linalg.svd(torch.cat([a, b]) - torch.cat([a, b]).mean(dim=0), full_matrices=False)[2][-2:]
    assert spectral.subspace_overlap(W.detach().T, pca.T) < 0.5, "not any two directions will do"
