"""Scenes: ShapeWorld with depth, for the dense probes. Every pixel knows its class, its object and its distance.

An object lies at a depth z. Depth shows in three ways, as in photographs: a far object is drawn smaller (its size is
divided by z), it is painted before the nearer ones, which may hide parts of it, and fog takes its colour towards that
of the background. The objects of an image have one class, as in ShapeWorld, so one label names the image too.
"""

import math
from dataclasses import dataclass

import torch

from minijepa.datasets.images import ImageData
from minijepa.datasets.shapes.drawing import (
    CHUNK,
    COLOURS,
    MOST,
    TRIES,
    apart,
    check_argument,
    check_request,
    cover_image,
    draw_objects,
    one_thread,
    paint_image,
    to_bytes,
    without,
)
from minijepa.datasets.shapes.shapeworld import MEAN, SHAPES, STD

SIZE = 32  # pixels
NEAR, FAR, BACKGROUND = 1.0, 2.5, 3.0  # depths of the nearest and farthest objects, and of what is behind them
LEAST_VISIBLE = 8  # pixels; an object that shows fewer could not be recognised, so it is left out
OVERLAP = 0.6  # centres keep this fraction of the sum of two radii apart, where there is room
FOG = 0.5  # how fast colours fade with depth
NOISE = 0.05  # standard deviation on each pixel and channel, in the range [0, 1]


@dataclass(frozen=True, eq=False, repr=False)
class SceneData(ImageData):
    """N images whose every pixel is labelled: `ImageData` with `depth` and the visible pixels of each object.

    object_masks: bool [N, K, H, W], the visible pixels of each object, the farthest object first.
    boxes: float32 [N, K, 4], (x0, y0, x1, y1) in pixel edges, tight around them; all zero for objects not there.
    depth: float32 [N, H, W], the distance z of what a pixel shows, 1 (nearest object) to 3 (background).
    labels: the shape of the objects. factors: as in `shapeworld`, and "depth" [N, K].
    """

    object_masks: torch.Tensor | None = None
    boxes: torch.Tensor | None = None
    depth: torch.Tensor | None = None

    @property
    def class_maps(self):
        """What each pixel shows, int64 [N, H, W]: 0 background, 1 + class of the object."""
        shapes = (self.factors["shape"] + 1).clamp(min=0)  # [N, K]
        return (self.object_masks * shapes[:, :, None, None]).sum(1)

    @property
    def instance_maps(self):
        """Which object each pixel shows, int64 [N, H, W]: 0 background, 1 + number of the object."""
        numbers = torch.arange(1, self.object_masks.shape[1] + 1)[:, None, None]  # [K, 1, 1]
        return (self.object_masks * numbers).sum(1)

    @property
    def counts(self):
        """How many objects an image shows, int64 [N]."""
        return self.factors["count"]

    @property
    def positions(self):
        """Centres (x, y) of the objects in pixels, float32 [N, K, 2]; nan for those that are not there."""
        return torch.stack([self.factors["x"], self.factors["y"]], 2)


