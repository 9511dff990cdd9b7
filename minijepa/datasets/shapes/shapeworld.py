"""ShapeWorld: images made of known factors, for asking what a representation keeps and what it drops.

By default an image shows four objects of one class, each in its own quarter and of its own colour, on a
random background, under noise. What a hidden quarter shares with the others is the background and the shape,
so in this world predicting representations has something to find.

Benchmark: 13,000 images/s of 32×32 at the defaults on one core (AMD EPYC), so a million takes 80 seconds.
"""

from __future__ import annotations

import contextlib
import math

import torch
from torch import Tensor

from minijepa.datasets.images import ImageData
from minijepa.datasets.shapes.scene import COLOURS, MOST, TEXTURES, Knobs, boxes_around, draw_factors, render, visible
from minijepa.datasets.shapes.silhouettes import DISTANCES

SHAPES = tuple(DISTANCES)
MEAN, STD = (0.5, 0.5, 0.5), (0.237, 0.237, 0.237)  # measured on the default world; the same for every one

# Sizes at 32 pixels; they scale with the image.
LAYOUTS = {
    "multi": {"count": (4, 4), "radius": (4.5, 6.5), "jitter": 1.5},
    "single": {"count": (1, 1), "radius": (8.0, 11.0), "jitter": 3.0},
    "scatter": {"count": (1, 4), "radius": (3.5, 6.5), "jitter": 0.0},
}
CHUNK = 256  # images of 32×32 drawn at a time: the working memory stays at tens of megabytes


def shapeworld(
    n: int,
    *,
    seed: int = 0,
    size: int = 32,
    layout: str = "multi",
    shapes: tuple[str, ...] = SHAPES,
    mixed: bool = False,
    count: int | tuple[int, int] | None = None,
    radius: float | tuple[float, float] | None = None,
    jitter: float | None = None,
    rotation: float = 0.35,
    colour: str = "contrast",
    texture: str | tuple[str, ...] = "none",
    amplitude: float = 0.2,
    noise: float = 0.1,
    with_masks: bool = False,
) -> ImageData:
    """Draw n labelled images of shapes.

    The same arguments give the same images on each run; a smaller n gives the first of them; another `noise`
    gives the same objects under other noise.

    Args:
        n: number of images, at least 1.
        seed: what all random choices follow from, 0 to 2³¹ − 1.
        size: side of the images in pixels, 16 to 128.
        layout: "multi", the quarters of the image (up to 4 objects); "single", one object in the middle;
            "scatter", up to 4 objects anywhere, apart where there is room, later ones over earlier ones.
        shapes: the classes to draw from, out of `SHAPES`; `labels` count in this order.
        mixed: False: the objects of an image share one class. True: each has its own, and `labels` tells that
            of object 0.
        count: objects in an image, a number or an inclusive (least, most), 1 to 4. None: 4 in "multi", 1 in
            "single", (1, 4) in "scatter".
        radius: in pixels, a number or a range (least, most) to draw from. None: 4.5 to 6.5 in "multi", 8 to
            11 in "single", 3.5 to 6.5 in "scatter", all times size / 32.
        jitter: the centre moves by up to so many pixels along each axis. None: 1.5 in "multi", 3 in "single",
            times size / 32. "scatter" takes none.
        rotation: each object turns by up to so many radians either way, 0 to π.
        colour: "contrast", the background of each channel between .25 and .75, each object .25 to .6 lighter
            or darker than it, per channel, clipped to [0, 1]; "shared", the same with one colour for the
            objects of an image; "grey", the same with equal channels; "hue", one of 8 saturated hues on grey.
        texture: "none", "stripes" or "checks", or several of them to draw from for each object.
        amplitude: how much a texture lightens and darkens an object, 0 to 0.5 of the range [0, 1].
        noise: standard deviation of the Gaussian noise on each pixel and channel, 0 to 1 of the range [0, 1].
        with_masks: return each object's visible pixels and the box around them too.

    Returns:
        `ImageData`, images uint8 [n, 3, size, size], `labels` the class. With K objects at most in an image,
        `factors` holds count [n]; background (RGB in [0, 1]) [n, 3]; and, each [n, K], the integers shape,
        texture (0 none, 1 stripes, 2 checks) and hue (one of 8 bins, red 0, −1 for grey); x, y and size in
        pixels (centre of mass and radius; pixel i covers i to i + 1); rotation in radians, clockwise; red,
        green and blue in [0, 1]. An object that is not there has −1 in the integers and nan in the others, no
        mask and the box (0, 0, 0, 0). Objects are painted in their order, so a later one may hide part of an
        earlier one. Masks are bool [n, K, size, size]; boxes span the edges of the outermost pixels, so
        x1 − x0 is a width in pixels.

    Raises:
        ValueError: a knob out of its range; the message says which range.
    """
    _demand("n", n, isinstance(n, int) and n >= 1, "a whole number of images, at least 1")
    _demand("seed", seed, isinstance(seed, int) and 0 <= seed < 2**31, "a whole number, 0 to 2³¹ − 1")
    _demand("size", size, isinstance(size, int) and 16 <= size <= 128, "a whole number of pixels, 16 to 128")
    _demand("layout", layout, layout in LAYOUTS, f"one of {', '.join(LAYOUTS)}")
    default, scale = LAYOUTS[layout], size / 32
    knobs = Knobs(
        size=size,
        layout=layout,
        shapes=(shapes,) if isinstance(shapes, str) else tuple(shapes),
        mixed=mixed,
        count=_span("count", default["count"] if count is None else count),
        radius=_span("radius", [r * scale for r in default["radius"]] if radius is None else radius),
        jitter=default["jitter"] * scale if jitter is None else jitter,
        rotation=rotation,
        colour=colour,
        texture=(texture,) if isinstance(texture, str) else tuple(texture),
        amplitude=amplitude,
    )
    _check(knobs)
    _demand("noise", noise, 0 <= noise <= 1, "0 to 1, a standard deviation in the range [0, 1]")
    images = torch.empty(n, 3, size, size, dtype=torch.uint8)
    with _one_thread():
        parts, masks = _draw(images, knobs, seed, noise, with_masks)
    factors = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    object_masks = torch.cat(masks) if with_masks else None
    return ImageData(
        images=images,
        labels=factors["shape"][:, 0].clone(),
        classes=knobs.shapes,
        name="ShapeWorld",
        mean=MEAN,
        std=STD,
        factors=factors,
        object_masks=object_masks,
        boxes=boxes_around(object_masks) if with_masks else None,
    )


