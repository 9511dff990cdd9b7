"""SALT: a frozen target encoder that was trained on pixels. Replaced: the EMA, by a target encoder that is finished.

    stage 1   x --> encoder (patches seen) --> decoder   --> pixels of the hidden patches; then it is frozen
    stage 2   x --> frozen target encoder (all patches)  --> s_y at the hidden patches
              x --> a new encoder (patches seen) --> predictor --> prediction of s_y

Targets that do not move cannot collapse, and neither EMA nor regulariser is needed; but what stage 1 has dropped, stage
2 cannot learn. Both stages have the same masks. Source: SALT (arXiv:2509.24317), there on clips. Substituted: images,
and the masks and the smooth L1 of the recipe.

    pixels = salt.pixel_model(ViT.nano(img_size=32, patch_size=4))
    fit(pixels, course_data()[0], salt.masks, steps=600, **salt.TRAINING)
    model = salt.model(ViT.nano(img_size=32, patch_size=4), pixels.encoder)
    fit(model, course_data()[0], salt.masks, steps=800, **salt.TRAINING)
"""

import copy

import torch
from torch import nn

from minijepa.family.mae import PixelTeacher
from minijepa.jepa import JEPA
from minijepa.losses import l2
from minijepa.predictor import Predictor
from minijepa.training import recipe

NAME = "SALT"
TRAINING = recipe.TRAINING
masks = recipe.masks


class FrozenTeacher(nn.Module):
    """A target encoder that stays as it is: targets LayerNorm(f(x)) of the trained encoder f, which it copies."""

    def __init__(self, encoder):
        super().__init__()
        self.frozen = copy.deepcopy(encoder).requires_grad_(False)  # not `encoder`: it is not the one to keep

    @torch.no_grad()
    def forward(self, x):
        """x: [B, C, H, W] -> targets [B, N, D]."""
        tokens = self.frozen(x).float()
        return nn.functional.layer_norm(tokens, tokens.shape[-1:])

    def update(self, encoder, momentum):
        """What is frozen does not follow."""


def pixel_model(encoder):
    """Stage 1: predict the normalised pixels of the hidden patches. encoder: a ViT, the later target encoder."""
    pixels = PixelTeacher(encoder)
    return JEPA(encoder, Predictor(encoder.dim, encoder.grid, out_dim=pixels.dim), pixels, l2)


def model(encoder, teacher):
    """Stage 2: predict the tokens of the frozen teacher. encoder: a new ViT; teacher: a trained one, of any size."""
    return JEPA(encoder, Predictor(encoder.dim, encoder.grid, out_dim=teacher.dim), FrozenTeacher(teacher))
