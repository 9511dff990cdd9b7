"""Two rooms: the physics against a dot moved in small steps, images by hand, walks and tasks by their promises."""

import math

import pytest
import torch
from helpers import planted, seeded
from hypothesis import given
from hypothesis import strategies as st

from minijepa.worlds import TwoRooms, two_rooms
from minijepa.worlds.two_rooms import GAP, limited

WORLDS = {"centred": TwoRooms(), "hard": TwoRooms.hard(), "redrawn": TwoRooms.redrawn()}
unit = st.floats(0, 1, width=32)


def slow_step(position, action, wall, longest=0.1, parts=20_000):
    """Move one dot in tiny steps until it meets the wall."""
    x, low, high = wall
    length = math.hypot(*action)
    scale = min(1, longest / length) if length else 1
    end = [min(max(p + scale * a, 0), 1) for p, a in zip(position, action, strict=True)]
    place = list(position)
    for i in range(1, parts + 1):
        new = [p + (e - p) * i / parts for p, e in zip(position, end, strict=True)]
        if (place[0] < x) != (new[0] < x) and not low <= new[1] <= high:
            return [x - GAP if position[0] < x else x + GAP, new[1]]
        place = new
    return end


def check_physics(module):
    world = module.TwoRooms()
    g = seeded()
    position, wall = torch.rand(40, 2, generator=g, dtype=torch.float64), torch.tensor([0.5, 0.4, 0.6]).double()
    position[:, 0] = 0.5 + 0.12 * (position[:, 0] - 0.5)  # near the wall, where something happens
    action = 0.3 * torch.rand(40, 2, generator=g, dtype=torch.float64) - 0.15
    got = world.step(position, action, wall)
    for p, a, found in zip(position.tolist(), action.tolist(), got.tolist(), strict=True):
        assert found == pytest.approx(slow_step(p, a, wall.tolist()), abs=2e-5)
    path = world.rollout(position[:, None].expand(-1, 3, -1), action[:, None, None].expand(-1, 3, 4, -1), wall)
    for _ in range(4):
        position = world.step(position, action, wall)
    assert path.shape == (40, 3, 4, 2) and torch.allclose(path[:, 1, -1], position)


def check_picture(module):
    image = module.TwoRooms().render(torch.tensor([0.25, 0.75]), torch.tensor([0.5, 0.4, 0.6]))
    assert image.shape == (2, 28, 28)
    row, column = divmod(int(image[0].argmax()), 28)
    assert abs(column - 0.25 * 27) <= 0.5 and abs(row - 0.25 * 27) <= 0.5  # y = .75 is in the upper quarter
    assert image[0, row, column + 3] == pytest.approx(
        math.exp(-((column + 3 - 6.75) ** 2) / 3.38 - (row - 6.75) ** 2 / 3.38), rel=1e-4
    )
    solid = image[1].nonzero()
    assert set(solid[:, 1].tolist()) == {13, 14}, "two pixels wide, at x = .5"
    open_rows = sorted(set(range(28)) - set(solid[:, 0].tolist()))
    assert open_rows == [r for r in range(28) if 0.4 * 27 <= 27 - r <= 0.6 * 27]


def check_data(module):
    world = module.TwoRooms()
    walks = world.walks(60, length=7, seed=3, window=4)
    moved = walks.positions[:, :1]
    for t in range(6):
        assert torch.equal(
            walks.positions[:, t + 1], world.step(walks.positions[:, t], walks.actions[:, t], walks.wall)
        )
    assert moved.shape == (60, 1, 2) and walks.actions.norm(dim=-1).max() <= world.max_step + 1e-6
    assert len(walks) == 60 * 4
    clip = walks.batch(torch.tensor([0, 5, 239]))  # walk 0 from frame 0, walk 1 from 1, walk 59 from 3
    for got, done, (walk, first) in zip(clip.frames, clip.actions, [(0, 0), (1, 1), (59, 3)], strict=True):
        expected = world.render(walks.positions[walk, first : first + 4], walks.wall[walk])
        assert torch.equal(got, expected) and torch.equal(done, walks.actions[walk, first : first + 3])
    tasks = world.tasks(500, seed=0)
    assert not world.solved(tasks.start, tasks.goal).any()
    assert ((tasks.start[:, 0] < tasks.wall[:, 0]) != (tasks.goal[:, 0] < tasks.wall[:, 0])).all()


