"""Assignment 20, exercise 6: the return of a policy, between that of the random policy and the best one."""

import math

import torch

from minijepa.checks.curves import line_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal
from minijepa.worlds import GridRooms


def spec_score(policy, next_state, reward, gamma, low, high):
    """Start by start: follow the policy until the discount has used up all later rewards, and add them up.

    policy: an action per state, int64 [S]. next_state: int64 [S, A]. reward: paid for arriving, [S]. gamma: in [0, 1).
    low, high: mean returns of the random and the best policy. Returns a float: 0 is the random policy's, 1 the best.
    """
    steps = 1 if gamma == 0 else math.ceil(math.log(1e-9) / math.log(gamma))
    total, to, paid = 0.0, next_state.tolist(), reward.tolist()
    for start in range(len(to)):
        state, weight = start, 1.0
        for _ in range(steps):
            state = to[state][policy[state]]
            total += weight * paid[state]
            weight *= gamma
    return (total / len(to) - low) / (high - low)


def wander(states, actions, seed):
    """A random policy [S], world [S, A] and reward [S]."""
    g = torch.Generator().manual_seed(seed)
    next_state = torch.randint(states, (states, actions), generator=g)
    return torch.randint(actions, (states,), generator=g), next_state, normal(states, seed=seed)


CORRIDOR = torch.tensor([[0, 0, 1], [1, 0, 2], [2, 1, 2]])  # stay, left, right
CASES = [
    (torch.tensor([2, 0, 0]), CORRIDOR, torch.tensor([0.0, 1.0, 4.0]), 0.5, 1.0, 7.0),
    (torch.tensor([2, 2, 2]), CORRIDOR, torch.tensor([0.0, 1.0, 4.0]), 0.5, 1.0, 7.0),
    (*wander(5, 3, 1), 0.8, -0.3, 1.6),
    (*wander(7, 4, 2), 0.95, -2.0, 3.0),
    (*wander(6, 2, 3), 0.0, 0.2, 0.9),
    (*wander(8, 3, 4), 0.9, 0.5, 4.5),
]


def values(policy, next_state, reward, gamma, arrive=True):
    """V [S], solved for; arrive=False pays for the present state."""
    to = next_state.gather(1, policy[:, None])[:, 0]  # [S]
    P = torch.nn.functional.one_hot(to, len(to)).double()
    paid = reward.double()[to] if arrive else reward.double()
    return torch.linalg.solve(torch.eye(len(to), dtype=torch.float64) - gamma * P, paid)


def scaled(v, low, high):
    """Where a number lies between low and high, as a float."""
    return (float(v) - low) / (high - low)


def followed(policy, next_state, reward, steps, gamma=1.0):
    """The mean over the starts of so many rewards, added up."""
    state, total = torch.arange(len(policy)), 0.0
    for t in range(steps):
        state = next_state[state, policy[state]]
        total = total + gamma**t * reward[state]
    return total.mean()


MISTAKES = [
    (
        lambda p, n, r, g, low, high: scaled(values(p, n, r, g, arrive=False).mean(), low, high),
        "you pay for the state in which the agent IS: a reward is paid for arriving, r(s')",
    ),
    (
        lambda p, n, r, g, low, high: float(values(p, n, r, g).mean()),
        "this is the return itself: subtract low, and divide by high - low",
    ),
    (
        lambda p, n, r, g, low, high: float(values(p, n, r, g).mean()) / high,
        "a random policy has a return, too: subtract low above and below",
    ),
    (
        lambda p, n, r, g, low, high: (float(values(p, n, r, g).mean()) - low) / high,
        "divide by high - low, so that the best policy has the score 1",
    ),
    (
        lambda p, n, r, g, low, high: 1 - scaled(values(p, n, r, g).mean(), low, high),
        "this is the regret, how much is missing to the best policy: the score is 1 minus it",
    ),
    (
        lambda p, n, r, g, low, high: high - float(values(p, n, r, g).mean()),
        "this is the regret in units of the reward: the score is (return - low) / (high - low)",
    ),
    (
        lambda p, n, r, g, low, high: scaled(values(p, n, r, g)[0], low, high),
        "this is the return from state 0 alone: take the mean over all starts",
    ),
    (
        lambda p, n, r, g, low, high: scaled(values(p, n, r, g).amax(), low, high),
        "this is the return from the best start: take the mean over all starts",
    ),
    (
        lambda p, n, r, g, low, high: scaled(values(p, n, r, g).sum(), low, high),
        "this is the sum over the starts: take their mean",
    ),
    (
        lambda p, n, r, g, low, high: scaled((1 - g) * values(p, n, r, g).mean(), low, high),
        "a return is a sum, without the factor 1 - gamma of the successor features",
    ),
    (
        lambda p, n, r, g, low, high: scaled(followed(p, n, r, 1), low, high),
        "this is the reward of the first step alone: all later ones follow, each discounted once more",
    ),
    (
        lambda p, n, r, g, low, high: scaled(followed(p, n, r, 50), low, high),
        "the rewards are not discounted: the one after t steps counts gamma^(t - 1)",
    ),
    (
        lambda p, n, r, g, low, high: scaled(followed(p, n, r, 50, g), low, high),
        "the episode is cut after fifty steps: at a gamma of .95 later rewards still count",
    ),
    (
        lambda p, n, r, g, low, high: scaled(g * values(p, n, r, g).mean(), low, high),
        "the first reward is discounted already: it counts in full, the second one gamma",
    ),
    (
        lambda p, n, r, g, low, high: scaled(values(torch.zeros_like(p), n, r, g).mean(), low, high),
        "`policy` is not used: follow next_state[s, policy[s]]",
    ),
]

ADVICE = "solve V = r(s') + gamma V(s') with s' = next_state[s, policy[s]]; then (mean of V - low) / (high - low)"


def show_score(student):
    """Draw the score of policies that come from more and more sweeps of value iteration: target and answer."""
    world, gamma, cases = GridRooms(), 0.9, {}
    rewards = {"one goal": world.goals(torch.tensor([20])), "a dense reward": world.dense(1, seed=1)}
    for title, reward in rewards.items():
        low = float(world.random_value(reward, gamma).mean())
        high = float(world.value_iteration(reward, gamma).amax(dim=2).mean())
        q, points = torch.zeros(world.states, world.actions), []
        for sweep in range(1, 41):
            q = (reward[0] + gamma * q.amax(dim=1))[world.next_state]
            if sweep in (1, 2, 4, 8, 16, 24, 40):
                points.append((sweep, (q.argmax(dim=1), world.next_state, reward[0], gamma, low, high)))
        cases[title] = points
    see = (
        "more sweeps look further ahead, until the policy is the best, 1. One goal needs them more than a dense reward."
    )
    line_and_yours("score", student, spec_score, cases, ("sweeps of value iteration", "score"), see)


def score(student):
    """Check exercise 6, `score(policy, next_state, reward, gamma, low, high)`. Raises CheckFailed."""
    compare("score", student, spec_score, CASES, MISTAKES, ADVICE)
