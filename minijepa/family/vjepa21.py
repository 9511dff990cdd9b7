"""V-JEPA 2.1's dense loss: visible patches are predicted, too, and several layers. Replaced: loss and target layers.

    x --> context encoder, several layers --> predictor --> prediction at hidden patches, and again at visible ones
    x --> target encoder, the same layers, each LayerNorm'ed, concatenated        --> what they should be
    loss = L_predict + lambda * mean over visible patches i of D_i / sqrt(distance of i to the nearest target patch)

A loss on hidden patches alone never asks what a visible patch knows of its own place; this one does, least where
no target is near, and only after a warm-up of lambda. Here it trains on images with the recipe's masks, as an
image has patches where a clip has tubelets (masks and a grid of three axes work as well). Substituted: one linear map
fuses the layers, in the released code an MLP does; they are LayerNorm'ed without parameters; the warm-up is short and
begins at once; the regulariser (weight .03) is the recipe's.
Source: V-JEPA 2.1 (arXiv:2603.14482), read in its released code, `app/vjepa_2_1`.

    model = vjepa21.model(ViT.nano(img_size=32, patch_size=4))
    fit(model, course_data()[0], vjepa21.masks, steps=1000, **vjepa21.TRAINING)
"""

import torch
from einops import rearrange
from torch import nn

from minijepa.family.bootleg import LayersTeacher, several
from minijepa.jepa import JEPA, JEPAOutput, at_targets
from minijepa.losses import l1
from minijepa.patches import gather_tokens
from minijepa.predictor import Predictor
from minijepa.training import recipe
from minijepa.training.distributed import whole_batch
from minijepa.vit import init_weights, pool

NAME = "V-JEPA 2.1"
TRAINING = recipe.TRAINING
masks = recipe.masks


def distance_weights(masks, grid):
    """1 / sqrt(d) for each visible patch, d its Euclidean distance to the nearest target patch, in patches.

    masks: Masks with context [B, K_c] and targets [B, M, K_t]. grid: (rows, columns), or (times, rows, columns) of
    tubelets. Returns [B, K_c] in (0, 1]: 1 next to a target patch, 1/2 at a distance of four.
    Source: V-JEPA 2.1's released `masks_dist.py`.
    """
    axes = (torch.arange(side, dtype=torch.float32) for side in grid)
    place = torch.cartesian_prod(*axes).to(masks.context.device)  # [N, 2] or [N, 3]
    seen, hidden = place[masks.context], place[masks.targets.flatten(1)]  # [B, K_c, 2], [B, M K_t, 2]
    exact = "donot_use_mm_for_euclid_dist"  # differences of places, not a rounded matrix product
    return torch.cdist(seen, hidden, compute_mode=exact).amin(dim=-1).rsqrt()


def warmed_up(step, strength, warmup):
    """lambda after `step` optimiser steps: 0 until the first step of `warmup`, `strength` from its second one on.

    step: int64 tensor. warmup: (first, last); between them lambda grows linearly. Returns a scalar tensor.
    Source: V-JEPA 2.1's released `Lambda_LinearWarmupHold`, there steps 15,000 to 30,000.
    """
    first, last = warmup
    return strength * ((step - first) / (last - first)).clamp(0, 1)


class DensePredictor(Predictor):
    """A predictor that answers at the visible patches as well, through a linear map of its own.

    Arguments as in Predictor. Source: V-JEPA 2.1's released `predictor.py` (`predictor_proj_context`).
    """

    def __init__(self, dim, grid, **others):
        super().__init__(dim, grid, **others)
        self.again = nn.Linear(self.proj.in_features, self.proj.out_features).apply(init_weights)

    def forward(self, context, masks, token=0):
        """context: [B, K_c, dim]. Returns predictions at the hidden patches, [B, M, K_t, dim], and at the visible ones,
        [B, M, K_c, dim]: each target block is a sequence of its own, with all visible patches in it.
        """
        x = self.states(context, masks, token)  # [B * M, K_c + K_t, width]
        seen, asked = x.split(list(masks.context.shape[-1:] + masks.targets.shape[-1:]), dim=1)
        b = len(context)
        return (
            rearrange(self.proj(asked), "(b m) k d -> b m k d", b=b),
            rearrange(self.again(seen), "(b m) k d -> b m k d", b=b),
        )


