"""A decoder to look at latents with: trained afterwards, on a frozen encoder, for the eye and not for the model."""

import torch
from torch import nn
from torch.nn import functional as F

from minijepa.planning.world_model import WorldModelOutput


class Decoder(nn.Module):
    """z [..., D] -> image [..., C, S, S]: the encoder's layers in reverse order. `model(clip)` is its loss for `fit`.

    encoder: a trained FrameEncoder; no gradient reaches it, so what the picture shows was in z. What it does not show
    may still be there: a decoder that fails proves nothing.
    """

    def __init__(self, encoder, size=28, channels=2, width=128):
        super().__init__()
        self.encoder, self.side = encoder.requires_grad_(False), size // 4
        self.head = nn.Sequential(
            nn.Linear(encoder.dim, width), nn.GELU(), nn.Linear(width, 16 * self.side**2), nn.GELU()
        )
        self.patches = nn.ConvTranspose2d(16, channels, kernel_size=4, stride=4)

    def decode(self, z):
        shape = z.shape[:-1]
        patches = self.head(z.flatten(0, -2)).view(-1, 16, self.side, self.side)
        image = self.patches(patches)  # [M, C, S, S]
        return image.view(*shape, *image.shape[1:])

    def forward(self, clip):
        with torch.no_grad():
            z = self.encoder(clip.frames)  # [B, T, D]
        error = F.mse_loss(self.decode(z), clip.frames)
        return WorldModelOutput(error, {"pixels": error})
