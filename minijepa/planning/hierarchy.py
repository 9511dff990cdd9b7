"""H-JEPA: a world model on top of a world model, and a planner that goes from the top down.

    level 1   z_t = f(x_t)     z_t, a_t   -> z_{t+1}    one action, one step
    level 2   s_t = f2(z_t)    s_t, w_t   -> s_{t+K}    one macro-action w_t = m(a_t, ..., a_{t+K-1}), one jump

Level 2 is the picture of `world_model.py` once more: its frames are every K-th z, its actions are macro-actions, and it
needs its own terms against collapse. To plan, level 2 searches macro-actions that lead to the goal; the state that it
predicts after the first jump becomes the sub-goal, which level 1 reaches with real actions.
After LeCun 2022 ("A path towards autonomous machine intelligence", section 4.6-4.7), HWM (arXiv:2604.03208) and H-JEPA
(arXiv:2610.06805). The papers train both levels together, on videos, and search with gradients; here level 1 is frozen,
and the search is CEM.
"""

from functools import partial
from typing import NamedTuple

import torch
from torch import nn

from minijepa.planning.cem import cem
from minijepa.planning.mpc import closest
from minijepa.planning.world_model import Dynamics, WorldModel, WorldModelOutput
from minijepa.worlds.two_rooms import limited

# --- level 2 as a model ---


class StateEncoder(nn.Module):
    """f2: a state of level 1 to one of level 2, z [..., D] -> s [..., D2]."""

    def __init__(self, dim=32, out_dim=16, width=128):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(dim, width), nn.GELU(), nn.Linear(width, out_dim))

    def forward(self, z):
        return self.net(z)


class MacroEncoder(nn.Module):
    """m: K actions in a row to one macro-action, actions [..., K, A] -> w [..., W].

    w is narrow on purpose: what K actions have in common (where they lead) fits, their details do not.
    """

    def __init__(self, stride=5, action_dim=2, dim=4, width=64, scale=0.1):
        super().__init__()
        self.scale = scale  # the longest action: the network sees numbers of size 1
        self.net = nn.Sequential(nn.Linear(stride * action_dim, width), nn.GELU(), nn.Linear(width, dim))

    def forward(self, actions):
        return self.net((actions / self.scale).flatten(-2))  # [..., K, A] -> [..., K A]


class Level2(nn.Module):
    """A world model of jumps. `level2(clip)` gives the loss that `fit` lowers; the clip holds z of a frozen level 1.

    loss = |ŝ_{t+K} - s_{t+K}|^2 + the same after two jumps + weights · terms against collapse + penalty · |w|^2

    stride: K, the steps of a jump. dim: of z. state_dim, macro_dim: of s and w.
    weights: as of WorldModel. penalty: keeps macro-actions of bounded size.
    """

    def __init__(self, stride=5, dim=32, state_dim=16, macro_dim=4, width=128, weights=None, penalty=0.01):
        super().__init__()
        self.stride, self.penalty = stride, penalty
        self.macro = MacroEncoder(stride, dim=macro_dim)
        weights = {"variance": 4.0, "covariance": 1.0} if weights is None else weights
        dynamics = Dynamics(state_dim, macro_dim, width, scale=1.0)
        self.model = WorldModel(StateEncoder(dim, state_dim), dynamics, weights, steps=2)

    def encode(self, z):
        """z [..., D] -> s [..., D2]."""
        return self.model.encode(z)

    def rollout(self, s, w):
        """Imagine J jumps: s [..., D2], w [..., J, W] -> [..., J, D2]."""
        return self.model.rollout(s, w)

    def macros(self, actions):
        """The macro-actions of consecutive pieces of K actions: [..., J K, A] -> [..., J, W]."""
        return self.macro(actions.unflatten(-2, (-1, self.stride)))  # [..., J, K, A] -> [..., J, W]

    def forward(self, clip):
        """clip: frames z [B, J K + 1, D] and actions [B, J K, A], J at least 2. Returns WorldModelOutput.

        Raises ValueError for any other length.
        """
        jumps = clip.actions.shape[1] // self.stride
        if jumps < 2 or clip.actions.shape[1] % self.stride:
            raise ValueError(
                f"a clip must hold two or more jumps of {self.stride} actions, got {clip.actions.shape[1]} actions; "
                f"use a window of {2 * self.stride + 1} frames"
            )
        s = self.encode(clip.frames[:, :: self.stride])  # [B, J + 1, D2]: every K-th state, encoded anew
        w = self.macros(clip.actions)  # [B, J, W]
        output = self.model.loss(s, w)
        size = w.square().sum(dim=-1).mean()
        return WorldModelOutput(output.loss + self.penalty * size, {**output.terms, "macro_size": size})


