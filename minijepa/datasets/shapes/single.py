"""One shape in each image, its shape, colour, position and size drawn independently: what does a representation keep?

The colours lie on a circle around the grey axis, all equally bright, so that turning the hue maps each of them onto the
others. Nothing else differs between two images but noise, so nothing else can tell them apart.
"""

import math

import torch

from minijepa.datasets.images import ImageData
from minijepa.datasets.shapes import drawing

SHAPES = ("disk", "square", "triangle", "plus")
HUES = ("red", "yellow", "green", "cyan", "blue", "magenta")  # 60 degrees from one to the next
ROWS, COLUMNS = ("top", "middle", "bottom"), ("left", "centre", "right")
SIZES = ("small", "large")
SIDE, RADIUS = 32, (5.0, 9.0)  # pixels
CHROMA, JITTER = 0.45, 0.15  # distance of a colour from grey; radians by which its hue may differ
LIGHT, GROUND = 0.5, 0.2  # of the object and of the background, in the range [0, 1]
NOISE = 0.05  # standard deviation on each pixel and channel, in the range [0, 1]
MEAN, STD = (0.233, 0.233, 0.233), (0.13, 0.13, 0.13)  # measured


def single_shapes(n, *, seed=0):
    """Draw n images of 32x32 pixels with one object each; all its factors are independent of each other.

    The same arguments give the same images on each run; a smaller n gives the first of them.
    n: number of images, at least 1.
    seed: what all random choices follow from, 0 to 2^31 - 1.
    Returns ImageData, images uint8 [n, 3, 32, 32], `labels` the shape. `factors`, all [n]: int64 shape, colour, size
    (small or large), row and column (thirds of where the centre can lie), indices into SHAPES, HUES, SIZES, ROWS and
    COLUMNS; float32 x, y (centre) and radius in pixels and hue in radians.
    Raises ValueError for an argument out of its range.
    """
    drawing.check_request(n, seed)
    images, parts = torch.empty(n, 3, SIDE, SIDE, dtype=torch.uint8), []
    generator = torch.Generator().manual_seed(seed)
    with drawing.one_thread():
        for rows in images.split(drawing.CHUNK):
            # whole chunks are drawn and then cut, so that the first images do not depend on how many follow
            scene = draw(drawing.CHUNK, generator)
            objects = {name: scene[name][:, None] for name in ("shape", "x", "y")}
            objects |= {"size": scene["radius"][:, None], "rotation": torch.zeros(drawing.CHUNK, 1)}
            cover = drawing.cover_image(objects, SHAPES, SIDE)  # [chunk, 1, S, S]
            colour = LIGHT + CHROMA * on_circle(scene["hue"])  # [chunk, 3]
            picture = drawing.paint(torch.full_like(colour, GROUND), colour[:, None], cover)  # [chunk, 3, S, S]
            picture.add_(torch.randn(picture.shape, generator=generator), alpha=NOISE)
            rows.copy_(drawing.to_bytes(picture[: len(rows)]))
            parts.append({name: values[: len(rows)] for name, values in scene.items()})
    factors = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    return ImageData(images, factors["shape"].clone(), SHAPES, "single shapes", MEAN, STD, factors)


def draw(n, generator):
    """Random factors of n images, all [n]."""
    u = torch.rand(n, 6, generator=generator)
    small, large = RADIUS
    radius = small + (large - small) * u[:, 0]
    colour = drawing.pick(u[:, 1], len(HUES))
    return {
        "shape": drawing.pick(u[:, 3], len(SHAPES)), "colour": colour,
        "size": (radius > (small + large) / 2).long(), "row": drawing.pick(u[:, 4], 3),
        "column": drawing.pick(u[:, 5], 3), "x": radius + (SIDE - 2 * radius) * u[:, 5],
        "y": radius + (SIDE - 2 * radius) * u[:, 4], "radius": radius,
        "hue": colour * (2 * math.pi / len(HUES)) + JITTER * (2 * u[:, 2] - 1),
    }  # fmt: skip


def on_circle(hue):
    """Hues in radians [n] -> unit vectors [n, 3] at right angles to the grey axis; red is 0, green 2 pi / 3."""
    channel = torch.arange(3) * (2 * math.pi / 3)  # of red, green and blue
    return math.sqrt(2 / 3) * (hue[:, None] - channel).cos()
