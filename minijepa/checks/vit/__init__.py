"""Assignment 02: patches, positions and attention, the parts of a Vision Transformer."""

from minijepa.checks.vit.attention import attention, show_attention
from minijepa.checks.vit.embed_kept import embed_kept, show_embed_kept
from minijepa.checks.vit.patchify import patchify, show_patchify
from minijepa.checks.vit.positions_2d import positions_2d, show_positions_2d
from minijepa.checks.vit.sincos import show_sincos, sincos
from minijepa.checks.vit.split_heads import show_split_heads, split_heads

__all__ = ["patchify", "sincos", "positions_2d", "attention", "split_heads", "embed_kept"]
__all__ += ["show_patchify", "show_sincos", "show_positions_2d"]
__all__ += ["show_attention", "show_split_heads", "show_embed_kept"]
