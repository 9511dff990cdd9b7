"""AE: an autoencoder computes its whole input back from a short code. Replaced: masks, predictor and target encoder.

    x --> encoder (all patches) --> mean over tokens --> linear map: a code, 32 numbers --> decoder --> all pixels
    x --------------------------------------------------------------------------------------------> what they should be

Nothing is hidden, so the short code is all that forbids a copy. It is a linear map of the pooled tokens: what the code
holds, a linear probe of the pooled tokens can find, so AE is compared with the others by the same features.
Given two frames, the encoder sees one and the decoder draws the other: a predictive autoencoder.
Source: Hinton and Salakhutdinov 2006, "Reducing the dimensionality of data with neural networks", trained as one
network here; the decoder, an MLP with one hidden layer, is that of the VAE (arXiv:1312.6114, appendix C), with GELU.

    model = autoencoder.model(ViT.nano(img_size=32, patch_size=4))
    fit(model, course_data()[0], steps=1000, **autoencoder.TRAINING)
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from minijepa.collapse import differ
from minijepa.losses import l2
from minijepa.training import recipe
from minijepa.vit import init_weights, pool

NAME = "AE"
TRAINING = recipe.TRAINING
masks = None


class Frames(NamedTuple):
    """Two frames of each example, [B, C, H, W] both: the encoder sees `now`, the decoder draws `after`.

    Give `fit` augment=None with them: both frames would have to be cropped alike.
    """

    now: torch.Tensor
    after: torch.Tensor


@dataclass
class AutoencoderOutput:
    """What one step made. loss: scalar; drawn: [B, N, values], patches; code: [B, K]; tokens: [B, N, D]."""

    loss: torch.Tensor
    drawn: torch.Tensor
    code: torch.Tensor
    tokens: torch.Tensor

    @property
    def numbers(self):
        """What `fit` records now and then: do the tokens still differ between images (minijepa.collapse)?"""
        return differ(self.tokens)


class Autoencoder(nn.Module):
    """An encoder, a code of `code` numbers per image, a decoder. There is no target encoder: targets are pixels.

    encoder: a ViT. code: K, at least 1. hidden: units of the decoder's hidden layer.
    """

    def __init__(self, encoder, code=32, hidden=256):
        super().__init__()
        self.encoder = encoder
        self.to_code = nn.Linear(encoder.dim, code).apply(init_weights)
        self.decoder = Decoder(code, encoder, hidden)

    def forward(self, x):
        """x: images [B, C, H, W], to be drawn themselves, or Frames. Returns AutoencoderOutput."""
        seen, wanted = x if isinstance(x, tuple) else (x, x)
        tokens = self.encoder(seen)  # [B, N, D]
        code = self.to_code(pool(tokens))  # [B, K]
        drawn = self.decoder(code)  # [B, N, values]
        wanted = self.encoder.patch_embed.patches(wanted)  # [B, N, values]
        return AutoencoderOutput(l2(drawn.float(), wanted).mean(), drawn, code, tokens)

    @property
    def target_encoder(self):
        """The encoder to keep: the only one."""
        return self.encoder


class Decoder(nn.Module):
    """From a code to all patches of an image: an MLP with one hidden layer. code [B, K] -> [B, N, values].

    code: K. encoder: only its numbers of patches and of values per patch are used. hidden: units of the hidden layer.
    """

    def __init__(self, code, encoder, hidden=256):
        super().__init__()
        self.patches = torch.Size(encoder.grid).numel()
        self.fc1 = nn.Linear(code, hidden)
        self.fc2 = nn.Linear(hidden, self.patches * encoder.patch_embed.proj.in_features)
        self.apply(init_weights)

    def forward(self, code):
        return self.fc2(nn.functional.gelu(self.fc1(code))).unflatten(-1, (self.patches, -1))


def model(encoder, code=32):
    """An autoencoder. encoder: a ViT; code: numbers in its code."""
    return Autoencoder(encoder, code)
