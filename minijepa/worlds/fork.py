"""A road that forks: a car ahead of the fork goes left or right, and nothing tells which.

Energy-based models with a latent variable z
    E(x, y, z) = |g(x, z) - y|^2,   F(x, y) = min over the allowed z of E(x, y, z)
say which places y fit the question x (arXiv:2306.02572, sections 3 and 4).
"""

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F


class SideBySide(nn.Module):
    """R small MLPs (GELU between the layers) that train at once and independently, one per run or seed.

    y_r = W_r2 gelu(W_r1 x_r + b_r1) + b_r2, ...: x [R, B, in] -> [R, B, out]. Add up the R losses and take one step:
    each network gets its own gradient.
    runs: R.
    sizes: (in, hidden, ..., out); two sizes are a linear map.
    """

    def __init__(self, runs, sizes, generator):
        super().__init__()
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for rows, columns in zip(sizes, sizes[1:], strict=False):
            bound = rows**-0.5  # the range that nn.Linear starts from
            uniform = [2 * torch.rand(runs, n, columns, generator=generator) - 1 for n in (rows, 1)]
            self.weights.append(bound * uniform[0])
            self.biases.append(bound * uniform[1])

    def forward(self, x):
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, F.gelu(x) if i else x, weight)  # [R, B, in] -> [R, B, out]
        return x


# --- the fork ---------------------------------------------------------------------------------------------


def roads(x):
    """Where the left and the right road are, x ahead of the fork: [..., 1] -> [..., 2, 2] (road, place).

    The place is (-max(x, 0), x) on the left road and (max(x, 0), x) on the right; before the fork (x < 0) both are the
    same.
    """
    aside = x.clamp(min=0)
    return torch.stack([torch.cat([-aside, x], dim=-1), torch.cat([aside, x], dim=-1)], dim=-2)


def fork(shape, generator, width=0.05):
    """Cars seen at a fork: the question x in [-1, 1], [*shape, 1], and the answer y, where the car is, [*shape, 2].

    Each car takes the left or the right road with probability 1/2 and stays on it up to noise of standard deviation
    `width`.
    """
    x = 2 * torch.rand(*shape, 1, generator=generator) - 1
    right = torch.rand(*shape, 1, 1, generator=generator) < 0.5
    both = roads(x)  # [*shape, 2, 2]
    y = torch.where(right, both[..., 1:, :], both[..., :1, :]).squeeze(-2)
    return x, y + width * torch.randn(y.shape, generator=generator)


def disc(count, radius):
    """`count` points spread evenly over a disc, like the seeds of a sunflower: [count, 2], norms in (0, radius]."""
    k = torch.arange(count) + 0.5
    angle = k * math.pi * (3 - math.sqrt(5))  # the golden angle
    return radius * (k / count).sqrt()[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)


@dataclass
class Latent:
    """What z may be: the rows of `values` [K, Z]; noise of standard deviation `noise` is added to the chosen row.

    `Latent(torch.eye(K))` is one of K labels: log2(K) bits at most. `Latent(disc(K, radius), noise=1)` is a vector of
    at most this norm, received through noise: the noise limits the bits to about log2(1 + radius^2 / 2).
    """

    values: torch.Tensor
    noise: float = 0.0

    def answers(self, predictor, x, index, draws, generator):
        """Mean [R, B, K, 2] and spread [R, B, K] of g(x, z + noise) for the values `index` of z.

        predictor: SideBySide with inputs (x, z).
        x: [R, B, 1].
        index: int64 [K], the same for all, or [R, B, K].
        draws: how many draws of the noise the mean is over.
        """
        z = self.values[index].expand(*x.shape[:2], -1, -1)  # [R, B, K, Z]
        shape = (*z.shape[:3], draws if self.noise else 1)
        z = z[..., None, :].expand(*shape, -1)  # [R, B, K, draws, Z]
        if self.noise:
            z = z + self.noise * torch.randn(z.shape, generator=generator)
        x = x[:, :, None, None].expand(*shape, -1)  # [R, B, K, draws, 1]
        y = predictor(torch.cat([x, z], dim=-1).flatten(1, 3)).view(*shape, 2)  # [R, B, K, draws, 2]
        return y.mean(dim=3), y.var(dim=3, correction=0).sum(dim=-1)

    def energy(self, predictor, x, y, index=None, draws=64, generator=None):
        """E(x, y, z) = mean over the noise of |g(x, z + noise) - y|^2: [R, B, K], >= 0. `amin(dim=2)` is F(x, y).

        x: [R, B, 1]. y: [R, B, 2].
        index: which values, int64 [K] or [R, B, K]; None: all.
        The mean is the squared distance to the mean answer plus the spread of the answers.
        """
        index = torch.arange(len(self.values)) if index is None else index
        mean, spread = self.answers(predictor, x, index, draws, generator)
        return (mean - y[:, :, None]).square().sum(dim=-1) + spread


def fit_fork(latent, runs=3, hidden=32, steps=500, batch=128, lr=3e-3, candidates=16, draws=2, seed=0):
    """Train `runs` predictors g(x, z) on cars at the fork to lower F on what happens. Returns SideBySide.

    Each step finds for each car the z of lowest energy (among `candidates` drawn values, or all), then takes one Adam
    step on the energy at that z. No term pushes energy up anywhere.
    """
    generator = torch.Generator().manual_seed(seed)
    predictor = SideBySide(runs, (1 + latent.values.shape[1], hidden, hidden, 2), generator)
    optimizer = torch.optim.Adam(predictor.parameters(), lr)
    for _ in range(steps):
        x, y = fork((runs, batch), generator)
        index = torch.randperm(len(latent.values), generator=generator)[:candidates]
        with torch.no_grad():
            best = latent.energy(predictor, x, y, index, draws, generator).argmin(dim=2, keepdim=True)  # [R, B, 1]
        loss = latent.energy(predictor, x, y, index[best], draws, generator).mean(dim=(1, 2)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return predictor.requires_grad_(False)
