"""Assignment 20, exercise 1: which sub-goal level 2 hands down, until when it holds, and when level 1 goes straight."""

import torch

from minijepa.checks.picture import target_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal


def spec_hand_down(path, states, goal, near):
    """Step by step, episode by episode: every K steps a decision, which holds until the next one.

    path: [T, E, K, D], where level 1 would come to on its way straight to the goal. states: [T, E, J, D], those after
    each jump of level 2's plan. goal: [E, D]. near: a distance that is equal to it is near, too.
    Returns (targets [T, E, D], steps that are left until the next decision, int64 [T]).
    Source: `TwoLevelPlanner` of notebook 18, after H-JEPA (arXiv:2610.06805).
    """
    stride = path.shape[2]
    targets, left = [], []
    for t in range(len(path)):
        if t % stride == 0:
            target = []
            for e in range(len(goal)):
                distances = [float((state - goal[e]).norm()) for state in path[t, e]]
                target.append(goal[e] if min(distances) <= near else states[t, e, 0])
        targets.append(torch.stack(target))
        left.append(stride - t % stride)
    return torch.stack(targets), torch.tensor(left)


def drawn(steps, episodes, stride, jumps, dim, seed, dtype=torch.float32):
    """Random arguments without `near`: path [T, E, K, D], states [T, E, J, D], goal [E, D]."""
    shapes = (steps, episodes, stride, dim), (steps, episodes, jumps, dim), (episodes, dim)
    return [normal(*shape, seed=10 * seed + i, dtype=dtype) for i, shape in enumerate(shapes)]


HAND = (
    torch.tensor([[3.0, 5.0], [6.0, 7.0], [11.0, 8.0], [9.0, 10.0]]).view(4, 1, 2, 1),
    torch.tensor([[4.0, 8.0, 10.0], [5.0, 9.0, 10.0], [7.0, 9.0, 10.0], [8.0, 10.0, 10.0]]).view(4, 1, 3, 1),
    torch.tensor([[10.0]]),
)
CASES = [
    (*HAND, 1.0),
    (*drawn(7, 5, 3, 4, 2, 1), 1.2),
    (*drawn(10, 6, 5, 3, 3, 2), 1.3),
    (*drawn(5, 4, 1, 2, 2, 3), 1.0),
    (*drawn(9, 3, 4, 2, 2, 4, torch.float64), 1.0),
    (*drawn(6, 4, 2, 3, 3, 5), 0.0),
]


def times(path):
    """The time of the decision that holds at each time: path [T, E, K, D] -> int64 [T]."""
    return torch.arange(len(path)) // path.shape[2] * path.shape[2]


def steps_left(path, less=0):
    """What is left until the next decision: path [T, E, K, D] -> int64 [T]."""
    return path.shape[2] - torch.arange(len(path)) % path.shape[2] - less


def straight(path, goal, near, of=lambda d: d.amin(dim=2)):
    """Who goes straight to the goal, if a decision were made at each time: [T, E, K, D], [E, D] -> bool [T, E]."""
    return of((path - goal[:, None]).norm(dim=-1)) <= near


def answer(p, s, g, near, *, go=None, subgoal=None, at=None, left=None):
    """The right answer for path p [T, E, K, D], states s [T, E, J, D], goal g [E, D], with a part replaced."""
    go = straight(p, g, near) if go is None else go
    subgoal = s[:, :, 0] if subgoal is None else subgoal  # [T, E, D]
    every = torch.where(go[..., None], g, subgoal)
    return every[times(p) if at is None else at], steps_left(p) if left is None else left


