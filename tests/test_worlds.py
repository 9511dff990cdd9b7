"""The fork and the linear world: closed forms against brute force, statistics of the worlds, energies by hand."""

import math

import pytest
import torch

from minijepa import worlds as toys
from minijepa.worlds.fork import Latent, SideBySide, disc, fork, roads
from minijepa.worlds.linear import LinearWorld, encoder_r2, linear_world, probe_r2


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def orthogonal_world(distractor, amplitude, **settings):
    """Orthonormal columns in C and D together: every closed form can be written down by hand."""
    world = linear_world(distractor, amplitude, **settings)
    columns = torch.linalg.qr(torch.cat([world.C, world.D], dim=1))[0]
    return LinearWorld(columns[:, :4], columns[:, 4:], world.memory, amplitude, **settings)


# --- networks side by side --------------------------------------------------------------------------------


def test_side_by_side_is_ordinary_mlps():
    nets = SideBySide(3, (5, 7, 2), seeded())
    x = torch.randn(3, 11, 5, generator=seeded(1))
    for r in range(3):
        (w1, w2), (b1, b2) = [w[r] for w in nets.weights], [b[r] for b in nets.biases]
        torch.testing.assert_close(nets(x)[r], torch.nn.functional.gelu(x[r] @ w1 + b1) @ w2 + b2)
    one = SideBySide(2, (5, 2), seeded())  # two sizes: linear, no GELU
    torch.testing.assert_close(one(x[:2]) + one(-x[:2]), 2 * one.biases[0].expand(2, 11, 2))


def test_side_by_side_runs_do_not_hear_of_each_other():
    nets = SideBySide(3, (5, 7, 2), seeded())
    x = torch.randn(3, 11, 5, generator=seeded(1))
    nets(x)[1].square().sum().backward()
    for parameter in nets.parameters():
        assert parameter.grad[1].abs().sum() > 0 and parameter.grad[[0, 2]].abs().sum() == 0
    weights = nets.weights[0]
    assert (weights[0] != weights[1]).all() and weights.abs().max() <= 5**-0.5


# --- the fork ---------------------------------------------------------------------------------------------


def test_roads_by_hand():
    places = roads(torch.tensor([[-0.5], [0.0], [0.8]]))
    expected = [[[0, -0.5], [0, -0.5]], [[0, 0], [0, 0]], [[-0.8, 0.8], [0.8, 0.8]]]
    torch.testing.assert_close(places, torch.tensor(expected))


def test_fork_statistics_and_seed():
    x, y = fork((20, 1_000), seeded())
    assert x.shape == (20, 1_000, 1) and y.shape == (20, 1_000, 2) and x.abs().max() <= 1
    off = y[:, :, None] - roads(x)  # [20, 1000, 2, 2]
    nearest = off.square().sum(dim=-1).amin(dim=-1)
    assert nearest.mean() == pytest.approx(2 * 0.05**2, rel=0.05)  # two coordinates of noise
    after = x[..., 0] > 0.5
    assert (y[..., 0][after] > 0).float().mean() == pytest.approx(0.5, abs=0.03)
    assert y[after].abs().amin() > 0.2, "after the fork no car is in the middle"
    again = fork((20, 1_000), seeded())
    assert torch.equal(x, again[0]) and torch.equal(y, again[1])
    assert not torch.equal(x, fork((20, 1_000), seeded(1))[0])


def test_disc_is_even():
    points = disc(4_000, 3.0)
    norms = points.norm(dim=1)
    assert points.shape == (4_000, 2) and norms.max() <= 3 and points.mean(dim=0).norm() < 0.01
    assert (norms < 1.5).float().mean() == pytest.approx(0.25, abs=0.005)  # points are spread by area