class DenseJEPA(JEPA):
    """A JEPA with V-JEPA 2.1's loss on hidden and on visible tokens, of several layers.

    encoder: a ViT. predictor: DensePredictor of width levels * encoder.dim. levels: how many layers of the encoder are
    predicted, evenly spaced, 1..L. strength: lambda of the loss on visible tokens, 0 or more; warmup: the optimiser
    steps (first, last) over which it grows. others: of JEPA, such as `weight`; the regulariser is asked of the last
    layer. The counter of steps is part of the state dict, so a resumed run goes on in its warm-up.
    Raises ValueError for levels that the encoder has not, a negative strength or a warm-up that does not end.
    """

    def __init__(self, encoder, predictor, levels, strength=0.3, warmup=(0, 200), **others):
        if not 1 <= levels <= len(encoder.blocks):
            raise ValueError(f"levels must lie in 1..{len(encoder.blocks)}, the encoder's layers, got {levels}")
        if strength < 0 or not 0 <= warmup[0] < warmup[1]:
            raise ValueError(
                f"strength must be 0 or more and warmup (first, last) steps with 0 <= first < last, got {strength} "
                f"and {tuple(warmup)}"
            )
        super().__init__(encoder, predictor, LayersTeacher(encoder, levels), distance=l1, **others)
        self.levels, self.strength, self.warmup = levels, strength, tuple(warmup)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def compare(self, x, masks, all_targets, **which):
        """One set of masks: the losses at its hidden and visible patches. all_targets: [B, N, levels * D]."""
        context, prediction, again = self.answers(x, masks, **which)
        target = at_targets(all_targets, masks)  # [B, M, K_t, levels * D]
        energy = self.energy(prediction, target)  # [B, M, K_t]
        seen = self.energy(again, gather_tokens(all_targets, masks.context).unsqueeze(1).expand_as(again))
        weights = distance_weights(masks, self.encoder.grid).unsqueeze(1)  # [B, 1, K_c]
        loss = energy.mean() + warmed_up(self.steps, self.strength, self.warmup) * (weights * seen).mean()
        if self.weight:
            loss = loss + self.weight * self.regulariser(whole_batch(pool(context), self.training))
        return JEPAOutput(loss, energy, prediction, target, context, all_targets)

    def answers(self, x, masks, **which):
        """s_x [B, K_c, D], and the predictions at hidden and at visible patches, [B, M, K_t or K_c, levels * D]."""
        layers = self.encoder.layers(x, keep=masks.context)  # each [B, K_c, D]
        return layers[-1], *self.predictor(several(layers, self.levels), masks, **which)

    def predict(self, x, masks, **which):
        """s_x [B, K_c, D], and what the model expects at the targets, [B, M, K_t, levels * D]. x: [B, C, (T,) H, W]."""
        context, prediction, _ = self.answers(x, masks, **which)
        return context, prediction

    @torch.no_grad()
    def after_step(self, momentum):
        """The target encoder follows, and the warm-up goes one step on."""
        super().after_step(momentum)
        self.steps += 1


def model(encoder, strength=0.3, warmup=(0, 200)):
    """The dense loss on all layers of the encoder. encoder: a ViT; strength, warmup: as in DenseJEPA."""
    levels = len(encoder.blocks)
    predictor = DensePredictor(levels * encoder.dim, encoder.grid, width=48, depth=2, heads=3)
    return DenseJEPA(encoder, predictor, levels, strength, warmup, weight=recipe.WEIGHT)
