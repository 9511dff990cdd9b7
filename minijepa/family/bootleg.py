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


class LayersTeacher(EMATeacher):
    """The target encoder whose targets are all its layers, each normalised, one after the other.

    encoder: the context encoder, copied at once. `self.dim` is the width of the targets, L D.
    """

    def __init__(self, encoder):
        super().__init__(encoder)
        self.dim = len(encoder.blocks) * encoder.dim

    @torch.no_grad()
    def forward(self, x):
        """x: [B, C, H, W] -> [B, N, L D]; the features l D to (l + 1) D come from layer l."""
        layers = self.encoder.layers(x)  # L times [B, N, D]
        return torch.cat([nn.functional.layer_norm(y.float(), y.shape[-1:]) for y in layers], dim=-1)


def model(encoder, weight=recipe.WEIGHT):
    """A JEPA whose predictor answers for every layer. encoder: a ViT; weight: of the regulariser, as in the recipe."""
    teacher = LayersTeacher(encoder)
    predictor = Predictor(encoder.dim, encoder.grid, width=48, depth=2, heads=3, out_dim=teacher.dim)
    return JEPA(encoder, predictor, teacher, weight=weight)