def test_energy_is_the_mean_squared_distance():
    latent = Latent(disc(5, 2.0), noise=1.0)
    predictor = SideBySide(2, (3, 8, 2), seeded()).requires_grad_(False)
    x, y = fork((2, 7), seeded(1))
    energy = latent.energy(predictor, x, y, draws=6, generator=seeded(2))
    assert energy.shape == (2, 7, 5)
    noise = torch.randn(2, 7, 5, 6, 2, generator=seeded(2))
    for r, b, k in [(0, 0, 0), (1, 6, 4), (0, 3, 2)]:
        each = []
        for e in noise[r, b, k]:
            inputs = torch.zeros(2, 1, 3)
            inputs[r, 0] = torch.cat([x[r, b], latent.values[k] + e])
            each.append((predictor(inputs)[r, 0] - y[r, b]).square().sum())
        torch.testing.assert_close(energy[r, b, k], torch.stack(each).mean())


def test_energy_of_chosen_values_is_a_column_of_all():
    latent = Latent(torch.eye(4))
    predictor = SideBySide(2, (5, 8, 2), seeded())
    x, y = fork((2, 7), seeded(1))
    everything = latent.energy(predictor, x, y)
    best = everything.argmin(dim=2, keepdim=True)
    torch.testing.assert_close(latent.energy(predictor, x, y, best)[..., 0], everything.amin(dim=2))
    torch.testing.assert_close(latent.energy(predictor, x, y, torch.tensor([3, 1])), everything[..., [3, 1]])


@pytest.mark.parametrize(("values", "between", "on_road"), [(1, (0.0, 0.1), (0.6, 1.5)), (2, (0.5, 1.5), (0.0, 0.1))])
def test_fit_fork_finds_one_or_two_minima(values, between, on_road):
    latent = Latent(torch.eye(values))
    predictor = toys.fit_fork(latent, runs=2, steps=150, batch=64, lr=1e-2)
    x = torch.full((2, 3, 1), 0.9)
    places = torch.tensor([[0.0, 0.9], [-0.9, 0.9], [0.9, 0.9]]).expand(2, 3, 2)
    energy = latent.energy(predictor, x, places).amin(dim=2)  # [2, 3]
    assert ((energy[:, 0] >= between[0]) & (energy[:, 0] <= between[1])).all()
    assert ((energy[:, 1:] >= on_road[0]) & (energy[:, 1:] <= on_road[1])).all()
    assert not any(p.requires_grad for p in predictor.parameters())


def test_fit_fork_repeats_itself():
    latent = Latent(disc(30, 2.0), noise=1.0)
    fits = [toys.fit_fork(latent, runs=2, steps=3, batch=8, seed=seed).weights[0] for seed in (0, 0, 1)]
    assert torch.equal(fits[0], fits[1]) and not torch.equal(fits[0], fits[2])


# --- the linear world -------------------------------------------------------------------------------------


@pytest.mark.parametrize("distractor", toys.DISTRACTORS)
def test_world_statistics(distractor):
    world = linear_world(distractor, 0.7)
    x, s = world.episodes(20_000, 3, seeded())
    assert x.shape == (20_000, 3, 64) and s.shape == (20_000, 3, 4) and x.dtype == s.dtype == torch.float32
    for lag in (0, 1, 2):
        measured = (x[:, lag].T @ x[:, 0] / len(x)).double()
        assert (measured - world.covariance(lag)).abs().max() < 0.01, f"lag {lag}"
    step = world.rho * toys.rotation(world.turn)
    for t in range(3):  # stationary, and independent of nothing but its own past
        torch.testing.assert_close(s[:, t].T @ s[:, t] / len(s), torch.eye(4), atol=0.04, rtol=0)
    torch.testing.assert_close(s[:, 1].T @ s[:, 0] / len(s), step.float(), atol=0.04, rtol=0)
    rest = x.double() - s.double() @ world.C.T
    d = rest @ torch.linalg.pinv(world.D).T / world.amplitude  # [20000, 3, 8], and a little sensor noise
    memory = ((d[:, 1] * d[:, 0]).mean() / d[:, 0].square().mean()).item()
    noise = (torch.linalg.pinv(world.D).square().sum() / 8 * (world.sigma / world.amplitude) ** 2).item()
    assert memory == pytest.approx(world.memory / (1 + noise), abs=0.02)


