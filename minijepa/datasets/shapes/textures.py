"""Textures over drawn images, predictable or not, and scratches: what does a representation spend on them?

A texture is made of gratings, waves of random direction, length and phase. "static": one grating runs through the whole
image, so what is hidden of it follows from what is seen. "unpredictable": each cell of 8x8 pixels has a grating of its
own, so nothing outside the cell tells it. One cell alone looks alike in both; only the relation of cells differs.
"""

import math
from dataclasses import replace

import torch

from minijepa.datasets.images import ImageData
from minijepa.datasets.shapes.drawing import check_argument, check_request, to_bytes

TEXTURES = ("static", "unpredictable")
CELL = 8  # pixels, the side of a cell that has a grating of its own
LENGTHS = (4.0, 8.0)  # of a wave, in pixels


def gratings(n, kind, *, seed=0, size=32):
    """n textures with mean about 0 and mean square about 1, and the factors of their gratings.

    kind: one of TEXTURES. seed: the same arguments give the same textures; a smaller n gives the first of them.
    size: side S in pixels, 16 to 128, a multiple of 8.
    Returns (waves, factors): float32 [n, S, S]; angle in [0, pi), length in pixels and phase in [0, 2 pi), [n, G] each,
    with G = 1 for "static" and the number of cells, row by row, for "unpredictable".
    Raises ValueError for an argument out of its range.
    """
    check_request(n, seed, size)
    check_argument("kind", kind, kind in TEXTURES, f"one of {', '.join(TEXTURES)}")
    check_argument("size", size, size % CELL == 0, f"a multiple of {CELL} pixels")
    cells = size // CELL if kind == "unpredictable" else 1  # along each side
    u = torch.rand(n, 3, cells**2, generator=torch.Generator().manual_seed(seed))
    shortest, longest = LENGTHS
    factors = {
        "angle": math.pi * u[:, 0],
        "length": shortest + (longest - shortest) * u[:, 1],
        "phase": 2 * math.pi * u[:, 2],
    }
    angle, length, phase = (  # of each pixel: [n, S, S]
        values.view(n, cells, cells).repeat_interleave(size // cells, 1).repeat_interleave(size // cells, 2)
        for values in factors.values()
    )
    pixels = torch.arange(size)
    along = angle.cos() * pixels + angle.sin() * pixels[:, None]  # [n, S, S]: how far along the wave
    return math.sqrt(2) * torch.cos(2 * math.pi * along / length + phase), factors


def textured(data, waves, amplitude):
    """The same images with a grey texture: waves times amplitude is added to each channel, then clipped.

    data: ImageData, images uint8 [N, 3, S, S]. waves: float [N, S, S], as `gratings` gives them. amplitude: the
    standard deviation of the texture in units of [0, 1], at least 0.
    Returns ImageData. Raises ValueError for waves of another shape or a negative amplitude.
    """
    shape = (len(data), *data.images.shape[2:])
    check_argument("waves' shape", tuple(waves.shape), tuple(waves.shape) == shape, f"{shape}, one for each image")
    check_argument("amplitude", amplitude, amplitude >= 0, "at least 0")
    return replace(data, images=to_bytes(data.images / 255 + amplitude * waves.unsqueeze(1)))


def scratched(data, strength, *, seed=0, length=10.0, width=1.0):
    """The same images, each with one straight scratch of random place and direction, and where it is.

    data: ImageData, images uint8 [N, 3, S, S]. strength: what the scratch adds to each channel, in units of [0, 1];
    negative darkens. seed: of places and directions; give another one than that of a texture, which draws alike.
    length, width: in pixels.
    Returns (ImageData, bool [N, S, S]): the images, and the pixels that a scratch covers by half or more.
    Raises ValueError for a seed or a size out of its range.
    """
    n, size = len(data), data.images.shape[-1]
    check_request(n, seed, size)
    u = torch.rand(n, 3, 1, 1, generator=torch.Generator().manual_seed(seed))
    angle = math.pi * u[:, 2]  # [n, 1, 1]
    x, y = (length / 2 + (size - length) * u[:, i] for i in (0, 1))  # its middle, so that all of it is in the image
    pixels = torch.arange(size) + 0.5
    right, down = pixels - x, pixels[:, None] - y  # [n, 1, S], [n, S, 1]
    along = angle.cos() * right + angle.sin() * down  # [n, S, S]
    across = angle.cos() * down - angle.sin() * right
    distance = torch.maximum(along.abs() - length / 2, across.abs() - width / 2)  # negative on the scratch
    cover = (0.5 - distance).clamp(0, 1)
    return replace(data, images=to_bytes(data.images / 255 + strength * cover.unsqueeze(1))), cover >= 0.5


def surfaces(n, *, seed=0, size=32, amplitude=0.1, noise=0.04):
    """n flat surfaces without a defect: a nearly grey ground, one grating over all of it, a little noise.

    seed: the same arguments give the same images. size: side S in pixels. amplitude: of the grating, noise: of each
    pixel and channel, standard deviations in units of [0, 1].
    Returns ImageData, images uint8 [n, 3, S, S], with the factors of `gratings`. Raises ValueError as `gratings`.
    """
    waves, factors = gratings(n, "static", seed=2 * seed, size=size)
    generator = torch.Generator().manual_seed(2 * seed + 1)
    ground = 0.45 + 0.1 * torch.rand(n, 3, 1, 1, generator=generator)
    grain = noise * torch.randn(n, 3, size, size, generator=generator)
    images = to_bytes(ground + amplitude * waves.unsqueeze(1) + grain)
    labels = torch.zeros(n, dtype=torch.int64)
    return ImageData(images, labels, ("normal",), "surfaces", (0.5,) * 3, (0.12,) * 3, factors)
