"""data2vec 2.0: several masks for one pass of the target encoder. Replaced: the masks, and once more the predictor.

    x --> target encoder (all patches, no gradient), mean of its top layers --> s_y, once for all masks
    x, mask 1 --> encoder (the patches seen) --> decoder --> prediction of s_y where mask 1 hides
    ...
    x, mask M --> the same encoder, the same decoder     --> prediction of s_y where mask M hides

The target encoder is the one that sees every patch, so its pass is worth sharing. Hidden patches no longer enter the
encoder, as they do in data2vec.py. Source: data2vec 2.0 (arXiv:2212.07525, section 3). Substituted: the decoder, here
a small transformer instead of convolutions; optimiser and regulariser (of the M B pooled contexts) are the recipe's.

    model = data2vec2.model(ViT.nano(img_size=32, patch_size=4))
    fit(model, course_data()[0], data2vec2.masks, steps=800, **data2vec2.TRAINING)
"""

import torch

from minijepa.ema import EMATeacher
from minijepa.jepa import JEPA
from minijepa.losses import l2
from minijepa.masking import Masks, MaskSets, block_masks
from minijepa.predictor import Predictor
from minijepa.training import recipe

NAME = "data2vec 2.0"
TRAINING = {**recipe.TRAINING, "batch_size": 16}


class SharedTargets(JEPA):
    """A JEPA that predicts one view of the target encoder under every one of its masks, all in one pass."""

    def forward(self, x, masks):
        """x: [B, C, H, W]; masks: MaskSets of M masks of equal sizes. Returns JEPAOutput for the M B masked images."""
        m = len(masks.sets)
        all_targets = self.teacher(x)  # [B, N, D], no gradient: one pass for all masks
        context = torch.cat([each.context for each in masks.sets])  # [M B, K_c]
        targets = torch.cat([each.targets for each in masks.sets])  # [M B, 1, K_t]
        return self.compare(x.repeat(m, 1, 1, 1), Masks(context, targets), all_targets.repeat(m, 1, 1))


def model(encoder, weight=recipe.WEIGHT):
    """The mean of all layers as target, under L2. encoder: a ViT; weight: of the regulariser, as in the recipe."""
    predictor = Predictor(encoder.dim, encoder.grid)
    return SharedTargets(encoder, predictor, EMATeacher(encoder, top=len(encoder.blocks)), l2, weight=weight)


def masks(batch, generator=None, count=4):
    """`count` masks for every image: one block of 16 patches is seen, 28 of the patches around it are asked for.

    The paper calls it inverse block masking: the block is what stays. Returns MaskSets.
    """

    def around_a_block():
        drawn = block_masks(
            batch,
            recipe.GRID,
            n_targets=1,
            target_scale=(0.25, 0.25),
            target_aspect=(1.0, 1.0),
            context_scale=(1.0, 1.0),
            context_keep=28,
            generator=generator,
        )
        return Masks(drawn.targets[:, 0], drawn.context.unsqueeze(1))  # the block is seen, what is around it is asked

    return MaskSets(tuple(around_a_block() for _ in range(count)))
