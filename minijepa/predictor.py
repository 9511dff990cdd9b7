"""The predictor g_phi: from the context tokens and the places of the hidden patches to what stands there.

A narrow transformer. It receives the context representation s_x, and for every hidden patch j one and the same
learned mask token m plus the position p_j; out comes a prediction of the teacher's token at j.
Source: I-JEPA (arXiv:2301.08243, section 3 and appendix A).
"""

import torch
from einops import rearrange, repeat
from torch import nn

from minijepa.positions import sincos
from minijepa.vit import Block, init_weights


class Predictor(nn.Module):
    """g_phi(s_x, m + p_j): predicts every target block from the context, each block on its own.

    dim: width of the encoder. grid: its patch grid, (H, W) or (T, H, W). width, depth, heads: the predictor's own;
    width is smaller than dim, a bottleneck. out_dim: width of the targets (default dim; pixels per patch for MAE).
    """

    def __init__(self, dim, grid, width=48, depth=2, heads=3, out_dim=None):
        super().__init__()
        self.embed = nn.Linear(dim, width)
        self.mask_token = nn.Parameter(torch.zeros(width))
        self.register_buffer("pos_embed", sincos(grid, width))  # [N, width]
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.proj = nn.Linear(width, out_dim or dim)
        self.apply(init_weights)
        nn.init.trunc_normal_(self.mask_token, std=0.02)

    def forward(self, context, masks):
        """context: s_x [B, K_c, D]; masks: Masks with context [B, K_c] and targets [B, M, K_t].

        Returns predictions [B, M, K_t, out_dim]. Every block is a sequence of its own, so what is predicted for
        one does not depend on which others were asked for; all B x M sequences go through in one pass.
        """
        b, m, k = masks.targets.shape
        seen = self.embed(context) + self.pos_embed[masks.context]  # [B, K_c, width]
        asked = self.mask_token + self.pos_embed[masks.targets]  # [B, M, K_t, width]
        x = torch.cat([repeat(seen, "b n d -> (b m) n d", m=m), rearrange(asked, "b m k d -> (b m) k d")], dim=1)
        for block in self.blocks:
            x = block(x)  # [B * M, K_c + K_t, width]
        x = self.proj(self.norm(x[:, -k:]))  # [B * M, K_t, out_dim]
        return rearrange(x, "(b m) k d -> b m k d", b=b)
