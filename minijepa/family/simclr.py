"""SimCLR: which of the other views belongs to this one? Replaced: prediction, by telling images apart.

    z_1, z_2 of every image --> cosines of all pairs / temperature --> cross-entropy: my other view, among 2 B - 1

The other images of the batch are what pushes apart, so the batch must be large.
Source: SimCLR (arXiv:2002.05709). Its colour distortion is ours without the change of hue, its projector has two
layers here as there.

    model = simclr.model(ViT.nano(img_size=32, patch_size=4))
    fit(model, course_data()[0], steps=200, **simclr.TRAINING)
"""

from functools import partial

import torch
from torch.nn import functional as F

from minijepa.family.two_views import TwoViews, two_views
from minijepa.training import recipe

NAME = "SimCLR"
TRAINING = {**recipe.TRAINING, "augment": two_views, "batch_size": 256}
masks = None


def info_nce(first, second, temperature=0.2):
    """SimCLR: which of the 2 B - 1 other views belongs to this one? Cross-entropy over cosines / temperature.

    first, second: [B, D], B >= 2. Returns a scalar >= 0; log(2 B - 1) if all cosines are equal, as after a collapse.
    Raises ValueError for a temperature that is not positive. Source: SimCLR (arXiv:2002.05709, equation 1).
    """
    if temperature <= 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    z = F.normalize(torch.cat([first, second]), dim=1)  # [2 B, D]
    logits = (z @ z.T / temperature).fill_diagonal_(float("-inf"))  # [2 B, 2 B]: no view is compared with itself
    b = len(first)
    partner = torch.arange(2 * b, device=z.device).roll(b)  # [2 B]: i + B for the first views, i - B for the second
    return F.cross_entropy(logits, partner)


def model(encoder):
    """Two views and `info_nce` at temperature .1. encoder: a ViT."""
    return TwoViews(encoder, partial(info_nce, temperature=0.1))
