"""A world as an environment of Gymnasium, for code that expects one: one episode at a time, images in, steps out.

The course does not need it: its worlds step a whole batch of episodes at once, which is much faster. It is for those
who want to try an agent of another library on the same world. Gymnasium is imported when it is asked for.
Source: Towers et al. 2024 (arXiv:2407.17032).
"""

import numpy as np
import torch


def gym_env(world, max_steps=40, render_mode=None):
    """The world as a `gymnasium.Env`. Returns a new environment.

    world: has step, render, tasks, solved and max_step, as TwoRooms. max_steps: the length of every episode.
    render_mode: None, or "rgb_array" for render() -> uint8 [S, S, 3], the dot red and the wall blue.

    observation: what `world.render` draws, float32 [C, S, S] in [0, 1]. action: float32 [2] in [-max_step, max_step];
    the world shortens what is longer than max_step. reward: 1 while the dot is at the goal, else 0.
    info: position and goal, [2] each. An episode is truncated after max_steps and never terminated: success is where
    it ends. reset(seed=k) sets the task of seed k: those of 2j and 2j + 1 lead in opposite directions. Without a seed
    the next task is drawn.
    Raises ImportError where gymnasium is missing, ValueError if max_steps is less than 1 or the mode is unknown.
    """
    try:
        import gymnasium
    except ImportError as error:
        raise ImportError(
            "gym_env needs the package gymnasium, which is not installed: pip install 'gymnasium>=1.0', or use the "
            "world's own step and render, which need nothing else"
        ) from error
    if max_steps < 1:
        raise ValueError(f"max_steps must be 1 or more, the length of an episode, got {max_steps}")
    modes = [None, "rgb_array"]
    if render_mode not in modes:
        raise ValueError(f'render_mode must be None or "rgb_array", got {render_mode!r}')

    class WorldEnv(gymnasium.Env):
        """One episode in a world. The spaces, rewards and seeds are those that `gym_env` describes."""

        metadata = {"render_modes": modes[1:], "render_fps": 10}

        def __init__(self):
            first = world.tasks(1)
            shape = tuple(world.render(first.start, first.wall).shape[1:])  # (C, S, S)
            self.observation_space = gymnasium.spaces.Box(0.0, 1.0, shape, np.float32)
            self.action_space = gymnasium.spaces.Box(-world.max_step, world.max_step, (2,), np.float32)
            self.render_mode, self.position = render_mode, None

        def reset(self, *, seed=None, options=None):
            """Begin the task of this seed, or the next one. Returns (image [C, S, S], info)."""
            super().reset(seed=seed)
            number = int(self.np_random.integers(2**31) if seed is None else seed)
            task = world.tasks(2, seed=number // 2)  # one from each room
            start, self.goal, self.wall = (each[number % 2] for each in task)  # [2], [2], [3]
            self.position, self.steps = start, 0
            return self.image(), self.info()

        def step(self, action):
            """One action [2]. Returns (image [C, S, S], reward, terminated, truncated, info)."""
            if self.position is None:
                raise ValueError("the episode has not begun: call reset() before step()")
            action = torch.as_tensor(np.asarray(action, dtype=np.float32))
            if action.shape != (2,) or not action.isfinite().all():
                raise ValueError(f"an action is two finite numbers, a step along x and y, got {action.tolist()}")
            self.position = world.step(self.position, action, self.wall)
            self.steps += 1
            reward = float(world.solved(self.position, self.goal))
            return self.image(), reward, False, self.steps >= max_steps, self.info()

        def render(self):
            """The image for people, uint8 [S, S, 3], or None where no mode was asked for."""
            if self.render_mode is None:
                return None
            dot, wall = self.image()  # [S, S] each
            return (255 * np.stack([dot, np.zeros_like(dot), wall], axis=-1)).round().astype(np.uint8)

        def image(self):
            return world.render(self.position, self.wall).numpy()

        def info(self):
            return {"position": self.position.numpy().copy(), "goal": self.goal.numpy().copy()}

    return WorldEnv()
