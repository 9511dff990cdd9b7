"""C-JEPA: I-JEPA with the three terms of VICReg as a safeguard. Replaced: the regulariser.

    loss = mean D(prediction, s_y)                                          (I-JEPA)
         + beta (25 |mean of predictions - mean of targets|^2               (invariance, per image)
                 + 25 V(s_x) + C(s_x))                                      (variance, covariance, over images)

A variance over a batch needs one question first: which vectors are the examples? `PLACES` lists three answers. One of
them, all tokens as if they were images, is wrong: tokens that only know their position differ from each other, so a
positional collapse costs little. The masks here are the recipe's, one per batch: then row k of every context is the
same patch, and a variance over images at a fixed position needs no further forward pass. The price is that a step sees
one mask instead of B.
Source: C-JEPA (arXiv:2410.19560), which adds VICReg's terms (arXiv:2105.04906, section 4) to I-JEPA; 25, 25 and 1 are
VICReg's weights; beta = .001 and a mean over patches are reported of C-JEPA, whose code is not public. Which means are
compared, the places, and V and C of the context alone are our choice. The recipe's own regulariser is left out.

    model = cjepa.model(ViT.nano(img_size=32, patch_size=4))
    fit(model, course_data()[0], cjepa.masks, steps=1000, **cjepa.TRAINING)
"""

import torch.nn.functional as F

from minijepa.jepa import JEPA
from minijepa.losses import covariance, variance
from minijepa.masking import Masks
from minijepa.predictor import Predictor
from minijepa.training import recipe
from minijepa.training.distributed import whole_batch
from minijepa.vit import pool

NAME = "C-JEPA"
TRAINING = recipe.TRAINING
PLACES = {
    "positions": lambda tokens: tokens,  # [B, N, D]: images at a fixed position
    "pooled": pool,  # [B, D]: means of images
    "flattened": lambda tokens: tokens.flatten(0, 1),  # [B N, D]: tokens as if images
}


def mean_invariance(prediction, target):
    """Mean over D of |mean of an image's predictions - mean of its targets|^2, a scalar >= 0.

    prediction, target: [B, M, K_t, D]. No gradient flows into the target, whatever made it.
    """
    return F.mse_loss(prediction.float().mean(dim=(1, 2)), target.detach().float().mean(dim=(1, 2)))


def cjepa_regulariser(context, prediction, target, where="positions", weights=(25.0, 25.0, 1.0)):
    """25 invariance + 25 V + C: VICReg's three terms on what one step of I-JEPA has made anyway, a scalar >= 0.

    context: s_x [B, K_c, D], B >= 2, row k the same patch in every image unless where="pooled".
    prediction, target: [B, M, K_t, D].
    where: a key of PLACES, the vectors whose variance and covariance over the batch count.
    weights: of invariance, variance and covariance.
    Raises ValueError for another place or a batch of one image.
    """
    if where not in PLACES:
        raise ValueError(f"where must be one of {', '.join(PLACES)}, got {where!r}")
    if len(context) < 2:
        raise ValueError(f"a variance over images needs at least 2 of them, got a batch of {len(context)}")
    z = PLACES[where](context)
    invariance_weight, variance_weight, covariance_weight = weights
    return (
        invariance_weight * mean_invariance(prediction, target)
        + variance_weight * variance(z)
        + covariance_weight * covariance(z)
    )


class CJEPA(JEPA):
    """A JEPA whose loss has `beta` times `cjepa_regulariser`. encoder, predictor, teacher, distance: as in JEPA.

    where: a key of PLACES. With "positions" all images of a batch need one context, as `masks` draws it: otherwise
    ValueError. On several processes variance and covariance are those of the whole batch.
    """

    compares_examples = True  # so `fit` refuses to cut its batches into microbatches

    def __init__(self, encoder, predictor, teacher=None, beta=0.001, where="positions", **settings):
        super().__init__(encoder, predictor, teacher, **settings)
        self.beta, self.where = beta, where

    def compare(self, x, masks, all_targets, **which):
        """As in JEPA, with the three terms added to the loss. x: [B, C, (T,) H, W]; all_targets: [B, N, D]."""
        if self.where == "positions" and (masks.context != masks.context[0]).any():
            raise ValueError(
                "where='positions' compares images patch by patch: give a whole batch one mask, as `masks`"
            )
        output = super().compare(x, masks, all_targets, **which)
        context = whole_batch(output.context, self.training)  # the other two are compared within an image
        terms = cjepa_regulariser(context, output.prediction, output.target, self.where)
        output.loss = output.loss + self.beta * terms
        return output


def model(encoder, beta=0.001):
    """I-JEPA with a small predictor and VICReg's three terms. encoder: a ViT; beta: the weight of the three."""
    return CJEPA(encoder, Predictor(encoder.dim, encoder.grid, width=48, depth=2, heads=3), beta=beta)


def shared(draw):
    """Masks for a batch from masks for one image: draw(1, generator) for all. Returns such a function."""

    def one_for_all(batch, generator=None):
        one = draw(1, generator)
        return Masks(one.context.expand(batch, -1), one.targets.expand(batch, -1, -1))

    return one_for_all


masks = shared(recipe.masks)
