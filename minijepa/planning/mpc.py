"""Model-predictive control: imagine, choose, take one action, look again.

    policy.begin(goal observation)      once
    policy.act(observation) -> action   at every step, for all episodes of a batch

`Planner` is such a policy around any model that can `encode` an observation and `rollout` actions: a learned one, or
the world itself (`Oracle`), so that a comparison changes one component and keeps the other.
"""

from dataclasses import dataclass
from functools import partial

import torch

from minijepa.planning.cem import cem
from minijepa.worlds.two_rooms import limited

PLANS = 5000  # that a model imagines at a time: 1.6 times as fast as 25,600 of them, on a core with 2 MB of cache

# --- costs: distances of the imagined states to the goal, [..., H], to one number, [...] ---


def last(distance):
    """The distance after the last step, as in V-JEPA 2-AC and LeWorldModel."""
    return distance[..., -1]


def total(distance):
    """The mean over the steps: a sum, whose scale does not grow with the horizon."""
    return distance.mean(dim=-1)


def closest(distance, hurry=0.2):
    """The closest approach, plus `hurry` times the mean, which prefers the plan that is near the goal for longer."""
    return distance.amin(dim=-1) + hurry * distance.mean(dim=-1)


# --- models ---


class Oracle:
    """The exact dynamics in the place of a learned model. An observation is the state: (x, y, wall), [..., 5]."""

    def __init__(self, world):
        self.world = world

    def encode(self, state):
        """The state [..., 5] itself: there is nothing to infer."""
        return state

    def rollout(self, state, actions):
        """state [..., 5], actions [..., H, 2] -> [..., H, 5]."""
        wall = state[..., 2:]
        path = self.world.rollout(state[..., :2], actions, wall)  # [..., H, 2]
        return torch.cat([path, wall[..., None, :].expand(*path.shape[:-1], 3)], dim=-1)

    @staticmethod
    def observe(position, wall):
        """What a policy with this model is shown."""
        return torch.cat([position, wall.expand(*position.shape[:-1], 3)], dim=-1)


