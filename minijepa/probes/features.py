"""What a frozen encoder computes from each image, once, to be kept in memory: one vector, or all patch tokens."""

from dataclasses import dataclass

import torch
from einops import rearrange

from minijepa.vit import eval_mode, pool


@torch.no_grad()
def features(encoder, data, *, layers="last", batch_size=100):
    """One vector per image from a frozen encoder, the mean over its tokens: float32 on the CPU.

    The encoder's mode (training or eval) is left as it was.

    data: ImageData.
    layers: "last" gives the last layer, [N, D]; "all" gives the means of all L layers, concatenated, [N, L D].
    batch_size: images at a time; it changes memory, not the result.
    Raises ValueError for other layers.
    """
    if layers not in ("last", "all"):
        raise ValueError(f"layers must be 'last' or 'all', got {layers!r}")
    chunks = []
    for x in frozen_batches(encoder, data, batch_size):
        outputs = encoder.layers(x) if layers == "all" else [encoder(x)]  # each [B, N, D]
        chunks.append(torch.cat([pool(tokens) for tokens in outputs], dim=1).float().cpu())  # [B, D] or [B, L D]
    return torch.cat(chunks)


@dataclass(frozen=True, eq=False)
class TokenFeatures:
    """All patch tokens of all images, held in memory so that many probes can read them.

    tokens: float32 [N, L, D], on the CPU. They take 4 N L D bytes: 1,000 images of 64 tokens of width 96 take 25 MB.
    grid: the patches in (rows, columns), with L = rows x columns.
    Raises ValueError if the grid does not hold L tokens.
    """

    tokens: torch.Tensor
    grid: tuple[int, ...]

    def __post_init__(self):
        length = torch.Size(self.grid).numel()
        if self.tokens.ndim != 3 or self.tokens.shape[1] != length:
            raise ValueError(
                f"a grid of {tuple(self.grid)} patches needs tokens [N, {length}, D], got {list(self.tokens.shape)}"
            )

    def __len__(self):
        return len(self.tokens)

    def pooled(self):
        """The mean over tokens: [N, D], the same as `features` gives."""
        return pool(self.tokens)

    def flat(self):
        """All tokens of an image concatenated: [N, L D]. Nothing is lost, and each position has its own numbers."""
        return self.tokens.flatten(1)

    def __getitem__(self, index):
        """The tokens of some images; index: a slice, indices [K] or a bool mask [N]."""
        return TokenFeatures(self.tokens[index], self.grid)

    @property
    def megabytes(self):
        """How much memory the tokens take, in units of 10^6 bytes."""
        return self.tokens.numel() * self.tokens.element_size() / 1e6


@torch.no_grad()
def token_features(encoder, data, *, batch_size=100):
    """All patch tokens of the last layer of a frozen encoder, as TokenFeatures [N, L, D].

    data: ImageData, or anything with `len` and `batch`.
    batch_size: images at a time; it changes memory, not the result.
    """
    chunks = [encoder(x).float().cpu() for x in frozen_batches(encoder, data, batch_size)]  # [B, L, D]
    return TokenFeatures(torch.cat(chunks), encoder.grid)


def raw_patches(data, patch_size=4):
    """The pixels of each patch as its token, normalised: TokenFeatures [N, L, C p p]. The baseline of dense probes.

    data: ImageData.
    patch_size: p, in pixels; it must divide the sides of the images.
    """
    x = data.batch()  # [N, C, H, W]
    grid = (x.shape[2] // patch_size, x.shape[3] // patch_size)
    tokens = rearrange(x, "n c (h p) (w q) -> n (h w) (c p q)", p=patch_size, q=patch_size)
    return TokenFeatures(tokens, grid)


def raw_pixels(data, *, size=None):
    """The images themselves as features, normalised: [N, C H W]. The baseline of probes of one vector.

    data: ImageData.
    size: average the images to size x size pixels first; None leaves them as they are.
    """
    x = data.batch()  # [N, C, H, W]
    if size is not None:
        x = torch.nn.functional.adaptive_avg_pool2d(x, size)
    return x.flatten(1)


def frozen_batches(encoder, data, batch_size):
    """Yield batches [B, C, H, W] on the encoder's device; the encoder is in eval mode meanwhile and then as it was."""
    device = next(encoder.parameters()).device
    with eval_mode(encoder):
        for index in torch.arange(len(data)).split(batch_size):
            yield data.batch(index, device)
