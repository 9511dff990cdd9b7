"""The four rooms, against a search cell by cell, walks step by step and sums written out; and bugs planted in them."""

import math
from collections import deque

import pytest
import torch
from helpers import planted, seeded

from minijepa.worlds import FOUR_ROOMS, grid_rooms

CHAIN = ("#####", "#   #", "#####")
TWO_ROOMS = ("#######", "#  #  #", "#     #", "#  #  #", "#######")
GAMMA = 0.9


def walk(layout, cell, action):
    """The slow dynamics: one agent on the drawn map."""
    rows, columns = {0: (0, 0), 1: (-1, 0), 2: (1, 0), 3: (0, -1), 4: (0, 1)}[action]
    place = (cell[0] + rows, cell[1] + columns)
    return cell if layout[place[0]][place[1]] == "#" else place


def free(layout):
    return [(i, j) for i, row in enumerate(layout) for j, mark in enumerate(row) if mark == " "]


def steps_from(layout, start):
    """Breadth-first search: {cell: steps}."""
    found, queue = {start: 0}, deque([start])
    while queue:
        cell = queue.popleft()
        for action in range(1, 5):
            place = walk(layout, cell, action)
            if place not in found:
                found[place] = found[cell] + 1
                queue.append(place)
    return found


def check_dynamics(module):
    for layout in (FOUR_ROOMS, TWO_ROOMS, CHAIN):
        world, cells = module.GridRooms(layout), free(layout)
        assert world.states == len(cells) and world.actions == 5 and world.cells.tolist() == [list(c) for c in cells]
        for s, cell in enumerate(cells):
            for a in range(5):
                assert cells[world.next_state[s, a]] == walk(layout, cell, a), (cell, a)
        index = torch.randint(len(cells), (7,), generator=seeded())
        actions = torch.randint(5, (7,), generator=seeded(1))
        assert torch.equal(world.step(index, actions), world.next_state[index, actions])
        P = torch.zeros(len(cells), len(cells))
        for s in range(len(cells)):
            for a in range(5):
                P[s, world.next_state[s, a]] += 1 / 5
        torch.testing.assert_close(world.random_walk, P)
    assert module.GridRooms().states == 104


def check_rooms(module):
    """Sizes of the four rooms by hand, doors without a room; in a room one can walk without a door."""
    world = module.GridRooms()
    assert [(world.room == k).sum().item() for k in (-1, 0, 1, 2, 3)] == [4, 25, 30, 25, 20]
    doors = [(3, 6), (6, 2), (7, 9), (10, 6)]
    assert world.cells[world.room == -1].tolist() == [list(door) for door in doors]
    small = module.GridRooms(TWO_ROOMS)
    assert small.room.tolist() == [0, 0, 1, 1, 0, 0, -1, 1, 1, 0, 0, 1, 1]


def check_distances(module):
    for layout in (FOUR_ROOMS, TWO_ROOMS):
        world, cells = module.GridRooms(layout), free(layout)
        for s, cell in enumerate(cells):
            found = steps_from(layout, cell)
            assert [found[other] for other in cells] == world.distances[s].tolist()


def check_value_iteration(module):
    """For a goal, arriving pays 1 and staying there pays again: V = gamma^max(d - 1, 0) / (1 - gamma)."""
    world = module.GridRooms()
    goals = torch.tensor([0, 57, 103])
    q = world.value_iteration(world.goals(goals), GAMMA)
    expected = GAMMA ** (world.distances[goals] - 1).clamp(min=0).float() / (1 - GAMMA)
    torch.testing.assert_close(q.amax(dim=2), expected, rtol=1e-4, atol=1e-5)
    policy = q.argmax(dim=2)
    torch.testing.assert_close(world.policy_value(policy, world.goals(goals), GAMMA), expected, rtol=1e-4, atol=1e-5)
    for k, goal in enumerate(goals.tolist()):
        for start in range(world.states):  # the greedy policy takes shortest paths
            state, steps = start, 0
            while state != goal:
                state, steps = world.next_state[state, policy[k, state]].item(), steps + 1
            assert steps == world.distances[start, goal]


