"""Assignment 01, exercise 1: the expected squared error of one answer, where several outcomes are possible."""

import torch

from minijepa.checks.picture import target_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal


def spec_expected_cost(answer, outcomes, shares):
    """Add up, outcome by outcome, its probability times its squared distance to the answer. A scalar tensor."""
    costs = [p * ((outcome - answer) ** 2).sum() for outcome, p in zip(outcomes, shares, strict=True)]
    return sum(costs)


ROADS = torch.tensor([[-1.0, 1.0], [1.0, 1.0]])

CASES = [
    (torch.tensor([0.0, 1.0]), ROADS, torch.tensor([0.5, 0.5])),
    (torch.tensor([1.0, 1.0]), ROADS, torch.tensor([0.25, 0.75])),
    (normal(3), normal(4, 3, seed=1), torch.tensor([0.1, 0.2, 0.3, 0.4])),
    (normal(2).double(), normal(3, 2, seed=2).double(), torch.tensor([0.5, 0.25, 0.25]).double()),
]


def squares(a, o):
    """Squared differences [K, D] between one answer [D] and all outcomes [K, D]."""
    return (o - a).square()


MISTAKES = [
    (
        lambda a, o, p: ((p[:, None] * o).sum(dim=0) - a).square().sum(),
        "you average the outcomes before you square: then an answer between two roads costs nothing",
    ),
    (lambda a, o, p: squares(a, o).sum(dim=1).mean(), "the outcomes are not equally likely: weight them by `shares`"),
    (
        lambda a, o, p: squares(a, o).sum(),
        "this is the sum over the outcomes: weight each of them by its probability, `shares`",
    ),
    (
        lambda a, o, p: (p * squares(a, o).sum(dim=1).sqrt()).sum(),
        "this is the distance, not its square: drop the root",
    ),
    (
        lambda a, o, p: (p * squares(a, o).mean(dim=1)).sum(),
        "the squared distance is a sum over the coordinates, not their mean",
    ),
    (lambda a, o, p: p * squares(a, o).sum(dim=1), "the expected cost is one number: add up over the outcomes"),
]

ADVICE = "the expected cost is the sum, over the outcomes, of probability times squared distance"


def show_expected_cost(student):
    """Draw the expected cost of each point of the plane as the answer, for two roads: target and answer."""
    side = torch.linspace(-2, 2, 21)
    cases = {"1/2 left, 1/2 right": (torch.tensor([0.5, 0.5]),), "1/4 left, 3/4 right": (torch.tensor([0.25, 0.75]),)}

    def over_places(cost):
        def plane(shares):
            costs = [cost(torch.tensor([x, y]), ROADS, shares) for y in side.tolist() for x in side.tolist()]
            return torch.stack(costs).view(21, 21)

        return plane

    see = "the single dark well lies between the roads, since the best single answer is the mean."
    target_and_yours("expected_cost", over_places(student), over_places(spec_expected_cost), cases, see=see)


def expected_cost(student):
    """Check exercise 1, `expected_cost(answer, outcomes, shares)`. Raises CheckFailed."""
    compare("expected_cost", student, spec_expected_cost, CASES, MISTAKES, ADVICE)
