"""The teacher f_xi: a slow copy of the encoder, xi <- tau xi + (1 - tau) theta after every step.

The target encoder sees the whole image, gives the targets and receives no gradient. Its momentum tau sets how
far it lags: with tau = .996 half of an old weight is gone after 173 steps, so a momentum must be chosen for the
length of the run. Sources: BYOL (arXiv:2006.07733, section 3); I-JEPA (arXiv:2301.08243, section 3, appendix A).
"""

import copy
import math

import torch
from torch import nn


class EMATeacher(nn.Module):
    """The target encoder: targets s_y = LayerNorm(f_xi(x)), all tokens of the whole image, without gradient.

    encoder: the context encoder, copied at once. normalise: apply the LayerNorm without affine parameters
    (eps 1e-5) that the released I-JEPA puts on its targets; False is an ablation. top: average the last so many
    layers, each normalised, as data2vec does (arXiv:2202.03555, section 3.3); 1 is I-JEPA.
    Raises ValueError for a `top` that the encoder has not.
    """

    def __init__(self, encoder, normalise=True, top=1):
        super().__init__()
        if not 1 <= top <= len(encoder.blocks):
            raise ValueError(f"top must lie in 1..{len(encoder.blocks)}, the encoder's layers, got {top}")
        self.encoder = copy.deepcopy(encoder).requires_grad_(False)
        self.normalise = normalise
        self.top = top
        self.dim = encoder.dim

    @torch.no_grad()
    def forward(self, x):
        """x: [B, C, H, W] (clips [B, C, T, H, W]) -> targets [B, N, D]."""
        layers = self.encoder.layers(x)[-self.top :]  # each [B, N, D]
        if self.normalise:
            layers = [nn.functional.layer_norm(y.float(), y.shape[-1:]) for y in layers]
        return sum(layers[1:], layers[0]) / self.top

    @torch.no_grad()
    def update(self, encoder, momentum):
        """xi <- momentum * xi + (1 - momentum) * theta.

        momentum: tau in [0, 1]. Raises ValueError outside.
        """
        follow(self.encoder, encoder, momentum)


@torch.no_grad()
def follow(slow, trained, momentum):
    """xi <- momentum * xi + (1 - momentum) * theta for all parameters of two modules of one form, in one call.

    slow: the module that moves, xi; trained: theta. momentum: tau in [0, 1]; 0 copies, 1 does
    nothing. Raises ValueError outside.
    """
    if not 0 <= momentum <= 1:
        raise ValueError(f"EMA momentum must lie in [0, 1], got {momentum}")
    torch._foreach_lerp_(tensors_of(slow), tensors_of(trained), 1 - momentum)


def tensors_of(module):
    """The parameters as plain tensors; of a sharded module (minijepa.training.fsdp) the shards of this process."""
    return [p.to_local() if hasattr(p, "to_local") else p for p in module.parameters()]


def momentum_schedule(progress, start=0.996, end=1.0):
    """Linear from `start` to `end` while progress goes from 0 to 1 (defaults: the paper's)."""
    return start + (end - start) * progress


def half_life(momentum):
    """Steps after which half of an old teacher weight is forgotten: ln 2 / -ln(tau). Infinite for tau = 1.

    Raises ValueError for a momentum outside (0, 1].
    """
    if not 0 < momentum <= 1:
        raise ValueError(f"half_life needs a momentum in (0, 1], got {momentum}")
    return math.inf if momentum == 1 else math.log(2) / -math.log(momentum)
