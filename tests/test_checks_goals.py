"""Specifications of assignment 20 against the package and independent programs; right answers of other forms."""

import importlib
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from minijepa.checks import CheckFailed
from minijepa.checks import goals as check
from minijepa.planning import (
    TDJEPA,
    Held,
    MacroSpace,
    Oracle,
    Planner,
    TwoLevelPlanner,
    cem,
    closest,
    run_episodes,
    successor_features,
    task_vectors,
)
from minijepa.worlds import GridRooms, Tasks, TwoRooms

MODULES = {name: importlib.import_module(f"minijepa.checks.goals.{name}") for name in check.__all__[:6]}
ROOM, WORLD, K, JUMPS = TwoRooms(), GridRooms(), 3, 4


def spec(name):
    return getattr(MODULES[name], f"spec_{name}")


# --- the two levels ---------------------------------------------------------------------------------------


class Recorder(TwoLevelPlanner):
    """The planner of notebook 18, which also notes what both levels predict, and what it aims at."""

    def begin(self, goal):
        super().begin(goal)
        self.path, self.states, self.aims = [], [], []

    def decide(self, z, observation):
        super().decide(z, observation)
        plan = self.reach(z, z.new_zeros(len(z), self.stride, 2), self.goal_cost(self.goal, closest))
        self.path.append(self.lower.rollout(z, plan))  # [E, K, D]
        states = z.new_full((len(z), self.jumps, z.shape[1]), torch.nan)
        states[~self.straight] = self.decisions[-1].states
        self.states.append(states)  # [E, J, D]

    def act(self, observation):
        action, aim = super().act(observation), self.goal.clone()
        aim[~self.straight] = self.subgoal
        self.aims.append(aim)  # [E, D]
        return action


def planner(kind, near, lower, upper):
    queue = 0.05 * torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
    return kind(lower, upper, MacroSpace(queue), near, stride=K, jumps=JUMPS)


def test_targets_are_those_of_the_planner():
    policy = planner(Recorder, 0.3, Oracle(ROOM), Held(Oracle(ROOM), K))
    run_episodes(ROOM, ROOM.tasks(6, seed=2), policy, steps=12, observe=Oracle.observe)
    path, states = (torch.stack(each).repeat_interleave(K, dim=0) for each in (policy.path, policy.states))
    aims = torch.stack(policy.aims)  # [T, E, D]
    targets, left = spec("hand_down")(path, states, policy.goal, 0.3)
    assert torch.allclose(targets, aims) and left.tolist() == [3, 2, 1] * 4
    straight = (aims == policy.goal).all(dim=2)
    assert straight.any() and not straight.all()


class Counted:
    """A model that counts the predictions for plans that are tried; the one plan that was found is not counted."""

    def __init__(self, model):
        self.encode, self.model, self.count = model.encode, model, 0

    def rollout(self, z, actions):
        self.count += actions.shape[:3].numel() if actions.ndim == 4 else 0  # [E, S, H, A]
        return self.model.rollout(z, actions)


@pytest.mark.parametrize("decisions", [1, 2])
def test_predictions_are_those_that_planners_make(decisions):
    lower, upper, flat = Counted(Oracle(ROOM)), Counted(Held(Oracle(ROOM), K)), Counted(Oracle(ROOM))
    never_straight = planner(TwoLevelPlanner, 0.0, lower, upper)
    search = partial(cem, samples=512, elites=16, iterations=4)
    one, steps = Tasks(*(each[:1] for each in ROOM.tasks(2, seed=0))), K * decisions
    for policy in (never_straight, Planner(flat, horizon=JUMPS * K, hold=1, search=search)):
        run_episodes(ROOM, one, policy, steps=steps, observe=Oracle.observe)
    found = tuple(model.count / steps for model in (upper, lower, flat))
    assert found == spec("predictions")(K, (512, JUMPS, 4), (64, 3))


# --- TD targets, successor features, policies, scores -----------------------------------------------------