MISTAKES = [
    (
        lambda p, s, g, n: answer(p, s, g, n, subgoal=s[:, :, -1]),
        "this hands down the LAST state of level 2's plan, which level 1 cannot reach in K steps: take the first",
    ),
    (
        lambda p, s, g, n: answer(p, s, g, n, subgoal=s[:, :, 1]),
        "this is the state after the SECOND jump: the sub-goal is the first state of the plan, states[:, :, 0]",
    ),
    (
        lambda p, s, g, n: answer(p, s, g, n, subgoal=s.mean(dim=2)),
        "this is the mean of the plan: its states come one after another, and the first one is due",
    ),
    (
        lambda p, s, g, n: answer(p, s, g, n, at=torch.arange(len(p))),
        "you decide anew at every step: a sub-goal holds for K steps, so that it comes nearer",
    ),
    (
        lambda p, s, g, n: answer(p, s, g, n, at=torch.zeros(len(p), dtype=torch.int64)),
        "you decide once, at time 0: decide anew every K steps",
    ),
    (
        lambda p, s, g, n: answer(p, s, g, n, at=torch.arange(len(p)) // p.shape[2]),
        "t // K counts the decisions: the one that holds at time t was made at time t // K * K",
    ),
    (
        lambda p, s, g, n: answer(p, s, g, n, go=straight(p, g, -1.0)),
        "the switch is missing: where level 1 comes near the goal, its target is the goal itself",
    ),
    (
        lambda p, s, g, n: answer(p, s, g, n, go=straight(p, g, float("inf"))),
        "every episode goes straight to its goal: level 2 is never asked",
    ),
    (
        lambda p, s, g, n: answer(p, s, g, n, go=~straight(p, g, n)),
        "the switch is the wrong way round: go straight where the goal is NEAR",
    ),
    (
        lambda p, s, g, n: answer(p, s, g, n, go=straight(p, g, n, lambda d: d[:, :, -1])),
        "you look at the last of the K states alone: near is the path that comes near at ANY of them",
    ),
    (
        lambda p, s, g, n: answer(p, s, g, n, go=straight(p, g, n, lambda d: d.mean(dim=2))),
        "you compare the mean distance with `near`: take the smallest, how close the path comes",
    ),
    (
        lambda p, s, g, n: answer(p, s, g, n, go=straight(p, g, n, lambda d: d.amax(dim=2))),
        "you ask for ALL K states to be near: one is enough",
    ),
    (
        lambda p, s, g, n: answer(p, s, g, n, go=straight(s, g, n)),
        "the switch asks level 1: compare `path`, not level 2's plan, with the goal",
    ),
    (
        lambda p, s, g, n: answer(p, s, g, n, go=(p - g[:, None]).norm(dim=-1).amin(dim=2) < n),
        "a distance that is equal to `near` is near: compare with <=",
    ),
    (
        lambda p, s, g, n: answer(p, s, g, n, go=(p - g[:, None]).square().sum(dim=-1).amin(dim=2) <= n),
        "you compare the SQUARED distance with `near`: take the root",
    ),
    (
        lambda p, s, g, n: answer(p, s, g, n, go=straight(p, g, n).any(dim=1, keepdim=True).expand(-1, len(g))),
        "as soon as one episode is near, all go straight: each decides for itself",
    ),
    (
        lambda p, s, g, n: answer(p, s, g, n, left=steps_left(p, less=1)),
        "the step that is about to be made counts: K are left at a decision, and 1 just before the next",
    ),
    (
        lambda p, s, g, n: answer(p, s, g, n, left=torch.full((len(p),), p.shape[2])),
        "level 1 does not look K steps ahead at every time: the sub-goal is due at the next decision",
    ),
    (
        lambda p, s, g, n: answer(p, s, g, n, left=torch.arange(len(p)) % p.shape[2] + 1),
        "this counts the steps that are OVER: K, K - 1, ..., 1 are left",
    ),
    (
        lambda p, s, g, n: answer(p, s, g, n)[::-1],
        "the two are swapped: the targets come first, then the steps that are left",
    ),
]

ADVICE = "decide for every t with t % K == 0: goal where path comes near, else states[:, :, 0]; repeat it K times"


def show_hand_down(student):
    """Draw the targets of three episodes over time, and the steps that are left: target and answer."""
    steps = 20
    now = torch.arange(float(steps))[:, None] / steps  # [T, 1]
    speed = torch.tensor([0.4, 0.8, 1.0])  # one per episode
    here = now * speed  # [T, E], where level 1 is
    path = (here[..., None] + torch.arange(1.0, 6) / 40)[..., None]  # [T, E, K, 1]
    states = (here[..., None] + 0.2 * torch.arange(1.0, 4))[..., None]  # [T, E, J, 1]

    def part_of(function):
        def one(path, states, goal, near, part):
            return function(path, states, goal, near)[part]

        return one

    def as_map(answer, *arguments):
        return answer[..., 0].T if answer.ndim == 3 else answer

    case = path, states, torch.full((3, 1), 1.0), 0.3
    cases = {"targets of three episodes": (*case, 0), "steps that are left": (*case, 1)}
    see = (
        "time runs to the right. A target holds for five steps; at the end the two faster dots go straight to the goal."
    )
    target_and_yours("hand_down", part_of(student), part_of(spec_hand_down), cases, as_map, see)


def hand_down(student):
    """Check exercise 1, `hand_down(path, states, goal, near)`. Raises CheckFailed."""
    compare("hand_down", student, spec_hand_down, CASES, MISTAKES, ADVICE)
