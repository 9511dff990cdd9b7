"""Assignment 07, exercise 5: a map of surprise over the patches."""

import torch

from minijepa.checks.picture import target_and_yours
from minijepa.checks.report import compare


def spec_surprise_map(energies, targets, n):
    """The mean energy of each patch over the draws in which it was a target, else NaN. Two [draws, K] -> [n]."""
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


CASES = [
    (torch.tensor([[1.0, 2.0], [3.0, 5.0]]), torch.tensor([[0, 1], [1, 2]]), 4),
    surprise_case(10, 4, 9, 0),
    surprise_case(3, 3, 16, 1),
    surprise_case(30, 2, 6, 2),
]


def sums(e, t, n):
    """The energies of each patch added up, [n]."""
    return torch.zeros(n).scatter_add(0, t.flatten(), e.flatten())


def counts(t, n):
    """How often each patch was a target, [n]."""
    return torch.bincount(t.flatten(), minlength=n).float()


MISTAKES = [
    (sums, "this is the sum, in which frequent targets look surprising: divide by how often each patch was a target"),
    (lambda e, t, n: sums(e, t, n) / len(e), "divide by how often THIS patch was a target, not by the number of draws"),
    (
        lambda e, t, n: sums(e, t, n) / counts(t, n).clamp(min=1),
        "a patch that was never a target is unknown, not unsurprising: return NaN there, not 0",
    ),
    (
        lambda e, t, n: torch.zeros(n).scatter(0, t.flatten(), e.flatten()),
        "the last draw overwrites the others: add up with scatter_add or index_add, then divide",
    ),
    (
        lambda e, t, n: torch.full((n,), float("nan")).scatter(0, t.flatten(), e.flatten()),
        "the last draw overwrites the others: add up with scatter_add or index_add, then divide",
    ),
]

ADVICE = "take, for each patch, the mean over the draws in which it was a target"


def show_surprise_map(student):
    """Draw the maps of two images: target and answer."""
    cases = {"9 patches, 10 draws": (CASES[1]), "6 patches, 30 draws": (CASES[3])}
    target_and_yours("surprise_map", student, spec_surprise_map, cases)


def surprise_map(student):
    """Check exercise 5, `surprise_map(energies, targets, n)`. Raises CheckFailed."""
    compare("surprise_map", student, spec_surprise_map, CASES, MISTAKES, ADVICE)