def test_the_loss_and_its_gradient_are_those_of_the_package():
    model, moves = TDJEPA(WORLD.states, WORLD.actions, dim=4, gamma=0.9, orth=0.0), WORLD.transitions().transition
    model.slow_T_phi.normal_(generator=torch.Generator().manual_seed(1))
    wanted = model(moves).numbers["loss_phi"]  # it also solves for T_phi
    online = model.phi, model.psi, model.T_phi
    slow = model.slow_phi, model.slow_psi, model.slow_T_phi
    loss = spec("td_loss")(online, slow, (*moves, torch.zeros(len(moves.state), dtype=torch.bool)), 0.9)
    assert abs(loss - wanted) < 1e-4 * wanted
    (found,) = torch.autograd.grad(loss, model.phi)
    error = torch.einsum("bi,bij->bj", model.phi[moves.state], model.T_phi[moves.action]) - model.target(
        slow[0], slow[1], slow[2], moves.next_state
    )
    each = 2 * torch.einsum("bj,bij->bi", error, model.T_phi[moves.action]) / len(error)
    assert torch.allclose(found, torch.zeros_like(found).index_add(0, moves.state, each), atol=1e-6)


@given(st.integers(0, 10**6))
def test_an_end_is_a_state_after_which_all_features_are_0(seed):
    make, moves = MODULES["td_loss"].tables, MODULES["td_loss"].moves
    online, slow, (s, a, s_next, done) = make(4, 3, 2, seed), make(4, 3, 2, seed + 1), moves(6, 4, 3, seed)
    twice = [torch.cat([table, table]) if table.shape[0] == 4 else table for table in slow]  # state + 4: an end
    twice[0] = torch.cat([slow[0], torch.zeros_like(slow[0])])  # slow phi
    more = [torch.cat([table, table]) if table.shape[0] == 4 else table for table in online]
    moved = (s, a, torch.where(done, s_next + 4, s_next), torch.zeros_like(done))
    assert torch.allclose(
        spec("td_loss")(online, slow, (s, a, s_next, done), 0.7), spec("td_loss")(more, twice, moved, 0.7)
    )


def test_successor_features_are_those_of_the_package_of_sweeps_and_of_walks():
    for next_state, policy, psi, gamma in MODULES["successors"].CASES:
        found, hits = spec("successors")(next_state, policy, psi, gamma), F.one_hot(next_state, len(psi)).to(psi.dtype)
        P = torch.einsum("sa,sat->st", policy, hits)
        assert torch.allclose(found, successor_features(P, psi, gamma), atol=1e-4)
        estimate = torch.zeros_like(psi)
        for _ in range(600):
            estimate = (policy[..., None] * ((1 - gamma) * psi + gamma * estimate)[next_state]).sum(dim=1)
        assert torch.allclose(found, estimate, atol=1e-4)
    next_state, policy, psi, gamma = MODULES["successors"].CASES[2]
    g, state = torch.Generator().manual_seed(0), torch.zeros(4_000, dtype=torch.int64)
    total = torch.zeros(psi.shape[1])
    for t in range(60):  # walks from state 0
        state = next_state[state, torch.multinomial(policy[state], 1, generator=g)[:, 0]]
        total += (1 - gamma) * gamma**t * psi[state].mean(dim=0)
    assert (total - spec("successors")(next_state, policy, psi, gamma)[0]).abs().max() < 0.05


def test_task_vectors_are_those_of_the_package_and_leave_a_rest_without_psi():
    for successor, psi, reward in MODULES["zero_shot"].CASES:
        z, policy = spec("zero_shot")(successor, psi, reward)
        assert torch.allclose(z, task_vectors(psi, reward), atol=1e-4)
        assert ((reward - z @ psi.T) @ psi).abs().max() < 1e-4
        values = torch.einsum("sad,rd->rsa", successor, z)
        assert torch.equal(values.gather(2, policy[..., None])[..., 0], values.amax(dim=2))
        best = values.topk(2, dim=2).values
        assert (best[..., 0] - best[..., 1]).min() > 1e-3, "no two actions may be equally good: both would be right"


