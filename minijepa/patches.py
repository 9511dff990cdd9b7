"""From a signal to tokens: the one part of the encoder that knows what is looked at.

    image   [B, C, H, W]      --> patches of p x q pixels           --> a token each
    clip    [B, C, T, H, W]   --> tubelets, patches with a duration --> a token each
    sound   [B, 1, mel, T]    --> patches of a spectrogram, as of an image
    series  [B, C, T]         --> patches of p neighbouring values  --> a token each
    words   int64 [B, L]      --> a row of a table for each word

A new modality is a data set and an embedder; blocks, masks, predictor and loss see tokens and stay as they are.
An embedder is a module with `forward(x, keep) -> [B, K, D]`, where keep, int64 [B, K] or None for all, says which
tokens are wanted, and `leading`, the number of axes of x before those that the grid cuts.
Source: ViT (arXiv:2010.11929, section 3.1); tubelets ViViT (arXiv:2103.15691); patches of a series PatchTST
(arXiv:2211.14730).
"""

import math

from einops import rearrange
from torch import nn


def gather_tokens(x, index):
    """Pick tokens by index. x: [B, N, D]; index: int64 [B, K], each in 0..N-1. Returns [B, K, D]."""
    return x.gather(1, index.unsqueeze(-1).expand(-1, -1, x.shape[-1]))


class PatchEmbed(nn.Module):
    """Cut into patches and map each to a token: token_j = W patch_j + b.

    `patch_size` has 2 numbers (rows, columns) for images and spectrograms [B, C, H, W], 3 (frames, rows, columns) for
    clips [B, C, T, H, W], 1 (values) for series [B, C, T]. It is the strided convolution of other ViT files, written
    as what it is: a linear map per patch.
    """

    leading = 2  # batch and channels

    def __init__(self, patch_size, in_chans, dim):
        super().__init__()
        self.patch_size = tuple(patch_size)
        self.proj = nn.Linear(in_chans * math.prod(self.patch_size), dim)

    def patches(self, x):
        """[B, C, (T,) H, W] or [B, C, T] -> [B, N, values], row-major (clips: time first); a patch lists C first."""
        if len(self.patch_size) == 1:
            return rearrange(x, "b c (t p) -> b t (c p)", p=self.patch_size[0])
        if len(self.patch_size) == 2:
            p, q = self.patch_size
            return rearrange(x, "b c (h p) (w q) -> b (h w) (c p q)", p=p, q=q)
        o, p, q = self.patch_size
        return rearrange(x, "b c (t o) (h p) (w q) -> b (t h w) (c o p q)", o=o, p=p, q=q)

    def forward(self, x, keep=None):
        x = self.patches(x)  # [B, N, values]
        if keep is not None:
            x = gather_tokens(x, keep)  # [B, K, values]: hidden patches are dropped before any arithmetic
        return self.proj(x)  # [B, K or N, D]


class WordEmbed(nn.Module):
    """A learned vector for each word of a vocabulary: token_j = table[x_j].

    words: size of the vocabulary. dim: width D. x: int64 [B, L], each in 0..words - 1 -> [B, L, D].
    For a ViT: `ViT(img_size=(L,), patch_size=(1,), embed=WordEmbed(words, dim), dim=dim)`.
    """

    leading = 1  # batch

    def __init__(self, words, dim):
        super().__init__()
        self.table = nn.Embedding(words, dim)

    def forward(self, x, keep=None):
        return self.table(x if keep is None else x.gather(1, keep))  # [B, K or L, D]
