"""H-JEPA's two levels against loops and hand-made worlds; and the bugs that these checks catch, planted one by one."""

from functools import partial

import pytest
import torch
from helpers import planted, seeded
from hypothesis import given, settings
from hypothesis import strategies as st

from minijepa import fit
from minijepa.planning import LatentWalks, Oracle, cem, hierarchy, run_episodes
from minijepa.worlds import Clip, TwoRooms

K = 5


class Plane:
    """An endless floor without walls: a model of single steps whose states are positions, [..., 2]."""

    def encode(self, observation):
        return observation

    def rollout(self, z, actions):
        return z[..., None, :] + actions.cumsum(dim=-2)


def directions(count=400):
    """Real actions of a plane: uniform in the disc of radius .1, [count, 2]."""
    draws = seeded(3)
    angle, radius = 2 * torch.pi * torch.rand(count, generator=draws), torch.rand(count, 1, generator=draws).sqrt()
    return 0.1 * radius * torch.stack([angle.cos(), angle.sin()], dim=1)


def planner(module, near=0.04, **settings):
    plane = Plane()
    settings = {"jumps": 6, "search": partial(module.macro_search, samples=128)} | settings
    return module.TwoLevelPlanner(plane, module.Held(plane, K), module.MacroSpace(directions()), near, **settings)


def walk(policy, start, goal, steps):
    """Positions [E, steps + 1, 2] and actions [E, steps, 2] on the plane."""
    policy.begin(goal)
    path, actions = [start], []
    for _ in range(steps):
        actions.append(policy.act(path[-1]))
        path.append(path[-1] + actions[-1])
    return torch.stack(path, dim=1), torch.stack(actions, dim=1)


# --- level 2 as a model ---


def clip(batch=8, jumps=2, dim=32):
    z = torch.randn(batch, jumps * K + 1, dim, generator=seeded(1))
    return Clip(z, 0.1 * torch.randn(batch, jumps * K, 2, generator=seeded(2)))


def check_loss(module):
    """Every term, jump by jump."""
    torch.manual_seed(0)
    level2, batch = module.Level2(), clip(jumps=3)
    output = level2(batch)
    s = [level2.model.encoder.net(batch.frames[:, K * j]) for j in range(4)]
    w = []
    for j in range(3):
        rows = [torch.cat([row[K * j + i] / 0.1 for i in range(K)]) for row in batch.actions]  # K actions side by side
        w.append(level2.macro.net(torch.stack(rows)))
    g = level2.model.dynamics
    one = [g(s[j], w[j]) for j in range(3)]
    two = [g(one[j], w[j + 1]) for j in range(2)]
    by_hand = {
        "predict_1": torch.stack([((one[j] - s[j + 1]) ** 2).mean() for j in range(3)]).mean(),
        "predict_2": torch.stack([((two[j] - s[j + 2]) ** 2).mean() for j in range(2)]).mean(),
        "macro_size": torch.stack([(x**2).sum(dim=1).mean() for x in w]).mean(),
    }
    for name, value in by_hand.items():
        assert torch.allclose(output.terms[name], value, rtol=1e-4), name
    terms = output.terms
    total = by_hand["predict_1"] + by_hand["predict_2"] + 4 * terms["variance"] + terms["covariance"]
    assert torch.allclose(output.loss, total + 0.01 * by_hand["macro_size"], rtol=1e-4)
    assert set(output.numbers) == {"predict_1", "predict_2", "variance", "covariance", "macro_size"}


def check_macros(module):
    """Macro-action j hears the actions j K to j K + K - 1, each of them, and nothing else."""
    torch.manual_seed(0)
    level2, actions = module.Level2(), clip(batch=1, jumps=3).actions.requires_grad_()
    w = level2.macros(actions)
    assert w.shape == (1, 3, 4)
    for j in range(3):
        (gradient,) = torch.autograd.grad(w[0, j].sum(), actions, retain_graph=True)
        heard = gradient[0].abs().sum(dim=1) > 0
        assert heard.nonzero().flatten().tolist() == list(range(K * j, K * j + K)), j


def check_held(module):
    start, actions = torch.tensor([[0.2, 0.3]]), directions()[None, :4]
    states = module.Held(Plane(), 3).rollout(start, actions)
    position, expected = start, []
    for action in actions[0]:
        for _ in range(3):
            position = position + action
        expected.append(position)
    assert torch.allclose(states, torch.stack(expected, dim=1), atol=1e-6)
    assert torch.equal(module.Held(Plane(), 1).rollout(start, actions), Plane().rollout(start, actions))


# --- the search ---