# --- level 2 as the planner sees it: encode an observation, roll out macro-actions ---


class Upper:
    """A learned level 2 on the level 1 that it was trained on."""

    def __init__(self, level1, level2):
        self.level1, self.level2 = level1, level2

    def encode(self, observation):
        """An observation of level 1, [E, ...] -> s [E, D2]."""
        return self.level2.encode(self.level1.encode(observation))

    def rollout(self, s, w):
        """Imagine J jumps: s [..., D2], w [..., J, W] -> [..., J, D2]."""
        return self.level2.rollout(s, w)


class Held:
    """In the place of a level 2: a model of single steps, whose action is held for `hold` steps.

    Around `Oracle` it has the exact dynamics of constant displacements; around a learned model it is a level 2 that
    needs no training. hold=1 leaves primitive actions.
    """

    def __init__(self, model, hold=5):
        self.model, self.hold = model, hold

    def encode(self, observation):
        """An observation of the model, [E, ...] -> its state [E, D]."""
        return self.model.encode(observation)

    def rollout(self, z, actions):
        """z [..., D], actions [..., J, A] -> the states at the end of each hold, [..., J, D]."""
        held = actions.repeat_interleave(self.hold, dim=-2)  # [..., J hold, A]
        return self.model.rollout(z, held)[..., self.hold - 1 :: self.hold, :]


class MacroSpace:
    """Where macro-actions are searched: whitened by a queue of real ones, so that one standard deviation fits all.

    w = mean + u L^T, with L L^T the queue's covariance. queue: real macro-actions of the training data, [Q, W].
    The search stays within the length that `within` of the queue have; beyond it the model has seen nothing.
    """

    def __init__(self, queue, within=0.95):
        self.mean = queue.mean(dim=0)
        self.root = torch.linalg.cholesky(queue.T.cov() + 1e-8 * torch.eye(queue.shape[1]))  # L, [W, W]
        self.queue = torch.linalg.solve_triangular(self.root, (queue - self.mean).T, upper=False).T  # u, [Q, W]
        self.longest = float(self.queue.norm(dim=1).quantile(within))

    def decode(self, u):
        """Whitened [..., W] -> macro-actions [..., W]."""
        return self.mean + u @ self.root.T

    def sequences(self, count, jumps, generator):
        """Random sequences of real macro-actions, whitened: [count, jumps, W]."""
        index = torch.randint(len(self.queue), (count, jumps), generator=generator)
        return limited(self.queue[index], self.longest)


def macro_search(score, mean, space, *, queue=True, samples=512, elites=16, iterations=4, generator=None):
    """CEM over whitened macro-actions, whose first round tries sequences of real ones.

    score: function, macro-actions [E, S, J, W] -> costs [E, S]. mean: [E, J, W], whitened; it is the first sample.
    queue: False begins as CEM does, with Gaussian noise around the mean. Returns the plan, whitened [E, J, W].
    """

    def whitened(u):
        return score(space.decode(u))

    settings = dict(longest=space.longest, samples=samples, elites=elites, generator=generator)
    if not queue:
        return cem(whitened, mean, std=1.0, iterations=iterations, **settings).plan
    drawn = space.sequences(samples - 1, mean.shape[1], generator)  # the same for each episode
    tried = torch.cat([mean[:, None], drawn.expand(len(mean), -1, -1, -1)], dim=1)  # [E, S, J, W]
    best = whitened(tried).topk(elites, dim=1, largest=False).indices  # [E, elites]
    chosen = tried.gather(1, best[:, :, None, None].expand(-1, -1, *mean.shape[1:]))  # [E, elites, J, W]
    start, spread = chosen.mean(dim=1), chosen.std(dim=1, correction=0)  # [E, J, W]
    return cem(whitened, start, std=spread, iterations=iterations - 1, **settings).plan


