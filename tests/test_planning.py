"""Searches on problems with a known optimum, planners with exact dynamics, episodes counted by hand."""

import math
import sys
from functools import partial

import pytest
import torch
from helpers import planted, seeded

import minijepa.planning.mpc as mpc_module
from minijepa.planning import (
    Episodes,
    GreedyPolicy,
    Oracle,
    Planner,
    RandomPolicy,
    cem,
    closest,
    gradient_search,
    last,
    mppi,
    run_episodes,
    total,
)
from minijepa.planning import cem as cem_function  # noqa: F401  (the module is reached below)
from minijepa.worlds import Tasks, TwoRooms
from minijepa.worlds.two_rooms import limited

cem_module = sys.modules["minijepa.planning.cem"]
WORLD = TwoRooms()
ORACLE = Oracle(WORLD)
SETTINGS = dict(std=0.07, longest=0.1)


def quadratic(wanted):
    return lambda plans: (plans - wanted[:, None]).square().sum(dim=(-2, -1))


def wanted_plans(episodes=5):
    return 0.05 * (2 * torch.rand(episodes, 4, 2, generator=seeded(), dtype=torch.float64) - 1)


# --- searches ---


def check_cem(module):
    wanted = wanted_plans()
    mean = torch.zeros_like(wanted)
    found = module.cem(
        quadratic(wanted), mean, **SETTINGS, samples=200, elites=20, iterations=20, generator=seeded(), keep=True
    )
    assert (found.plan - wanted).abs().max() < 5e-3
    assert len(found.rounds) == 20
    for plans, cost in found.rounds:
        assert plans.shape == (5, 200, 4, 2) and plans.norm(dim=-1).max() <= 0.1 + 1e-9
        assert torch.allclose(cost, quadratic(wanted)(plans))
    first, later = found.rounds[0][0], found.rounds[-1][0]
    assert torch.equal(first[:, 0], mean), "the mean is a candidate"
    assert later.std(1).max() < first.std(1).min()


def check_cem_by_hand(module):
    """One round for one episode: the mean of the two cheapest of six."""
    wanted = wanted_plans(1)
    found = module.cem(
        quadratic(wanted), torch.zeros_like(wanted), **SETTINGS, samples=6, elites=2, iterations=1, generator=seeded(3)
    )
    noise = torch.randn(6, 4, 2, generator=seeded(3)).double()
    noise[0] = 0
    plans = limited(0.07 * noise, 0.1)
    order = (plans - wanted).square().sum(dim=(-2, -1)).argsort()
    assert torch.allclose(found.plan[0], plans[order[:2]].mean(0))


def check_mppi(module):
    wanted = wanted_plans()
    found = module.mppi(
        quadratic(wanted), torch.zeros_like(wanted), **SETTINGS, samples=2000, iterations=12, generator=seeded()
    )
    assert (found.plan - wanted).abs().max() < 0.03
    noise = torch.randn(50, 4, 2, generator=seeded(3)).double()
    noise[0] = 0
    plans = limited(0.07 * noise, 0.1)
    cost = quadratic(wanted)(plans[None].expand(5, -1, -1, -1))
    one = module.mppi(
        quadratic(wanted),
        torch.zeros_like(wanted),
        **SETTINGS,
        samples=50,
        iterations=1,
        temperature=0.5,
        generator=seeded(3),
    )
    for e in range(5):
        weights = (-cost[e] / (0.5 * cost[e].std())).exp()
        expected = sum(w * p for w, p in zip(weights, plans, strict=True)) / weights.sum()
        assert torch.allclose(one.plan[e], expected, atol=1e-6)


SEARCHES = (check_cem, check_cem_by_hand, check_mppi)
SEARCH_BUGS = {
    "the most expensive are the elites": ("largest=False", "largest=True"),
    "elites of another episode": ("chosen = tried.gather(1, rank", "chosen = tried.roll(1, 0).gather(1, rank"),
    "plans are not shortened": (
        "return limited(mean[:, None] + std[:, None] * noise, longest)", "return mean[:, None] + std[:, None] * noise"),
    "the spread stays": (
        "mean, spread = chosen.mean(dim=1), chosen.std(dim=1, correction=0)", "mean = chosen.mean(dim=1)"),
    "MPPI prefers high costs": ("torch.softmax(-cost / scale", "torch.softmax(cost / scale"),
    "the mean is no candidate": ("noise[0] = 0", "pass"),
}  # fmt: skip


@pytest.mark.parametrize("check", SEARCHES)
def test_searches(check):
    check(cem_module)


