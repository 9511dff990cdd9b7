"""A submission to the track "representation": predict the mean colour of each hidden patch. Make it better.

It has the four names of a file of minijepa/family. Try it, with a hundredth of the budget, then with all of it:

    python -m minijepa.challenge exercises/challenge/submission.py --budget 0.01
    python -m minijepa.challenge exercises/challenge/submission.py
"""

from minijepa.jepa import JEPA
from minijepa.losses import l2
from minijepa.masking import random_masks
from minijepa.predictor import Predictor

import torch
from torch import nn

NAME = "mean colours"
TRAINING = {"batch_size": 64, "lr": 2e-3, "optimizer": "muon", "weight_decay": (0.05, 0.05)}  # settings for `fit`


def masks(batch, generator=None):
    """A quarter of the 64 patches is seen, 32 of the others are predicted."""
    return random_masks(batch, (8, 8), context_keep=16, target_keep=32, generator=generator)


class MeanColours(nn.Module):
    """In the place of the target encoder: the mean colour of each patch. encoder: only its patches are used."""

    def __init__(self, encoder):
        super().__init__()
        self.patches = encoder.patch_embed.patches

    @torch.no_grad()
    def forward(self, x):
        """x: [B, 3, H, W] -> [B, N, 3]."""
        return self.patches(x).unflatten(-1, (3, -1)).mean(dim=-1)

    def update(self, encoder, momentum):
        """Colours do not learn."""


def model(encoder):
    """What `fit` trains. encoder: a ViT-nano, randomly initialised from the lecturer's seed; it is what is scored."""
    predictor = Predictor(encoder.dim, encoder.grid, width=48, depth=1, heads=3, out_dim=3)
    return JEPA(encoder, predictor, MeanColours(encoder), l2)