# --- the planner ---

LOWER_SEARCH = partial(cem, samples=64, elites=8, iterations=3, std=0.07, longest=0.1)  # of single actions
stay = partial(closest, hurry=0.3)  # the last metres: a plan that comes near early and remains there


class Decision(NamedTuple):
    """What the planner decided at one time. states: the level-2 plan of the episodes that do not go straight."""

    time: int
    straight: torch.Tensor  # bool [E]
    states: torch.Tensor  # [E', J, D2], E' episodes are not straight


class TwoLevelPlanner:
    """A policy that plans from the top down; E episodes at once, each on its own.

    Every `stride` steps each episode decides: if level 1 predicts to come within `near` of the goal, it goes straight
    there. Otherwise level 2 plans `jumps` macro-actions, and the state number `waypoint` of that plan (0: after the
    first jump) is the sub-goal until the next decision. At every step level 1 searches the actions that remain.

    lower: a model of single steps. upper: `Upper` or `Held`. space: MacroSpace. near: in distances of level 1.
    lift: where sub-goals are compared, from states of level 1; by default f2, or as they are if `upper` has none.
    ground: from states of level 2 to the same place; by default they are there already.
    execute: instead of sub-goals, macro-actions [E, W] -> the K actions [E, K, A] that are done without looking.
    search, lower_search: of each level, settings bound by functools.partial. seed: of all random numbers.
    `decisions` keeps every Decision since `begin`. Raises ValueError for a waypoint outside the plan.
    """

    def __init__(
        self, lower, upper, space, near, *, stride=5, jumps=10, waypoint=0, lift=None, ground=None, execute=None,
        search=macro_search, lower_search=LOWER_SEARCH, action_dim=2, seed=0,
    ):  # fmt: skip
        if not 0 <= waypoint < jumps:
            raise ValueError(f"waypoint must be one of the {jumps} states of a plan, 0 to {jumps - 1}, got {waypoint}")
        self.lower, self.upper, self.space, self.near = lower, upper, space, near
        self.stride, self.jumps, self.waypoint, self.seed = stride, jumps, waypoint, seed
        self.lift = lift or (upper.level2.encode if isinstance(upper, Upper) else torch.nn.Identity())
        self.ground, self.execute = ground or torch.nn.Identity(), execute
        self.search, self.lower_search, self.action_dim = search, lower_search, action_dim

    @torch.no_grad()
    def begin(self, goal):
        """Remember the goal at both levels, shown as an observation is, and forget all plans."""
        self.goal, self.upper_goal = self.lower.encode(goal), self.upper.encode(goal)  # [E, D], [E, D2]
        self.macros = self.upper_goal.new_zeros(len(goal), self.jumps, self.space.queue.shape[1])
        self.time, self.decisions = 0, []

    @torch.no_grad()
    def act(self, observation):
        """One action for each episode: observation [E, ...] -> [E, A]."""
        z, phase = self.lower.encode(observation), self.time % self.stride
        if phase == 0:
            self.decide(z, observation)
        straight, rest = self.straight, ~self.straight
        action = z.new_zeros(len(z), self.action_dim)
        if straight.any():
            self.to_goal = self.reach(z[straight], self.to_goal, self.goal_cost(self.goal[straight], stay))
            action[straight] = self.to_goal[:, 0]
            self.to_goal = moved_on(self.to_goal)
        if rest.any() and self.execute:
            action[rest] = self.commands[:, phase]
        elif rest.any():  # the steps that are left until the next decision: K, K - 1, ..., 1
            self.to_subgoal = self.reach(z[rest], self.to_subgoal[:, phase > 0 :], self.subgoal_cost)
            action[rest] = self.to_subgoal[:, 0]
        self.time += 1
        return action

    def decide(self, z, observation):
        """For each episode: straight to the goal, or the next sub-goal."""
        nothing = z.new_zeros(len(z), self.stride, self.action_dim)
        plan = self.reach(z, nothing, self.goal_cost(self.goal, closest))  # [E, K, A]
        distance = (self.lower.rollout(z, plan) - self.goal[:, None]).norm(dim=-1)  # [E, K]
        self.straight = distance.amin(dim=1) <= self.near
        self.to_goal, rest = plan[self.straight], ~self.straight
        states = self.upper_goal[:0, None]  # none
        if rest.any():
            s, goal = self.upper.encode(observation[rest]), self.upper_goal[rest]  # [E', D2] both
            plan = self.search(partial(self.energy, s, goal), self.macros[rest], self.space, generator=self.draws(1))
            states = self.upper.rollout(s, self.space.decode(plan))  # [E', J, D2]
            self.macros[rest] = moved_on(plan, self.waypoint + 1)
            self.subgoal = self.ground(states[:, self.waypoint])  # [E', G]
            self.to_subgoal = z.new_zeros(len(s), self.stride, self.action_dim)
            self.commands = self.execute(self.space.decode(plan[:, 0])) if self.execute else None  # [E', K, A]
        self.decisions.append(Decision(self.time, self.straight, states))

    def energy(self, s, goal, macros):
        """What plans of level 2 cost: s [E, D2], goal [E, D2], macro-actions [E, S, J, W] -> [E, S]."""
        states = self.upper.rollout(s[:, None].expand(-1, macros.shape[1], -1), macros)  # [E, S, J, D2]
        return closest(self.distance(states, goal))

    def distance(self, states, goal):
        """How far states of level 2 are from the goal: [E, S, J, D2], [E, D2] -> [E, S, J]."""
        return (states - goal[:, None, None]).norm(dim=-1)

    def goal_cost(self, goal, cost):
        """The cost of states of level 1 on the way to a goal [E, D]: a function [E, S, H, D] -> [E, S]."""
        return lambda states: cost((states - goal[:, None, None]).norm(dim=-1))

    def subgoal_cost(self, states):
        """How far the last state is from the sub-goal, in the space of sub-goals: [E, S, H, D] -> [E, S]."""
        return (self.lift(states[:, :, -1]) - self.subgoal[:, None]).norm(dim=-1)

    def reach(self, z, mean, cost):
        """Level 1 searches, from z [E, D] and around mean [E, H, A], the actions whose states cost least: [E, H, A]."""

        def score(actions):  # [E, S, H, A] -> [E, S]
            return cost(self.lower.rollout(z[:, None].expand(-1, actions.shape[1], -1), actions))

        return self.lower_search(score, mean, generator=self.draws(0)).plan

    def draws(self, level):
        """Random numbers of step and level alone, so that no episode's depend on what the others decide."""
        return torch.Generator().manual_seed(1_000_003 * self.seed + 2 * self.time + level)


def moved_on(plan, by=1):
    """A plan `by` steps later, filled up with zeros: [E, H, A] -> [E, H, A]."""
    return torch.cat([plan[:, by:], torch.zeros_like(plan[:, :by])], dim=1)


def lookup(keys, values):
    """A function that gives the value of the nearest key: keys [N, D], values [N, ...]; query [M, D] -> [M, ...].

    It translates between spaces by recorded examples: states of level 2 to positions, macro-actions to real actions.
    """
    return lambda query: values[torch.cdist(query, keys).argmin(dim=1)]