def test_scores_are_those_of_the_package():
    reward, gamma = torch.cat([WORLD.dense(2, seed=4), WORLD.goals(torch.tensor([30]))]), 0.9
    best = WORLD.value_iteration(reward, gamma)
    low, high = (v.mean(dim=1).tolist() for v in (WORLD.random_value(reward, gamma), best.amax(dim=2)))
    drawn = torch.randint(WORLD.actions, (3, WORLD.states), generator=torch.Generator().manual_seed(0))
    for policies in (drawn, best.argmax(dim=2)):
        wanted = WORLD.score(policies, reward, gamma)
        for i, policy in enumerate(policies):
            found = spec("score")(policy, WORLD.next_state, reward[i], gamma, low[i], high[i])
            assert abs(found - wanted[i]) < 1e-4
    assert abs(wanted - 1).max() < 1e-4


# --- right answers of another form, and what the tables of mistakes cannot hold ---------------------------


def loop_hand_down(path, states, goal, near):
    stride, targets = path.shape[2], []
    for first in range(0, len(path), stride):
        close = ((path[first] - goal[:, None]) ** 2).sum(-1).sqrt().min(1).values <= near
        targets += [torch.where(close[:, None], goal, states[first, :, 0])] * stride
    return torch.stack(targets[: len(path)]), torch.tensor([stride - t % stride for t in range(len(path))])


def every_pair(online, slow, batch, gamma):
    (phi, _, T), (s, a, s_next, done) = online, batch
    slow_phi, slow_psi, slow_T = (table.detach() for table in slow)
    every = torch.einsum("bd,ade->bae", slow_phi[s_next], slow_T).mean(1)
    target = (1 - gamma) * slow_psi[s_next] + gamma * (1 - done.to(every.dtype))[:, None] * every
    return ((torch.einsum("sd,ade->sae", phi, T)[s, a] - target) ** 2).sum() / len(s)


def sweeps(next_state, policy, features, gamma):
    estimate = torch.zeros_like(features)
    for _ in range(500):
        estimate = torch.einsum("sa,sad->sd", policy, ((1 - gamma) * features + gamma * estimate)[next_state])
    return estimate


def normal_equations(successor, psi, reward):
    z = torch.linalg.solve(psi.T @ psi / len(psi), psi.T @ reward.T / len(psi)).T
    return z, torch.stack([(successor @ one).argmax(dim=1) for one in z])


def followed(policy, next_state, reward, gamma, low, high):
    state, total = torch.arange(len(policy)), 0.0
    for t in range(600):
        state = next_state[state, policy[state]]
        total = total + gamma**t * reward[state].double()
    return (total.mean() - low) / (high - low)  # a tensor with one element


RIGHT = {
    "hand_down": loop_hand_down,
    "predictions": lambda k, u, low: (
        u[0] * u[1] * u[2] / k,
        low[0] * low[1] * (k + sum(range(1, k + 1))) / k,
        u[0] * u[1] * k * u[2],
    ),
    "td_loss": every_pair,
    "successors": sweeps,
    "zero_shot": normal_equations,
    "score": followed,
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_answer_of_another_form_passes(name, capsys):
    getattr(check, name)(RIGHT[name])
    assert "right" in capsys.readouterr().out


def test_a_target_that_learns_is_found_by_its_gradient_alone():
    def leaks(table):
        def student(online, slow, batch, gamma):
            tables = [copy if i == table else copy.detach() for i, copy in enumerate(slow)]
            (phi, _, T), (s, a, s_next, done) = online, batch
            later = tables[0][s_next] @ tables[2].mean(0) * (~done)[:, None]
            error = (phi[s][:, None] @ T[a])[:, 0] - (1 - gamma) * tables[1][s_next] - gamma * later
            return error.square().sum(1).mean()

        return student

    for table, name in enumerate(("phi", "psi", "T")):
        with pytest.raises(CheckFailed, match=f"a gradient flows into slow {name}"):
            check.td_loss(leaks(table))
    check.td_loss(leaks(None))


def test_no_half_of_an_answer_passes():
    for name in ("hand_down", "zero_shot"):
        for part in (0, 1):
            with pytest.raises(CheckFailed):
                getattr(check, name)(lambda *a, n=name, p=part: RIGHT[n](*a)[p])


def test_the_random_numbers_of_a_case_are_no_ties():
    for path, _, goal, near in MODULES["hand_down"].CASES[1:]:
        distance = (path - goal[:, None]).norm(dim=-1).amin(dim=2)
        assert (distance - near).abs().min() > 1e-4
