"""Joint embedding without masks: two distorted views of one image must agree, and the batch must not collapse.

    x --> view 1 --> encoder --> mean over tokens --> projector --> z_1
    x --> view 2 --> the same encoder, the same projector       --> z_2
    loss = agreement of z_1 and z_2, and what keeps the z of different images apart

What a distortion changes is what the encoder learns to ignore: here the knowledge is in `two_views`, not in a mask.
Exchanged: masks and predictor go, the loss decides the name. SimCLR is `info_nce`, VICReg is minijepa.losses.vicreg,
LeJEPA's two-view form is `lejepa`.
Sources: SimCLR (arXiv:2002.05709); VICReg (arXiv:2105.04906); LeJEPA (arXiv:2511.08544).
"""

import torch
from torch import nn
from torch.nn import functional as F

from minijepa.datasets.augment import crop_flip
from minijepa.jepa import JEPAOutput
from minijepa.losses import sigreg
from minijepa.vit import init_weights, pool


class TwoViews(nn.Module):
    """An encoder, a projector and a loss on two views. There is no teacher: one encoder sees both views.

    encoder: a ViT. loss: a function (z_1, z_2) of two [B, width] tensors. width: of the projector, which is thrown
    away after training; hidden: of its middle layer.
    """

    compares_examples = True  # so `fit` refuses to split its batches over processes, or to accumulate them

    def __init__(self, encoder, loss, width=128, hidden=512):
        super().__init__()
        self.encoder = encoder
        self.loss = loss
        self.projector = nn.Sequential(
            nn.Linear(encoder.dim, hidden), nn.BatchNorm1d(hidden), nn.GELU(), nn.Linear(hidden, width)
        ).apply(init_weights)

    def forward(self, x, masks=None):
        """x: [2 B, C, H, W], the first views of B images and then their second ones, as `two_views` makes them.

        Returns JEPAOutput: loss; all_targets are the tokens of both views [2 B, N, D], for the monitors.
        """
        tokens = self.encoder(x)  # [2 B, N, D]
        first, second = self.projector(pool(tokens)).float().chunk(2)  # [B, width] each
        return JEPAOutput(self.loss(first, second), None, None, None, tokens, tokens.detach())

    def after_step(self, momentum):
        """There is none."""

    @property
    def target_encoder(self):
        """The encoder to keep: the only one."""
        return self.encoder


def info_nce(first, second, temperature=0.2):
    """SimCLR: which of the 2 B - 1 other views belongs to this one? Cross-entropy over cosines / temperature.

    first, second: [B, D], B >= 2. Returns a scalar >= 0; log(2 B - 1) if all cosines are equal, as after a collapse.
    Raises ValueError for a temperature that is not positive. Source: SimCLR (arXiv:2002.05709, equation 1).
    """
    if temperature <= 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    z = F.normalize(torch.cat([first, second]), dim=1)  # [2 B, D]
    logits = (z @ z.T / temperature).fill_diagonal_(float("-inf"))  # [2 B, 2 B]: nobody is compared with itself
    b = len(first)
    partner = torch.arange(2 * b, device=z.device).roll(b)  # [2 B]: i + B for the first views, i - B for the second
    return F.cross_entropy(logits, partner)


def lejepa(first, second, weight=0.05):
    """LeJEPA with two views: (1 - weight) * mean squared distance of a view to the centre of both + weight * SIGReg.

    first, second: [B, D], B >= 2. SIGReg is asked of each view's batch and averaged. Returns a scalar >= 0.
    Source: LeJEPA (arXiv:2511.08544, section 5).
    """
    centre = (first + second) / 2  # [B, D]
    agree = ((first - centre).square().mean() + (second - centre).square().mean()) / 2
    return (1 - weight) * agree + weight * (sigreg(first) + sigreg(second)) / 2


def two_views(x, generator=None, scale=(0.2, 1.0)):
    """Two views of each image: an own crop, flip and change of colours for each. [B, 3, H, W] -> [2 B, 3, H, W].

    scale: share of the area that a crop keeps. generator: a CPU generator. For `fit(augment=two_views)`.
    """
    return torch.cat([colours(crop_flip(x, generator, scale=scale), generator) for _ in range(2)])


def colours(x, generator=None, strength=0.4, grey=0.2):
    """Brightness, contrast and saturation times 1 +- strength, each image its own; with probability `grey` no colour.

    x: float [B, 3, H, W], any range. All randomness on the CPU. Returns [B, 3, H, W].
    Source: SimCLR's colour distortion (arXiv:2002.05709, appendix A) without the change of hue.
    """
    u = torch.rand(4, len(x), 1, 1, 1, generator=generator).to(x.device)  # [4, B, 1, 1, 1]
    brightness, contrast, saturation = 1 + strength * (2 * u[:3] - 1)  # each [B, 1, 1, 1]
    saturation = torch.where(u[3] < grey, torch.zeros_like(saturation), saturation)
    x = x * brightness
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    x = mean + (x - mean) * contrast
    light = x.mean(dim=1, keepdim=True)  # [B, 1, H, W]
    return light + (x - light) * saturation


class NoMasks:
    """What `fit` is given where a method has no masks."""

    def to(self, device):
        """The same nothing."""
        return self


def no_masks(batch, generator=None):
    """For `fit`: no masks for a batch of any size."""
    return NoMasks()
