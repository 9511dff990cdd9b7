"""The relatives of I-JEPA for the table of peers: same encoder, same images, and steps that take about the same time.

`peers_time.py` times a step of each: the table's steps take between .87 (LeJEPA) and 1.02 (MAE) of the time that
the recipe's 2,000 take.

Each trains with `fit`, all but supervised training, which needs labels. Optimiser, batch and masks of each were chosen
among two to five settings on training images, as the recipe's were among many more: that favours the recipe.
"""

from functools import partial

import torch

from minijepa import JEPA, PixelTeacher, Predictor, ViT, block_masks, l2, random_masks
from minijepa.family import Data2Vec, TwoViews, info_nce, lejepa, no_masks, two_views
from minijepa.losses import vicreg
from minijepa.training import recipe

VIEWS = {"augment": two_views}


def mae_masks(batch, generator=None):
    """A quarter of the patches seen, at random; all others asked for."""
    return random_masks(batch, recipe.GRID, context_keep=16, target_keep=48, generator=generator)


def hidden_blocks(batch, generator=None):
    """One block of 40-60 % of the image hidden; data2vec sees all the rest of it."""
    return block_masks(
        batch, recipe.GRID, n_targets=1, target_scale=(0.4, 0.6), context_scale=(1.0, 1.0), generator=generator
    )


def mae(encoder):
    """MAE: random masks, pixels as targets, nothing else in the loss."""
    pixels = PixelTeacher(encoder)
    predictor = Predictor(encoder.dim, encoder.grid, width=48, depth=2, heads=3, out_dim=pixels.dim)
    return JEPA(encoder, predictor, pixels, l2), mae_masks


def data2vec(encoder):
    """data2vec: mask tokens inside the encoder, the mean of all four layers as target."""
    return Data2Vec(encoder, top=4), hidden_blocks


def simclr(encoder):
    """SimCLR: pick the other view among the batch."""
    return TwoViews(encoder, partial(info_nce, temperature=0.1)), no_masks


def two_view_vicreg(encoder):
    """VICReg: equal views, features that vary and differ."""
    return TwoViews(encoder, vicreg, width=256), no_masks


def two_view_lejepa(encoder):
    """LeJEPA: equal views, features distributed like a Gaussian."""
    return TwoViews(encoder, partial(lejepa, weight=0.02), width=64), no_masks


def make(seed, build, **training):
    """(model, masks, settings for fit) of a relative; build: one of the functions above, or None for supervised."""
    torch.manual_seed(seed)
    encoder = ViT.nano(img_size=32, patch_size=4)
    if build is None:
        return encoder, None, training
    return *build(encoder), {**recipe.TRAINING, **training}
