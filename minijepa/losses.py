"""Distances D between prediction and target, and regularisers R, which keep a representation from collapsing.

A distance takes predictions and targets [..., D] and returns one number per token, [...]: its average is the loss, and
token by token it is the energy. A regulariser takes the features of a batch [B, D] and returns one number.
"""

import torch
from torch.nn import functional as F


def smooth_l1(prediction, target):
    """Mean over D of d^2 / 2 if |d| < 1 else |d| - 1/2, d = prediction - target. [..., D] -> [...], >= 0.

    The distance of the released I-JEPA (its paper writes L2, arXiv:2301.08243, section 3).
    """
    return F.smooth_l1_loss(prediction, target, reduction="none").mean(dim=-1)


def l2(prediction, target):
    """Mean squared error over D. [..., D] -> [...], >= 0."""
    return (prediction - target).square().mean(dim=-1)


def l1(prediction, target):
    """Mean absolute error over D: the distance of V-JEPA (arXiv:2404.08471, section 3). [..., D] -> [...], >= 0."""
    return (prediction - target).abs().mean(dim=-1)


def cosine(prediction, target):
    """1 - cos(prediction, target). [..., D] -> [...], between 0 and 2; length has no effect.

    BYOL's distance up to a factor (arXiv:2006.07733, section 3).
    """
    return 1 - F.cosine_similarity(prediction, target, dim=-1)


def variance(z, target_std=1.0, eps=1e-4):
    """V = mean over d of max(0, target_std - sqrt(Var z_d + eps)): does every feature vary over the batch?

    z: [B, D], or [B, N, D] to regularise every position separately; B >= 2.
    Returns a scalar between 0 and target_std. Source: VICReg (arXiv:2105.04906, equation 1).
    """
    std = (z.float().var(dim=0) + eps).sqrt()  # [D] or [N, D]: over images, never over positions
    return F.relu(target_std - std).mean()


def covariance(z):
    """C = 1/D sum over d != e of Cov(z)_de^2: does one feature repeat another?

    z: [B, D], or [B, N, D], averaged over positions; B >= 2.
    Returns a scalar >= 0; it grows with the fourth power of the scale of z.
    Source: VICReg (arXiv:2105.04906, equation 4).
    """
    z = z.float()
    z = (z - z.mean(dim=0)).movedim(0, -2)  # [B, D] or [N, B, D]
    c = z.mT @ z / (z.shape[-2] - 1)  # [D, D] or [N, D, D]
    off_diagonal = c.square().sum(dim=(-2, -1)) - c.diagonal(dim1=-2, dim2=-1).square().sum(dim=-1)
    return off_diagonal.mean() / z.shape[-1]


def variance_covariance(z, target_std=1.0, eps=1e-4):
    """The variance-covariance regulariser V + C: the regularising terms of VICReg, equally weighted.

    It keeps the features of a batch spread out (V) and different from each other (C).
    z: [B, D], one vector per image (here the pooled context), B >= 2.
    Returns a scalar >= 0. Raises ValueError for fewer than two vectors.
    Source: VICReg (arXiv:2105.04906, section 4.1); combined with I-JEPA by C-JEPA (arXiv:2410.19560).
    """
    check_batch(z, (2,))
    return variance(z, target_std, eps) + covariance(z)


def vicreg(z, other=None, weights=(25.0, 25.0, 1.0)):
    """VICReg with its three terms: invariance, variance and covariance.

    With `other` the loss of VICReg's released code, 25 mean (z - other)^2 + 25 (V(z) + V(other)) / 2 + C(z) + C(other);
    without it 25 V(z) + C(z), a regulariser for JEPA, where the prediction takes the place of the invariance.
    z: [B, D], or [B, N, D] to regularise every position separately; B >= 2. Pooled features of contexts at different
    positions differ even after a positional collapse, and hide it (measured in notebook 05).
    other: a second view, of the shape of z, or None.
    weights: of invariance, variance and covariance, as published.
    Returns a scalar >= 0. Raises ValueError for other shapes. Source: VICReg (arXiv:2105.04906, section 4).
    """
    check_batch(z, (2, 3))
    invariance_weight, variance_weight, covariance_weight = weights
    if other is None:
        return variance_weight * variance(z) + covariance_weight * covariance(z)
    if other.shape != z.shape:
        raise ValueError(f"two views must have one shape, got {tuple(z.shape)} and {tuple(other.shape)}")
    spread = variance_weight * (variance(z) + variance(other)) / 2
    return invariance_weight * F.mse_loss(z, other) + spread + covariance_weight * (covariance(z) + covariance(other))


def sigreg(z, directions=256, generator=None, t_max=3.0, points=17):
    """SIGReg: are the features of a batch distributed like N(0, I)? 0 if perfectly; it needs no target encoder.

    Along a random unit direction a, x_n = a . z_n should be N(0, 1), whose characteristic function is exp(-t^2 / 2).
    T = B * integral over |t| <= t_max of |mean_n exp(i t x_n) - exp(-t^2 / 2)|^2 exp(-t^2 / 2) dt (Epps and Pulley's
    test; trapezoid on `points` knots of the half line, doubled), averaged over the directions.
    z: [B, D], B >= 2.
    generator: draws new directions in each call; None takes the same ones every time, so that a resumed run needs no
    state.
    Returns a scalar >= 0: 1.0525 on average for samples of N(0, I) whatever their number, .402 B if all are 0, 1.186 B
    if all projections are 1. The factor B is the released code's: a weight that fits one batch size fits no other.
    Raises ValueError for fewer than two vectors. Source: LeJEPA (arXiv:2511.08544, section 4).
    """
    check_batch(z, (2,))
    if generator is None:
        generator = torch.Generator().manual_seed(0)
    a = torch.randn(z.shape[1], directions, generator=generator, device=generator.device).to(z.device)
    x = z.float() @ F.normalize(a, dim=0)  # [B, S]
    t = torch.linspace(0, t_max, points, device=z.device)
    gauss = (-t.square() / 2).exp()  # [T]: the characteristic function to reach, and the window
    step = torch.full_like(t, 2 * t_max / (points - 1))
    step[0] = step[-1] = t_max / (points - 1)  # the trapezoid's ends
    phase = x.unsqueeze(-1) * t  # [B, S, T]
    distance = (phase.cos().mean(dim=0) - gauss).square() + phase.sin().mean(dim=0).square()  # [S, T]
    return len(z) * (distance * gauss * step).sum(dim=-1).mean()


def check_batch(z, dims):
    """A variance over the batch needs z [B, D] or, where `dims` has a 3, [B, N, D], with B >= 2."""
    if z.ndim not in dims or len(z) < 2:
        shapes = "[B >= 2, D] or [B >= 2, N, D]" if 3 in dims else "[B >= 2, D]"
        raise ValueError(f"variance over the batch needs z of shape {shapes}, got {tuple(z.shape)}")
