"""Assignment 20, exercise 4: successor features, the discounted average of the features of all later states."""

import torch
from torch.nn import functional as F

from minijepa.checks.picture import target_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal
from minijepa.worlds import GridRooms


def spec_successors(next_state, policy, features, gamma):
    """The closed form, (1 - gamma) (I - gamma P)^-1 P psi, with P filled entry by entry.

    next_state: int64 [S, A]. policy: the probabilities of the actions in each state, [S, A]. features: psi [S, D].
    gamma: in [0, 1). Returns [S, D]. Source: Barreto et al. (arXiv:1606.05312).
    """
    states, actions = next_state.shape
    P = torch.zeros(states, states, dtype=torch.float64)
    for s in range(states):
        for a in range(actions):
            P[s, next_state[s, a]] += policy[s, a].double()
    inverse = torch.linalg.inv(torch.eye(states, dtype=torch.float64) - gamma * P)
    return ((1 - gamma) * inverse @ P @ features.double()).to(features.dtype)


def wander(states, actions, dim, seed, dtype=torch.float32):
    """A random world, policy and features. Some actions lead to the same state, as two moves into walls do."""
    g = torch.Generator().manual_seed(seed)
    next_state = torch.randint(states, (states, actions), generator=g)
    next_state[::2, 1] = next_state[::2, 0]
    policy = torch.softmax(normal(states, actions, seed=seed, dtype=torch.float64), dim=1).to(dtype)
    return next_state, policy, normal(states, dim, seed=seed + 1, dtype=dtype)


CORRIDOR = torch.tensor([[0, 1], [0, 2], [1, 2]])  # left, right
RIGHT = torch.tensor([[0.0, 1.0]]).expand(3, -1).clone()
CASES = [
    (CORRIDOR, RIGHT, torch.eye(3), 0.5),
    (CORRIDOR, torch.full((3, 2), 0.5), torch.tensor([[0.0], [1.0], [4.0]]), 0.9),
    (*wander(5, 3, 4, 1), 0.8),
    (*wander(8, 4, 3, 2), 0.95),
    (*wander(6, 3, 2, 3, torch.float64), 0.6),
    (*wander(4, 2, 3, 4), 0.0),
]


def matrix(next_state, policy):
    """P [S, S] of a policy [S, A]."""
    hits = F.one_hot(next_state, len(next_state)).to(policy.dtype)  # [S, A, S]
    return torch.einsum("sa,sat->st", policy, hits)


def overwritten(next_state, policy):
    """P if of two actions with the same next state only the last one counts."""
    return torch.zeros(len(policy), len(policy), dtype=policy.dtype).scatter(1, next_state, policy)


def closed(P, psi, gamma, first=True, scale=True):
    """(1 - gamma) (I - gamma P)^-1 P psi, with parts left out: P [S, S], psi [S, D] -> [S, D]."""
    eye = torch.eye(len(P), dtype=P.dtype)
    sums = torch.linalg.solve(eye - gamma * P, P @ psi if first else psi)
    return (1 - gamma) * sums if scale else sums


def summed(P, psi, gamma, steps, weight=lambda gamma, t: gamma ** (t - 1)):
    """(1 - gamma) times the sum of the first steps: P [S, S], psi [S, D] -> [S, D]."""
    total, now = torch.zeros_like(psi), psi
    for t in range(1, steps + 1):
        now = P @ now
        total = total + weight(gamma, t) * now
    return (1 - gamma) * total


def best_action(policy):
    """The policy [S, A] that always takes the most probable action."""
    return F.one_hot(policy.argmax(dim=1), policy.shape[1]).to(policy.dtype)


MISTAKES = [
    (
        lambda n, p, f, g: closed(matrix(n, p), f, g, first=False),
        "the present state is counted: the sum begins with the state that is reached next, so P stands before psi",
    ),
    (
        lambda n, p, f, g: closed(matrix(n, p), f, g, scale=False),
        "the factor 1 - gamma is missing: successor features are an average, so that features of 1 give 1",
    ),
    (
        lambda n, p, f, g: closed(matrix(n, p), f, g, first=False, scale=False),
        "this is (I - gamma P)^-1 psi: multiply by 1 - gamma, and by P, since the present state does not count",
    ),
    (
        lambda n, p, f, g: closed(matrix(n, p).T, f, g),
        "P is transposed: P[s, s'] is the probability of going FROM s TO s', so its rows have the sum 1",
    ),
    (
        lambda n, p, f, g: closed(overwritten(n, p), f, g),
        "two actions may lead to the same state: their probabilities add up, and yours overwrite each other",
    ),
    (
        lambda n, p, f, g: closed(matrix(n, torch.full_like(p, 1 / p.shape[1])), f, g),
        "`policy` is not used: this is the random policy",
    ),
    (
        lambda n, p, f, g: closed(matrix(n, best_action(p)), f, g),
        "you take the most probable action alone: each action counts with its probability",
    ),
    (
        lambda n, p, f, g: summed(matrix(n, p), f, g, 1),
        "this is the next state alone, with the weight 1 - gamma: all later ones follow",
    ),
    (
        lambda n, p, f, g: matrix(n, p) @ f,
        "this is the expected next psi: the successor features at gamma = 0, whatever gamma is",
    ),
    (
        lambda n, p, f, g: summed(matrix(n, p), f, g, 10),
        "the sum ends after ten steps: let it go on until nothing changes, or solve the equations",
    ),
    (
        lambda n, p, f, g: summed(matrix(n, p), f, g, 30),
        "the sum ends after thirty steps: at a gamma of .95 a fifth of the weight comes later",
    ),
    (
        lambda n, p, f, g: g * closed(matrix(n, p), f, g),
        "the next state has the weight 1 - gamma, not (1 - gamma) gamma: the exponent is t - 1",
    ),
    (
        lambda n, p, f, g: summed(matrix(n, p), f, g, 400, lambda gamma, t: gamma ** (2 * (t - 1))),
        "the discount is squared: each further step multiplies the weight by gamma once",
    ),
]

ADVICE = "P[s, s'] = sum of the probabilities of the actions from s to s'; then (1 - gamma) (I - gamma P)^-1 P psi"


def show_successors(student):
    """Draw the fraction of the future spent in each cell, from one cell of the four rooms: target and answer."""
    world = GridRooms()
    policy = torch.full((world.states, world.actions), 1 / world.actions)
    start = world.states // 5
    cases = {
        f"random policy, gamma = {gamma}": (world.next_state, policy, torch.eye(world.states), gamma)
        for gamma in (0.5, 0.9, 0.99)
    }

    def as_map(answer, *arguments):
        return world.on_map(answer[start], wall=0.0)

    see = "a larger gamma looks further ahead: at .99 the future flows through the doors into the other rooms."
    target_and_yours("successors", student, spec_successors, cases, as_map, see)


def successors(student):
    """Check exercise 4, `successors(next_state, policy, features, gamma)`. Raises CheckFailed."""
    compare("successors", student, spec_successors, CASES, MISTAKES, ADVICE)
