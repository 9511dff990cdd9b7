"""The specifications of assignment 13 against the package and closed forms, and right answers of other forms."""

import importlib
import math

import pytest
import torch
from helpers import seeded
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from minijepa import sigreg
from minijepa.checks import CheckFailed
from minijepa.checks import regularisers as check
from minijepa.checks.values import normal
from minijepa.family import lejepa_loss
from minijepa.worlds import critical_decay, learning_time, plateau, train_views, views_loss

MODULES = {name: importlib.import_module(f"minijepa.checks.regularisers.{name}") for name in check.__all__[:6]}


def spec(name):
    return getattr(MODULES[name], f"spec_{name}")


def test_a_step_is_gradient_descent_on_the_loss_of_the_package():
    W, P, signal, noise, lr, decay = MODULES["views_step"].case(3, 5, 40, 0.1, 0.2, torch.float64)
    a, b = W.clone().requires_grad_(), P.clone().requires_grad_()
    loss = views_loss(a, b, W, signal, noise) + decay * (a.square().sum() + b.square().sum()) / 2
    loss.backward()
    new = spec("views_step")(W, P, signal, noise, lr, decay)
    for old, moved in zip((a, b), new, strict=True):
        assert torch.allclose(moved, old.detach() - lr * old.grad)


def test_steps_in_a_row_are_the_run_of_the_package():
    g = seeded(3)
    W = torch.randn(2, 5, generator=g, dtype=torch.float64) / math.sqrt(5)
    A = torch.randn(2, 4, generator=g, dtype=torch.float64)
    P, eye = A @ A.T / 4, torch.eye(5).double()
    for _ in range(30):
        W, P = spec("views_step")(W, P, eye, 0.5 * eye, 0.1, 0.05)
    run = train_views(eye, 0.5 * eye, width=2, steps=30, weight_decay=0.05, seed=3)
    assert torch.allclose(W, run.W) and torch.allclose(P, run.predictor)


@given(st.floats(0.1, 3), st.floats(0, 3), st.floats(0, 1))
def test_resting_is_the_plateau_of_the_package(signal, noise, decay):
    limit = critical_decay(signal, noise)
    decay = decay if abs(decay / limit - 1) > 1e-3 else 0.0  # at the limit itself rounding decides
    a, b = torch.tensor([signal, 1.0]).double(), torch.tensor([noise, 1.0]).double()
    found = spec("resting")(a, b, decay)[0].item()
    assert abs(found - plateau(signal, noise, decay)) < 1e-6 and (found > 0) == (decay < limit)


def test_resting_is_where_the_flow_stands_still_and_comes_back():
    a, b, decay = 1.3, 0.6, 0.1
    rest = spec("resting")(torch.tensor([a]).double(), torch.tensor([b]).double(), decay).item()
    p = math.sqrt(rest / (a + b))
    for start in (0.9 * p, 1.1 * p):
        now, q = start, start**2
        for _ in range(20_000):
            slope = a - (a + b) * now
            now, q = now + 0.01 * (q * slope - decay * now), q + 0.02 * q * (now * slope - decay)
        assert abs((a + b) * q - rest) < 1e-4


@pytest.mark.parametrize("method", ["jepa", "mae"])
def test_small_steps_take_the_time_of_the_package(method):
    for layers, lam, rho in ((1, 1.0, 0.8), (3, 0.9, 1.0), (5, 0.7, 0.9)):
        steps = spec("steps_to_half")(method, layers, lam, rho, 0.1, 0.002)
        assert abs(0.002 * steps / learning_time(method, layers, lam, rho, 0.1) - 1) < 0.02


def test_no_case_of_the_steps_hangs_on_rounding():
    """A program in single precision counts the same steps."""
    module = MODULES["steps_to_half"]
    for method, layers, lam, rho, start, lr in module.CASES:
        w, goal = torch.tensor(start), module.ends(method, layers, rho) / 2
        power, steps = module.powers(method, layers), 0
        while w < goal:
            w, steps = w + lr * layers * lam * (w**power - w**3 / rho), steps + 1
        assert steps == module.spec_steps_to_half(method, layers, lam, rho, start, lr)


@pytest.mark.parametrize("scale, shift", [(1.0, 0.0), (0.2, 0.0), (1.0, -2.0), (3.0, 1.0)])
def test_normality_is_sigreg_of_one_number(scale, shift):
    x = scale * normal(31, seed=5) + shift
    assert abs(spec("normality")(x) - sigreg(x[:, None], directions=4)) < 1e-4