CHECKS = (check_physics, check_picture, check_data)
BUGS = {
    "the whole segment is tested at its end, not at the wall": (
        "y = position[..., 1] + part * (wanted[..., 1] - position[..., 1])", "y = wanted[..., 1]"),
    "the door is where the wall is": ("((y < low) | (y > high))", "((y > low) & (y < high))"),
    "a blocked dot stops on the other side": (
        "torch.where(before < 0, -GAP, GAP)", "torch.where(before < 0, GAP, -GAP)"),
    "long actions are not shortened": ("limited(action, self.max_step)", "action"),
    "y grows downwards": ("(pixel.flip(0) - centre[..., 1:])", "(pixel - centre[..., 1:])"),
    "actions of the next window": ("steps[:, :-1]].to(device)", "steps[:, 1:] % 6].to(device)"),
    "goals in the room of the start": (
        "torch.where(swap, ends[0], ends[1]), wall", "torch.where(swap, ends[1], ends[0]), wall"),
}  # fmt: skip


@pytest.mark.parametrize("check", CHECKS)
def test_the_world(check):
    check(two_rooms)


@pytest.mark.parametrize("bug", BUGS)
def test_planted_bugs_are_caught(bug):
    module = planted(two_rooms, *BUGS[bug])
    with pytest.raises(AssertionError):
        for check in CHECKS:
            check(module)


@given(
    st.sampled_from(list(WORLDS)),
    st.tuples(unit, unit),
    st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
    st.integers(0, 99),
)
def test_no_step_leaves_the_square_or_crosses_the_wall(name, position, action, seed):
    world = WORLDS[name]
    wall = world.walls(1, seeded(seed))[0].double()
    before, action = torch.tensor(position).double(), torch.tensor(action).double()
    after = world.step(before, action, wall)
    assert after.min() >= 0 and after.max() <= 1
    assert (after - before).norm() <= world.max_step + GAP + 1e-6
    if (before[0] < wall[0]) != (after[0] < wall[0]):  # it went through the door
        part = (wall[0] - before[0]) / (after[0] - before[0])
        y = before[1] + part * (after[1] - before[1])
        assert wall[1] - 1e-6 <= y <= wall[2] + 1e-6


@pytest.mark.parametrize("world", WORLDS.values(), ids=list(WORLDS))
def test_seeds(world):
    one, again, other = (world.walks(20, seed=s) for s in (4, 4, 5))
    assert torch.equal(one.positions, again.positions) and not torch.equal(one.positions, other.positions)
    tasks, more = world.tasks(20, seed=4), world.tasks(20, seed=4)
    assert all(torch.equal(a, b) for a, b in zip(tasks, more, strict=True))
    starts = torch.cat([world.walks(50, seed=s).positions[:, 0] for s in range(5)])
    assert torch.cdist(tasks.start, starts).min() > 0
    low, high = world.heights
    assert low <= tasks.start[:, 1].min() and tasks.goal[:, 1].max() <= high


def test_the_redrawn_wall_differs_between_walks_and_stays_within_one():
    walks = WORLDS["redrawn"].walks(30, seed=0)
    assert walks.wall[:, 0].std() > 0.05 and walks.wall[:, 1].std() > 0.1
    frames = walks.batch(torch.arange(3)).frames
    assert torch.equal(frames[:, 0, 1], frames[:, -1, 1]) and not torch.equal(frames[0, 0, 1], frames[1, 0, 1])


def test_an_impossible_window_is_refused():
    with pytest.raises(ValueError, match="between 2 and the 7 frames"):
        TwoRooms().walks(3, length=7, window=8)


def test_limited():
    a = torch.tensor([[0.3, 0.4], [0.03, 0.04], [0.0, 0.0]])
    torch.testing.assert_close(limited(a, 0.1), torch.tensor([[0.06, 0.08], [0.03, 0.04], [0.0, 0.0]]))
