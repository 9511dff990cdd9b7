"""Assignment 16, exercise 2: imagine many plans with a model that predicts one step."""

import torch

from minijepa.checks.curves import line_and_yours
from minijepa.checks.planning.steps import bend, double_and_add, room
from minijepa.checks.report import compare
from minijepa.checks.values import normal


def spec_rollout(step, z, plans):
    """Plan by plan, action by action: each prediction starts from the one before it, the first from z.

    step: dynamics, z [..., D] and action [..., A] -> [..., D]. z: [E, D]. plans: [E, S, H, A]. Returns [E, S, H, D].
    """
    path = z.new_empty(*plans.shape[:3], z.shape[1])
    for e in range(len(plans)):
        for s in range(plans.shape[1]):
            state = z[e]
            for h in range(plans.shape[2]):
                state = step(state, plans[e, s, h])
                path[e, s, h] = state
    return path


CASES = [
    (double_and_add, torch.tensor([[1.0]]), torch.tensor([1.0, 0.0, -1.0, 0.0, 2.0, 1.0]).view(1, 2, 3, 1)),
    (bend, normal(2, 4), normal(2, 3, 5, 2, seed=1)),
    (bend, normal(3, 2, seed=2), normal(3, 4, 2, 3, seed=3)),
    (bend, normal(2, 3, seed=4), normal(2, 3, 1, 2, seed=5)),
    (bend, normal(1, 3, seed=6, dtype=torch.float64), normal(1, 2, 6, 3, seed=7, dtype=torch.float64)),
]


def starts(z, plans):
    """A copy of z [E, D] for each of the plans [E, S, H, A]: [E, S, D]."""
    return z[:, None].expand(-1, plans.shape[1], -1)


def path_of(f, z, plans, order=None, adds=False):
    """The states [E, S, H, D] after the actions of plans [E, S, H, A], in this order; adds: z + step in each step."""
    state, path = starts(z, plans), []
    for h in order or range(plans.shape[2]):
        state = f(state, plans[:, :, h]) + (state if adds else 0)
        path.append(state)
    return torch.stack(path, dim=2)


def with_start(f, z, plans):
    """The start, and the states after each action: z [E, D], plans [E, S, H, A] -> [E, S, H + 1, D]."""
    return torch.cat([starts(z, plans)[:, :, None], path_of(f, z, plans)], dim=2)


def anew(f, z, actions):
    """Each action applied to the start: z [E, D], actions [E, S, H, A] -> [E, S, H, D]."""
    return f(starts(z, actions)[:, :, None].expand(*actions.shape[:3], -1), actions)


def one_long_plan(f, z, plans):
    """The plans of an episode one after another, without a return to z [E, D]; plans [E, S, H, A]."""
    e, s, h, a = plans.shape
    return path_of(f, z, plans.reshape(e, 1, s * h, a)).view(e, s, h, -1)


MISTAKES = [
    (
        anew,
        "every action is applied to the START: an action must be applied to the prediction that came before it",
    ),
    (
        lambda f, z, p: anew(f, z, p.cumsum(dim=2)),
        "this is one step with the sum of the actions: a step from z, then one from its result, and so on",
    ),
    (
        with_start,
        "the start z is no prediction: leave it out, so that there are H states, one after each action",
    ),
    (
        lambda f, z, p: with_start(f, z, p)[:, :, :-1],
        "these are the states BEFORE each action, z first: entry h is the state after action h",
    ),
    (
        lambda f, z, p: path_of(f, z, p)[:, :, -1],
        "this is the last state alone: keep the state after every action, [E, S, H, D]",
    ),
    (
        lambda f, z, p: path_of(f, z, p, order=list(range(p.shape[2]))[::-1]),
        "your actions are taken in reverse order: the first one comes first",
    ),
    (
        one_long_plan,
        "the second plan begins where the first one ended: EACH plan begins at z",
    ),
    (
        lambda f, z, p: path_of(f, z[:1].expand_as(z), p),
        "all episodes begin at the z of the first: each has a start of its own",
    ),
    (
        lambda f, z, p: path_of(f, z, p[:, :1].expand_as(p)),
        "all plans get the actions of the first plan",
    ),
    (
        lambda f, z, p: path_of(f, z, p).transpose(1, 2),
        "the axes are episodes, plans, steps, features: stack the states along dim=2",
    ),
    (
        lambda f, z, p: path_of(f, z, p).permute(2, 0, 1, 3),
        "you stacked the states along dim=0: the steps are the third axis, dim=2",
    ),
    (
        lambda f, z, p: path_of(f, z, p, adds=True),
        "`step` returns the next latent, not the change: do not add the old one to it",
    ),
    (
        lambda f, z, p: path_of(f, z, p).mean(dim=1),
        "this is the mean over the plans: keep them apart, [E, S, H, D]",
    ),
]

ADVICE = "expand z to [E, S, D]; for each h let z = step(z, plans[:, :, h]) and keep it; stack along dim=2"


def show_rollout(student):
    """Draw where a plan of more and more equal actions leads, in a room and with other dynamics: target and answer."""

    def ends(step, z, action):
        plan = torch.tensor(action).expand(1, 2, 8, -1)
        return [(h, (step, torch.tensor([z]), plan[:, :, :h])) for h in range(1, 9)]

    cases = {"a room with a wall at 1": ends(room, [-0.8, 0.0], [0.35, 0.1])}
    cases["dynamics that turn"] = ends(bend, [1.5, -1.0], [1.0, -0.5])
    see = "every prediction goes on from the one before it; in the room the wall stops the dot at 1."
    labels = ("actions of the plan", "first feature of the last state")
    line_and_yours("rollout", student, spec_rollout, cases, labels, see, lambda path: path[0, 0, -1, 0])


def rollout(student):
    """Check exercise 2, `rollout(step, z, plans)`. Raises CheckFailed."""
    compare("rollout", student, spec_rollout, CASES, MISTAKES, ADVICE)
