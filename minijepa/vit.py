"""The Vision Transformer, over any set of kept tokens: the encoder f_theta of every method in this course.

An image is cut into patches (patches.py; a clip into tubelets, a series into pieces), each patch becomes a token, and
pre-norm transformer blocks mix the tokens. There is no class token: JEPA needs a vector per patch.
The point of difference from most ViT files: `forward(x, keep)` embeds and processes only the kept patches,
so an encoder that sees a quarter of the image costs a quarter.
Source: Dosovitskiy et al. 2020 (arXiv:2010.11929); widths and depths of I-JEPA (arXiv:2301.08243).
"""

import math
from contextlib import contextmanager

from einops import rearrange
from torch import nn

from minijepa.patches import PatchEmbed
from minijepa.positions import rotate, rotation, sincos

# what a ViT and a predictor can be told about places; both need the same one for released weights
POSITIONS = ("sincos", "sincos_uniform", "rotary", "rotary_published", "rotary_stretched")

# name: (width D, blocks L, heads, hidden units of the MLP per unit of width).
# "nano" and "micro" are this course's own, for two CPU cores.
SIZES = {
    "nano": (96, 4, 3, 4),
    "micro": (192, 4, 3, 4),
    "tiny": (192, 12, 3, 4),
    "small": (384, 12, 6, 4),
    "base": (768, 12, 12, 4),
    "large": (1024, 24, 16, 4),
    "huge": (1280, 32, 16, 4),
    "giant": (1408, 40, 16, 48 / 11),
}


class Attention(nn.Module):
    """Multi-head self-attention: softmax(Q K^T / sqrt(D / heads)) V, then a linear map back to D.

    x: [B, N, D] -> [B, N, D]. rope: rotary positions of the tokens (see positions.rotate) or None. mask: bool [N, N],
    True where the token of the row may see that of the column, or None: all see all.
    Raises ValueError if heads do not divide the width D. Source: arXiv:1706.03762, section 3.2.
    """

    def __init__(self, dim, heads):
        super().__init__()
        if dim % heads:
            raise ValueError(f"the width must be a multiple of the number of heads, got width {dim} and {heads} heads")
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x, rope=None, mask=None):
        q, k, v = self.split(x, rope)
        # written out: at a few dozen tokens a CPU is as fast with it as with PyTorch's fused call, in bfloat16 faster
        x = visible(q @ k.transpose(-2, -1), mask).softmax(dim=-1) @ v  # [B, heads, N, D / heads]
        return self.proj(rearrange(x, "b h n d -> b n (h d)"))

    def weights(self, x, rope=None, mask=None):
        """The attention weights alone, to look at: x [B, N, D] -> [B, heads, N, N], each row a distribution."""
        q, k, _ = self.split(x, rope)
        return visible(q @ k.transpose(-2, -1), mask).softmax(dim=-1)

    def split(self, x, rope=None):
        """Queries (already divided by sqrt(D / heads)), keys and values, each [B, heads, N, D / heads]."""
        q, k, v = rearrange(self.qkv(x), "b n (three h d) -> three b h n d", three=3, h=self.heads)
        if rope is not None:
            q, k = rotate(q, rope), rotate(k, rope)
        return q * q.shape[-1] ** -0.5, k, v


def visible(scores, mask):
    """Scores [B, heads, N, N] with -inf where mask, bool [N, N] or None, is False: there the softmax gives 0."""
    return scores if mask is None else scores.masked_fill(~mask, -math.inf)


class MLP(nn.Module):
    """The two-layer network that each token passes through alone. x: [B, N, D] -> [B, N, D]."""

    def __init__(self, dim, hidden):
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x):
        return self.fc2(nn.functional.gelu(self.fc1(x)))


