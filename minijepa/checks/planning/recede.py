"""Assignment 16, exercise 5: carry out one action, and move the plan on by one step."""

import torch

from minijepa.checks.picture import target_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal


def spec_recede(plan, repeat):
    """Episode by episode: the first action, and a list of the others with one more at its end.

    plan: [E, H, A]. repeat: True if the last action is repeated at the end, False if zeros stand there.
    Returns (action [E, A], where the next search begins [E, H, A]).
    """
    actions, following = [], []
    for one in plan:
        steps = list(one)
        actions.append(steps[0])
        following.append(torch.stack([*steps[1:], steps[-1] if repeat else torch.zeros_like(steps[-1])]))
    return torch.stack(actions), torch.stack(following)


CASES = [
    (torch.tensor([[[1.0], [2.0], [3.0]]]), True),
    (torch.tensor([[[1.0], [2.0], [3.0]]]), False),
    (normal(2, 4, 2), True),
    (normal(3, 5, 2, seed=1), False),
    (normal(2, 1, 3, seed=2, dtype=torch.float64), True),
    (normal(2, 1, 2, seed=3), False),
]


def moved(plan, repeat):
    """The plan [E, H, A] one step later."""
    end = plan[:, -1:] if repeat else torch.zeros_like(plan[:, -1:])
    return torch.cat([plan[:, 1:], end], dim=1)


MISTAKES = [
    (
        lambda p, r: (p[:, 0], p.roll(-1, dims=1)),
        "`roll` brings the action that was just taken back to the end of the plan: put the last one, or zeros, there",
    ),
    (
        lambda p, r: (p[:, 0], p),
        "the plan stays where it was: its first action is over, so the next search begins one step later",
    ),
    (
        lambda p, r: (p[:, 0], p[:, 1:]),
        "the plan gets shorter: add an action at its end, so that it keeps its length H",
    ),
    (
        lambda p, r: (p[:, 0], torch.cat([p[:, :1] if r else torch.zeros_like(p[:, :1]), p[:, :-1]], dim=1)),
        "the plan moves the wrong way: the action that was second comes first",
    ),
    (
        lambda p, r: (p[:, -1], moved(p, r)),
        "this carries out the LAST action of the plan: the first one is due",
    ),
    (
        lambda p, r: (p.mean(dim=1), moved(p, r)),
        "this carries out the mean of the plan: its actions come one after another, and the first one is due",
    ),
    (
        lambda p, r: (moved(p, r)[:, 0], moved(p, r)),
        "this carries out the second action, and the first one never: read the action before you move the plan",
    ),
    (
        lambda p, r: (p[0], moved(p, r)),
        "plan[0] is the whole plan of the first EPISODE: the first action of each is plan[:, 0]",
    ),
    (
        lambda p, r: (p[:, :1], moved(p, r)),
        "an action has the shape [E, A]: write plan[:, 0], not plan[:, :1]",
    ),
    (
        lambda p, r: (p[:, 0], moved(p, not r)),
        "the two cases are swapped: repeat=True repeats the last action, repeat=False puts zeros",
    ),
    (
        lambda p, r: (p[:, 0], moved(p, True)),
        "with repeat=False zeros stand at the end",
    ),
    (
        lambda p, r: (p[:, 0], moved(p, False)),
        "with repeat=True the last action stands twice at the end",
    ),
    (
        lambda p, r: (p[:, 0], torch.zeros_like(p)),
        "this forgets the whole plan: the next search should begin with what the last one found",
    ),
    (
        lambda p, r: (p[:, 0], torch.cat([p[1:], p[-1:] if r else torch.zeros_like(p[-1:])])),
        "you moved the EPISODES by one: the steps of the plan are dim=1",
    ),
    (
        lambda p, r: (moved(p, r), p[:, 0]),
        "the two are swapped: the action comes first, then where the next search begins",
    ),
]

ADVICE = "the action is plan[:, 0]; then torch.cat of plan[:, 1:] and one more action along dim=1"


def show_recede(student):
    """Draw the plan before, the action that is carried out, and the plan after: target and answer."""
    plan = torch.linspace(0.3, 1.0, 6)[None, :, None]  # [1, 6, 1]: brighter from step to step

    def as_map(answer, plan, repeat):
        action = torch.cat([answer[0], torch.zeros(5, 1)]).T  # [1, 6]: the action, and nothing next to it
        return torch.cat([plan[0].T, action, answer[1][0].T])  # [3, 6]

    cases = {"repeat=True": (plan, True), "repeat=False": (plan, False)}
    see = "the rows are the plan, the action that is carried out, and the plan after; it has moved to the left by one."
    target_and_yours("recede", student, spec_recede, cases, as_map, see, limits=(0, 1))


def recede(student):
    """Check exercise 5, `recede(plan, repeat)`. Raises CheckFailed."""
    compare("recede", student, spec_recede, CASES, MISTAKES, ADVICE)