@pytest.mark.parametrize("bug", SEARCH_BUGS)
def test_planted_bugs_in_searches_are_caught(bug):
    module = planted(cem_module, *SEARCH_BUGS[bug])
    with pytest.raises(AssertionError):
        for check in SEARCHES:
            check(module)


def test_gradient_search_finds_the_optimum():
    wanted = wanted_plans()
    mean = torch.zeros_like(wanted)
    with torch.no_grad():  # as a planner calls it
        found = gradient_search(quadratic(wanted), mean, **SETTINGS, steps=150, lr=5e-3, generator=seeded(), keep=True)
    assert (found.plan - wanted).abs().max() < 5e-3 and not found.plan.requires_grad
    assert all(plans.norm(dim=-1).max() <= 0.1 + 1e-9 for plans, _ in found.rounds[1:])
    assert torch.equal(mean, torch.zeros_like(wanted))


@pytest.mark.parametrize("search", [cem, mppi, gradient_search])
def test_the_same_seed_gives_the_same_plan_and_company_changes_nothing(search):
    wanted = wanted_plans()
    plan = lambda w, seed: search(quadratic(w), torch.zeros_like(w), **SETTINGS, generator=seeded(seed)).plan  # noqa: E731
    together = plan(wanted, 7)
    assert torch.equal(together, plan(wanted, 7))
    assert torch.allclose(plan(wanted[2:3], 7), together[2:3], atol=1e-9)


def test_more_elites_than_samples_are_refused():
    with pytest.raises(ValueError, match="between 1 and samples"):
        cem(lambda p: p.sum(dim=(-2, -1)), torch.zeros(1, 2, 2), **SETTINGS, samples=4, elites=5)


# --- planners ---


def double(tasks):
    return Tasks(*(x.double() for x in tasks))


def check_planner(module):
    oracle = module.Oracle(WORLD)
    tasks = double(WORLD.tasks(3, seed=5))
    state = oracle.observe(tasks.start, tasks.wall)
    planner = module.Planner(oracle, horizon=2, hold=3, cost=module.closest)
    planner.begin(oracle.observe(tasks.goal, tasks.wall))
    actions = 0.05 * torch.randn(3, 4, 2, 2, generator=seeded(), dtype=torch.float64)
    energy = planner.energy(state, actions)
    for e in range(3):
        for s in range(4):
            position, distances = tasks.start[e], []
            for held in actions[e, s]:
                for _ in range(3):
                    position = WORLD.step(position, held, tasks.wall[e])
                distances.append((position - tasks.goal[e]).norm())
            expected = min(distances) + 0.2 * sum(distances) / 2
            assert torch.allclose(energy[e, s], expected)
    plan = torch.tensor([[[3.0, 0.0], [0.0, 3.0]]])
    assert torch.allclose(planner.moved_on(plan), torch.tensor([[[2.0, 1.0], [0.0, 3.0]]]))


def test_a_plan_costs_the_same_however_many_are_imagined_at_a_time(monkeypatch):
    oracle, tasks = mpc_module.Oracle(WORLD), WORLD.tasks(7, seed=5)
    planner, state = mpc_module.Planner(oracle), oracle.observe(tasks.start, tasks.wall)
    planner.begin(oracle.observe(tasks.goal, tasks.wall))
    actions = 0.05 * torch.randn(7, 4, 6, 2, generator=seeded())
    whole = planner.energy(state, actions)
    assert whole.shape == (7, 4)
    for plans in (1, 9, 12):  # one episode at a time, two, three
        monkeypatch.setattr(mpc_module, "PLANS", plans)
        assert torch.allclose(planner.energy(state, actions), whole)


def check_costs(module):
    d = torch.tensor([[3.0, 1.0, 2.0], [0.5, 4.0, 6.0]])
    assert torch.allclose(module.last(d), torch.tensor([2.0, 6.0]))
    assert torch.allclose(module.total(d), torch.tensor([2.0, 3.5]))
    assert torch.allclose(module.closest(d), torch.tensor([1.0 + 0.4, 0.5 + 0.7]))


def check_episodes(module):
    """Two episodes on a line without a wall in the way: one arrives and stays, one passes the goal."""
    tasks = Tasks(
        torch.tensor([[0.1, 0.5], [0.1, 0.2]]), torch.tensor([[0.3, 0.5], [0.3, 0.2]]), WORLD.walls(2, seeded())
    )

    class Push:
        def begin(self, goal):
            self.count, self.seen = 0, [goal]

        def act(self, observation):
            self.seen.append(observation)
            self.count += 1
            first = 0.5 if self.count <= 2 else 0.0  # the world shortens it to .1
            return torch.tensor([[first, 0.0], [0.1, 0.0]])

    policy = Push()
    e = module.run_episodes(WORLD, tasks, policy, steps=4)
    assert e.path.shape == (2, 5, 2) and torch.allclose(e.path[:, -1, 0], torch.tensor([0.3, 0.47]))
    assert torch.equal(policy.seen[0], WORLD.render(tasks.goal, tasks.wall))
    assert torch.equal(policy.seen[2], WORLD.render(e.path[:, 1], tasks.wall)) and len(policy.seen) == 5
    assert e.actions.norm(dim=-1).max() <= 0.1 + 1e-6
    assert e.success == 0.5 and e.ever == 1.0
    assert e.error == pytest.approx((0.25 / 2) ** 0.5)


