"""Bootleg: predict several hidden layers of the target encoder at once. Replaced: the target, by their concatenation.

    x --> target encoder (all patches, no gradient) --> [LN(h_1), LN(h_2), ..., LN(h_L)] at the hidden patches
    x --> encoder (the patches seen) --> predictor  --> all of them, k D values a patch

Early layers are near the pixels and late ones abstract, so neither alone decides what is worth encoding.
Source: Bootleg (arXiv:2603.15553, section 3). Substituted: masks, optimiser and regulariser are those of the recipe.

    model = bootleg.model(ViT.nano(img_size=32, patch_size=4))
    fit(model, course_data()[0], bootleg.masks, steps=1000, **bootleg.TRAINING)
"""

import torch
from torch import nn

from minijepa.ema import EMATeacher
from minijepa.jepa import JEPA
from minijepa.predictor import Predictor
from minijepa.training import recipe

NAME = "Bootleg"
TRAINING = recipe.TRAINING
masks = recipe.masks


def several(layers, levels):
    """Evenly spaced layers, the last among them, each LayerNorm'ed, one after the other.

    layers: a list of L tensors [B, K, D], from `ViT.layers`. levels: how many of them, 1..L.
    Returns [B, K, levels * D].
    """
    chosen = [layers[(i + 1) * len(layers) // levels - 1] for i in range(levels)]
    return torch.cat([nn.functional.layer_norm(y.float(), y.shape[-1:]) for y in chosen], dim=-1)


class LayersTeacher(EMATeacher):
    """The target encoder whose targets are several of its layers, each normalised, one after the other.

    encoder: the context encoder, copied at once. levels: how many layers, evenly spaced. `self.dim` is the width of the
    targets, levels * D.
    """

    def __init__(self, encoder, levels):
        super().__init__(encoder)
        self.levels, self.dim = levels, levels * encoder.dim

    @torch.no_grad()
    def forward(self, x):
        """x: [B, C, H, W] (clips [B, C, T, H, W]) -> targets [B, N, levels * D]."""
        return several(self.encoder.layers(x), self.levels)


def model(encoder, weight=recipe.WEIGHT):
    """A JEPA whose predictor answers for every layer. encoder: a ViT; weight: of the regulariser, as in the recipe."""
    teacher = LayersTeacher(encoder, levels=len(encoder.blocks))
    predictor = Predictor(encoder.dim, encoder.grid, width=48, depth=2, heads=3, out_dim=teacher.dim)
    return JEPA(encoder, predictor, teacher, weight=weight)