def test_normality_of_normal_samples_has_the_mean_of_its_closed_form():
    """E |phi_B - phi|^2 = (1 - phi^2) / B, so that the factor B makes the mean the same for every size."""
    t = torch.linspace(0, 3, 17)
    wanted = 2 * torch.trapezoid((1 - (-t.square()).exp()) * (-t.square() / 2).exp(), t)
    assert abs(wanted - 1.0525) < 1e-3
    integral = MODULES["normality"].integral
    for size in (8, 64):
        g = seeded()
        found = torch.stack([integral(torch.randn(size, generator=g)) for _ in range(1_500)])
        assert abs(found.mean() - wanted) < 4 * found.std() / 1_500**0.5


def test_over_random_directions_normality_is_sigreg():
    z, numbers = 1.2 * normal(20, 5, seed=2) + 0.3, torch.randn(5, 256, generator=seeded())
    found = spec("over_directions")(z, numbers, MODULES["normality"].integral)
    assert abs(found - sigreg(z)) < 1e-3


def test_over_directions_of_a_square_is_a_quadratic_form():
    z, numbers = normal(9, 4, seed=3), normal(4, 6, seed=4)
    u = F.normalize(numbers, dim=0)
    wanted = torch.einsum("ds,de,es->s", u, z.T @ z / 9, u).mean()
    assert torch.allclose(spec("over_directions")(z, numbers, lambda x: x.square().mean()), wanted, atol=1e-5)


@pytest.mark.parametrize("weight", [0.0, 0.05, 1.0])
def test_lejepa_of_two_views_is_that_of_the_package(weight):
    views = normal(2, 12, 4)
    assert abs(spec("lejepa")(views, weight, sigreg) - lejepa_loss(*views, weight=weight)) < 1e-4


def test_agreement_of_many_views_is_half_of_the_mean_squared_distance_of_all_pairs():
    views = normal(4, 3, 5, seed=1)
    pairs = (views[:, None] - views[None]).square().mean()  # of all V * V, each view with itself included
    assert torch.allclose(spec("lejepa")(views, 0.0, lambda z: z.sum()), pairs / 2, atol=1e-6)


# --- right answers of another form, and what the tables of mistakes cannot hold ---------------------------


def by_autograd(W, P, signal, noise, lr, decay):
    a, b = W.clone().requires_grad_(), P.clone().requires_grad_()
    M = b @ a
    loss = ((M @ (signal + noise)) * M).sum() / 2 - ((M @ signal) * W).sum()
    dW, dP = torch.autograd.grad(loss, (a, b))
    return (1 - lr * decay) * W - lr * dW, (1 - lr * decay) * P - lr * dP


def by_plateau(signal, noise, decay):
    found = [plateau(a, b, decay) for a, b in zip(signal.tolist(), noise.tolist(), strict=True)]
    return torch.tensor(found, dtype=signal.dtype)


def by_complex_numbers(x, t_max=3.0, points=17):
    t = torch.linspace(-t_max, t_max, 2 * points - 1, dtype=x.dtype)  # both sides
    gauss = torch.exp(-t * t / 2)
    distance = (torch.exp(1j * torch.outer(t, x)).mean(dim=1) - gauss).abs() ** 2
    return len(x) * torch.trapezoid(distance * gauss, t)


def by_variance(views, weight, regulariser):
    costs = sum(regulariser(view) for view in views) / len(views)
    return (1 - weight) * views.var(dim=0, correction=0).mean() + weight * costs


def by_tensors(method, layers, lam, rho, start, lr):
    w, steps = torch.tensor(start), 0
    while w < MODULES["steps_to_half"].ends(method, layers, rho) / 2:
        power = {"jepa": 3, "mae": 2}[method] - 1 / layers
        w, steps = w + lr * layers * lam * (w**power - w**3 / rho), steps + 1
    return torch.tensor(steps)


RIGHT = {
    "views_step": by_autograd,
    "resting": by_plateau,
    "normality": by_complex_numbers,
    "lejepa": by_variance,
    "steps_to_half": by_tensors,
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_answer_of_another_form_passes(name, capsys):
    getattr(check, name)(RIGHT[name])
    assert "right" in capsys.readouterr().out


def test_a_loop_that_never_ends_is_told_kindly(monkeypatch):
    from minijepa.checks import report

    def endless(method, layers, lam, rho, start, lr):
        w = start
        while w < 10:
            w += lr * layers * lam * (w ** (2 - 1 / layers) - w**3 / rho)

    monkeypatch.setattr(report, "PATIENCE", 0.5)
    with pytest.raises(CheckFailed, match="does every loop end"):
        check.steps_to_half(endless)


def test_a_statistic_or_regulariser_given_all_at_once_is_told_kindly():
    for exercise, answer, words in (
        ("over_directions", lambda z, u, f: f(z @ F.normalize(u, dim=0)), "projections on one direction"),
        ("lejepa", lambda v, w, r: r(v), "codes of one view"),
    ):
        with pytest.raises(CheckFailed, match=words):
            getattr(check, exercise)(answer)
