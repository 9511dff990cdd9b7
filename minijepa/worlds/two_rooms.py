"""Two rooms and a door: a dot that moves through a wall's one opening, seen as small images.

The world is the unit square with a vertical wall. An action is the step that the dot makes, at most `max_step` long; a
step that would cross the wall beside the door ends in front of it. This file is the whole physics, so a planner that
rolls out `step` itself plans with the exact dynamics: the oracle that every learned model is compared with.
After PLDM (arXiv:2502.14819) and EB-JEPA (arXiv:2602.03604), which use worlds of this kind.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch

GAP = 0.03  # where a blocked dot stops, this far from the middle of the wall


class Tasks(NamedTuple):
    """Where episodes begin and where they should end, always in different rooms."""

    start: torch.Tensor  # [E, 2]
    goal: torch.Tensor  # [E, 2]
    wall: torch.Tensor  # [E, 3]


class Clip(NamedTuple):
    """What a world model learns from: frames (or latents) and the actions between them."""

    frames: torch.Tensor  # [B, T, 2, S, S]
    actions: torch.Tensor  # [B, T - 1, 2]


@dataclass(frozen=True)
class TwoRooms:
    """The world, with all that a batch of episodes needs. The default is the room with the centred door.

    door: the lowest and highest y of the opening, or None for a wall that is drawn anew for each episode: x in
    [.35, .65], an opening .2 high with its middle in [.2, .8].
    heights: the range of y of starts and goals.
    size: pixels of a side. max_step: the longest step. reach: how near to the goal counts as success.
    """

    door: tuple | None = (0.4, 0.6)
    heights: tuple = (0.1, 0.9)
    size: int = 28
    max_step: float = 0.1
    reach: float = 0.06

    @classmethod
    def hard(cls):
        """A narrow door near the top, starts and goals near the bottom: the way leads away from the goal."""
        return cls(door=(0.78, 0.92), heights=(0.1, 0.4))

    @classmethod
    def redrawn(cls):
        """A wall that is drawn anew for each episode, and stays where it is within one."""
        return cls(door=None)

    def walls(self, count, generator):
        """One wall per episode, [count, 3]: its x, the lowest and the highest y of the door."""
        if self.door is not None:
            return torch.tensor([[0.5, *self.door]]).repeat(count, 1)
        x = 0.35 + 0.3 * torch.rand(count, 1, generator=generator)
        middle = 0.2 + 0.6 * torch.rand(count, 1, generator=generator)
        return torch.cat([x, middle - 0.1, middle + 0.1], dim=1)

    def step(self, position, action, wall):
        """The exact dynamics: where the dot is after one action.

        position, action: [..., 2]. wall: [..., 3], of a shape that broadcasts. An action longer than `max_step` is
        shortened to it. Returns [..., 2], inside the unit square.
        """
        wanted = (position + limited(action, self.max_step)).clamp(0, 1)
        x, low, high = wall.unbind(dim=-1)
        before, after = position[..., 0] - x, wanted[..., 0] - x  # signed distances to the wall
        crosses = (before < 0) != (after < 0)
        part = before / torch.where(crosses, before - after, 1.0)  # of the step, up to the wall
        y = position[..., 1] + part * (wanted[..., 1] - position[..., 1])
        blocked = crosses & ((y < low) | (y > high))
        side = torch.where(before < 0, -GAP, GAP)
        stopped = torch.stack([x + side, y], dim=-1)
        return torch.where(blocked[..., None], stopped, wanted)

    def rollout(self, position, actions, wall):
        """Where H actions lead: position [..., 2], actions [..., H, 2], wall [..., 3] -> [..., H, 2]."""
        path = []
        for action in actions.unbind(dim=-2):
            position = self.step(position, action, wall)
            path.append(position)
        return torch.stack(path, dim=-2)

    def render(self, position, wall):
        """What one sees: position [..., 2], wall [..., 3] -> images [..., 2, S, S] between 0 and 1, y upwards.

        Channel 0 is the dot, a Gaussian of standard deviation 1.3 pixels; channel 1 the wall, two pixels wide.
        """
        pixel = torch.arange(self.size, device=position.device, dtype=position.dtype)
        centre = position * (self.size - 1)
        across = (-((pixel - centre[..., :1]) ** 2) / (2 * 1.3**2)).exp()  # [..., S]
        up = (-((pixel.flip(0) - centre[..., 1:]) ** 2) / (2 * 1.3**2)).exp()  # [..., S], row 0 is the top
        dot = up[..., :, None] * across[..., None, :]  # [..., S, S]
        x, low, high = (wall * (self.size - 1)).unsqueeze(-1).unbind(dim=-2)  # [..., 1] each
        in_wall = (pixel - x).abs() <= 1  # [..., S]
        solid = (pixel.flip(0) < low) | (pixel.flip(0) > high)  # [..., S]
        picture = (solid[..., :, None] & in_wall[..., None, :]).to(dot.dtype)
        return torch.stack([dot, picture.expand_as(dot)], dim=-3)

    def walks(self, count, length=16, seed=0, window=None):
        """Random walks, which know nothing of goals: `count` episodes of `length` frames. Returns Walks.

        The heading drifts by .5 rad a step and is drawn anew in a tenth of the steps; a step is max_step sqrt(u) long,
        u uniform in [0, 1].
        """
        generator = torch.Generator().manual_seed(2 * seed)  # even; tasks have odd seeds, so no start is shared
        wall = self.walls(count, generator)
        position = torch.rand(count, 2, generator=generator)
        angle = 2 * math.pi * torch.rand(count, generator=generator)
        positions, actions = [position], []
        for _ in range(length - 1):
            angle = angle + 0.5 * torch.randn(count, generator=generator)
            new = 2 * math.pi * torch.rand(count, generator=generator)
            angle = torch.where(torch.rand(count, generator=generator) < 0.1, new, angle)
            speed = self.max_step * torch.rand(count, 1, generator=generator).sqrt()
            actions.append(speed * torch.stack([angle.cos(), angle.sin()], dim=1))
            positions.append(self.step(positions[-1], actions[-1], wall))
        return Walks(self, torch.stack(positions, 1), torch.stack(actions, 1), wall, window or length)

    def tasks(self, count, seed=0):
        """`count` starts and goals in different rooms, of which none is solved at the start. Returns Tasks.

        Every second task leads from right to left. The seed's stream is another than that of walks of any seed.
        """
        generator = torch.Generator().manual_seed(2 * seed + 1)
        wall = self.walls(count, generator)
        u = torch.rand(count, 2, generator=generator)
        left = 0.05 + u[:, 0] * (wall[:, 0] - 0.15)  # at least .1 from the wall
        right = 0.95 - u[:, 1] * (0.85 - wall[:, 0])
        low, high = self.heights
        y = low + (high - low) * torch.rand(2, count, generator=generator)
        ends = torch.stack([torch.stack([left, y[0]], dim=1), torch.stack([right, y[1]], dim=1)])  # [2, E, 2]
        swap = (torch.arange(count) % 2 == 1)[:, None]
        return Tasks(torch.where(swap, ends[1], ends[0]), torch.where(swap, ends[0], ends[1]), wall)

    def solved(self, position, goal):
        """Is the dot within `reach` of the goal? [..., 2], [..., 2] -> bool [...]."""
        return (position - goal).norm(dim=-1) <= self.reach


@dataclass
class Walks:
    """Recorded walks, drawn as images when a batch is asked for. An example is a window of `window` frames.

    positions: [N, T, 2], the labels of probes; no model sees them. actions: [N, T - 1, 2]. wall: [N, 3].
    """

    world: TwoRooms
    positions: torch.Tensor
    actions: torch.Tensor
    wall: torch.Tensor
    window: int

    def __post_init__(self):
        if not 2 <= self.window <= self.positions.shape[1]:
            raise ValueError(
                f"window must be between 2 and the {self.positions.shape[1]} frames of a walk, got {self.window}"
            )

    def __len__(self):
        return len(self.positions) * (self.positions.shape[1] - self.window + 1)

    def batch(self, index, device=None):
        """The windows `index`, int64 [B]: Clip of frames [B, window, 2, S, S] and actions [B, window - 1, 2]."""
        walk, steps = window_rows(index, self.positions.shape[1], self.window)
        frames = self.world.render(self.positions[walk, steps], self.wall[walk])  # [B, window, 2, S, S]
        return Clip(frames.to(device), self.actions[walk, steps[:, :-1]].to(device))


def window_rows(index, length, window):
    """Which walk [B, 1] and which steps [B, window] the windows `index` are, in walks of `length` frames."""
    starts = length - window + 1
    index = torch.as_tensor(index)
    return (index // starts)[:, None], (index % starts)[:, None] + torch.arange(window)


def limited(action, longest):
    """The action, shortened to `longest` where it is longer: [..., A] -> [..., A]."""
    return action * (longest / action.norm(dim=-1, keepdim=True).clamp(min=longest))
