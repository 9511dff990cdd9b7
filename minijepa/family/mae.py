"""MAE: predict the pixels of the hidden patches. Replaced: the target encoder, by the pixels themselves.

    x --> encoder (a quarter of the patches) --> predictor --> pixels of the patches that it did not see
    x --> pixels of each patch, normalised                 --> what they should be

Nothing can collapse, as pixels stay what they are; but noise and texture must be predicted too.
Here the mask and the light decoder are MAE's, the optimiser is the course's. Source: MAE (arXiv:2111.06377).

    model = mae.model(ViT.nano(img_size=32, patch_size=4))
    fit(model, course_data()[0], mae.masks, steps=1000, **mae.TRAINING)
"""

import torch
from torch import nn

from minijepa.jepa import JEPA
from minijepa.losses import l2
from minijepa.masking import random_masks
from minijepa.predictor import Predictor
from minijepa.training import recipe

NAME = "MAE"
TRAINING = recipe.TRAINING


class PixelTeacher(nn.Module):
    """In the place of the target encoder: the pixels of each patch, normalised per patch; there is nothing to update.

    encoder: only its way of cutting patches is used. The predictor needs out_dim = `self.dim` values per patch.
    Source: MAE (arXiv:2111.06377, section 3, "reconstruction target" with normalised pixels).
    """

    def __init__(self, encoder):
        super().__init__()
        self.patches = encoder.patch_embed.patches
        self.dim = encoder.patch_embed.proj.in_features

    @torch.no_grad()
    def forward(self, x):
        """x: [B, C, H, W] -> [B, N, values]; each patch has mean 0 and variance 1."""
        y = self.patches(x)
        return (y - y.mean(dim=-1, keepdim=True)) / (y.var(dim=-1, keepdim=True) + 1e-6).sqrt()

    def update(self, encoder, momentum):
        """Pixels do not learn."""


def model(encoder):
    """A JEPA whose targets are pixels. encoder: a ViT."""
    pixels = PixelTeacher(encoder)
    decoder = Predictor(encoder.dim, encoder.grid, width=48, depth=2, heads=3, out_dim=pixels.dim)
    return JEPA(encoder, decoder, pixels, l2)


def masks(batch, generator=None):
    """A quarter of the patches seen, at random; all others predicted."""
    return random_masks(batch, recipe.GRID, context_keep=16, target_keep=48, generator=generator)
