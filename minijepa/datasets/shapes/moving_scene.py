"""From knobs to causes, from causes to pixels: the two halves of the moving data, for many clips at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from minijepa.datasets.shapes.scene import _apart, _colours, _pick

TRIES = 16  # places tried for each object, so that they stand apart
DRAWN_AT_ONCE = 128  # clips: the working memory stays at tens of megabytes


@dataclass(frozen=True)
class Knobs:
    """What `draw_clips` was asked for; lengths in pixels of this size."""

    frames: int
    size: int
    channels: int
    count: tuple[int, int]
    radius: tuple[float, float]
    speed: tuple[float, float]
    start: str
    colour: str
    change: float
    texture: float
    camera: float
    occluder: float
    noise: float

    @property
    def reach(self) -> float:
        """Pixels from an object's centre at mid-clip to the farthest that its rim can get."""
        return self.radius[1] + (self.speed[1] + math.sqrt(2) * self.camera) * (self.frames - 1) / 2


def draw_scene(things: int, knobs: Knobs, generator: torch.Generator) -> dict[str, Tensor]:
    """Random causes of a chunk of clips, and the places of their objects; things: how many kinds there are."""
    n, k = DRAWN_AT_ONCE, knobs.count[1]
    u = torch.rand(n, 16, generator=generator)  # one row per clip, whatever the knobs ask for
    v = torch.rand(n, 4, 1, generator=generator)  # one row per object
    tries = torch.rand(n, 4, TRIES, 2, generator=generator)
    count = knobs.count[0] + _pick(u[:, 0], k - knobs.count[0] + 1)  # [n]
    direction, pace = _pick(u[:, 1], 8), _pick(u[:, 2], 3)  # [n]
    angle = (direction + 0.5 * u[:, 3] - 0.25) * (math.pi / 4)  # the middle half of its bin
    slow, fast = knobs.speed
    length = slow + (fast - slow) * (pace + 0.8 * u[:, 4] + 0.1) / 3  # [n], well inside its third
    velocity = torch.stack([angle.cos(), angle.sin()], 1) * length[:, None]  # [n, 2]
    camera = knobs.camera * (2 * u[:, 5:7] - 1)  # [n, 2]
    radius = (knobs.radius[0] + (knobs.radius[1] - knobs.radius[0]) * u[:, 7:8]).expand(-1, k)  # [n, K]
    places = _travel(tries[:, :k], radius, velocity + camera, knobs)  # [n, K, T, 2]
    background, paint = _paint(knobs, u[:, 8:11], u[:, None, 11:14].expand(-1, k, -1), v[:, :k].expand(-1, -1, 3))
    change = _pick(u[:, 14], 3) if knobs.change else torch.ones(n, dtype=torch.int64)  # [n]
    time = knobs.change * torch.linspace(0, 1, knobs.frames)  # [T]
    contrast = torch.stack([1 - time, torch.ones(knobs.frames), 1 - time.flip(0)])[change]  # [n, T]
    absent = torch.arange(k) >= count[:, None]  # [n, K]
    x, y = places.masked_fill(absent[..., None, None], math.nan).unbind(-1)  # [n, K, T] each
    return {
        "direction": direction, "speed": pace, "kind": _pick(u[:, 15], things), "count": count, "change": change,
        "angle": angle % (2 * math.pi), "velocity": velocity, "camera": camera,
        "radius": radius.masked_fill(absent, math.nan), "x": x, "y": y,
        "contrast": contrast, "background": background, "paint": paint,
    }  # fmt: skip