def queue(count=500):
    """Macro-actions of unequal size in each direction, far from 0 and correlated, [count, 3]."""
    mix = torch.tensor([[3.0, 1.0, 0.0], [0.0, 0.5, 0.2], [0.0, 0.0, 0.1]])
    return torch.randn(count, 3, generator=seeded(5)) @ mix + torch.tensor([1.0, -2.0, 0.5])


def to_nearest(macros, real):
    """How far each macro-action [..., W] is from the nearest real one [Q, W]: [M]."""
    return (macros.reshape(-1, 1, 3) - real).norm(dim=2).amin(dim=1)


def check_space(module):
    real = queue()
    space = module.MacroSpace(real, within=0.9)
    assert torch.allclose(space.queue.mean(dim=0), torch.zeros(3), atol=1e-4)
    assert torch.allclose(space.queue.T.cov(), torch.eye(3), atol=1e-3)
    assert torch.allclose(space.decode(space.queue), real, atol=1e-4)
    assert abs((space.queue.norm(dim=1) <= space.longest).float().mean() - 0.9) < 0.01


def check_first_round(module):
    """The first round: the mean, then sequences of real macro-actions, the same for each episode."""
    real, rounds = queue(), []
    space = module.MacroSpace(real, within=1.0)
    mean = torch.randn(2, 4, 3, generator=seeded(6)) / 4

    def score(macros):
        rounds.append(macros)
        return macros.square().sum(dim=(2, 3))

    module.macro_search(score, mean, space, samples=32, elites=4, iterations=3, generator=seeded(0))
    assert len(rounds) == 3 and all(tried.shape == (2, 32, 4, 3) for tried in rounds)
    assert torch.allclose(rounds[0][:, 0], space.decode(mean), atol=1e-4)
    assert torch.allclose(rounds[0][0, 1:], rounds[0][1, 1:], atol=1e-5)
    assert to_nearest(rounds[0][0, 1:], real).max() < 1e-4, "real macro-actions"
    assert len(rounds[0][0, 1:].reshape(-1, 3).unique(dim=0)) > 60, "not the same one again and again"
    rounds.clear()
    module.macro_search(score, mean, space, queue=False, samples=32, elites=4, iterations=3, generator=seeded(0))
    assert len(rounds) == 3
    assert to_nearest(rounds[0][0, 1:], real).mean() > 1e-2, "Gaussian noise is not real"


def check_search(module):
    """It finds the optimum of a quadratic, inside the reach of the queue."""
    space = module.MacroSpace(queue())
    best = space.decode(torch.tensor([[0.5, -0.5, 1.0], [-1.0, 0.3, 0.2]]))  # [J = 2, W]

    def score(macros):
        return (macros - best).square().sum(dim=(2, 3))

    for begin in (True, False):
        plan = module.macro_search(
            score, torch.zeros(3, 2, 3), space, queue=begin, samples=400, iterations=8, generator=seeded(0)
        )
        assert (space.decode(plan) - best).abs().max() < 0.15
    far = module.macro_search(lambda macros: -macros[..., 0].sum(dim=2), torch.zeros(1, 2, 3), space)
    assert (far.norm(dim=-1) <= space.longest + 1e-4).all()


# --- the planner ---


def check_decisions(module):
    """Near goals are reached straight, far ones by sub-goals; the sub-goal is the state that was asked for."""
    start = torch.zeros(3, 2)
    goal = torch.tensor([[0.3, 0.0], [1.2, 0.9], [0.0, -0.25]])  # one search of level 1 reaches at most .5
    for waypoint in (0, 2):
        policy = planner(module, waypoint=waypoint)
        policy.begin(goal)
        policy.act(start)
        time, straight, states = policy.decisions[0]
        assert time == 0 and straight.tolist() == [True, False, True] and states.shape == (1, 6, 2)
        assert torch.equal(policy.subgoal, states[:, waypoint])
        plan = policy.space.decode(policy.macros)[1]  # what is left of it: the first waypoint + 1 jumps are gone
        following = states[0, waypoint] + K * plan[: 5 - waypoint].cumsum(dim=0)
        assert torch.allclose(following, states[0, waypoint + 1 :], atol=1e-4)
    path, _ = walk(planner(module), start, goal, 40)
    assert ((path[:, -1] - goal).norm(dim=1) < 0.05).all()
    policy = planner(module)
    walk(policy, start, goal, 40)
    assert [decision.time for decision in policy.decisions] == list(range(0, 40, K))
    assert not policy.decisions[1].straight[1] and policy.decisions[-1].straight.all(), "it switches on the way"