def test_static_means_constant_within_an_episode():
    world = linear_world("static", 5.0, sigma=0.0)
    x, s = world.episodes(10, 4, seeded())
    rest = x - s @ world.C.T.float()
    torch.testing.assert_close(rest[:, 1:], rest[:, :1].expand(-1, 3, -1), atol=1e-4, rtol=0)
    assert rest[0].sub(rest[1]).abs().max() > 0.1


def test_world_repeats_itself_and_names_a_bad_distractor():
    a, b, c = (linear_world("slow", 1.0, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(a.C, b.C) and torch.equal(a.D, b.D) and not torch.equal(a.C, c.C)
    assert torch.equal(a.episodes(5, 2, seeded())[0], b.episodes(5, 2, seeded())[0])
    with pytest.raises(ValueError, match="unpredictable.*'noise'"):
        linear_world("noise", 1.0)


@pytest.mark.parametrize("distractor", toys.DISTRACTORS)
@pytest.mark.parametrize("amplitude", [0.05, 0.2, 0.4, 0.85, 0.95, 1.05, 3.0])
def test_closed_forms_by_hand_where_all_is_orthogonal(distractor, amplitude):
    """Each aim ranks state (variance 1, autocorrelation .9) and distractor by a number; the top four win whole."""
    world = orthogonal_world(distractor, amplitude)
    noise, a = world.sigma**2, amplitude**2
    ranks = {  # (state, distractor)
        toys.pca_encoder: (1 + noise, a + noise),
        toys.reduced_rank_encoder: (0.9 / math.sqrt(1 + noise), world.memory * a / math.sqrt(a + noise)),
        toys.cca_encoder: (0.9 / (1 + noise), world.memory * a / (a + noise)),
        toys.slow_encoder: (0.9 * math.cos(math.pi / 6) / (1 + noise), world.memory * a / (a + noise)),
    }
    for encoder, (state, rest) in ranks.items():
        expected = 1 / (1 + noise) if state > rest else 0.0
        assert encoder_r2(encoder(world), world) == pytest.approx(expected, abs=1e-6), encoder.__name__


def test_invariance_loses_a_state_that_turns():
    gentle, quick = (orthogonal_world("unpredictable", 1.0, turn=turn) for turn in (0.1, 2 * math.pi / 3))
    assert encoder_r2(toys.slow_encoder(gentle), gentle) > 0.98 > encoder_r2(toys.cca_encoder(gentle), gentle) - 0.02
    assert encoder_r2(toys.slow_encoder(quick), quick) < 0.01 and encoder_r2(toys.cca_encoder(quick), quick) > 0.98


def random_encoders(count, k=4):
    return torch.randn(count, k, 64, generator=seeded(9), dtype=torch.float64)


def unexplained(world, encoder, lag):
    """min over B of E|x_t+lag - B W x_t|^2, written with the covariance of the pair."""
    cross = (world.covariance(lag) @ encoder.T) if lag else world.covariance() @ encoder.T  # [64, k]
    code = encoder @ world.covariance() @ encoder.T
    return (world.covariance().trace() - (torch.linalg.solve(code, cross.T) * cross.T).sum()).item()


def canonical_loss(world, left, right):
    """sum of 1 - c^2 between the codes V x_t+1 and W x_t, blind to any basis change of either."""
    s, cross = world.covariance(), left @ world.covariance(1) @ right.T
    a, b = (torch.linalg.inv(e @ s @ e.T) for e in (left, right))
    return (len(left) - (a @ cross @ b @ cross.T).trace()).item()


@pytest.mark.parametrize("distractor", toys.DISTRACTORS)
@pytest.mark.parametrize("amplitude", [0.3, 1.0, 2.0])
def test_closed_forms_beat_every_rival_and_cannot_be_improved(distractor, amplitude):
    world = linear_world(distractor, amplitude, seed=3)
    white = toys.whitener(world.covariance())
    u, c, _ = torch.linalg.svd(white @ world.covariance(1) @ white)
    losses = {
        toys.pca_encoder: lambda e: unexplained(world, e, 0),
        toys.reduced_rank_encoder: lambda e: unexplained(world, e, 1),
        # the code of the next frame that goes with it: the best left vectors
        toys.cca_encoder: lambda e: canonical_loss(world, u[:, :4].T @ white, e),
    }
    assert losses[toys.cca_encoder](toys.cca_encoder(world)) == pytest.approx((1 - c[:4] ** 2).sum().item())
    others = [f(world) for f in losses] + list(random_encoders(5))
    for encoder, loss in losses.items():
        best = encoder(world)
        value = loss(best)
        assert all(loss(other) >= value - 1e-9 for other in others), encoder.__name__
        for step in random_encoders(10):
            scale = 0.01 * best.norm() / step.norm()
            assert loss(best + scale * step) >= value - 1e-9, f"{encoder.__name__} can be improved"


@pytest.mark.parametrize("distractor", ["unpredictable", "static"])
def test_gradient_descent_finds_reduced_rank_regression(distractor):
    world = linear_world(distractor, 0.6, seed=1)
    w, b = (torch.randn(4, 64, generator=seeded(n), dtype=torch.float64).mul(0.1).requires_grad_() for n in (0, 1))
    s, cross = world.covariance(), world.covariance(1)
    optimizer = torch.optim.LBFGS([w, b], max_iter=500, tolerance_grad=1e-10, line_search_fn="strong_wolfe")

    def loss():
        optimizer.zero_grad()
        value = s.trace() - 2 * (b.T @ w @ cross.T).trace() + (b.T @ w @ s @ w.T @ b).trace()
        value.backward()
        return value

    optimizer.step(loss)
    expected = unexplained(world, toys.reduced_rank_encoder(world), 1)
    assert loss().item() == pytest.approx(expected, rel=1e-5)
    assert encoder_r2(w.detach(), world) == pytest.approx(encoder_r2(toys.reduced_rank_encoder(world), world), abs=1e-3)


def test_one_shared_encoder_is_nearly_as_good_as_two():
    """CCA may use two encoders, a JEPA has one: where it matters the loss hardly differs."""
    for distractor in toys.DISTRACTORS:
        for amplitude in (0.125, 0.5, 1.0, 2.0):
            world = linear_world(distractor, amplitude)
            white = toys.whitener(world.covariance())
            u = torch.linalg.svd(white @ world.covariance(1) @ white)[0]
            w = toys.cca_encoder(world)
            two, shared = canonical_loss(world, u[:, :4].T @ white, w), canonical_loss(world, w, w)
            assert two <= shared + 1e-9 and shared - two < 0.02
            square = orthogonal_world(distractor, amplitude)
            white = toys.whitener(square.covariance())
            u = torch.linalg.svd(white @ square.covariance(1) @ white)[0]
            w = toys.cca_encoder(square)
            assert canonical_loss(square, w, w) == pytest.approx(canonical_loss(square, u[:, :4].T @ white, w))


def test_probe_agrees_with_the_exact_readout():
    world = linear_world("slow", 0.8)
    x, s = world.episodes(20_000, 1, seeded())
    x, s = x[:, 0], s[:, 0]
    for encoder in (toys.pca_encoder(world), toys.cca_encoder(world), random_encoders(1)[0]):
        codes = x @ encoder.T.float() + 5  # a constant must not matter
        measured = probe_r2(codes[:10_000], s[:10_000], codes[10_000:], s[10_000:])
        assert measured == pytest.approx(encoder_r2(encoder, world), abs=0.02)


def test_probe_at_its_limits():
    s = torch.randn(500, 2, generator=seeded())
    codes = torch.cat([3 * s + 1, s.sum(dim=1, keepdim=True)], dim=1)  # redundant: least squares must cope
    assert probe_r2(codes[:250], s[:250], codes[250:], s[250:]) == pytest.approx(1, abs=1e-6)
    assert probe_r2(torch.zeros(250, 3), s[:250], torch.zeros(250, 3), s[250:]) == pytest.approx(0, abs=0.05)
    other = torch.randn(500, 2, generator=seeded(1))
    assert abs(probe_r2(other[:250], s[:250], other[250:], s[250:])) < 0.05
    assert probe_r2(codes[:250], s[:250], codes[250:].flip(0), s[250:]) < -0.5, "wrong answers are worse than none"