class Planner:
    """A policy that searches actions with a model. E episodes at once.

    model: `encode(observation) -> [E, D]` and `rollout(z [..., D], actions [..., H, A]) -> [..., H, D]`.
    horizon: actions of a plan; each is held for `hold` steps, so a plan looks horizon * hold steps ahead.
    cost: from the distances at the end of each hold to one number (`last`, `total`, `closest`).
    search: `cem` or `mppi`, with its settings bound by functools.partial. std: its first standard deviation.
    longest: of an action. seed: of the search's random numbers.
    The next search starts from the last plan, moved on by one step. `act` keeps the last Search as `found`.
    Raises ValueError if horizon or hold is below 1.
    """

    def __init__(self, model, horizon=6, hold=3, cost=closest, search=cem, std=0.07, longest=0.1, action_dim=2, seed=0):
        if horizon < 1 or hold < 1:
            raise ValueError(f"horizon and hold must be at least 1, got {horizon} and {hold}")
        self.model, self.horizon, self.hold, self.cost = model, horizon, hold, cost
        self.search, self.longest, self.action_dim, self.seed = (
            partial(search, std=std, longest=longest),
            longest,
            action_dim,
            seed,
        )

    @torch.no_grad()
    def begin(self, goal):
        """Remember the goal, shown as an observation is, and forget the last plan."""
        self.goal = self.model.encode(goal)  # [E, D]
        self.mean = self.goal.new_zeros(len(self.goal), self.horizon, self.action_dim)
        self.generator = torch.Generator().manual_seed(self.seed)

    def imagine(self, z, actions):
        """The states at the end of each hold: z [E, D], actions [E, S, H, A] -> [E, S, H, D]."""
        held = actions.repeat_interleave(self.hold, dim=2)  # [E, S, H * hold, A]
        start = z[:, None].expand(-1, actions.shape[1], -1)  # [E, S, D]
        return self.model.rollout(start, held)[:, :, self.hold - 1 :: self.hold]

    def energy(self, z, actions):
        """What a plan costs: z [E, D], actions [E, S, H, A] -> [E, S].

        A few episodes at a time, so that what the model imagines in between stays in the processor's cache.
        """
        few = max(1, PLANS // actions.shape[1])
        parts = zip(z.split(few), self.goal.split(few), actions.split(few), strict=True)
        return torch.cat([self.cost(self.distance(self.imagine(s, a), goal)) for s, goal, a in parts])

    def distance(self, z, goal):
        """How far imagined states [E, S, H, D] are from the goal [E, D]: [E, S, H]. The wall, where known, cancels."""
        return (z - goal[:, None, None]).norm(dim=-1)

    @torch.no_grad()
    def act(self, observation):
        """The first action of the best plan that the search finds: observation [E, ...] -> [E, A]."""
        z = self.model.encode(observation)
        self.found = self.search(partial(self.energy, z), self.mean, generator=self.generator)
        self.mean = self.moved_on(self.found.plan)
        return self.found.plan[:, 0]

    def moved_on(self, plan):
        """The plan one step later: of each held action one step is over, and of the next one begun."""
        following = torch.cat([plan[:, 1:], plan[:, -1:]], dim=1)
        return plan + (following - plan) / self.hold


# --- policies without a model ---


class RandomPolicy:
    """Steps in random directions, as long as those of the recorded walks."""

    def __init__(self, world, seed=0):
        self.world, self.seed = world, seed

    def begin(self, goal):
        """Forget the last episodes; the goal makes no difference."""
        self.generator = torch.Generator().manual_seed(self.seed)

    def act(self, observation):
        """A random step per episode: observation [E, ...] -> [E, 2]."""
        count = len(observation)
        angle = 2 * torch.pi * torch.rand(count, generator=self.generator)
        speed = self.world.max_step * torch.rand(count, 1, generator=self.generator).sqrt()
        return speed * torch.stack([angle.cos(), angle.sin()], dim=1)


class GreedyPolicy:
    """Straight to the goal, from the true positions (`Oracle.observe`); it knows of no wall."""

    def begin(self, goal):
        """Remember the place of the goal: [E, 5]."""
        self.goal = goal[:, :2]

    def act(self, observation):
        """The straight line to the goal: [E, 5] -> [E, 2]."""
        return self.goal - observation[:, :2]  # the world shortens it


# --- episodes ---


@dataclass
class Episodes:
    """What happened. path: [E, steps + 1, 2]. actions: [E, steps, 2]. distance: to the goal, [E, steps + 1]."""

    path: torch.Tensor
    actions: torch.Tensor
    distance: torch.Tensor
    solved: torch.Tensor

    @property
    def success(self):
        """The fraction of episodes whose *last* state is within reach of the goal."""
        return float(self.solved[:, -1].float().mean())

    @property
    def ever(self):
        """The fraction that was within reach at any moment: what some papers count."""
        return float(self.solved.any(dim=1).float().mean())

    @property
    def error(self):
        """The binomial standard error of `success`; of none or all of E, that of half an episode."""
        count = len(self.solved)
        rate = min(max(self.success, 0.5 / count), 1 - 0.5 / count)
        return (rate * (1 - rate) / count) ** 0.5


@torch.no_grad()
def run_episodes(world, tasks, policy, steps=40, observe=None):
    """Let a policy act for `steps` steps in all episodes at once; nothing ends early. Returns Episodes.

    observe: function (position [E, 2], wall [E, 3]) -> what the policy is shown, of the goal as well; default: images.
    """
    observe = observe or world.render
    policy.begin(observe(tasks.goal, tasks.wall))
    path, actions = [tasks.start], []
    for _ in range(steps):
        action = policy.act(observe(path[-1], tasks.wall))
        actions.append(limited(action, world.max_step))
        path.append(world.step(path[-1], actions[-1], tasks.wall))
    path = torch.stack(path, dim=1)
    distance = (path - tasks.goal[:, None]).norm(dim=-1)
    return Episodes(path, torch.stack(actions, dim=1), distance, world.solved(path, tasks.goal[:, None]))
