"""Assignment 16, exercise 1: the energy of each action, how far its predicted outcome is from the goal."""

import torch
from torch.nn import functional as F

from minijepa.checks.picture import target_and_yours
from minijepa.checks.planning.steps import bend, double_and_add, room
from minijepa.checks.report import compare
from minijepa.checks.values import normal


def spec_action_energies(step, z, actions, goal):
    """Episode by episode, action by action: the Euclidean distance from the predicted next latent to the goal.

    step: dynamics, z [..., D] and action [..., A] -> [..., D]. z, goal: [E, D]. actions: [K, A]. Returns [E, K].
    """
    energies = z.new_empty(len(z), len(actions))
    for e in range(len(z)):
        for k in range(len(actions)):
            energies[e, k] = (step(z[e], actions[k]) - goal[e]).square().sum().sqrt()
    return energies


CASES = [
    (
        double_and_add,
        torch.tensor([[1.0, 0.0], [0.0, 1.0]]),
        torch.tensor([[1.0, 0.0], [0.0, 0.0], [-2.0, 4.0]]),
        torch.tensor([[3.0, 4.0], [0.0, 2.0]]),
    ),
    (bend, normal(4, 3), 2 * normal(5, 2, seed=1), 1 + normal(4, 3, seed=2)),
    (bend, normal(2, 5, seed=3), normal(6, 3, seed=4), normal(2, 5, seed=5)),
    (bend, *(normal(*s, seed=s[0] + 6, dtype=torch.float64) for s in ((3, 2), (4, 2))), torch.ones(3, 2).double()),
]


def outcomes(step, z, actions):
    """The predicted latents [E, K, D] for z [E, D] and actions [K, A]."""
    shape = len(z), len(actions)
    return step(z[:, None].expand(*shape, -1), actions.expand(*shape, -1))


def gaps(step, z, actions, goal):
    """Predicted latents minus the goal's, [E, K, D], for z, goal [E, D] and actions [K, A]."""
    return outcomes(step, z, actions) - goal[:, None]


MISTAKES = [
    (
        lambda f, z, a, g: gaps(f, z, a, g).square().sum(dim=2),
        "this is the squared distance: take the root",
    ),
    (
        lambda f, z, a, g: gaps(f, z, a, g).square().mean(dim=2),
        "this is the mean squared error: take the SUM of the squares over the features, then the root",
    ),
    (
        lambda f, z, a, g: gaps(f, z, a, g).square().mean(dim=2).sqrt(),
        "a mean over the features stands under your root: the length of a vector has their sum",
    ),
    (
        lambda f, z, a, g: gaps(f, z, a, g).abs().sum(dim=2),
        "this is the L1 distance, the sum of |d|: the Euclidean distance is the root of the sum of d^2",
    ),
    (
        lambda f, z, a, g: gaps(f, z, a, g).abs().mean(dim=2),
        "this is the mean of |d|, V-JEPA 2-AC's choice: here the distance is Euclidean, the root of the sum of d^2",
    ),
    (
        lambda f, z, a, g: (outcomes(f, z, a) - z[:, None]).norm(dim=2),
        "this is how far an action MOVES the latent: compare the prediction with the goal",
    ),
    (
        lambda f, z, a, g: (z - g).norm(dim=1)[:, None].expand(-1, len(a)),
        "no action plays a part here: this is the distance of the PRESENT latent to the goal",
    ),
    (
        lambda f, z, a, g: (outcomes(f, z, a) + z[:, None] - g[:, None]).norm(dim=2),
        "`step` returns the next latent, not the change: do not add z to it",
    ),
    (
        lambda f, z, a, g: -gaps(f, z, a, g).norm(dim=2),
        "an energy is LOW where the action leads to the goal: drop the minus",
    ),
    (
        lambda f, z, a, g: gaps(f, z, a, g).norm(dim=2).T,
        "one ROW per episode and one column per action: this is [K, E]",
    ),
    (
        lambda f, z, a, g: gaps(f, z, a, g).norm(dim=2).mean(dim=0),
        "this is the mean over the episodes, each of which has its own goal: return [E, K]",
    ),
    (
        lambda f, z, a, g: gaps(f, z, a, g).norm(dim=2).amin(dim=1),
        "this is the lowest energy alone: return the energy of EVERY action, [E, K]",
    ),
    (
        lambda f, z, a, g: gaps(f, z, a, g).norm(dim=1),
        "you take the length over the actions: the features are the last axis, dim=2",
    ),
    (
        lambda f, z, a, g: 1 - F.cosine_similarity(outcomes(f, z, a), g[:, None], dim=2),
        "a cosine forgets the lengths: of two latents in one direction, only one is the goal. Take the distance",
    ),
    (
        lambda f, z, a, g: gaps(f, z, a, g[:1].expand_as(g)).norm(dim=2),
        "each episode has a goal of its own, and you compare all with the first",
    ),
]

ADVICE = "expand z to [E, K, D] and actions to [E, K, A], call step once, subtract goal[:, None], take the length"


def show_action_energies(student):
    """Draw the energy over a grid of actions, in the middle of a room and at its right border: target and answer."""
    side = torch.linspace(-1, 1, 15)
    down, right = torch.meshgrid(side.flip(0), side, indexing="ij")  # [15, 15] each; row 0 is the top
    grid = torch.stack([right, down], dim=-1).flatten(0, 1)  # [225, 2]

    def as_map(answer, step, z, actions, goal):
        return answer.view(15, 15)

    goal = torch.tensor([[0.6, 0.3]])
    cases = {"from the middle": (room, torch.zeros(1, 2), grid, goal)}
    cases["from the right border"] = room, torch.tensor([[1.0, 0.3]]), grid, goal
    see = "the darkest action leads to the goal; at the border all actions to the right are alike: none moves the dot."
    target_and_yours("action_energies", student, spec_action_energies, cases, as_map, see)


def action_energies(student):
    """Check exercise 1, `action_energies(step, z, actions, goal)`. Raises CheckFailed."""
    compare("action_energies", student, spec_action_energies, CASES, MISTAKES, ADVICE)