def check_values_of_policies(module):
    """A long sum along the path of each start, and the random policy by repeated expectation."""
    world = module.GridRooms(TWO_ROOMS)
    policy = torch.randint(5, (3, world.states), generator=seeded())
    reward = torch.randn(3, world.states, generator=seeded(1))
    values, ends = world.policy_value(policy, reward, GAMMA), world.follow(policy, 7)
    for k in range(3):
        for start in range(world.states):
            state, total = start, 0.0
            for t in range(200):
                if t == 7:
                    assert state == ends[k, start]
                state = world.next_state[state, policy[k, state]].item()
                total += GAMMA**t * reward[k, state].item()
            assert abs(total - values[k, start].item()) < 1e-4
    value = torch.zeros(world.states)
    for _ in range(300):
        value = torch.stack([(reward[0] + GAMMA * value)[world.next_state[s]].mean() for s in range(world.states)])
    torch.testing.assert_close(world.random_value(reward[:1], GAMMA)[0], value, rtol=1e-4, atol=1e-4)
    best = world.value_iteration(reward, GAMMA).argmax(dim=2)
    score = world.score(torch.cat([best[:1], policy[1:2], best[2:]]), reward, GAMMA)
    torch.testing.assert_close(score[[0, 2]], torch.ones(2), rtol=1e-4, atol=1e-4)
    low, high = world.random_value(reward, GAMMA)[1].mean(), world.policy_value(best, reward, GAMMA)[1].mean()
    torch.testing.assert_close(score[1], (values[1].mean() - low) / (high - low), rtol=1e-4, atol=1e-4)


def check_success(module):
    """Pair by pair: the end counts, not a visit; pairs in one room and doors do not count."""
    world = module.GridRooms(TWO_ROOMS)
    goals = torch.tensor([0, 8, 12])
    policy = world.value_iteration(world.goals(goals), GAMMA).argmax(dim=2)
    assert world.success(policy, goals) == 1
    policy[0, 0] = 4  # at the goal the agent walks off again
    policy[1] = 0  # this one never moves
    for steps in (3, 20):
        for reach in (0, 1):
            wins = []
            for k, goal in enumerate(goals.tolist()):
                for start in range(world.states):
                    rooms = world.room[start].item(), world.room[goal].item()
                    if -1 in rooms or rooms[0] == rooms[1]:
                        continue
                    state = start
                    for _ in range(steps):
                        state = world.next_state[state, policy[k, state]].item()
                    wins.append(steps_from(TWO_ROOMS, tuple(world.cells[state].tolist()))[
                        tuple(world.cells[goal].tolist())] <= reach)  # fmt: skip
            assert abs(world.success(policy, goals, steps, reach) - sum(wins) / len(wins)) < 1e-6


def check_pictures(module):
    world = module.GridRooms(TWO_ROOMS)
    images = world.render(torch.arange(world.states))
    assert images.shape == (world.states, 2, 5, 7)
    for image, (row, column) in zip(images, free(TWO_ROOMS), strict=True):
        assert image[0].sum() == 1 and image[0, row, column] == 1
        assert image[1].tolist() == [[float(mark == "#") for mark in line] for line in TWO_ROOMS]
    picture = world.on_map(torch.arange(26.0).view(2, 13), wall=-1.0)
    assert picture.shape == (2, 5, 7)
    for s, (row, column) in enumerate(free(TWO_ROOMS)):
        assert picture[0, row, column] == s and picture[1, row, column] == 13 + s
    assert (picture == -1).sum() == 2 * (35 - 13)


def check_tasks(module):
    world = module.GridRooms(TWO_ROOMS)
    for cell, bump in zip((2, 11), world.bumps(torch.tensor([2, 11]), width=1.5), strict=True):
        found = steps_from(TWO_ROOMS, tuple(world.cells[cell].tolist()))
        expected = [math.exp(-(found[other] ** 2) / (2 * 1.5**2)) for other in free(TWO_ROOMS)]
        torch.testing.assert_close(bump, torch.tensor(expected))
    assert torch.equal(world.goals(torch.tensor([3])), torch.eye(13)[3:4])
    dense, again, other = world.dense(4, seed=1), world.dense(4, seed=1), world.dense(4, seed=2)
    assert dense.shape == (4, 13) and torch.equal(dense, again) and not torch.equal(dense, other)
    test, train = world.split_cells(5, seed=3)
    assert len(test) == 5 and sorted([*test.tolist(), *train.tolist()]) == list(range(13))
    assert torch.equal(test, world.split_cells(5, seed=3)[0]) and not torch.equal(test, world.split_cells(5, 4)[0])


def check_transitions(module):
    world = module.GridRooms(TWO_ROOMS)
    everything = world.transitions()
    batch = everything.batch(torch.arange(len(everything)))
    assert len(everything) == 65
    assert {(s, a, t) for s, a, t in zip(*(each.tolist() for each in batch), strict=True)} == {
        (s, a, world.next_state[s, a].item()) for s in range(13) for a in range(5)
    }
    some = world.transitions(20_000, seed=1)
    assert len(some) == 20_000 and torch.equal(some.transition.state, world.transitions(20_000, seed=1).transition[0])
    counts = torch.bincount(some.transition.state * 5 + some.transition.action, minlength=65) / 20_000
    assert (counts - 1 / 65).abs().max() < 5 * (1 / 65 / 20_000) ** 0.5
    state, action, after = some.batch(torch.tensor([5, 9]))
    assert torch.equal(after, world.next_state[state, action])


