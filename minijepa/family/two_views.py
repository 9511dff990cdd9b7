"""Joint embedding without masks: two distorted views of one image must agree, and the batch must not collapse.

    x --> view 1 --> encoder --> mean over tokens --> projector --> z_1
    x --> view 2 --> the same encoder, the same projector       --> z_2
    loss = agreement of z_1 and z_2, and what keeps the z of different images apart

What a distortion changes is what the encoder learns to ignore: here the knowledge is in `two_views`, not in a mask.
Replaced: masks and predictor go, and the loss decides the name: simclr.py, vicreg.py, lejepa.py. With a second,
slow branch: moco.py, byol.py.
"""

from dataclasses import dataclass

import torch
from torch import nn

from minijepa.collapse import differ
from minijepa.datasets import crop_flip
from minijepa.training.distributed import whole_batch
from minijepa.vit import init_weights, pool


@dataclass
class TwoViewsOutput:
    """What one step made. loss: scalar; tokens: of the trained encoder, [2 B, N, D] for both views."""

    loss: torch.Tensor
    tokens: torch.Tensor

    @property
    def numbers(self):
        """What `fit` records now and then: do the tokens still differ between images (minijepa.collapse)?"""
        return differ(self.tokens)


class Branch(nn.Module):
    """From views to vectors: encoder, mean over tokens, projector. SimCLR has one branch, MoCo and BYOL have two.

    encoder: a ViT. width: of the projector, which is thrown away after training; hidden: of its middle layer.
    norm: a BatchNorm in the projector. On several processes the projector sees the whole batch.
    """

    def __init__(self, encoder, width=128, hidden=512, norm=True):
        super().__init__()
        self.encoder = encoder
        self.projector = mlp(encoder.dim, hidden, width, norm)

    def embed(self, x, views=2):
        """x: [V B, C, H, W], V views of B images, all first views first -> tokens [V B, N, D], z [V B, width]."""
        tokens = self.encoder(x)  # [V B, N, D]
        pooled = [whole_batch(view, self.training) for view in pool(tokens).chunk(views)]  # V of [B, D]
        return tokens, self.projector(torch.cat(pooled))


class TwoViews(Branch):
    """A branch and a loss on two views. There is no target encoder: one encoder sees both views.

    loss: a function (z_1, z_2) of two [B, width] tensors; on several processes it sees the whole batch. encoder, width
    and hidden: as in `Branch`.
    """

    compares_examples = True  # so `fit` refuses to cut its batches into microbatches

    def __init__(self, encoder, loss, width=128, hidden=512):
        super().__init__(encoder, width, hidden)
        self.loss = loss

    def forward(self, x):
        """x: [2 B, C, H, W], the first views of B images and then their second ones, as `two_views` makes them."""
        tokens, z = self.embed(x)  # [2 B, N, D], [2 B, width]
        return TwoViewsOutput(self.loss(*z.float().chunk(2)), tokens)

    @property
    def target_encoder(self):
        """The encoder to keep: the only one."""
        return self.encoder


def mlp(dim, hidden, width, norm=True):
    """Linear, BatchNorm (if norm), GELU, Linear: dim -> hidden -> width, the head of many methods with two views."""
    norms = [nn.BatchNorm1d(hidden)] if norm else []
    return nn.Sequential(nn.Linear(dim, hidden), *norms, nn.GELU(), nn.Linear(hidden, width)).apply(init_weights)


def two_views(x, generator=None, scale=(0.2, 1.0), rows_of=None):
    """Two views of each image: an own crop, flip and change of colours for each. [B, 3, H, W] -> [2 B, 3, H, W].

    scale: fraction of the area that a crop keeps. generator: a CPU generator. rows_of: as in `crop_flip`.
    For `fit(augment=two_views)`.
    """
    cropped = (crop_flip(x, generator, scale=scale, rows_of=rows_of) for _ in range(2))
    return torch.cat([colours(view, generator, rows_of=rows_of) for view in cropped])


def colours(x, generator=None, strength=0.4, grey=0.2, rows_of=None):
    """Brightness, contrast and saturation times 1 +- strength, each image its own; with probability `grey` no colour.

    x: float [B, 3, H, W], any range. All randomness on the CPU. rows_of: as in `crop_flip`. Returns [B, 3, H, W].
    Source: SimCLR's colour distortion (arXiv:2002.05709, appendix A) without the change of hue.
    """
    first, total = rows_of or (0, len(x))
    u = torch.rand(4, total, 1, 1, 1, generator=generator)[:, first : first + len(x)].to(x.device)  # [4, B, 1, 1, 1]
    brightness, contrast, saturation = 1 + strength * (2 * u[:3] - 1)  # each [B, 1, 1, 1]
    saturation = torch.where(u[3] < grey, torch.zeros_like(saturation), saturation)
    x = x * brightness
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    x = mean + (x - mean) * contrast
    light = x.mean(dim=1, keepdim=True)  # [B, 1, H, W]
    return light + (x - light) * saturation