class Block(nn.Module):
    """One pre-norm transformer block: x + attention(norm(x)), then x + mlp(norm(x)). [B, N, D] -> [B, N, D].

    rope, mask: as in Attention.
    """

    def __init__(self, dim, heads, mlp_ratio=4):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = MLP(dim, round(dim * mlp_ratio))

    def forward(self, x, rope=None, mask=None):
        x = x + self.attn(self.norm1(x), rope, mask)
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    """f_theta: an image (or clip) to one vector per patch (tubelet), over all patches or only the kept ones.

    img_size: pixels, one number or (H, W); for clips (T, H, W), for series (T,), for words (L,).
    patch_size: pixels, one number or (p, q); for clips (frames, p, q), a tubelet; for series (p,), for words (1,).
    Each must divide the image.
    embed: another embedder than patches, such as `WordEmbed`; see patches.py.
    dim, depth, heads, mlp_ratio: width D, number of blocks L, attention heads, MLP width over D.
    positions: "sincos", a table [N, D] added to the tokens; "sincos_uniform", the same with equally many features for
    each axis of a clip (released V-JEPA); "rotary"; "rotary_published" (released V-JEPA 2) and
    "rotary_stretched" (released V-JEPA 2.1), for both see positions.rotation.
    Weights start as `init_weights` says.
    Raises ValueError when patches do not tile the image, heads do not divide the width or positions are unknown.
    """

    def __init__(
        self,
        img_size=32,
        patch_size=4,
        dim=192,
        depth=12,
        heads=3,
        mlp_ratio=4,
        in_chans=3,
        positions="sincos",
        embed=None,
    ):
        super().__init__()
        patch_size = (patch_size,) * 2 if isinstance(patch_size, int) else tuple(patch_size)
        img_size = (img_size,) * len(patch_size) if isinstance(img_size, int) else tuple(img_size)
        if len(img_size) != len(patch_size) or any(s % p for s, p in zip(img_size, patch_size, strict=False)):
            raise ValueError(f"patches of {patch_size} pixels must tile an image of {img_size}: give divisors")
        self.grid = tuple(s // p for s, p in zip(img_size, patch_size, strict=True))
        self.dim, self.img_size = dim, img_size
        self.patch_embed = PatchEmbed(patch_size, in_chans, dim) if embed is None else embed
        add_positions(self, self.grid, dim, heads, positions)
        self.blocks = nn.ModuleList(Block(dim, heads, mlp_ratio) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.apply(init_weights)

    def embed(self, x, keep=None):
        """Patches to tokens with positions. x: [B, C, H, W]; keep: int64 [B, K] or None. Returns [B, K or N, D].

        Raises ValueError if x is not of the size that the encoder was built for.
        """
        found = tuple(x.shape[self.patch_embed.leading :])
        if found != self.img_size:
            raise ValueError(f"this encoder was built for images of {self.img_size} pixels, got {found}")
        tokens = self.patch_embed(x, keep)  # [B, K, D]
        if self.pos_embed is None:
            return tokens
        return tokens + (self.pos_embed if keep is None else self.pos_embed[keep])

    def rope_of(self, keep=None):
        """Rotary positions, if any: of all tokens [2, N, D / heads], of keep [B, K] [2, B, 1, K, D / heads]."""
        if self.rope is None or keep is None:
            return self.rope
        return self.rope[:, keep].unsqueeze(2)

    def forward(self, x, keep=None):
        """x: images [B, C, H, W], clips [B, C, T, H, W], series [B, C, T]; keep: int64 [B, K] tokens, None for all.

        Returns [B, K, D] (all N tokens if keep is None), in the order of `keep`, after the final LayerNorm.
        """
        x, rope = self.embed(x, keep), self.rope_of(keep)
        for block in self.blocks:
            x = block(x, rope)
        return self.norm(x)

    def layers(self, x, keep=None):
        """The same forward pass, every block's output: a list of L tensors [B, K, D], the last one normalised."""
        x, rope = self.embed(x, keep), self.rope_of(keep)
        outputs = []
        for block in self.blocks:
            x = block(x, rope)
            outputs.append(x)
        return [*outputs[:-1], self.norm(x)]

    @classmethod
    def size(cls, name, **kwargs):
        """The encoder called `name` in the table SIZES; other arguments as in the constructor."""
        if name not in SIZES:
            raise ValueError(f"no ViT is called {name!r}; the sizes are {', '.join(SIZES)}")
        dim, depth, heads, mlp_ratio = SIZES[name]
        return cls(**{"dim": dim, "depth": depth, "heads": heads, "mlp_ratio": mlp_ratio, **kwargs})

    @classmethod
    def nano(cls, **kwargs):
        """Width 96, 4 blocks, 3 heads (0.45 M parameters): trains in minutes on two CPU cores."""
        return cls.size("nano", **kwargs)

    @classmethod
    def micro(cls, **kwargs):
        """Width 192, 4 blocks, 3 heads (1.8 M parameters): for ten minutes on two CPU cores."""
        return cls.size("micro", **kwargs)

    @classmethod
    def tiny(cls, **kwargs):
        """Width 192, 12 blocks, 3 heads (5.4 M parameters)."""
        return cls.size("tiny", **kwargs)

    @classmethod
    def small(cls, **kwargs):
        """Width 384, 12 blocks, 6 heads (21 M parameters)."""
        return cls.size("small", **kwargs)

    @classmethod
    def base(cls, **kwargs):
        """Width 768, 12 blocks, 12 heads (85 M parameters)."""
        return cls.size("base", **kwargs)


def add_positions(module, grid, dim, heads, positions):
    """Give an encoder or predictor its fixed positions: `pos_embed` [N, D] to add, or `rope` [2, N, D / heads].

    Raises ValueError for a name that is not in POSITIONS.
    """
    if positions not in POSITIONS:
        raise ValueError(f"positions must be one of {', '.join(POSITIONS)}, got {positions!r}")
    table = rope = None
    if positions.startswith("sincos"):
        table = sincos(grid, dim, uniform=positions == "sincos_uniform")
    else:
        side = 16 if positions == "rotary_stretched" else None
        rope = rotation(grid, dim // heads, published=positions == "rotary_published", side=side)
    module.register_buffer("pos_embed", table)
    module.register_buffer("rope", rope, persistent=False)


def init_weights(module):
    """Linear weights Xavier-uniform, their biases 0 (as in MAE's ViT); LayerNorms keep PyTorch's 1 and 0.

    The released I-JEPA draws all weights with standard deviation .02. That suits a width of 1,280 and patches of 588
    values; with 48 values per patch it would leave a token's content ten times smaller than its position.
    """
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)


def transformer_blocks(module):
    """All transformer blocks inside a module, in the order in which it names them: a list of `Block`."""
    return [each for each in module.modules() if isinstance(each, Block)]


@contextmanager
def eval_mode(module):
    """Meanwhile eval mode; afterwards every part of the module is in the mode it was in, also after an error."""
    modes = [(each, each.training) for each in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for each, training in modes:
            each.training = training


def count_parameters(module):
    """How many numbers the module learns."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def pool(tokens):
    """The mean over tokens: [B, N, D] -> [B, D]. How a ViT without a class token gives one vector per image."""
    return tokens.mean(dim=1)
