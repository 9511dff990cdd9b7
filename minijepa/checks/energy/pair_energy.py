"""Assignment 07, exercise 1: the energy of an image and its target."""

import torch

from minijepa.checks.curves import line_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal


def spec_pair_energy(prediction, target):
    """Image by image: the mean over blocks, patches and features of d^2 / 2 for |d| < 1, else |d| - 1/2. [B]."""
    energies = []
    for guess, truth in zip(prediction, target, strict=True):
        costs = [d**2 / 2 if d < 1 else d - 0.5 for d in (guess - truth).abs().flatten()]
        energies.append(sum(costs) / len(costs))
    return torch.stack(energies)


CASES = [
    (torch.zeros(2, 1, 1, 2), torch.tensor([[[[0.0, 1.0]]], [[[3.0, 0.0]]]])),
    (normal(3, 2, 4, 5), 2 * normal(3, 2, 4, 5, seed=1)),
    (normal(4, 1, 3, 2, seed=2, dtype=torch.float64), normal(4, 1, 3, 2, seed=3, dtype=torch.float64)),
]

huber = torch.nn.functional.smooth_l1_loss


def each(p, t):
    """Smooth L1 of each number, of the shape of p and t, [B, M, K_t, D]."""
    return huber(p, t, reduction="none")


MISTAKES = [
    (lambda p, t: huber(p, t), "this is the mean over the batch, which ranks nothing: return one energy per IMAGE"),
    (lambda p, t: each(p, t).mean(dim=-1), "return one number per image: average over blocks and patches too"),
    (
        lambda p, t: each(p, t).flatten(1).sum(dim=1),
        "this is the sum: take the mean, so that it does not grow with the number of targets",
    ),
    (
        lambda p, t: (p - t).square().flatten(1).mean(dim=1),
        "this is the squared error: d^2 / 2 below 1, and |d| - 1/2 from there on",
    ),
    (lambda p, t: (p - t).abs().flatten(1).mean(dim=1), "this is |d|: d^2 / 2 below 1, and |d| - 1/2 from there on"),
    (lambda p, t: -each(p, t).flatten(1).mean(dim=1), "an energy is LOW where both fit: drop the minus"),
    (
        lambda p, t: huber(p.flatten(1).mean(dim=1), t.flatten(1).mean(dim=1), reduction="none"),
        "take the cost of each difference first, then the mean: errors of opposite sign must not cancel",
    ),
]

ADVICE = "take smooth L1 of each number, then the mean over all axes but the batch"


def show_pair_energy(student):
    """Draw the energy of the first of two images that is off by d, while the second is right: target and answer."""

    def case(offset):
        right = torch.zeros(2, 1, 2, 3)
        return right + offset * torch.tensor([1.0, 0.0]).view(2, 1, 1, 1), right

    cases = {"the first image": [(d, case(d)) for d in [i / 2 for i in range(-6, 7)]]}
    see = "the energy is 0 at d = 0, a parabola up to 1 and straight beyond; the second image must not matter."
    line_and_yours("pair_energy", student, spec_pair_energy, cases, ("d", "energy"), see, lambda e: e.flatten()[0])


def pair_energy(student):
    """Check exercise 1, `pair_energy(prediction, target)`. Raises CheckFailed."""
    compare("pair_energy", student, spec_pair_energy, CASES, MISTAKES, ADVICE)
