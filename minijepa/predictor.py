"""The predictor g_phi: from the context tokens and the places of the hidden patches to what stands there.

A narrow transformer. It receives the context representation s_x, and for every hidden patch j one and the same
learned mask token m plus the position p_j; out comes a prediction of the teacher's token at j.
Source: I-JEPA (arXiv:2301.08243, section 3 and appendix A).
"""

import torch
from einops import rearrange
from torch import nn

from minijepa.vit import Block, add_positions, init_weights


class Predictor(nn.Module):
    """g_phi(s_x, m + p_j): predicts every target block from the context, each block on its own.

    dim: width of the encoder. grid: its patch grid, (H, W) or (T, H, W). width, depth, heads: the predictor's own;
    width is smaller than dim, a bottleneck. out_dim: width of the targets (default dim; pixels per patch for MAE).
    mask_tokens: how many m there are; V-JEPA has one for each of its two mask specifications.
    positions: as in ViT (a table [N, width] is added here too); with rotary ones the mask token asks without its place,
    and attention hears where it is.
    """

    def __init__(self, dim, grid, width=48, depth=2, heads=3, out_dim=None, mask_tokens=1, positions="sincos"):
        super().__init__()
        self.mask_tokens = nn.ParameterList(nn.Parameter(torch.zeros(width)) for _ in range(mask_tokens))
        self.embed = nn.Linear(dim, width)
        add_positions(self, grid, width, heads, positions)  # pos_embed [N, width] or rope [2, N, width / heads]
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.proj = nn.Linear(width, out_dim or dim)
        self.apply(init_weights)
        for token in self.mask_tokens:
            nn.init.trunc_normal_(token, std=0.02)

    def forward(self, context, masks, token=0):
        """context: s_x [B, K_c, D]; masks: Masks with context [B, K_c] and targets [B, M, K_t].

        token: which of the mask tokens asks. Returns predictions [B, M, K_t, out_dim]. Every block is a sequence of
        its own, so what is predicted for one does not depend on which others were asked for; all B x M sequences go
        through in one pass.
        """
        x = self.states(context, masks, token)[:, -masks.targets.shape[-1] :]  # [B * M, K_t, width]
        return rearrange(self.proj(x), "(b m) k d -> b m k d", b=len(context))  # [B, M, K_t, out_dim]

    def states(self, context, masks, token=0):
        """The last layer at context and targets, normalised: [B * M, K_c + K_t, width]. Arguments as in `forward`."""
        b, m, k = masks.targets.shape
        seen = self.embed(context)  # [B, K_c, width]
        asked = self.mask_tokens[token].expand(b, m, k, -1)  # [B, M, K_t, width]
        if self.pos_embed is not None:
            seen, asked = seen + self.pos_embed[masks.context], asked + self.pos_embed[masks.targets]
        x, rope = sequences(seen, asked), None  # [B * M, K_c + K_t, width]
        if self.rope is not None:
            rope = self.rope[:, sequences(masks.context, masks.targets)].unsqueeze(2)
        for block in self.blocks:
            x = block(x, rope)  # [B * M, K_c + K_t, width]
        return self.norm(x)


def sequences(seen, asked):
    """Join each target block to a copy of the context: [B, K_c, ...], [B, M, K_t, ...] -> [B * M, K_c + K_t, ...]."""
    return torch.cat([seen.repeat_interleave(asked.shape[1], dim=0), asked.flatten(0, 1)], dim=1)