def shape_scenes(
    n,
    *,
    seed=0,
    shapes=("disk", "ring", "square", "triangle", "plus"),
    count=(1, 4),
    radius=8.5,
    colour="contrast",
):
    """Draw n scenes of 32x32 pixels with up to 4 objects at different depths.

    An object at depth z, uniform in [1, 2.5], has the radius `radius` / z pixels, times its own size of .9 to 1.1.
    Its colour is e^(-(z - 1) / 2) of its own and the rest background. Nearer objects are painted later.
    The same arguments give the same scenes; a smaller n gives the first of them.
    n: number of images, at least 1.
    seed: what all random choices follow from, 0 to 2^31 - 1.
    shapes: the classes to draw from, out of `SHAPES`; `labels` count in this order.
    count: objects in an image, a number or (least, most), 1 to 4. An object of which nearer ones leave less than 8
    pixels is taken out, so now and then an image shows fewer.
    radius: of an object at depth 1, 6 to 12 pixels.
    colour: "contrast" or "grey", as in `shapeworld`.
    Returns SceneData, images uint8 [n, 3, 32, 32]. Raises ValueError for an argument out of its range.
    """
    check_request(n, seed)
    least, most = count if isinstance(count, (tuple, list)) else (count, count)
    known = len(shapes) and set(shapes) <= set(SHAPES) and len(set(shapes)) == len(shapes)
    check_argument("shapes", shapes, known, f"one or more, each once, of {', '.join(SHAPES)}")
    check_argument("count", count, 1 <= least <= most <= MOST, f"1 to {MOST}, or (least, most)")
    check_argument("radius", radius, 6 <= radius <= 12, "6 to 12 pixels")
    check_argument("colour", colour, colour in COLOURS, f"one of {', '.join(COLOURS)}")
    objects, places, grain = (torch.Generator().manual_seed(3 * seed + i) for i in range(3))
    images = torch.empty(n, 3, SIZE, SIZE, dtype=torch.uint8)
    parts, masks = [], []
    with one_thread():
        for rows in images.split(CHUNK):  # views [m, 3, S, S]; whole chunks are drawn and then cut, as in `shapeworld`
            scene = place(draw_objects(CHUNK, shapes, (least, most), colour, objects)[0], radius, places)
            scene, cover = without_slivers(scene, shapes)
            picture = paint_image(scene, cover)  # [chunk, 3, S, S]
            picture.add_(torch.randn(picture.shape, generator=grain), alpha=NOISE)
            rows.copy_(to_bytes(picture[: len(rows)]))
            parts.append({name: values[: len(rows)] for name, values in scene.items()})
            masks.append(visible(cover)[: len(rows)])
    factors = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    object_masks = torch.cat(masks)  # [N, K, S, S]
    depths = factors["depth"].nan_to_num()[:, :, None, None]  # [N, K, 1, 1]
    return SceneData(
        images=images,
        labels=factors["shape"][:, 0].clone(),
        classes=tuple(shapes),
        name="scenes",
        mean=MEAN,
        std=STD,
        factors=factors,
        object_masks=object_masks,
        boxes=boxes_around(object_masks),
        depth=torch.where(object_masks.any(1), (object_masks * depths).sum(1), BACKGROUND),
    )


# --- the pieces ---


def place(scene, near, generator):
    """Give every object its depth, the size, place and fog that follow from it, and sort the farthest first.

    near: the radius in pixels at depth 1.
    """
    n, k = scene["shape"].shape
    u = torch.rand(n, MOST, 2 + 2 * TRIES, generator=generator)[:, :k]  # [n, K, ...]; all drawn, whatever K is
    depth = NEAR + (FAR - NEAR) * u[..., 0]  # [n, K]
    depth = depth.masked_fill(scene["shape"] < 0, math.inf)
    radius = near / depth * (0.9 + 0.2 * u[..., 1])  # [n, K]
    tries = u[..., 2:].view(n, k, TRIES, 2)
    margin = 0.8 * radius[..., None, None]  # an object may touch the border, not leave the image
    x, y = apart(tries * (SIZE - 2 * margin) + margin, OVERLAP * radius)  # [n, K] each
    clear = torch.exp(-FOG * (depth - 1))  # [n, K]; 1: no fog
    scene = {**scene, "depth": depth, "size": radius, "x": x, "y": y}
    for channel, name in enumerate(("red", "green", "blue")):
        scene[name] = torch.lerp(scene["background"][:, channel : channel + 1], scene[name], clear)
    return farthest_first(scene)


def farthest_first(scene):
    """The objects of each image by depth, the farthest first and those that are not there (depth inf) last."""
    absent = scene["depth"].isinf()  # [n, K]
    order = scene["depth"].masked_fill(absent, -1).argsort(dim=1, descending=True, stable=True)  # [n, K]
    objects = {name: values for name, values in scene.items() if name not in ("count", "background")}
    objects = {name: values.gather(1, order) for name, values in without(objects, absent).items()}
    return {**objects, "count": (~absent).sum(1), "background": scene["background"]}


def without_slivers(scene, shapes):
    """Take out what is hidden but for a few pixels; what is left, and its cover [n, K, S, S]."""
    while True:  # taking one out can only uncover others, so this ends
        cover = cover_image(scene, shapes, SIZE)
        whole = (cover >= 0.5).sum((2, 3))  # [n, K]; 0 for objects that are not there
        hidden = visible(cover).sum((2, 3)) < whole.clamp(max=LEAST_VISIBLE)  # [n, K]
        if not hidden.any():
            return scene, cover
        depth = scene["depth"].masked_fill(hidden | (scene["shape"] < 0), math.inf)
        scene = farthest_first({**scene, "depth": depth})


def visible(cover):
    """Which object a pixel shows, if any: bool [n, K, S, S], at most one per pixel; the last painted wins."""
    solid = cover >= 0.5  # [n, K, S, S]
    later = solid.flip(1).cumsum(1).flip(1) - solid.long()  # how many of the objects after it cover the pixel
    return solid & (later == 0)


def boxes_around(masks):
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