def check_level_1(module):
    """Level 1 searches K, K - 1, ..., 1 actions towards a sub-goal, and K towards the goal, and gets there."""
    lengths = []

    def search(score, mean, **rest):
        lengths.append(mean.shape[1])
        return cem(score, mean, samples=64, elites=8, iterations=3, std=0.07, longest=0.1, **rest)

    far = torch.tensor([[2.0, 0.0]])
    policy = planner(module, lower_search=search)
    path, _ = walk(policy, torch.zeros(1, 2), far, K)
    assert lengths == [K, K, 4, 3, 2, 1]  # the first asks whether the goal is near
    assert (path[:, -1] - policy.subgoal).norm() < 0.05
    lengths.clear()
    walk(planner(module, lower_search=search), torch.zeros(1, 2), far / 8, K)
    assert lengths == [K] * (K + 1)


def check_lift(module):
    """With a learned level 2, distances to sub-goals are those of level 2: here it sees a mirror image."""
    level2 = module.Level2(dim=2, state_dim=2, macro_dim=2)
    level2.encode = lambda z: -z
    level2.rollout = lambda s, w: s[..., None, :] - K * w.cumsum(dim=-2)
    policy = module.TwoLevelPlanner(
        Plane(), module.Upper(Plane(), level2), module.MacroSpace(directions()), 0.02, jumps=6
    )
    path, _ = walk(policy, torch.zeros(1, 2), torch.tensor([[1.2, 0.6]]), K)
    assert not policy.decisions[0].straight.any()
    assert (path[:, -1] + policy.subgoal).norm() < 0.05
    path, _ = walk(policy, torch.zeros(1, 2), torch.tensor([[1.2, 0.6]]), 30)
    assert (path[:, -1] - torch.tensor([[1.2, 0.6]])).norm() < 0.05


def check_execute(module):
    """With `execute` the K actions of the first macro-action are done as they are."""
    policy = planner(module, execute=lambda w: w[:, None].expand(-1, K, -1))
    _, actions = walk(policy, torch.zeros(1, 2), torch.tensor([[3.0, 1.0]]), 2 * K)
    for jump in actions.split(K, dim=1):
        assert torch.equal(jump, jump[:, :1].expand(-1, K, -1))
    assert not torch.equal(actions[:, 0], actions[:, K])
    assert torch.allclose(policy.decisions[0].states[:, 0], actions[:, :K].sum(dim=1), atol=1e-5)


def check_alone(module):
    """An episode alone gets the actions that it gets in a batch, whatever the others decide."""
    start = torch.rand(4, 2, generator=seeded(7))
    goal = start + torch.tensor([[0.2, 0.1], [1.1, 0.4], [-0.9, 0.9], [0.0, 0.3]])
    together = walk(planner(module), start, goal, 12)[1]
    for i in range(4):
        alone = walk(planner(module), start[i : i + 1], goal[i : i + 1], 12)[1]
        assert torch.allclose(alone[0], together[i], atol=1e-6), i


def check_seed(module):
    start, goal = torch.zeros(1, 2), torch.tensor([[1.0, 1.0]])
    one, same, other = (walk(planner(module, seed=seed), start, goal, 8)[1] for seed in (0, 0, 1))
    assert torch.equal(one, same) and not torch.allclose(one, other, atol=1e-4)


def check_lookup(module):
    keys, query = torch.randn(30, 3, generator=seeded(8)), torch.randn(7, 3, generator=seeded(9))
    values = torch.arange(60).view(30, 2)
    found = module.lookup(keys, values)(query)
    for row, key in zip(found, query, strict=True):
        distances = [float((key - k).norm()) for k in keys]
        assert row.tolist() == values[distances.index(min(distances))].tolist()


CHECKS = (
    check_loss, check_macros, check_held, check_space, check_first_round, check_search, check_decisions, check_level_1,
    check_lift, check_execute, check_alone, check_seed, check_lookup,
)  # fmt: skip


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_two_levels_are_what_the_loops_say(check):
    check(hierarchy)


