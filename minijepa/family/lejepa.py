"""LeJEPA with two views: equal views, features distributed like a Gaussian. Replaced: the target encoder, by SIGReg.

    loss = (1 - w) |z_v - centre of both views|^2 + w SIGReg(z_1, z_2)

One term with one weight in the place of stop-gradient, target encoder and schedules. Here it is the form with two
views; the paper uses two global and six local ones. Source: LeJEPA (arXiv:2511.08544, section 5).

    model = lejepa.model(ViT.nano(img_size=32, patch_size=4))
    fit(model, course_data()[0], steps=700, **lejepa.TRAINING)
"""

from functools import partial

from minijepa.family.two_views import TwoViews, two_views
from minijepa.losses import sigreg
from minijepa.training import recipe

NAME = "LeJEPA"
TRAINING = {**recipe.TRAINING, "augment": two_views, "batch_size": 64}
masks = None


def lejepa_loss(first, second, weight=0.05):
    """(1 - weight) * mean squared distance of a view to the centre of both + weight * SIGReg.

    first, second: [B, D], B >= 2. SIGReg is asked of each view's batch and averaged. Returns a scalar >= 0.
    Source: LeJEPA (arXiv:2511.08544, section 5).
    """
    centre = (first + second) / 2  # [B, D]
    agree = ((first - centre).square().mean() + (second - centre).square().mean()) / 2
    return (1 - weight) * agree + weight * (sigreg(first) + sigreg(second)) / 2


def model(encoder):
    """Two views and `lejepa_loss` with weight .02 on a projector 64 wide. encoder: a ViT."""
    return TwoViews(encoder, partial(lejepa_loss, weight=0.02), width=64)