def _travel(tries: Tensor, radius: Tensor, velocity: Tensor, knobs: Knobs) -> Tensor:
    """Where objects are in each frame, [n, K, T, 2], from places to try [n, K, tries, 2] in [0, 1]."""
    size, rim = knobs.size, knobs.radius[1]
    low, moment = {"wrap": (0, 0), "bounce": (rim, 0), "middle": (knobs.reach, (knobs.frames - 1) / 2)}[knobs.start]
    span = size - 2 * low
    places = torch.stack(_apart(low + span * tries, radius), -1)[:, :, None]  # [n, K, 1, 2], at that moment
    places = places + (torch.arange(knobs.frames)[:, None] - moment) * velocity[:, None, None]  # [n, K, T, 2]
    if knobs.start == "wrap":
        return places % size
    if knobs.start == "bounce":  # unfold the mirrors at both borders, so that travel is a straight line
        return low + span - ((places - low) % (2 * span) - span).abs()
    return places


def _paint(knobs: Knobs, v: Tensor, strength: Tensor, side: Tensor) -> tuple[Tensor, Tensor]:
    """Background [n, C] and objects [n, K, C] in [0, 1] from uniform numbers [n, 3], [n, K, 3], [n, K, 3]."""
    if knobs.colour == "bright":
        background, paint = torch.full_like(v, 0.1), 0.6 + 0.4 * side
    else:
        background, paint = _colours("contrast" if knobs.channels == 3 else "grey", v, side, strength)
    return background[:, : knobs.channels], paint[..., : knobs.channels]


def render(scene: dict[str, Tensor], cover, knobs: Knobs, generator: torch.Generator) -> Tensor:
    """Paint the scene, float32 [n, C, T, S, S] around [0, 1]; `cover` as in `draw_clips`."""
    size, (n, k, frames), channels = knobs.size, scene["x"].shape, knobs.channels
    waves = torch.rand(n, 4, 3, generator=generator)
    edge = torch.rand(n, 1, generator=generator)  # where the occluder stands
    grid = torch.arange(size) + 0.5
    picture = scene["background"][:, :, None, None, None].expand(n, channels, frames, size, size).clone()
    if knobs.texture:
        picture += knobs.texture * _waves(waves, scene["camera"], frames, grid)[:, None]
    for i in range(k):
        there = i < scene["count"]  # [n], J of them
        across = grid - scene["x"][there, i, :, None, None]  # [J, T, 1, S]
        down = grid[:, None] - scene["y"][there, i, :, None, None]  # [J, T, S, 1]
        if knobs.start == "wrap":  # the nearest copy of the object
            across, down = ((d + size / 2) % size - size / 2 for d in (across, down))
        ink = cover(scene["kind"][there], across, down, scene["radius"][there, i, None, None, None])  # [J, T, S, S]
        background = scene["background"][there, :, None]  # [J, C, 1]
        step = (scene["paint"][there, i, :, None] - background) * scene["contrast"][there, None]  # [J, C, T]
        paint = (background + step)[..., None, None]  # [J, C, T, 1, 1]
        picture[there] = torch.lerp(picture[there], paint.expand(-1, -1, -1, size, size), ink[:, None])
    if knobs.occluder:
        left = edge * (1 - knobs.occluder) * size  # [n, 1]
        bar = (grid >= left) & (grid < left + knobs.occluder * size)  # [n, S]
        picture = picture.masked_fill(bar[:, None, None, None], 0.5)
    return picture + knobs.noise * torch.randn(picture.shape, generator=generator)


def _waves(waves: Tensor, camera: Tensor, frames: int, grid: Tensor) -> Tensor:
    """A smooth pattern between −1 and 1 that the camera drags along: [n, T, S, S] from uniform numbers [n, 4, 3]."""
    shift = camera[:, None] * torch.arange(frames)[:, None]  # [n, T, 2]
    across = (grid - shift[..., :1])[:, None, :, None]  # [n, 1, T, 1, S]
    down = (grid - shift[..., 1:])[:, None, :, :, None]  # [n, 1, T, S, 1]
    # periods of 16 pixels and more along each axis
    fx, fy, phase = (2 * math.pi * waves * torch.tensor([1 / 8, 1 / 8, 1]))[..., None, None, None].unbind(2)
    fx, fy = fx - math.pi / 8, fy - math.pi / 8  # [n, 4, 1, 1, 1]
    return torch.sin(fx * across + fy * down + phase).mean(dim=1)
