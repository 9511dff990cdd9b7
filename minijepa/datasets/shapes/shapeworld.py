"""ShapeWorld: images made of known factors, for asking what a representation keeps and what it drops.

An image shows four objects of one class, each in its own quarter and of its own colour, on a random background, under
noise. What a hidden quarter has in common with the others is the background and the shape, so in this world predicting
representations has something to find.

Benchmark: 13,000 images/s of 32x32 on one core (AMD EPYC), so a million takes 80 seconds.
"""

import torch

from minijepa.datasets.images import ImageData
from minijepa.datasets.shapes import drawing
from minijepa.datasets.shapes.silhouettes import DISTANCES

SHAPES = tuple(DISTANCES)
MEAN, STD = (0.5, 0.5, 0.5), (0.237, 0.237, 0.237)  # measured with colour="contrast"; the same for "grey"
RADIUS, JITTER = (4.5, 6.5), 1.5  # pixels at size 32; how far an object may lie from its quarter's middle
QUARTERS = torch.tensor([[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]])  # their middles (x, y), in sides
NOISE = 0.1  # standard deviation on each pixel and channel, in the range [0, 1]


def shapeworld(n, *, seed=0, size=32, colour="contrast"):
    """Draw n labelled images of ten shapes, four objects of one shape in each.

    The same arguments give the same images on each run; a smaller n gives the first of them.
    n: number of images, at least 1.
    seed: what all random choices follow from, 0 to 2^31 - 1.
    size: side of the images in pixels, 16 to 128; lengths scale with it.
    colour: "contrast": each channel of the background lies between .25 and .75, and of each object .25 to .6 below or
    above it, clipped to [0, 1]; "grey": the same with equal channels.
    Returns ImageData, images uint8 [n, 3, size, size], `labels` an index into `SHAPES`. `factors`: count [n], always 4;
    background [n, 3] and, [n, 4] each, red, green and blue in [0, 1]; shape; x, y (centre of mass) and size (radius) in
    pixels, pixel i from i to i + 1; rotation in radians, clockwise. Objects are in reading order.
    Raises ValueError for an argument out of its range.
    """
    drawing.check_request(n, seed, size)
    drawing.check_argument("colour", colour, colour in drawing.COLOURS, f"one of {', '.join(drawing.COLOURS)}")
    images, parts, scale = torch.empty(n, 3, size, size, dtype=torch.uint8), [], size / 32
    chunk = max(1, drawing.CHUNK * 32 * 32 // size**2)
    objects, grain = (torch.Generator().manual_seed(2 * seed + i) for i in (0, 1))
    with drawing.one_thread():
        for rows in images.split(chunk):  # views [m, 3, S, S]
            # whole chunks are drawn and then cut, so that the first images do not depend on how many follow
            scene, u = drawing.draw_objects(chunk, SHAPES, (4, 4), colour, objects)
            x, y = (QUARTERS * size + JITTER * scale * (2 * u[..., 1:3] - 1)).unbind(-1)  # [chunk, 4] each
            small, large = (radius * scale for radius in RADIUS)
            scene |= {"x": x, "y": y, "size": small + (large - small) * u[..., 0]}
            scene = {name: values[: len(rows)] for name, values in scene.items()}
            picture = drawing.paint_image(scene, drawing.cover_image(scene, SHAPES, size))  # [m, 3, S, S]
            speckle = torch.randn(chunk, 3, size, size, generator=grain)[: len(rows)]
            rows.copy_(drawing.to_bytes(picture.add_(speckle, alpha=NOISE)))
            parts.append(scene)
    factors = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    return ImageData(images, factors["shape"][:, 0].clone(), SHAPES, "ShapeWorld", MEAN, STD, factors)