def _draw(images: Tensor, knobs: Knobs, seed: int, noise: float, with_masks: bool) -> tuple[list, list]:
    """Fill `images` chunk by chunk; the factors and the masks (if wanted) of each chunk."""
    chunk = max(1, CHUNK * 32 * 32 // knobs.size**2)
    # Two streams, so that the noise does not change what is drawn.
    objects, grain = (torch.Generator().manual_seed(2 * seed + i) for i in (0, 1))
    parts, masks = [], []
    for rows in images.split(chunk):  # views [m, 3, size, size]
        # Whole chunks are drawn and then cut, so that the first images do not depend on how many follow.
        scene = {name: values[: len(rows)] for name, values in draw_factors(chunk, knobs, objects).items()}
        picture, cover = render(scene, knobs)  # [m, 3, size, size], [m, K, size, size]
        if noise:
            speckle = torch.randn(chunk, *rows.shape[1:], generator=grain)  # [chunk, 3, size, size]
            picture.add_(speckle[: len(rows)], alpha=noise)
        rows.copy_(picture.clamp_(0, 1).mul_(255).round_())
        parts.append(scene)
        if with_masks:
            masks.append(visible(cover))
    return parts, masks


@contextlib.contextmanager
def _one_thread():
    """These tensors are so small that a second thread gains nothing, and waits whenever its core is busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _check(knobs: Knobs) -> None:
    """ValueError for what cannot be drawn."""
    size, layout = knobs.size, knobs.layout
    shapes, kinds = set(knobs.shapes), set(knobs.texture)
    known = shapes and shapes <= set(SHAPES) and len(shapes) == len(knobs.shapes)
    _demand("shapes", knobs.shapes, known, f"one or more, each once, of {', '.join(SHAPES)}")
    known = kinds and kinds <= set(TEXTURES)
    _demand("texture", knobs.texture, known, f"one or more of {', '.join(TEXTURES)}")
    _demand("colour", knobs.colour, knobs.colour in COLOURS, f"one of {', '.join(COLOURS)}")
    least, most = knobs.count
    whole = isinstance(least, int) and isinstance(most, int)
    if layout == "single":
        expected = '1 in the layout "single"; for more objects take "multi" or "scatter"'
        _demand("count", _told(knobs.count), whole and least == most == 1, expected)
    _demand("count", _told(knobs.count), whole and 1 <= least <= most <= MOST, f"1 to {MOST}, or (least, most)")
    small, large = knobs.radius
    fits = 1.5 <= small <= large <= size / 2
    _demand("radius", _told(knobs.radius), fits, f"1.5 to {size / 2:g} pixels, or (least, most), at size {size}")
    room = {"multi": size / 4, "single": size / 2, "scatter": 0}[layout]
    fits = 0 <= knobs.jitter <= room
    _demand("jitter", knobs.jitter, fits, f'0 to {room:g} pixels in the layout "{layout}"')
    _demand("rotation", knobs.rotation, 0 <= knobs.rotation <= math.pi, "0 to π radians")
    _demand("amplitude", knobs.amplitude, 0 <= knobs.amplitude <= 0.5, "0 to 0.5 of the range [0, 1]")


def _span(name: str, value) -> tuple:
    """(least, most) of a number or a pair."""
    if not isinstance(value, (tuple, list)):
        return value, value
    _demand(name, value, len(value) == 2, "a number, or a pair (least, most)")
    return tuple(value)


def _told(span: tuple):
    """A span as the caller wrote it: a number, unless it has two ends."""
    return span[0] if span[0] == span[1] else span


def _demand(name: str, value, holds, expected: str) -> None:
    if not holds:
        raise ValueError(f"{name} is {value!r}; expected {expected}")
