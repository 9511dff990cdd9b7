"""Assignment 11: striped images on which a two-view method learns within seconds."""

import math

import torch

from minijepa.datasets import ImageData

DIRECTIONS = ("vertical", "diagonal", "horizontal")
CONTRASTS = (0.15, 0.24)  # amplitude of the stripes, in the range [0, 1]
PERIODS = (3.0, 6.0)  # pixels
NOISE = 0.1  # standard deviation on each pixel
SIZE = 16  # pixels


def stripes(n, seed=0):
    """Draw n grey images of stripes: `labels` are directions, `factors` hold contrast, period and phase.

    A flip turns one diagonal into the other, so both are one class. A crop changes period and phase, and
    `two_views` changes the contrast: of the four, the direction alone is the same in both views.
    n: number of images. seed: what all random choices follow from.
    Returns ImageData, images uint8 [n, 3, 16, 16] and factors [n]: contrast, an index into CONTRASTS; period in
    pixels; phase in turns.
    """
    generator = torch.Generator().manual_seed(seed)
    direction = torch.randint(len(DIRECTIONS), (n,), generator=generator)
    contrast = torch.randint(len(CONTRASTS), (n,), generator=generator)
    flipped, place, phase = torch.rand(3, n, generator=generator)  # [n] each
    angle = math.pi / 4 * torch.where((direction == 1) & (flipped < 0.5), 3, direction)  # [n]
    period = PERIODS[0] + (PERIODS[1] - PERIODS[0]) * place
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")  # [S, S]
    across = x * angle.cos()[:, None, None] + y * angle.sin()[:, None, None]  # [n, S, S]
    wave = torch.cos(2 * math.pi * (across / period[:, None, None] + phase[:, None, None]))
    grey = 0.5 + torch.tensor(CONTRASTS)[contrast][:, None, None] * wave
    grey = grey + NOISE * torch.randn(n, SIZE, SIZE, generator=generator)
    images = (grey.clamp(0, 1) * 255).round().to(torch.uint8)[:, None].repeat(1, 3, 1, 1)  # [n, 3, S, S]
    factors = {"contrast": contrast, "period": period, "phase": phase}
    return ImageData(images, direction, DIRECTIONS, "stripes", (0.5,) * 3, (0.2,) * 3, factors)
