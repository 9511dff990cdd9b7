"""From knobs to factors, from factors to pixels: the two halves of ShapeWorld, for many images at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from minijepa.datasets.shapes.silhouettes import DISTANCES

COLOURS = ("contrast", "shared", "grey", "hue")
TEXTURES = ("none", "stripes", "checks")
HUES = 8
MOST = 4  # objects in an image
TRIES = 16  # places tried for an object in the layout "scatter"


@dataclass(frozen=True)
class Knobs:
    """What `shapeworld` was asked for, checked and with its defaults filled in; lengths in pixels."""

    size: int
    layout: str
    shapes: tuple[str, ...]
    mixed: bool
    count: tuple[int, int]
    radius: tuple[float, float]
    jitter: float
    rotation: float
    colour: str
    texture: tuple[str, ...]
    amplitude: float


def draw_factors(n: int, knobs: Knobs, generator: torch.Generator) -> dict[str, Tensor]:
    """Random factors of n images, as `shapeworld` documents them: [n], [n, 3] or [n, K].

    Every number that any knob might need is drawn in any case, so that turning one knob leaves what the
    others decide as it was.
    """
    u = torch.rand(n, MOST, 12, generator=generator)  # one row per object
    v = torch.rand(n, 4 + MOST, generator=generator)  # one row per image
    tries = torch.rand(n, MOST, TRIES, 2, generator=generator)
    least, k = knobs.count
    u, tries = u[:, :k], tries[:, :k]  # [n, K, …]
    count = least + _pick(v[:, 0], k - least + 1)  # [n]
    small, large = knobs.radius
    radius = small + (large - small) * u[..., 0]  # [n, K]
    if knobs.layout == "scatter":
        x, y = _apart(tries * (knobs.size - 2 * radius)[..., None, None] + radius[..., None, None], radius)
    else:
        middle = _quarters(v[:, 4:], count, k) if knobs.layout == "multi" else torch.tensor([0.5, 0.5])
        x, y = (middle * knobs.size + knobs.jitter * (2 * u[..., 1:3] - 1)).unbind(-1)  # [n, K] each
    background, colour = _colours(knobs.colour, v[:, 1:4], u[..., 3:6], u[..., 6:9])  # [n, 3], [n, K, 3]
    kinds = torch.tensor([TEXTURES.index(name) for name in knobs.texture])
    shape = u[..., 10] if knobs.mixed else u[:, :1, 10].expand(n, k)  # [n, K]
    objects = {
        "shape": _pick(shape, len(knobs.shapes)),
        "x": x,
        "y": y,
        "size": radius,
        "rotation": knobs.rotation * (2 * u[..., 11] - 1),
        "red": colour[..., 0],
        "green": colour[..., 1],
        "blue": colour[..., 2],
        "hue": hue_bin(colour),
        "texture": kinds[_pick(u[..., 9], len(kinds))],
    }
    absent = torch.arange(k) >= count[:, None]  # [n, K]
    for name, values in objects.items():
        objects[name] = values.masked_fill(absent, math.nan if values.is_floating_point() else -1)
    return {**objects, "count": count, "background": background}


def _pick(u: Tensor, choices: int) -> Tensor:
    """A whole number 0 … choices − 1 from u uniform on [0, 1)."""
    return (u * choices).long().clamp_(max=choices - 1)


def _quarters(v: Tensor, count: Tensor, k: int) -> Tensor:
    """Middles of `count` random quarters in reading order, in units of the image: [n, K, 2] from v [n, 4]."""
    free = v.argsort(1).argsort(1) >= count[:, None]  # [n, 4]; rank of each quarter in a random order
    quarter = free.long().argsort(dim=1, stable=True)[:, :k]  # [n, K]; the taken ones first
    return torch.stack([quarter % 2, quarter // 2], -1) * 0.5 + 0.25


def _apart(tries: Tensor, radius: Tensor) -> tuple[Tensor, Tensor]:
    """For each object the first of its tries [n, K, T, 2] that is clear of those before it, else the best."""
    chosen = tries[:, :1, 0]  # [n, 1, 2]
    for i in range(1, tries.shape[1]):
        distance = torch.cdist(tries[:, i], chosen)  # [n, T, i]
        clear = distance - (radius[:, :i] + radius[:, i : i + 1])[:, None]  # [n, T, i]
        # Being clear counts as 0, and a small price per try makes the first of equals win.
        score = clear.amin(2).clamp_(max=0) - 1e-4 * torch.arange(tries.shape[2])  # [n, T]
        best = score.argmax(1)[:, None, None].expand(-1, 1, 2)  # [n, 1, 2]
        chosen = torch.cat([chosen, tries[:, i].gather(1, best)], 1)  # [n, i + 1, 2]
    return chosen[..., 0], chosen[..., 1]


def _colours(mode: str, v: Tensor, side: Tensor, strength: Tensor) -> tuple[Tensor, Tensor]:
    """Background [n, 3] and objects [n, K, 3] in [0, 1]; v [n, 3], side, strength [n, K, 3] uniform."""
    if mode in ("grey", "hue"):
        v = v[:, :1].expand(-1, 3)
    background = 0.25 + 0.5 * v
    if mode == "hue":
        hue = (_pick(side[..., :1], HUES) + 0.5 * side[..., 1:2] - 0.25) / HUES  # [n, K, 1]; inside its bin
        ramp = (6 * ((hue - torch.tensor([0, 1 / 3, 2 / 3]) + 0.5) % 1 - 0.5)).abs()  # [n, K, 3]
        return background, (2 - ramp).clamp(0, 1)
    if mode == "grey":
        side, strength = side[..., :1].expand_as(side), strength[..., :1].expand_as(strength)
    if mode == "shared":
        side, strength = side[:, :1].expand_as(side), strength[:, :1].expand_as(strength)
    contrast = torch.where(side < 0.5, -1.0, 1.0) * (0.25 + 0.35 * strength)  # [n, K, 3]
    return background, (background[:, None] + contrast).clamp(0, 1)


def hue_bin(colour: Tensor) -> Tensor:
    """The nearest of 8 hues, 0 red, 2 or 3 green, 5 blue; −1 for grey: int64 [...] from RGB [..., 3]."""
    red, green, blue = colour.unbind(-1)
    angle = torch.atan2(math.sqrt(3) * (green - blue), 2 * red - green - blue)  # radians, 0 at red
    hue = (angle * (HUES / (2 * math.pi))).round().long() % HUES
    return hue.masked_fill(colour.amax(-1) - colour.amin(-1) < 1e-3, -1)


def render(scene: dict[str, Tensor], knobs: Knobs) -> tuple[Tensor, Tensor]:
    """Paint objects 0, 1, … over the background.

    Args:
        scene: what `draw_factors` returns, for m images.

    Returns:
        The pictures, float32 [m, 3, size, size] without noise (a texture may pass the range [0, 1] a little),
        and how much of each pixel each object covers, float32 [m, K, size, size] in [0, 1].
    """
    size, (m, k) = knobs.size, scene["shape"].shape
    grid = torch.arange(size) + 0.5
    cover = torch.zeros(m, k, size, size)
    pattern = torch.zeros(m, k, size, size) if set(knobs.texture) != {"none"} else None
    for number, name in enumerate(knobs.shapes):
        rows = (scene["shape"] == number).nonzero(as_tuple=True)  # two [J]: image, object
        x, y, radius, angle = (scene[key][rows][:, None, None] for key in ("x", "y", "size", "rotation"))
        right, down = grid - x, grid[:, None] - y  # [J, 1, S], [J, S, 1]
        # Into the object's own frame: turned back, in units of its radius.
        along = (angle.cos() * right + angle.sin() * down) / radius  # [J, S, S]
        across = (angle.cos() * down - angle.sin() * right) / radius  # [J, S, S]
        cover[rows] = (0.5 - radius * DISTANCES[name](along, across)).clamp_(0, 1)
        if pattern is not None:
            pattern[rows] = _texture(scene["texture"][rows], along * radius, across * radius, size)
    picture = scene["background"][:, :, None, None].expand(m, 3, size, size).clone()
    colour = torch.stack([scene["red"], scene["green"], scene["blue"]], 2)  # [m, K, 3]
    for i in range(k):
        # An absent object covers nothing, but nan × 0 would still be nan.
        paint = colour[:, i, :, None, None].nan_to_num()  # [m, 3, 1, 1]
        if pattern is not None:
            paint = paint + knobs.amplitude * pattern[:, i : i + 1]  # [m, 3, S, S]
        picture = torch.lerp(picture, paint.expand_as(picture), cover[:, i : i + 1])
    return picture, cover


def _texture(kind: Tensor, along: Tensor, across: Tensor, size: int) -> Tensor:
    """Between −1 and 1 at each pixel, [J, S, S]: 0, stripes along the object, or checks."""
    wave = 2 * math.pi / (5 * size / 32)  # radians a pixel: a period of 5 pixels at size 32
    stripes = (2 * (wave * across).sin()).clamp_(-1, 1)
    checks = (2 * (wave * across).sin() * (wave * along).sin()).clamp_(-1, 1)
    kind = kind[:, None, None]
    return torch.where(kind == 1, stripes, torch.where(kind == 2, checks, 0.0))


def visible(cover: Tensor) -> Tensor:
    """Which object a pixel shows, if any: bool [m, K, S, S], at most one per pixel; the last painted wins."""
    solid = cover >= 0.5  # [m, K, S, S]
    later = solid.flip(1).cumsum(1).flip(1) - solid.long()  # how many of the objects after it cover the pixel
    return solid & (later == 0)


def boxes_around(masks: Tensor) -> Tensor:
    """The smallest boxes (x0, y0, x1, y1) that hold the masks: float32 [N, K, 4] from bool [N, K, H, W].

    In pixel edges: one pixel in row i and column j has the box (j, i, j + 1, i + 1); no pixel, all zeros.
    """
    spans = []
    for line in (masks.any(2), masks.any(3)):  # columns [N, K, W], rows [N, K, H]
        line = line.to(torch.uint8)
        spans.append((line.argmax(2), line.shape[2] - line.flip(2).argmax(2)))  # argmax finds the first
    (x0, x1), (y0, y1) = spans
    boxes = torch.stack([x0, y0, x1, y1], 2)  # [N, K, 4]
    return boxes.masked_fill(~masks.flatten(2).any(2, keepdim=True), 0).float()
