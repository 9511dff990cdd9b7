"""One vector per sound that does not say when the word was spoken: statistics over time, band by band.

A mean over all tokens forgets the band, all tokens side by side forget nothing, not even when the word began. Speech
recognisers take mean and standard deviation over time ("statistics pooling", x-vectors, Snyder et al. 2018).
"""

import torch

from minijepa.probes.features import TokenFeatures


def over_time(features):
    """Mean and standard deviation over time of each band: TokenFeatures of a grid (bands, times) -> [N, bands 2 D].

    features: of an encoder (`token_features`), or of the picture itself (`cells`).
    """
    tokens = features.tokens.unflatten(1, features.grid)  # [N, bands, times, D]
    return torch.cat([tokens.mean(dim=2), tokens.std(dim=2)], dim=-1).flatten(1)


def cells(data):
    """The picture's own cells as tokens, the baseline: SignalData [N, 1, mel, T] -> TokenFeatures [N, mel T, 1]."""
    x = data.batch()[:, 0]  # [N, mel, T]
    return TokenFeatures(x.flatten(1).unsqueeze(-1), tuple(x.shape[1:]))
