"""TS-JEPA: a series with 70 % of its pieces hidden. Replaced: the image, by a series; the blocks, by random pieces.

    x --> context encoder (30 % of the pieces) --> s_x --> narrow predictor --> prediction of s_y
    x --> target encoder (all pieces, no gradient) --> LayerNorm --> s_y at the hidden pieces
    loss = mean |prediction - s_y|

A piece is p neighbouring values, a token each. Kept from the paper and its code: the random mask of 70 %, the L1
distance, targets with LayerNorm from an EMA of the encoder, a narrow transformer of one block as predictor.
Substituted: the tokenizer, there a strided convolution and a linear map, is one linear map; the released command trains
5,000 epochs at a learning rate of 1e-7, which after minutes leaves the encoder as random as it was, so optimiser and
momentum are chosen for hundreds of steps, with a light variance-covariance regulariser (weight 0 leaves it out).
`masked_autoencoder` is the same with the values of the hidden pieces as targets.
Source: Ennadir, Golkar and Sarra (arXiv:2509.25449, section 3), and their code. Not the TS-JEPA of Girgis, Valcarce and
Bennis (arXiv:2406.04853), a world model for remote control.

    encoder = ViT(img_size=(144,), patch_size=(12,), in_chans=1, dim=64, depth=3, heads=4)
    model = ts_jepa.model(encoder)
    fit(model, event_series(4_000), ts_jepa.masks, steps=600, **ts_jepa.TRAINING)
"""

from minijepa.family.mae import PixelTeacher
from minijepa.jepa import JEPA
from minijepa.losses import l1, l2
from minijepa.masking import random_masks
from minijepa.predictor import Predictor

NAME = "TS-JEPA"
TOKENS = 12  # of the course's series: 144 values in pieces of 12
HIDDEN = 0.7  # of the tokens
TRAINING = {"batch_size": 64, "lr": 1.5e-3, "momentum": (0.97, 1.0)}


def model(encoder, weight=0.1):
    """A JEPA with L1 and a predictor of one narrow block. encoder: a ViT of series; weight: of the regulariser."""
    return JEPA(encoder, narrow(encoder), distance=l1, weight=weight)


def masked_autoencoder(encoder):
    """The same with other targets: the values of the hidden pieces, each standardised. encoder: a ViT of series."""
    values = PixelTeacher(encoder)
    return JEPA(encoder, narrow(encoder, out_dim=values.dim), values, l2)


def narrow(encoder, out_dim=None):
    """One block of three quarters of the encoder's width, with its predictions of width out_dim (default: D)."""
    return Predictor(encoder.dim, encoder.grid, width=encoder.dim * 3 // 4, depth=1, heads=3, out_dim=out_dim)


def masks(batch, generator=None, length=TOKENS, hidden=HIDDEN):
    """A random 30 % of the tokens seen, all others predicted.

    length: number of tokens. hidden: fraction of them, in (0, 1); one at least is seen.
    """
    seen = max(1, round(length * (1 - hidden)))
    return random_masks(batch, (length,), context_keep=seen, target_keep=length - seen, generator=generator)
