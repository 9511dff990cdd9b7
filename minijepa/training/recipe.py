"""The recipe: the settings with which I-JEPA learns from small photographs in minutes on two CPU cores.

It is I-JEPA with five changes, for runs of a few thousand steps instead of almost two hundred thousand:
one large target block instead of four small ones, a teacher that follows faster, a light variance-covariance
regulariser on the pooled context, a flip next to the crop, and Muon with a strong weight decay for the matrices in
the blocks. What each is worth on its own, notebook 10 shows (`minijepa/plots/recorded_results/`): not all of them pay.
`python -m minijepa.train` and the notebooks all train with this; `published_masks`, weight=0 and PUBLISHED give the
published form back.
"""

from functools import partial

import torch

from minijepa.datasets.augment import crop_flip
from minijepa.jepa import JEPA
from minijepa.masking.blocks import block_masks
from minijepa.predictor import Predictor
from minijepa.vit import ViT

NAME = "I-JEPA"
GRID = (8, 8)  # 32x32 pixels in patches of 4x4
WEIGHT = 0.03  # of the variance-covariance regulariser
TRAINING = {  # for `fit`
    "batch_size": 32,
    "optimizer": "muon",
    "lr": 3e-3,
    "weight_decay": (0.5, 0.5),
    "momentum": (0.9, 1.0),
    "augment": crop_flip,
}
# for ten minutes and more, with the encoder size "micro": given 10,000 steps, TRAINING's kNN curve falls after the
# first 1,000 (recorded: ten_minutes_nano); with all three changes together it rises on. Which one does it is not known
LONGER = {**TRAINING, "batch_size": 128, "momentum": (0.97, 1.0)}
# the published choices, as far as a run of a few thousand small batches can follow them
PUBLISHED = {
    "batch_size": 32,
    "optimizer": "adamw",
    "lr": 1e-3,
    "weight_decay": (0.04, 0.4),
    "momentum": (0.996, 1.0),
    "augment": partial(crop_flip, flip=False),
}


def model(encoder, weight=WEIGHT):
    """I-JEPA with a small predictor. encoder: a ViT; weight: of the variance-covariance regulariser."""
    predictor = Predictor(encoder.dim, encoder.grid, width=48, depth=2, heads=3)
    return JEPA(encoder, predictor, weight=weight)


def build(size="nano", weight=WEIGHT, seed=0):
    """The same around an encoder of that size for 32x32 images, randomly initialised. Same seed, same weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return model(ViT.size(size, img_size=32, patch_size=4), weight)


def masks(batch, generator=None):
    """One target block of 40-60 % of the image, up to 28 of its patches asked for, 20 patches outside it seen."""
    return block_masks(
        batch,
        GRID,
        n_targets=1,
        target_scale=(0.4, 0.6),
        target_keep=28,
        context_scale=(1.0, 1.0),
        context_keep=20,
        generator=generator,
    )


def published_masks(batch, generator=None):
    """I-JEPA's own settings on this grid: four targets of 15-20 %, a context of 85-100 % without them."""
    return block_masks(batch, GRID, generator=generator)
