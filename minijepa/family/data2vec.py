"""data2vec: the predictor lives inside the encoder, which sees mask tokens where I-JEPA's sees nothing.

    x --> tokens, the hidden ones replaced by m + p_j --> encoder --> one linear layer --> prediction of s_y
    x --> teacher (all patches, no gradient), mean of its top layers                   --> s_y at the hidden patches

So the encoder spends its width on prediction too, and every step costs all N tokens. Exchanged: the predictor.
Source: data2vec (arXiv:2202.03555, section 3).
"""

import torch
from einops import rearrange
from torch import nn

from minijepa.ema import EMATeacher
from minijepa.jepa import JEPAOutput
from minijepa.losses import smooth_l1
from minijepa.vit import gather_tokens, init_weights


class Data2Vec(nn.Module):
    """An encoder with a mask token, a linear head, and a teacher that averages its top layers.

    encoder: a ViT with added positions ("sincos"). top: how many of the teacher's layers are averaged.
    distance: from minijepa.losses. Raises ValueError for rotary positions or a `top` that the encoder has not.
    """

    def __init__(self, encoder, top=4, distance=smooth_l1):
        super().__init__()
        if encoder.pos_embed is None:
            raise ValueError("Data2Vec needs an encoder with positions that are added, such as 'sincos', not rotary")
        self.encoder = encoder
        self.teacher = EMATeacher(encoder, top=top)
        self.mask_token = nn.Parameter(0.02 * torch.randn(encoder.dim))
        self.head = nn.Linear(encoder.dim, encoder.dim).apply(init_weights)
        self.distance = distance

    def forward(self, x, masks):
        """x: images [B, C, H, W]; masks: Masks; its targets [B, M, K_t] are hidden, all else is seen.

        Returns JEPAOutput; context holds all N tokens of the last layer, [B, N, D].
        """
        all_targets = self.teacher(x)  # [B, N, D], no gradient
        hidden = masks.targets.flatten(1)  # [B, M * K_t]
        tokens = self.encoder.patch_embed(x)  # [B, N, D]
        is_hidden = torch.zeros(tokens.shape[:2], dtype=torch.bool, device=x.device).scatter_(1, hidden, True)
        tokens = torch.where(is_hidden.unsqueeze(-1), self.mask_token.to(tokens.dtype), tokens)
        tokens = tokens + self.encoder.pos_embed
        for block in self.encoder.blocks:
            tokens = block(tokens)
        tokens = self.encoder.norm(tokens)  # [B, N, D]
        split = "b (m k) d -> b m k d"
        prediction = rearrange(self.head(gather_tokens(tokens, hidden)), split, m=masks.targets.shape[1])
        target = rearrange(gather_tokens(all_targets, hidden), split, m=masks.targets.shape[1])
        energy = self.distance(prediction.float(), target.float())  # [B, M, K_t]
        return JEPAOutput(energy.mean(), energy, prediction, target, tokens, all_targets)

    def after_step(self, momentum):
        """xi <- momentum * xi + (1 - momentum) * theta."""
        self.teacher.update(self.encoder, momentum)

    @property
    def target_encoder(self):
        """The teacher's encoder: smoother than the one in training."""
        return self.teacher.encoder
