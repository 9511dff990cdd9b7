"""Assignment 01, exercise 3: how much higher the energy is in the gap than on the roads."""

import torch

from minijepa.checks.curves import line_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal


def spec_contrast(answers, gap, roads):
    """F(gap) minus the mean of F over the roads, F(y) = min over the answers g of |g - y|^2. A scalar tensor."""

    def free(y):
        return min(((g - y) ** 2).sum() for g in answers)

    return free(gap) - sum(free(road) for road in roads) / len(roads)


CASES = [
    (torch.tensor([[0.0], [0.0]]), torch.zeros(1), torch.tensor([[-1.0], [1.0]])),
    (torch.tensor([[-1.0], [1.0]]), torch.zeros(1), torch.tensor([[-1.0], [1.0]])),
    (normal(5, 2), normal(2, seed=1), normal(3, 2, seed=2)),
    (normal(3, 3, seed=3, dtype=torch.float64), normal(3, seed=4, dtype=torch.float64), normal(4, 3, seed=5).double()),
]


def free(a, y):
    """The free energy [M] of each point of y [M, D]: its smallest squared distance to an answer [K, D]."""
    return (a[None] - y[:, None]).square().sum(dim=2).amin(dim=1)


MISTAKES = [
    (
        lambda a, g, r: free(a, r).mean() - free(a, g[None])[0],
        "the sign is wrong: take the energy in the gap MINUS that on the roads, so that a good landscape is above 0",
    ),
    (
        lambda a, g, r: free(a, g[None])[0] - free(a, r).min(),
        "this uses the best road alone: take the mean over ALL roads, or a model of a single road looks perfect",
    ),
    (lambda a, g, r: free(a, g[None])[0] - free(a, r).sum(), "this is the sum over the roads: take their mean"),
    (lambda a, g, r: free(a, g[None])[0], "this is the energy in the gap alone: subtract the mean energy on the roads"),
    (
        lambda a, g, r: (a - g).square().sum(dim=1).mean() - (a[None] - r[:, None]).square().sum(dim=2).mean(),
        "this is the mean over the answers: F is the minimum over them",
    ),
]

ADVICE = "the contrast is F(gap) minus the mean of F over the roads"


def show_contrast(student):
    """Draw the contrast between the gap at 0 and the roads at -1 and 1, for the answers -s and s: target and answer."""
    roads, gap = torch.tensor([[-1.0], [1.0]]), torch.zeros(1)
    one, two = [], []
    for s in [i / 5 for i in range(11)]:
        one.append((s, (torch.tensor([[s]]), gap, roads)))
        two.append((s, (torch.tensor([[-s], [s]]), gap, roads)))
    cases = {"the answers -s and s": two, "one answer, s": one}
    see = "above 0 the landscape tells the gap from the roads. Two answers can do that, a single one hardly."
    line_and_yours("contrast", student, spec_contrast, cases, ("s", "contrast"), see)


def contrast(student):
    """Check exercise 3, `contrast(answers, gap, roads)`. Raises CheckFailed."""
    compare("contrast", student, spec_contrast, CASES, MISTAKES, ADVICE)
