"""Assignment 16, exercise 4: the distances along an imagined path become one number."""

import torch

from minijepa.checks.curves import line_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal

KINDS = ("last", "total", "closest")


def spec_plan_cost(distance, kind, hurry):
    """Plan by plan: the distance after the last step, the mean over the steps, or the smallest + hurry * mean.

    distance: [S, H], to the goal, after each action. kind: "last", "total" or "closest". Returns [S].
    Sources: last as in V-JEPA 2-AC (arXiv:2506.09985), total as in EB-JEPA (arXiv:2602.03604); closest is the course's.
    """
    costs = []
    for row in distance:
        values = list(row)
        mean = sum(values) / len(values)
        costs.append({"last": values[-1], "total": mean, "closest": min(values) + hurry * mean}[kind])
    return torch.stack(costs)


HAND = torch.tensor([[4.0, 1.0, 4.0], [3.0, 2.0, 1.0]])
CASES = [
    *((HAND, kind, 0.2) for kind in KINDS),
    *((normal(5, 4, seed=seed).abs(), kind, 0.5) for seed, kind in enumerate(KINDS)),
    *((normal(3, 6, seed=seed, dtype=torch.float64).abs(), kind, 1.5) for seed, kind in enumerate(KINDS)),
    (normal(4, 1, seed=3).abs(), "closest", 0.3),
]


def but(**changes):
    """The right costs, with other functions (d [S, H], hurry) -> [S] for some kinds."""
    right = {
        "last": lambda d, hurry: d[:, -1],
        "total": lambda d, hurry: d.mean(dim=1),
        "closest": lambda d, hurry: d.amin(dim=1) + hurry * d.mean(dim=1),
    }
    return lambda d, kind, hurry: {**right, **changes}[kind](d, hurry)


MISTAKES = [
    (
        but(last=lambda d, w: d[:, 0]),
        "`last` is the distance after the LAST action, distance[:, -1]: this is the first",
    ),
    (but(last=lambda d, w: d[-1]), "distance[-1] is the last PLAN: the last step of each plan is distance[:, -1]"),
    (but(last=lambda d, w: d.amin(dim=1)), "`last` does not ask for the closest approach: where does the plan END?"),
    (but(total=lambda d, w: d.sum(dim=1)), "this is the sum: take the mean, so that a longer plan costs no more"),
    (but(total=lambda d, w: d.mean(dim=0)), "this is the mean over the plans: average over the steps, dim=1"),
    (
        but(total=lambda d, w: d.mean().expand(len(d))),
        "this is the mean of everything: each plan has a cost of its own",
    ),
    (
        but(closest=lambda d, w: d.amin(dim=1)),
        "the hurry is missing: add hurry times the mean, so that to arrive early is cheaper",
    ),
    (
        but(closest=lambda d, w: d.amin(dim=1) + d.mean(dim=1)),
        "multiply the mean by `hurry`",
    ),
    (
        but(closest=lambda d, w: w * d.amin(dim=1) + d.mean(dim=1)),
        "`hurry` belongs to the mean, not to the closest approach",
    ),
    (
        but(closest=lambda d, w: w * (d.amin(dim=1) + d.mean(dim=1))),
        "`hurry` belongs to the mean alone: the closest approach counts in full",
    ),
    (
        but(closest=lambda d, w: (1 - w) * d.amin(dim=1) + w * d.mean(dim=1)),
        "this is a blend of both: the closest approach counts in full, and hurry times the mean is added",
    ),
    (
        but(closest=lambda d, w: d.amin(dim=1) + w * d.sum(dim=1)),
        "hurry times the MEAN over the steps, not their sum",
    ),
    (
        but(closest=lambda d, w: d.amin(dim=1) + w * d[:, -1]),
        "hurry times the mean over all steps, not times the last distance: that would not prefer an early arrival",
    ),
    (
        but(closest=lambda d, w: d.argmin(dim=1) + w * d.mean(dim=1)),
        "argmin says WHEN the plan is closest: take amin, how close it comes",
    ),
    (
        but(closest=lambda d, w: d.amin(dim=1) - w * d.mean(dim=1)),
        "you subtract the mean, which rewards a plan for being far away: add it",
    ),
    (
        but(closest=lambda d, w: d.amax(dim=1) + w * d.mean(dim=1)),
        "this is the farthest point of the plan: the closest one is its smallest distance",
    ),
    (
        but(closest=lambda d, w: d.amin(dim=0) + w * d.mean(dim=0)),
        "this compares the plans with each other, step by step: for each plan, look along its steps, dim=1",
    ),
    (
        but(closest=lambda d, w: d.amin() + w * d.mean(dim=1)),
        "this is the smallest distance of ALL plans: each plan has its own, dim=1",
    ),
    (
        but(closest=lambda d, w: d.amin(dim=1) + 0.2 * d.mean(dim=1)),
        "use the argument `hurry`, which is not always 0.2",
    ),
]

ADVICE = "last: distance[:, -1]; total: the mean over dim=1; closest: the minimum over dim=1, plus hurry times the mean"


def show_plan_cost(student):
    """Draw the three costs of plans that arrive after 1 to 6 of 6 actions and stay: target and answer."""
    after = torch.arange(1.0, 7.0)  # how many actions were taken
    cases = {}
    for kind in KINDS:
        paths = [(arrive, (1 - after / arrive).clamp(min=0)[None]) for arrive in range(1, 7)]  # [1, 6] each
        cases[kind] = [(arrive, (path, kind, 0.2)) for arrive, path in paths]
    see = "`last` gives all six plans one cost, so nothing makes a planner hurry; the others prefer to arrive early."
    line_and_yours("plan_cost", student, spec_plan_cost, cases, ("arrives after so many actions", "cost"), see)


def plan_cost(student):
    """Check exercise 4, `plan_cost(distance, kind, hurry)`. Raises CheckFailed."""
    compare("plan_cost", student, spec_plan_cost, CASES, MISTAKES, ADVICE)
