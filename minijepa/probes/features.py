"""What a frozen encoder says of each image, computed once and kept in memory: vectors, or all its patch tokens."""

from dataclasses import dataclass

import torch
from einops import rearrange

from minijepa.vit import eval_mode, pool


@torch.no_grad()
def features(encoder, data, *, layers="last", batch_size=100, device=None):
    """One vector per image from a frozen encoder: the mean over its tokens.

    data: ImageData. layers: "last" gives [N, D], the last layer; "all" gives [N, L D], every layer's mean side by side.
    Returns float32 on the CPU. The encoder's mode and device are left as they were. Raises ValueError for other layers.
    """
    if layers not in ("last", "all"):
        raise ValueError(f"layers must be 'last' or 'all', got {layers!r}")
    chunks = []
    for x in frozen_batches(encoder, data, batch_size, device):
        outputs = encoder.layers(x) if layers == "all" else [encoder(x)]  # each [B, N, D]
        chunks.append(torch.cat([pool(tokens) for tokens in outputs], dim=1).float().cpu())  # [B, D] or [B, L D]
    return torch.cat(chunks)


@dataclass(frozen=True, eq=False)
class TokenFeatures:
    """Every patch token of every image, held in memory so that many probes can read them.

    tokens: float32 or float16 [N, L, D], on the CPU; grid: the patches in (rows, columns), L = rows x columns.
    Memory: 4 N L D bytes in float32, half of it in float16: 1,000 images of 64 tokens of width 96 take 25 or 12 MB.
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
        """The mean over tokens: float32 [N, D], what `features` gives."""
        return pool(self.tokens.float())

    def flat(self):
        """All tokens side by side: float32 [N, L D]. Nothing is lost, and every place has numbers of its own."""
        return self.tokens.float().flatten(1)

    def __getitem__(self, index):
        """The tokens of some images; index: a slice, indices [K] or a bool mask [N]."""
        return TokenFeatures(self.tokens[index], self.grid)

    @property
    def megabytes(self):
        """How much memory the tokens take, in units of 10^6 bytes."""
        return self.tokens.numel() * self.tokens.element_size() / 1e6


@torch.no_grad()
def token_features(encoder, data, *, dtype=torch.float32, batch_size=100, device=None):
    """All patch tokens of the last layer of a frozen encoder, as TokenFeatures [N, L, D].

    data: ImageData, or anything with `len` and `batch`. dtype: torch.float32, or torch.float16 for half the memory;
    in float16 a token keeps three decimal digits, which changes a probe by less than its error.
    """
    chunks = [encoder(x).to("cpu", dtype) for x in frozen_batches(encoder, data, batch_size, device)]  # [B, L, D]
    return TokenFeatures(torch.cat(chunks), encoder.grid)


def raw_patches(data, patch_size=4):
    """The pixels of each patch as its token, normalised: TokenFeatures [N, L, C p p]. What a patch knows by itself.

    data: ImageData whose sides are multiples of patch_size, in pixels.
    """
    x = data.batch()  # [N, C, H, W]
    grid = (x.shape[2] // patch_size, x.shape[3] // patch_size)
    tokens = rearrange(x, "n c (h p) (w q) -> n (h w) (c p q)", p=patch_size, q=patch_size)
    return TokenFeatures(tokens, grid)


def raw_pixels(data, *, size=None):
    """The images themselves as features, normalised: [N, C H W]; size: shrink to size x size first."""
    x = data.batch()  # [N, C, H, W]
    if size is not None:
        x = torch.nn.functional.adaptive_avg_pool2d(x, size)
    return x.flatten(1)


def frozen_batches(encoder, data, batch_size, device=None):
    """Batches [B, C, H, W] on the encoder's device, the encoder in eval mode meanwhile and then as it was."""
    device = device or next(encoder.parameters()).device
    with eval_mode(encoder):
        for index in torch.arange(len(data)).split(batch_size):
            yield data.batch(index, device)
