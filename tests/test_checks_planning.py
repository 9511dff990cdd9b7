"""The specifications of assignment 16 against the package's planner, and the small dynamics that its checks use."""

import importlib
from functools import partial

import pytest
import torch

from minijepa.checks import CheckFailed
from minijepa.checks import planning as check
from minijepa.checks.values import normal
from minijepa.planning import Dynamics, Episodes, FrameEncoder, Planner, WorldModel, cem, closest, last, total

steps = importlib.import_module("minijepa.checks.planning.steps")
MODULES = {name: importlib.import_module(f"minijepa.checks.planning.{name}") for name in check.__all__[:6]}


def spec(name):
    return getattr(MODULES[name], f"spec_{name}")


@pytest.fixture
def model():
    torch.manual_seed(0)
    return WorldModel(FrameEncoder(dim=5), Dynamics(dim=5, width=8), {}).requires_grad_(False)


def test_rollout_is_that_of_the_package(model):
    z, plans = normal(3, 5), 0.1 * normal(3, 4, 6, 2, seed=1)
    wanted = model.rollout(z[:, None].expand(-1, 4, -1), plans)
    assert torch.allclose(spec("rollout")(model.dynamics, z, plans), wanted, atol=1e-6)


@pytest.mark.parametrize("kind, cost", [("last", last), ("total", total), ("closest", closest)])
def test_energies_and_costs_are_those_of_the_planner(model, kind, cost):
    planner = Planner(model, horizon=6, hold=1, cost=cost)
    z, planner.goal = normal(2, 5), normal(2, 5, seed=1)
    plans = 0.1 * normal(2, 7, 6, 2, seed=2)
    wanted = planner.energy(z, plans)  # [2, 7]
    path = spec("rollout")(model.dynamics, z, plans)
    mine = [spec("plan_cost")((path[e] - planner.goal[e]).norm(dim=-1), kind, 0.2) for e in range(2)]
    assert torch.allclose(torch.stack(mine), wanted, atol=1e-5)
    one = 0.1 * normal(4, 2, seed=3)  # of one action, all costs but `closest` are the energy itself
    energy = spec("action_energies")(model.dynamics, z, one, planner.goal)
    if kind != "closest":
        assert torch.allclose(energy, planner.energy(z, one[:, None].expand(2, -1, -1, -1)), atol=1e-5)


def test_rounds_in_a_row_are_the_search_of_the_package():
    wanted, rounds = normal(3, 2), 4
    score = lambda plans: (plans - wanted).square().sum(dim=(-2, -1))  # noqa: E731
    settings = dict(std=0.5, longest=1e6, samples=40, elites=6, iterations=rounds)
    found = cem(score, torch.zeros(1, 3, 2), **settings, generator=torch.Generator().manual_seed(0)).plan[0]
    generator, mean, std = torch.Generator().manual_seed(0), torch.zeros(3, 2), torch.full((3, 2), 0.5)
    for _ in range(rounds):
        noise = torch.randn(40, 3, 2, generator=generator)
        noise[0] = 0
        mean, std = spec("cem_round")(score, mean, std, noise, 6)
    assert torch.allclose(mean, found, atol=1e-5) and std.max() < 0.5


def test_no_two_plans_of_a_case_cost_the_same():
    """Else two right answers would exist: which of two equal plans is an elite would depend on the sort."""
    for score, mean, std, noise, _ in MODULES["cem_round"].CASES:
        gaps = score(mean + std * noise).sort().values.diff()
        assert gaps.min() > 1e-4


def test_recede_is_the_planner_without_held_actions():
    planner, plan = Planner(None, hold=1), normal(3, 6, 2)
    action, following = spec("recede")(plan, True)
    assert torch.equal(action, plan[:, 0]) and torch.allclose(following, planner.moved_on(plan), atol=1e-6)


@pytest.mark.parametrize("reach", [-1.0, 0.3, 0.6, 2.0])
def test_success_is_that_of_the_package(reach):
    distance = torch.rand(17, 6, generator=torch.Generator().manual_seed(1))
    package = Episodes(None, None, distance, distance <= reach)
    assert spec("success")(distance, reach) == pytest.approx((package.success, package.ever, package.error), abs=1e-6)


def test_the_given_dynamics_distinguish_order_and_start():
    z, plan = normal(1, 3), normal(1, 1, 4, 2, seed=1)
    forward, back = (spec("rollout")(steps.bend, z, p)[0, 0, -1] for p in (plan, plan.flip(2)))
    assert (forward - back).abs().max() > 0.01
    with pytest.raises(ValueError, match="agree in all axes but the last"):
        steps.bend(z, plan)


def loop_cem_round(score, mean, std, noise, elites):  # another way to the right answer
    plans = torch.stack([mean + std * one for one in noise])
    order = torch.argsort(score(plans))[:elites]
    best = torch.stack([plans[i] for i in order])
    centre = best.mean(0)
    return centre, ((best - centre) ** 2).mean(0) ** 0.5


def tensors(distance, reach):  # numbers as tensors with one element
    solved = (distance <= reach).double()
    p, half = solved[:, -1].mean(), 0.5 / len(solved)
    inside = p.clamp(half, 1 - half)
    return p, solved.amax(dim=1).mean(), (inside * (1 - inside) / len(solved)).sqrt()


def one_by_one(step, z, plans):
    path = []
    for start, tried in zip(z, plans, strict=True):
        state, states = start.expand(len(tried), -1), []
        for h in range(tried.shape[1]):
            state = step(state, tried[:, h])
            states.append(state)
        path.append(torch.stack(states, 1))
    return torch.stack(path)


@pytest.mark.parametrize(
    "name, answer",
    [
        ("cem_round", loop_cem_round),
        ("success", tensors),
        ("rollout", one_by_one),
        (
            "action_energies",
            lambda f, z, a, g: torch.stack([(f(z, x.expand(len(z), -1)) - g).norm(dim=1) for x in a], 1),
        ),
        (
            "plan_cost",
            lambda d, kind, hurry=0.2: {"last": last, "total": total}.get(kind, partial(closest, hurry=hurry))(d),
        ),
        ("recede", lambda p, r: (p[:, 0], torch.stack([*p.unbind(1)[1:], p[:, -1] if r else 0 * p[:, -1]], dim=1))),
    ],
)
def test_other_ways_to_a_right_answer_pass(name, answer, capsys):
    getattr(check, name)(answer)
    assert "right" in capsys.readouterr().out


def test_a_step_that_gets_axes_that_do_not_agree_says_so():
    with pytest.raises(CheckFailed, match="agree in all axes but the last") as caught:
        check.action_energies(lambda step, z, actions, goal: (step(z, actions) - goal).norm(dim=1))
    assert "expand the smaller one" in str(caught.value)