PLANNERS = (check_planner, check_costs, check_episodes)
BUGS = {
    "held actions are repeated as a whole": (
        "actions.repeat_interleave(self.hold, dim=2)", "actions.repeat(1, 1, self.hold, 1)"),
    "states at the beginning of a hold": ("[:, :, self.hold - 1 :: self.hold]", "[:, :, :: self.hold]"),
    "the closest is the farthest": ("distance.amin(dim=-1)", "distance.amax(dim=-1)"),
    "the first step is the last": ("return distance[..., -1]", "return distance[..., 0]"),
    "a plan moves on by a whole action": ("plan + (following - plan) / self.hold", "following"),
    "success at any moment": ("self.solved[:, -1].float().mean()", "self.solved.any(dim=1).float().mean()"),
    "the policy sees the goal": (
        "policy.act(observe(path[-1], tasks.wall))", "policy.act(observe(tasks.goal, tasks.wall))"),
}  # fmt: skip


@pytest.mark.parametrize("check", PLANNERS)
def test_planners(check):
    check(mpc_module)


@pytest.mark.parametrize("bug", BUGS)
def test_planted_bugs_in_planners_are_caught(bug):
    module = planted(mpc_module, *BUGS[bug])
    with pytest.raises(AssertionError):
        for check in PLANNERS:
            check(module)


def test_exact_dynamics_and_many_samples_approach_the_shortest_way():
    """Through the door in as few steps as a path around its corner needs."""
    tasks = double(Tasks(torch.tensor([[0.3, 0.2]]), torch.tensor([[0.7, 0.2]]), WORLD.walls(1, seeded())))
    corner = torch.tensor([0.5, 0.4]).double()
    shortest = (corner - tasks.start[0]).norm() + (tasks.goal[0] - corner).norm()
    search = partial(cem, samples=3000, elites=60, iterations=8)
    few, many = (
        run_episodes(WORLD, tasks, Planner(ORACLE, 8, hold=1, search=s), steps=14, observe=ORACLE.observe)
        for s in (partial(cem, samples=24, elites=4, iterations=2), search)
    )
    arrival = [int(e.solved[0].float().argmax()) if e.solved.any() else 99 for e in (few, many)]
    assert arrival[1] <= math.ceil(float(shortest - WORLD.reach) / WORLD.max_step) + 2, (
        "at most two steps more than the straight lines"
    )
    assert arrival[1] <= arrival[0]


def test_one_episode_alone_is_the_same_episode_in_a_batch():
    tasks = double(WORLD.tasks(4, seed=3))
    run = lambda t: run_episodes(WORLD, t, Planner(ORACLE, horizon=3), steps=5, observe=ORACLE.observe).path  # noqa: E731
    together = run(tasks)
    assert torch.equal(together, run(tasks))
    assert torch.allclose(run(Tasks(*(x[2:3] for x in tasks)))[0], together[2], atol=1e-9)


def test_costs_and_policies_with_exact_dynamics():
    """What notebook 16 shows, in small: greedy solves some, closest more, last postpones."""
    tasks = WORLD.tasks(40, seed=11)
    go = lambda policy, observe=ORACLE.observe: run_episodes(WORLD, tasks, policy, observe=observe)  # noqa: E731
    rate = {cost.__name__: go(Planner(ORACLE, cost=cost)).success for cost in (last, total, closest)}
    greedy, random = go(GreedyPolicy()).success, go(RandomPolicy(WORLD), None).success
    assert random < 0.2 < greedy < rate["closest"] and rate["last"] < rate["total"] < rate["closest"]


def test_impossible_plans_are_refused():
    with pytest.raises(ValueError, match="at least 1, got 0 and 3"):
        Planner(ORACLE, horizon=0)


def test_the_error_of_none_is_not_nought():
    solved = torch.zeros(100, 3, dtype=torch.bool)
    e = Episodes(torch.zeros(100, 3, 2), torch.zeros(100, 2, 2), torch.ones(100, 3), solved)
    assert e.success == 0 and 0 < e.error < 0.01
