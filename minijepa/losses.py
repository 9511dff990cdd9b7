"""Distances D between prediction and target, and the term that keeps short runs from collapsing.

A distance takes predictions and targets [..., D] and returns one number per token, [...]: averaged it is the loss,
looked at token by token it is the energy.
"""

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
    """1 - cos(prediction, target). [..., D] -> [...], between 0 and 2; blind to length.

    BYOL's distance up to a factor (arXiv:2006.07733, section 3).
    """
    return 1 - F.cosine_similarity(prediction, target, dim=-1)


def variance_covariance(z, target_std=1.0, eps=1e-4):
    """Keep the features of a batch spread out and different: V + C, the two regularising terms of VICReg.

    V = mean over d of max(0, target_std - sqrt(Var z_d + eps)): every feature varies over the batch.
    C = 1/D sum over d != e of Cov(z)_de^2: no feature repeats another.
    z: [B, D], one vector per image (here the pooled context), B >= 2. Returns a scalar >= 0.
    Raises ValueError for fewer than two vectors. Source: VICReg (arXiv:2105.04906, section 4.1); joined to I-JEPA
    by C-JEPA (arXiv:2410.19560).
    """
    if z.ndim != 2 or len(z) < 2:
        raise ValueError(f"variance over the batch needs z of shape [B >= 2, D], got {tuple(z.shape)}")
    z = z.float()
    z = z - z.mean(dim=0)
    std = (z.var(dim=0) + eps).sqrt()  # [D]
    covariance = z.T @ z / (len(z) - 1)  # [D, D]
    off_diagonal = covariance.square().sum() - covariance.diagonal().square().sum()
    return F.relu(target_std - std).mean() + off_diagonal / z.shape[1]