def check_laplacian(module):
    """Orthonormal, without the constant, and as smooth as the eigenvalues of the graph's Laplacian say."""
    world = module.GridRooms(TWO_ROOMS)
    features = world.laplacian_features(4)
    L = torch.zeros(13, 13, dtype=torch.float64)
    for s in range(13):
        for a in range(5):
            t = world.next_state[s, a]
            L[s, s] += 1
            L[s, t] -= 1
    smoothest = torch.linalg.eigvalsh(L)[1:5]
    torch.testing.assert_close(features.T @ features, torch.eye(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(features.sum(dim=0), torch.zeros(4), atol=1e-4, rtol=0)
    roughness = (features.double().T @ L @ features.double()).diagonal()
    torch.testing.assert_close(roughness, smoothest, atol=1e-5, rtol=0)


CHECKS = (
    check_dynamics, check_rooms, check_distances, check_value_iteration, check_values_of_policies, check_success,
    check_pictures, check_tasks, check_transitions, check_laplacian,
)  # fmt: skip


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_world_is_what_the_slow_way_says(check):
    check(grid_rooms)


BUGS = {
    "an agent walks through walls to cell -1": (
        "return torch.where(found < 0, torch.arange(self.states)[:, None], found)",
        "return found % self.states",
    ),
    "up is down": ("(0, 0), (-1, 0), (1, 0)", "(0, 0), (1, 0), (-1, 0)"),
    "a door belongs to a room": ("return torch.where(door, -1,", "return torch.where(door, 0,"),
    "rooms leak through doors": (
        "spread = torch.where(door, self.states, label[self.next_state].amin(dim=1))",
        "spread = label[self.next_state].amin(dim=1)",
    ),
    "a reward is paid where the agent stands": (
        "new = (reward + gamma * q.amax(dim=2))[:, self.next_state]",
        "new = reward[:, :, None] + (gamma * q.amax(dim=2))[:, self.next_state]",
    ),
    "the mean in the place of the best action": ("q.amax(dim=2))[:", "q.mean(dim=2))[:"),
    "a policy's reward is not discounted": ("eye - gamma * P, gained", "eye - 0.99 * P, gained"),
    "the random policy's first reward is the start's": (
        "torch.linalg.solve(eye - gamma * P, P @ r.T)",
        "torch.linalg.solve(eye - gamma * P, r.T)",
    ),
    "success counts starts in the same room": ("(here != there) & ", ""),
    "one step too few": ("for _ in range(steps):", "for _ in range(steps - 1):"),
    "the best policy scores 0": ("- low) / (high - low)", "- high) / (high - low)"),
    "the constant is a feature": ("[:, 1 : k + 1]", "[:, :k]"),
    "the roughest functions first": ("[1].flip(1)[", "[1]["),
    "rows and columns are swapped in the picture": (
        "agents[torch.arange(self.states), self.cells[:, 0], self.cells[:, 1]]",
        "agents[torch.arange(self.states), self.cells[:, 1], self.cells[:, 0]]",
    ),
    "bumps are too narrow": ("(2 * width**2)", "width**2"),
    "actions are drawn without the last": ("randint(self.states * self.actions,", "randint(12 * self.actions,"),
}  # fmt: skip


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_planted_into_the_world_is_caught(bug):
    module = planted(grid_rooms, *BUGS[bug])
    with pytest.raises((AssertionError, IndexError)):
        for check in CHECKS:
            check(module)


@pytest.mark.parametrize(
    "layout", [(), ("###", "#  ", "###"), ("# #", "# #", "###"), ("###", "###"), ("###", "#x#", "###")]
)
def test_a_layout_with_a_hole_is_refused(layout):
    with pytest.raises(ValueError, match="walls all around"):
        grid_rooms.GridRooms(layout)


def test_a_batch_of_agents_equals_each_agent_alone():
    world = grid_rooms.GridRooms()
    policy = torch.randint(5, (4, 104), generator=seeded())
    reward = torch.randn(4, 104, generator=seeded(1))
    values, q = world.policy_value(policy, reward, 0.95), world.value_iteration(reward, 0.95)
    for k in range(4):
        torch.testing.assert_close(world.policy_value(policy[k : k + 1], reward[k : k + 1], 0.95)[0], values[k])
        alone = world.value_iteration(reward[k : k + 1], 0.95)[0]
        torch.testing.assert_close(alone, q[k], rtol=1e-3, atol=1e-3)
