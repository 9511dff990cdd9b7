"""Assignment 07: what is asked for, by the slowest way that is obviously right, and the cases that are tried."""

import torch

from minijepa.checks.specs import normal

# --- 1: the energy ----------------------------------------------------------------------------------------


def spec_pair_energy(prediction, target):
    """Image by image: the mean over blocks, patches and features of d^2 / 2 for |d| < 1, else |d| - 1/2. [B]."""
    energies = []
    for guess, truth in zip(prediction, target, strict=True):
        costs = [d**2 / 2 if d < 1 else d - 0.5 for d in (guess - truth).abs().flatten()]
        energies.append(sum(costs) / len(costs))
    return torch.stack(energies)


PAIRS = [
    (torch.zeros(2, 1, 1, 2), torch.tensor([[[[0.0, 1.0]]], [[[3.0, 0.0]]]])),
    (normal(3, 2, 4, 5), 2 * normal(3, 2, 4, 5, seed=1)),
    (normal(4, 1, 3, 2, seed=2, dtype=torch.float64), normal(4, 1, 3, 2, seed=3, dtype=torch.float64)),
]


# --- 2: fair pairs --------------------------------------------------------------------------------------


def spec_partners(count, generator):
    """Shuffle, and shuffle again while anybody is its own partner. int64 [count]."""
    order = torch.randperm(count, generator=generator)
    while any(int(partner) == image for image, partner in enumerate(order)):
        order = torch.randperm(count, generator=generator)
    return order


# --- 3: AUROC ---------------------------------------------------------------------------------------------


def spec_auroc(compatible, shuffled):
    """Pair by pair: does the shuffled one have the higher energy? A tie counts half. The share of all, a float."""
    wins = 0.0
    for low in compatible.tolist():
        for high in shuffled.tolist():
            wins += 1.0 if high > low else 0.5 if high == low else 0.0
    return wins / (len(compatible) * len(shuffled))


SCORES = [
    (torch.tensor([1.0, 2.0]), torch.tensor([2.0, 3.0, 0.5])),
    (normal(20), normal(30, seed=1) + 1),
    (normal(9, seed=2) + 5, normal(7, seed=3)),
    (torch.zeros(4), torch.zeros(3)),
    (torch.tensor([0.0, 1.0, 1.0, 2.0]), torch.tensor([1.0, 1.0, 2.0, 9.0])),
    (1e-6 * normal(12, seed=4), 1e-6 * normal(12, seed=5) + 1e-6),
]


# --- 4: a latent variable ---------------------------------------------------------------------------------


def spec_free_energy(answers, y):
    """Image by image: the squared distance from y to each answer g(x, z); the smallest, and its z. ([B], int64 [B])."""
    energies, best = [], []
    for options, truth in zip(answers, y, strict=True):
        distances = [((option - truth) ** 2).sum() for option in options]
        z = min(range(len(distances)), key=lambda k: float(distances[k]))
        energies.append(distances[z])
        best.append(z)
    return torch.stack(energies), torch.tensor(best)


FORKS = [
    (torch.tensor([[[-1.0, 1.0], [1.0, 1.0]]]), torch.tensor([[0.9, 1.0]])),
    (normal(5, 3, 2), normal(5, 2, seed=1)),
    (normal(4, 6, 3, seed=2, dtype=torch.float64), normal(4, 3, seed=3, dtype=torch.float64)),
    (normal(3, 1, 2, seed=4), normal(3, 2, seed=5)),
    (normal(4, 4, 4, seed=6), normal(4, 4, seed=7)),
]


# --- 5: surprise ------------------------------------------------------------------------------------------


def spec_surprise_map(energies, targets, n):
    """Patch by patch: the mean of the energies of all draws in which it was a target; NaN if it never was. [N]."""
    values = []
    for patch in range(n):
        hits = [float(e) for e, j in zip(energies.flatten(), targets.flatten(), strict=True) if j == patch]
        values.append(sum(hits) / len(hits) if hits else float("nan"))
    return torch.tensor(values)


def surprise_case(draws, k, n, seed):
    """Energies [draws, K] and distinct target indices [draws, K] of one image with n patches."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.rand(draws, n, generator=generator).argsort(dim=1)[:, :k]
    return torch.rand(draws, k, generator=generator) + 0.1, targets, n


SURPRISES = [
    (torch.tensor([[1.0, 2.0], [3.0, 5.0]]), torch.tensor([[0, 1], [1, 2]]), 4),
    surprise_case(10, 4, 9, 0),
    surprise_case(3, 3, 16, 1),
    surprise_case(30, 2, 6, 2),
]
