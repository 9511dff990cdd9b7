"""MAE: the teacher is replaced by the pixels themselves."""

import torch
from torch import nn


class PixelTeacher(nn.Module):
    """MAE's box: the targets are the pixels of each patch, normalised per patch; there is nothing to update.

    encoder: only its way of cutting patches is used. Source: MAE (arXiv:2111.06377, section 3, "reconstruction
    target" with normalised pixels). The predictor needs out_dim = `self.dim` values per patch.
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
