"""Scenes: ShapeWorld with depth, for the dense probes. Every pixel knows its class, its object and its distance.

An object lies at a depth z. Depth shows in three ways, as in photographs: a far object is drawn smaller (its size is
divided by z), it is painted before the nearer ones, which may hide parts of it, and fog takes its colour towards that
of the background. The objects of an image share a class, as in ShapeWorld, so one label names the image too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from minijepa.datasets.images import ImageData
from minijepa.datasets.shapes.scene import MOST, TRIES, Knobs, _apart, boxes_around, draw_factors, render, visible
from minijepa.datasets.shapes.shapeworld import CHUNK, MEAN, STD, _check, _demand, _one_thread, _span

NEAR, FAR, BACKGROUND = 1.0, 2.5, 3.0  # depths of the nearest and farthest objects, and of what is behind them
LEAST_VISIBLE = 8  # pixels; of an object that shows less, nobody could tell what it is, so it is left out
OVERLAP = 0.6  # centres keep this share of the sum of two radii apart, where there is room


@dataclass(frozen=True, eq=False, repr=False)
class SceneData(ImageData):
    """N images whose every pixel is labelled: `ImageData` with `depth` and what follows from the masks.

    depth: float32 [N, H, W], the distance z of what a pixel shows, 1 (nearest object) to 3 (background).
    object_masks: bool [N, K, H, W], the visible pixels of each object, the farthest object first; boxes: float32
    [N, K, 4], (x0, y0, x1, y1) in pixel edges, tight around them; all zero for objects that are not there.
    labels: the shape of the objects (with mixed=True: of the nearest). factors: as in `shapeworld`, and "depth" [N, K].
    """

    depth: Tensor | None = None

    @property
    def class_maps(self) -> Tensor:
        """What each pixel shows, int64 [N, H, W]: 0 background, 1 + class of the object."""
        shapes = (self.factors["shape"] + 1).clamp(min=0)  # [N, K]
        return (self.object_masks * shapes[:, :, None, None]).sum(1)

    @property
    def instance_maps(self) -> Tensor:
        """Which object each pixel shows, int64 [N, H, W]: 0 background, 1 + number of the object."""
        numbers = torch.arange(1, self.object_masks.shape[1] + 1)[:, None, None]  # [K, 1, 1]
        return (self.object_masks * numbers).sum(1)

    @property
    def counts(self) -> Tensor:
        """How many objects an image shows, int64 [N]."""
        return self.factors["count"]

    @property
    def positions(self) -> Tensor:
        """Centres (x, y) of the objects in pixels, float32 [N, K, 2]; nan for those that are not there."""
        return torch.stack([self.factors["x"], self.factors["y"]], 2)

    def subset(self, index) -> SceneData:
        """The same scenes cut down to some images; index: a slice, indices [K] or a bool mask [N]."""
        cut = ImageData.subset(self, index)
        rows = index if isinstance(index, slice) else torch.as_tensor(index).reshape(-1)
        return SceneData(**vars(cut), depth=self.depth[rows])


def shape_scenes(
    n: int,
    *,
    seed: int = 0,
    size: int = 32,
    shapes: tuple[str, ...] = ("disk", "ring", "square", "triangle", "plus"),
    mixed: bool = False,
    count: int | tuple[int, int] = (1, 4),
    radius: float = 8.5,
    fog: float = 0.5,
    noise: float = 0.05,
    rotation: float = 0.35,
    colour: str = "contrast",
) -> SceneData:
    """Draw n scenes of up to 4 objects at different depths.

    An object at depth z, uniform in [1, 2.5], has the radius `radius` / z pixels, times its own size of .9 to 1.1.
    Its colour is e^(-fog (z - 1)) of its own and the rest background. Nearer objects are painted later.
    The same arguments give the same scenes; a smaller n gives the first of them.

    Args:
        n: number of images, at least 1. seed: what all random choices follow from, 0 to 2³¹ − 1.
        size: side of the images in pixels, 16 to 128.
        shapes, mixed, rotation, colour: as in `shapeworld`.
        count: objects in an image, a number or an inclusive (least, most), 1 to 4. An object of which nearer ones
            leave less than 8 pixels is taken out, so now and then an image shows fewer.
        radius: of an object at depth 1, in pixels at size 32 (scales with the image), 6 to 12.
        fog: how fast colours fade with depth, 0 (no fog) to 2.
        noise: standard deviation of the noise on each pixel, 0 to 1 of the range [0, 1].

    Raises:
        ValueError: a knob out of its range; the message says which range.
    """
    _demand("n", n, isinstance(n, int) and n >= 1, "a whole number of images, at least 1")
    _demand("seed", seed, isinstance(seed, int) and 0 <= seed < 2**31, "a whole number, 0 to 2³¹ − 1")
    _demand("size", size, isinstance(size, int) and 16 <= size <= 128, "a whole number of pixels, 16 to 128")
    _demand("radius", radius, 6 <= radius <= 12, "6 to 12 pixels at size 32")
    _demand("fog", fog, 0 <= fog <= 2, "0 to 2")
    _demand("noise", noise, 0 <= noise <= 1, "0 to 1, a standard deviation in the range [0, 1]")
    near = radius * size / 32
    knobs = Knobs(
        size=size,
        layout="scatter",
        shapes=(shapes,) if isinstance(shapes, str) else tuple(shapes),
        mixed=mixed,
        count=_span("count", count),
        radius=(near / FAR, near),
        jitter=0.0,
        rotation=rotation,
        colour=colour,
        texture=("none",),
        amplitude=0.0,
    )
    _check(knobs)
    chunk = max(1, CHUNK * 32 * 32 // size**2)  # whole chunks are drawn and then cut, as in `shapeworld`
    objects, places, grain = (torch.Generator().manual_seed(3 * seed + i) for i in range(3))
    images = torch.empty(n, 3, size, size, dtype=torch.uint8)
    parts, masks = [], []
    with _one_thread():
        for rows in images.split(chunk):  # views [m, 3, S, S]
            scene = _place(draw_factors(chunk, knobs, objects), knobs, fog, near, places)
            scene, cover = _without_slivers(scene, knobs)
            picture, _ = render(scene, knobs)  # [chunk, 3, S, S]
            picture.add_(torch.randn(picture.shape, generator=grain), alpha=noise)
            rows.copy_(picture[: len(rows)].clamp_(0, 1).mul_(255).round_())
            parts.append({name: values[: len(rows)] for name, values in scene.items()})
            masks.append(visible(cover)[: len(rows)])
    factors = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    object_masks = torch.cat(masks)  # [N, K, S, S]
    nearest = factors["count"][:, None] - 1  # [N, 1]
    depths = factors["depth"].nan_to_num()[:, :, None, None]  # [N, K, 1, 1]
    return SceneData(
        images=images,
        labels=factors["shape"].gather(1, nearest).squeeze(1),
        classes=knobs.shapes,
        name="scenes",
        mean=MEAN,
        std=STD,
        factors=factors,
        object_masks=object_masks,
        boxes=boxes_around(object_masks),
        depth=torch.where(object_masks.any(1), (object_masks * depths).sum(1), BACKGROUND),
    )


def _place(scene: dict, knobs: Knobs, fog: float, near: float, generator: torch.Generator) -> dict:
    """Give every object its depth, the size, place and fog that follow from it, and sort the farthest first."""
    n, k = scene["shape"].shape
    u = torch.rand(n, MOST, 2 + 2 * TRIES, generator=generator)[:, :k]  # [n, K, …]; all drawn, whatever K is
    depth = NEAR + (FAR - NEAR) * u[..., 0]  # [n, K]
    depth = depth.masked_fill(scene["shape"] < 0, math.inf)
    radius = near / depth * (0.9 + 0.2 * u[..., 1])  # [n, K]
    tries = u[..., 2:].view(n, k, TRIES, 2)
    margin = 0.8 * radius[..., None, None]  # an object may touch the border, not leave the image
    x, y = _apart(tries * (knobs.size - 2 * margin) + margin, OVERLAP * radius)  # [n, K] each
    clear = torch.exp(-fog * (depth - 1))  # [n, K]; 1: no fog
    scene = {**scene, "depth": depth, "size": radius, "x": x, "y": y}
    for channel, name in enumerate(("red", "green", "blue")):
        scene[name] = torch.lerp(scene["background"][:, channel : channel + 1], scene[name], clear)
    return _sorted(scene)


def _sorted(scene: dict) -> dict:
    """The objects of each image by depth, the farthest first and those that are not there (depth inf) last."""
    absent = scene["depth"].isinf()  # [n, K]
    order = scene["depth"].masked_fill(absent, -1).argsort(dim=1, descending=True, stable=True)  # [n, K]
    out = {}
    for name, values in scene.items():
        if name in ("count", "background"):
            continue
        values = values.masked_fill(absent, math.nan if values.is_floating_point() else -1).gather(1, order)
        out[name] = values
    return {**out, "count": (~absent).sum(1), "background": scene["background"]}


def _without_slivers(scene: dict, knobs: Knobs) -> tuple[dict, Tensor]:
    """Take out what is hidden but for a few pixels; what is left, and its cover [n, K, S, S]."""
    while True:  # taking one out can only uncover others, so this ends
        _, cover = render(scene, knobs)
        whole = (cover >= 0.5).sum((2, 3))  # [n, K]; 0 for objects that are not there
        hidden = visible(cover).sum((2, 3)) < whole.clamp(max=LEAST_VISIBLE)  # [n, K]
        if not hidden.any():
            return scene, cover
        depth = scene["depth"].masked_fill(hidden | (scene["shape"] < 0), math.inf)
        scene = _sorted({**scene, "depth": depth})
