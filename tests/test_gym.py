"""The adapter to Gymnasium: Gymnasium's own checker, and each episode against the world that it comes from."""

import sys

import numpy as np
import pytest
import torch
from helpers import planted

import minijepa.worlds.gym as gym
from minijepa.worlds import TwoRooms, gym_env

WITHOUT_GYMNASIUM = (
    "compares with gymnasium; `make test` installs it where it can be had, or pip install -e '.[oracles]'"
)
WORLDS = {"door": TwoRooms(), "hard": TwoRooms.hard(), "redrawn": TwoRooms.redrawn()}


@pytest.fixture(autouse=True)
def installed():
    return pytest.importorskip("gymnasium", reason=WITHOUT_GYMNASIUM)


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.filterwarnings("ignore:.*Not able to test alternative render modes")  # it has no entry in their registry
@pytest.mark.filterwarnings("error")
def test_gymnasiums_own_checker_finds_nothing(world):
    from gymnasium.utils.env_checker import check_env

    check_env(gym_env(WORLDS[world], render_mode="rgb_array"))


def towards(position, goal, longest):
    """The longest step towards the goal: no policy that always succeeds, but one that often does."""
    return np.clip(goal - position, -longest, longest).astype(np.float32)


def check_episode(module=gym):
    """Positions, images and rewards of whole episodes are those of the world; the task is that of the seed."""
    world, rewarded = TwoRooms(reach=0.3), 0
    for seed in range(6):
        env = module.gym_env(world, max_steps=12)
        image, info = env.reset(seed=seed)
        start, goal, wall = (each[seed % 2][None] for each in world.tasks(2, seed=seed // 2))
        position = start
        assert np.array_equal(info["goal"], goal[0].numpy()) and np.array_equal(info["position"], start[0].numpy())
        assert np.array_equal(image, world.render(start, wall)[0].numpy()) and image.dtype == np.float32
        for step in range(12):
            action = towards(info["position"], info["goal"], world.max_step)
            image, reward, terminated, truncated, info = env.step(action)
            position = world.step(position, torch.from_numpy(action)[None], wall)
            assert np.array_equal(info["position"], position[0].numpy())
            assert np.array_equal(image, world.render(position, wall)[0].numpy())
            assert reward == ((position - goal).norm() <= world.reach) and not terminated
            assert truncated == (step == 11)
            rewarded += reward
    assert 0 < rewarded < 6 * 12  # both values of the reward were met


def test_an_episode_is_the_worlds():
    check_episode()


def test_seeds_lead_in_both_directions_and_unseeded_tasks_follow_from_the_seed():
    env = gym_env(TwoRooms())
    signs = [np.sign(info["goal"][0] - info["position"][0]) for _, info in (env.reset(seed=s) for s in range(4))]
    assert signs == [1, -1, 1, -1]

    def goals():
        env.reset(seed=5)
        return [tuple(env.reset()[1]["goal"]) for _ in range(4)]

    assert goals() == goals() and len(set(goals())) == 4


def test_several_episodes_at_once_by_gymnasiums_own_vector(installed):
    together = installed.vector.SyncVectorEnv([lambda: gym_env(TwoRooms(), max_steps=5)] * 3)
    images, info = together.reset(seed=[3, 4, 5])
    assert images.shape == (3, 2, 28, 28)
    for row, seed in enumerate((3, 4, 5)):
        alone, _ = gym_env(TwoRooms()).reset(seed=seed)
        assert np.array_equal(images[row], alone)


def test_the_picture_for_people():
    env = gym_env(TwoRooms(), render_mode="rgb_array")
    image, _ = env.reset(seed=1)
    picture = env.render()
    assert picture.shape == (28, 28, 3) and picture.dtype == np.uint8
    assert np.array_equal(picture[..., 0], np.round(255 * image[0])) and (picture[..., 1] == 0).all()
    assert np.array_equal(picture[..., 2], 255 * image[1]) and gym_env(TwoRooms()).render() is None


def test_what_it_refuses():
    with pytest.raises(ValueError, match="max_steps must be 1 or more.*got 0"):
        gym_env(TwoRooms(), max_steps=0)
    with pytest.raises(ValueError, match="render_mode must be None or \"rgb_array\", got 'human'"):
        gym_env(TwoRooms(), render_mode="human")
    env = gym_env(TwoRooms())
    with pytest.raises(ValueError, match="call reset"):
        env.step([0, 0])
    env.reset(seed=0)
    for action in ([0, 0, 0], [float("nan"), 0]):
        with pytest.raises(ValueError, match="an action is two finite numbers"):
            env.step(action)


def test_without_gymnasium_the_remedy_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(ImportError, match=r"not installed: pip install 'gymnasium>=1.0'"):
        gym_env(TwoRooms())


BUGS = {
    "truncated one step too late": ("self.steps >= max_steps, self.info()", "self.steps > max_steps, self.info()"),
    "always the task from the left": ("(each[number % 2] for", "(each[0] for"),
    "a goal ends the episode": ("reward, False,", "reward, reward > 0,"),
    "x and y swapped": ("np.asarray(action, dtype=np.float32)", "np.asarray(action, dtype=np.float32)[::-1].copy()"),
    "start and goal swapped": ("start, self.goal, self.wall =", "self.goal, start, self.wall ="),
}


@pytest.mark.parametrize("bug", BUGS)
def test_the_checks_find_a_planted_bug(bug):
    with pytest.raises(AssertionError):
        check_episode(planted(gym, *BUGS[bug]))
