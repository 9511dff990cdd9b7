"""The method on one screen: see the context, predict the targets in representation space, compare.

    x --> context encoder f_theta (kept patches) --> s_x --> predictor g_phi(s_x, m + p_j) --> prediction of s_y
    x --> teacher (all patches, no gradient)     --> s_y at the target patches
    loss = mean D(prediction, s_y)  (+ weight * regulariser(s_x))

Each relative of I-JEPA replaces one component: give another teacher, another distance, another regulariser (family/).
V-JEPA is this with clips for images, L1 for the distance and two sets of masks per step.
Sources: I-JEPA (arXiv:2301.08243, section 3); V-JEPA (arXiv:2404.08471, section 3).
"""

from dataclasses import dataclass

import torch
from einops import rearrange
from torch import nn

from minijepa.collapse import differ
from minijepa.ema import EMATeacher
from minijepa.losses import smooth_l1, variance_covariance
from minijepa.masking import Masks
from minijepa.patches import gather_tokens
from minijepa.training.distributed import whole_batch
from minijepa.vit import pool


@dataclass
class JEPAOutput:
    """What one step made. loss: scalar; energy: [B, M, K_t]; prediction and target: [B, M, K_t, D];
    context: s_x [B, K_c, D]; all_targets: [B, N, D], the target encoder's view of the whole image.
    After a step with MaskSets energy, prediction, target and context are lists, one entry per specification."""

    loss: torch.Tensor
    energy: torch.Tensor
    prediction: torch.Tensor
    target: torch.Tensor
    context: torch.Tensor
    all_targets: torch.Tensor

    @property
    def numbers(self):
        """What `fit` records now and then: do the targets still differ between images (minijepa.collapse)?"""
        return differ(self.all_targets)

    @classmethod
    def of_sets(cls, parts):
        """One output for a step with several mask specifications; the loss is the mean of theirs."""
        lists = {
            name: [getattr(part, name) for part in parts] for name in ("energy", "prediction", "target", "context")
        }
        return cls(loss=sum(part.loss for part in parts) / len(parts), all_targets=parts[0].all_targets, **lists)


class JEPA(nn.Module):
    """Context encoder, predictor and teacher, and the loss that joins them.

    encoder: ViT. predictor: Predictor. teacher: a module with `forward(x) -> [B, N, D]` without gradient and
    `update(encoder, momentum)`; default EMATeacher(encoder), the I-JEPA target encoder.
    distance: from minijepa.losses. regulariser: a function of the pooled context [B, D]; weight 0 (plain I-JEPA)
    leaves it out. A small weight is what lets runs of a few minutes learn on photographs. On several processes it
    is asked of the features of all: variances over 8 images are not those over 64.
    """

    def __init__(
        self,
        encoder,
        predictor,
        teacher=None,
        distance=smooth_l1,
        regulariser=variance_covariance,
        weight=0.0,
    ):
        super().__init__()
        self.encoder = encoder
        self.predictor = predictor
        self.teacher = EMATeacher(encoder) if teacher is None else teacher
        self.distance = distance
        self.regulariser = regulariser
        self.weight = weight

    def forward(self, x, masks):
        """x: images [B, C, H, W] or clips [B, C, T, H, W]; masks: Masks, context [B, K_c] and targets [B, M, K_t].

        Returns JEPAOutput. masks may also be MaskSets, V-JEPA's several specifications: each is encoded and
        predicted on its own, with its own mask token, against one view of the teacher; the loss is their mean.
        """
        all_targets = self.teacher(x)  # [B, N, D], no gradient
        if isinstance(masks, Masks):
            return self.compare(x, masks, all_targets)
        return JEPAOutput.of_sets([self.compare(x, each, all_targets, token=k) for k, each in enumerate(masks.sets)])

    def compare(self, x, masks, all_targets, **which):
        """One specification: context, prediction, energy, loss. x: [B, C, (T,) H, W]; all_targets: [B, N, D]."""
        context, prediction = self.predict(x, masks, **which)  # [B, K_c, D], [B, M, K_t, D]
        target = at_targets(all_targets, masks)  # [B, M, K_t, D]
        energy = self.energy(prediction, target)  # [B, M, K_t]
        loss = energy.mean()
        if self.weight:
            loss = loss + self.weight * self.regulariser(whole_batch(pool(context), self.training))
        return JEPAOutput(loss, energy, prediction, target, context, all_targets)

    def predict(self, x, masks, **which):
        """s_x [B, K_c, D], and what the model expects at the targets, [B, M, K_t, D]. x: [B, C, (T,) H, W].

        which: token=k, the mask token that asks, where there are several.
        """
        context = self.encoder(x, keep=masks.context)
        return context, self.predictor(context, masks, **which)

    def energy(self, prediction, target):
        """D(prediction, s_y), in float32: two times [B, M, K_t, D] -> [B, M, K_t]."""
        return self.distance(prediction.float(), target.float())

    def after_step(self, momentum):
        """xi <- momentum * xi + (1 - momentum) * theta; call it after every optimiser step."""
        self.teacher.update(self.encoder, momentum)

    @property
    def target_encoder(self):
        """The encoder to keep: the teacher's if it has one (smoother, the paper's choice), else the trained one."""
        return getattr(self.teacher, "encoder", self.encoder)


def at_targets(tokens, masks):
    """The tokens at the target patches. tokens: [B, N, D]; masks.targets: [B, M, K_t]. Returns [B, M, K_t, D]."""
    picked = gather_tokens(tokens, masks.targets.flatten(1))  # [B, M * K_t, D]
    return rearrange(picked, "b (m k) d -> b m k d", m=masks.targets.shape[1])