BUGS = {
    "the sub-goal of the wrong jump": ("self.ground(states[:, self.waypoint])", "self.ground(states[:, -1])"),
    "a macro-action hears one action too many": (
        "nn.Linear(stride * action_dim, width)",
        "nn.Linear((stride + 1) * action_dim, width)",
    ),
    "a macro-action hears later actions": ("self.macro(actions.unflatten", "self.macro(actions.roll(-1, -2).unflatten"),
    "targets that are not K steps ahead": (":: self.stride])  # [B, J + 1", ": jumps + 1])  # [B, J + 1"),
    "macro-actions are rewarded for their size": ("+ self.penalty * size", "- self.penalty * size"),
    "the queue's coordinates are permuted": ("limited(self.queue[index]", "limited(self.queue.flip(1)[index]"),
    "the queue is one macro-action": ("torch.randint(len(self.queue)", "torch.randint(1"),
    "whitening is undone with the wrong root": ("self.mean + u @ self.root.T", "self.mean + u @ self.root"),
    "the previous plan is forgotten": ("torch.cat([mean[:, None], drawn", "torch.cat([0 * mean[:, None], drawn"),
    "one round of the search too many": ("iterations=iterations - 1", "iterations=iterations"),
    "a hold ends one step late": ("[..., self.hold - 1 :: self.hold, :]", "[..., :: self.hold, :]"),
    "the switch never fires": ("<= self.near", "< 0"),
    "the switch fires at once": ("<= self.near", "<= 1 + self.near"),
    "level 1 does not hurry to the sub-goal": ("self.to_subgoal[:, phase > 0 :]", "self.to_subgoal"),
    "sub-goals are compared in the wrong space": ("self.lift(states[:, :, -1])", "(states[:, :, -1])"),
    "the jump that is done stays in the plan": ("moved_on(plan, self.waypoint + 1)", "moved_on(plan, 0)"),
    "a macro-action is done backwards in time": ("self.commands[:, phase]", "self.commands[:, phase] * (phase + 1)"),
    "random numbers depend on the batch": ("2 * self.time + level", "2 * self.time + level + 2 * len(self.macros)"),
    "the seed is ignored": ("1_000_003 * self.seed", "1_000_003"),
    "the farthest key": ("argmin(dim=1)]", "argmax(dim=1)]"),
}


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_caught(bug):
    module = planted(hierarchy, *BUGS[bug])
    failed = 0
    for check in CHECKS:
        try:
            check(module)
        except (AssertionError, RuntimeError):  # a wrong shape stops PyTorch
            failed += 1
    assert failed, bug


# --- properties, contracts, the whole ---


@given(length=st.integers(1, 7), by=st.integers(0, 7))
@settings(max_examples=30, deadline=None)
def test_moved_on_drops_what_is_done_and_fills_up_with_zeros(length, by):
    plan = torch.arange(1.0, 2 * length + 1).view(1, length, 2)
    moved = hierarchy.moved_on(plan, by)
    rows = plan[0].tolist()[by:]
    assert moved[0].tolist() == rows + [[0.0, 0.0]] * (length - len(rows))


def latents(window=11):
    """What a level 1 would give: 40 walks on a plane, seen through a random linear map."""
    world = TwoRooms.hard()
    walks = world.walks(40, 16, seed=0)
    return LatentWalks(walks.positions @ torch.randn(2, 8, generator=seeded(4)), walks.actions, window)


def test_fit_trains_level_2_and_the_collapse_terms_keep_it_spread_out():
    spread = {}
    for name, weights in (("terms", None), ("none", {})):
        torch.manual_seed(0)
        level2 = hierarchy.Level2(dim=8, state_dim=4, macro_dim=2, width=32, weights=weights)
        history = fit(level2, latents(), steps=120, batch_size=32, lr=3e-3, weight_decay=(0.0, 0.0))
        assert {"predict_1", "predict_2", "macro_size"} <= set(history.rows[-1])
        with torch.no_grad():
            spread[name] = float(level2.encode(latents().z.flatten(0, 1)).std(dim=0).mean())
    assert spread["terms"] > 0.5 and spread["none"] < 0.5 * spread["terms"]


def test_a_window_that_is_no_whole_number_of_jumps_is_refused():
    for window in (6, 10, 12):
        with pytest.raises(ValueError, match="window of 11 frames"):
            hierarchy.Level2(dim=8)(latents(window).batch(torch.arange(3)))


def test_a_waypoint_outside_the_plan_is_refused():
    with pytest.raises(ValueError, match="0 to 5, got 6"):
        planner(hierarchy, waypoint=6)


def test_shapes_of_a_learned_upper_level():
    torch.manual_seed(0)
    level2 = hierarchy.Level2()
    upper, z = hierarchy.Upper(Plane(), level2), torch.randn(3, 32, generator=seeded())
    s = upper.encode(z)
    assert s.shape == (3, 16) and torch.equal(s, level2.encode(z))
    assert upper.rollout(s[:, None].expand(-1, 7, -1), torch.randn(3, 7, 4, 4)).shape == (3, 7, 4, 16)
    assert level2.macros(torch.randn(2, 6, 15, 2)).shape == (2, 6, 3, 4)


def test_two_levels_with_exact_dynamics_find_the_narrow_door():
    world = TwoRooms.hard()
    tasks, oracle = world.tasks(30, seed=901), Oracle(world)
    space = hierarchy.MacroSpace(world.walks(500, 16, seed=901).actions[:, 0])
    policy = hierarchy.TwoLevelPlanner(oracle, hierarchy.Held(oracle, K), space, near=world.reach)
    assert run_episodes(world, tasks, policy, steps=80, observe=Oracle.observe).success > 0.75
    near = torch.stack([d.straight for d in policy.decisions])  # [decisions, E]
    assert not near[0].any() and near[-1].float().mean() > 0.75
