"""data2vec: the predictor lives inside the encoder, which sees mask tokens where I-JEPA's sees nothing.

    x --> tokens, the hidden ones replaced by m + p_j --> encoder --> one linear layer --> prediction of s_y
    x --> target encoder (all patches, no gradient), mean of its top layers            --> s_y at the hidden patches

So the encoder spends its width on prediction too, and every step costs all N tokens. Replaced: the predictor.
Source: data2vec (arXiv:2202.03555, section 3).

    model = data2vec.model(ViT.nano(img_size=32, patch_size=4))
    fit(model, course_data()[0], data2vec.masks, steps=1000, **data2vec.TRAINING)

The paper's point is that one objective serves speech, images and text: here any encoder of `minijepa.vit` does, with
`masks_for(encoder.grid)` and, where there are no images to crop, augment=None.
"""

import torch
from torch import nn

from minijepa.ema import EMATeacher
from minijepa.jepa import JEPAOutput, at_targets
from minijepa.losses import smooth_l1
from minijepa.masking import block_masks
from minijepa.training import recipe
from minijepa.vit import init_weights

NAME = "data2vec"
TRAINING = recipe.TRAINING


class Data2Vec(nn.Module):
    """An encoder with a mask token, a linear head, and a target encoder that averages its top layers.

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
        """x: images [B, C, H, W] or what else the encoder takes; masks: Masks; its targets [B, M, K_t] are hidden.

        Returns JEPAOutput; context holds all N tokens of the last layer, [B, N, D].
        """
        all_targets = self.teacher(x)  # [B, N, D], no gradient
        tokens = encode_with_mask_tokens(self.encoder, self.mask_token, x, masks.targets.flatten(1))  # [B, N, D]
        prediction = self.head(at_targets(tokens, masks))  # [B, M, K_t, D]
        target = at_targets(all_targets, masks)  # [B, M, K_t, D]
        energy = self.distance(prediction.float(), target.float())  # [B, M, K_t]
        return JEPAOutput(energy.mean(), energy, prediction, target, tokens, all_targets)

    def after_step(self, momentum):
        """xi <- momentum * xi + (1 - momentum) * theta."""
        self.teacher.update(self.encoder, momentum)

    @property
    def target_encoder(self):
        """The encoder to keep: the teacher's, smoother than the one in training."""
        return self.teacher.encoder


def encode_with_mask_tokens(encoder, mask_token, x, hidden):
    """The encoder with mask tokens at `hidden`, int64 [B, K]: x [B, C, H, W] -> [B, N, D]. mask_token: [D]."""
    tokens = encoder.patch_embed(x)  # [B, N, D]
    is_hidden = torch.zeros(tokens.shape[:2], dtype=torch.bool, device=x.device).scatter_(1, hidden, True)
    tokens = torch.where(is_hidden.unsqueeze(-1), mask_token.to(tokens.dtype), tokens)
    tokens = tokens + encoder.pos_embed
    for block in encoder.blocks:
        tokens = block(tokens)
    return encoder.norm(tokens)


def model(encoder):
    """data2vec with the mean of all layers as target. encoder: a ViT."""
    return Data2Vec(encoder, top=len(encoder.blocks))


def masks_for(grid):
    """A sampler for any grid of tokens: one block of 40-60 % hidden, all the rest seen.

    grid: an encoder's, (rows, columns) for images and spectrograms, (N,) for series and words, where the block is a
    span. Returns a function (batch, generator) -> Masks.
    """
    rows_columns = grid if len(grid) > 1 else (1, *grid)

    def masks(batch, generator=None):
        return block_masks(
            batch, rows_columns, n_targets=1, target_scale=(0.4, 0.6), context_scale=(1.0, 1.0), generator=generator
        )

    return masks


masks = masks_for(recipe.GRID)  # of images of 32x32 pixels in patches of 4x4
