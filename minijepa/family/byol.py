"""BYOL: predict how a slow copy of the encoder sees another view. Replaced: the mask, by two views.

    x --> view 1 --> encoder, projector, predictor                   --> q
    x --> view 2 --> slow copies of encoder and projector, no gradient --> z'
    loss = |q / |q| - z' / |z'||^2, and the same with the two views swapped

There are no negatives. I-JEPA has predictor, slow copy and stop-gradient from here; it hides patches where BYOL crops
and changes colours. Here it is a ViT with a smaller projector and predictor, whose BatchNorm sees both views together;
the optimiser and the distortions are the course's.
Source: BYOL (arXiv:2006.07733, section 3.1).

    model = byol.model(ViT.nano(img_size=32, patch_size=4))
    fit(model, course_data()[0], steps=250, **byol.TRAINING)
"""

import copy

import torch
from torch import nn

from minijepa.ema import follow
from minijepa.family.two_views import Branch, TwoViewsOutput, mlp, two_views
from minijepa.losses import cosine
from minijepa.training import recipe

NAME = "BYOL"
TRAINING = {**recipe.TRAINING, "augment": two_views, "batch_size": 128, "momentum": (0.97, 1.0)}
masks = None


def byol_loss(prediction, target):
    """|p - t|^2 with p and t divided by their lengths, averaged over the batch: 2 - 2 cos(prediction, target).

    prediction, target: [B, D]. Returns a scalar between 0 and 4; their lengths have no effect.
    Source: BYOL (arXiv:2006.07733, equation 2).
    """
    return 2 * cosine(prediction, target).mean()


class BYOL(nn.Module):
    """A trained branch with a predictor on top, and the slow copy of the branch whose view it predicts.

    encoder: a ViT. predictor: False leaves it out, an ablation; the other, without the slow copy, is momentum=(0, 0) in
    `fit`, with which the copy is always the trained branch. width, hidden: of projector and predictor.
    """

    compares_examples = True  # the BatchNorm of projector and predictor sees the whole batch

    def __init__(self, encoder, predictor=True, width=128, hidden=512):
        super().__init__()
        self.online = Branch(encoder, width, hidden)
        self.predictor = mlp(width, hidden, width) if predictor else nn.Identity()
        self.teacher = copy.deepcopy(self.online).requires_grad_(False)  # encoder and projector, no predictor

    def forward(self, x):
        """x: [2 B, C, H, W], the first views of B images and then their second ones. Returns TwoViewsOutput."""
        tokens, z = self.online.embed(x)  # [2 B, N, D], [2 B, width]
        q1, q2 = self.predictor(z).float().chunk(2)  # [B, width] each
        with torch.no_grad():
            t1, t2 = self.teacher.embed(x)[1].float().chunk(2)  # [B, width] each
        return TwoViewsOutput(byol_loss(q1, t2) + byol_loss(q2, t1), tokens)

    def after_step(self, momentum):
        """xi <- momentum * xi + (1 - momentum) * theta, for encoder and projector."""
        follow(self.teacher, self.online, momentum)

    @property
    def encoder(self):
        """The trained encoder."""
        return self.online.encoder

    @property
    def target_encoder(self):
        """The encoder to keep: the paper's choice is the trained one."""
        return self.encoder


def model(encoder):
    """BYOL with projector and predictor 128 wide. encoder: a ViT."""
    return BYOL(encoder)
