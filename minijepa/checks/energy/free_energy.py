"""Assignment 07, exercise 4: the free energy of a latent variable."""

import torch

from minijepa.checks.picture import target_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal


def spec_free_energy(answers, y):
    """The smallest squared distance from y [B, D] to one of the answers [B, K, D], and its z: two tensors [B]."""
    energies, best = [], []
    for options, truth in zip(answers, y, strict=True):
        distances = [((option - truth) ** 2).sum() for option in options]
        z = min(range(len(distances)), key=lambda k: float(distances[k]))
        energies.append(distances[z])
        best.append(z)
    return torch.stack(energies), torch.tensor(best)


CASES = [
    (torch.tensor([[[-1.0, 1.0], [1.0, 1.0]]]), torch.tensor([[0.9, 1.0]])),
    (normal(5, 3, 2), normal(5, 2, seed=1)),
    (normal(4, 6, 3, seed=2, dtype=torch.float64), normal(4, 3, seed=3, dtype=torch.float64)),
    (normal(3, 1, 2, seed=4), normal(3, 2, seed=5)),
    (normal(4, 4, 4, seed=6), normal(4, 4, seed=7)),
]


def distances(a, y):
    """Squared distances [B, K] from each answer [B, K, D] to y [B, D]."""
    return (a - y[:, None]).square().sum(dim=2)


def after(table, dim=1):
    """The minimum along an axis and where it is, as a tuple."""
    return tuple(table.min(dim=dim))


MISTAKES = [
    (
        lambda a, y: (distances(a, y).mean(dim=1), distances(a, y).argmin(dim=1)),
        "this is the mean over z: then the best answer at a fork lies between the roads. Take the minimum",
    ),
    (lambda a, y: after(distances(a, y).neg()), "this is the worst z: the free energy is the MINIMUM over z"),
    (lambda a, y: tuple(distances(a, y).max(dim=1)), "this is the worst z: the free energy is the MINIMUM over z"),
    (lambda a, y: after(distances(a, y).sqrt()), "this is the distance, not its square: drop the root"),
    (
        lambda a, y: after((a - y[:, None]).square().mean(dim=2)),
        "this is the mean over the coordinates: take their sum",
    ),
    (lambda a, y: tuple(distances(a, y).min(dim=1))[::-1], "the two are swapped: the energy comes first, then the z"),
    (
        lambda a, y: ((a.mean(dim=1) - y).square().sum(dim=1), distances(a, y).argmin(dim=1)),
        "this is the energy of the mean answer, between the roads: choose one answer, by its z",
    ),
]

ADVICE = "take the squared distance to each answer, and the minimum over z"


def show_free_energy(student):
    """Draw the free energy around a fork, where the answers are (-1, 0) and (1, 0): target and answer."""
    side = torch.linspace(-2, 2, 25)
    places = torch.cartesian_prod(side, side).flip(1)  # [625, 2]: (across, along)
    roads = torch.tensor([[-1.0, 0.0], [1.0, 0.0]]).expand(len(places), 2, 2)

    def both(answer, answers, y):
        return torch.cat([answer[0].view(25, 25), answer[1].view(25, 25).to(answer[0]) * 5], dim=1)

    see = "the left half has two dark wells, one per road, with a ridge between them; the right half shows the z."
    target_and_yours("free_energy", student, spec_free_energy, {"energy | z": (roads, places)}, both, see)


def free_energy(student):
    """Check exercise 4, `free_energy(answers, y)`. Raises CheckFailed."""
    compare("free_energy", student, spec_free_energy, CASES, MISTAKES, ADVICE)
