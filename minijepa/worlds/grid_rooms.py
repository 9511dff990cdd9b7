"""Four rooms on a grid: a world of 104 cells, so small that every policy's value is a solution of linear equations.

    cell --(stay, up, down, left, right)--> cell; a move into a wall stays where it is

All that a learned model estimates stands here exactly: the table of transitions, the value of any policy, and the best
policy for any reward. The map is that of Sutton, Precup and Singh (1999), "Between MDPs and semi-MDPs".
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch

FOUR_ROOMS = (
    "#############",
    "#     #     #",
    "#     #     #",
    "#           #",
    "#     #     #",
    "#     #     #",
    "## ####     #",
    "#     ### ###",
    "#     #     #",
    "#     #     #",
    "#           #",
    "#     #     #",
    "#############",
)
MOVES = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))  # rows, columns: stay, up, down, left, right


class Transition(NamedTuple):
    """What happened in B steps: cells, actions and next cells, int64 [B] each."""

    state: torch.Tensor
    action: torch.Tensor
    next_state: torch.Tensor


@dataclass
class Transitions:
    """A data set of transitions, without rewards. transition: of N steps."""

    transition: Transition

    def __len__(self):
        return len(self.transition.state)

    def batch(self, index, device=None):
        """The transitions `index`, int64 [B]."""
        return Transition(*(each[index].to(device) for each in self.transition))


@dataclass(frozen=True)
class GridRooms:
    """The world of a map. A state is the number of a free cell, counted row by row from 0 to S - 1.

    layout: strings of one length, "#" for a wall and " " for a free cell, walls all around.
    Raises ValueError for another layout. A reward [..., S] is paid for arriving in a cell; a policy [..., S] is an
    action (0 to A - 1) for each cell, int64.
    """

    layout: tuple = FOUR_ROOMS

    def __post_init__(self):
        rows = self.layout
        closed = rows and all(
            len(row) == len(rows[0]) and set(row) <= set("# ") and row[:1] == row[-1:] == "#" for row in rows
        )
        if not closed or " " in rows[0] + rows[-1] or " " not in "".join(rows):
            raise ValueError(f"a layout is rows of '#' and ' ' of one length with walls all around, got {list(rows)}")

    @cached_property
    def cells(self):
        """Row and column of each state, int64 [S, 2]."""
        places = [(i, j) for i, row in enumerate(self.layout) for j, mark in enumerate(row) if mark == " "]
        return torch.tensor(places)

    @property
    def states(self):
        """S, the number of free cells."""
        return len(self.cells)

    @property
    def actions(self):
        """A, the number of actions."""
        return len(MOVES)

    @cached_property
    def next_state(self):
        """The exact dynamics: where each action leads from each state, int64 [S, A]."""
        number = torch.full((len(self.layout), len(self.layout[0])), -1)
        number[self.cells[:, 0], self.cells[:, 1]] = torch.arange(self.states)
        wanted = self.cells[:, None] + torch.tensor(MOVES)  # [S, A, 2]
        found = number[wanted[..., 0], wanted[..., 1]]  # [S, A], -1 in a wall
        return torch.where(found < 0, torch.arange(self.states)[:, None], found)

    @cached_property
    def room(self):
        """Which room each state lies in, counted from 0; -1 for a door, a cell with walls on two opposite sides."""
        stays = self.next_state == torch.arange(self.states)[:, None]  # [S, A]
        door = (stays[:, 1] & stays[:, 2]) | (stays[:, 3] & stays[:, 4])
        label = torch.where(door, self.states, torch.arange(self.states))  # a room's label spreads; doors stop it
        while True:
            spread = torch.where(door, self.states, label[self.next_state].amin(dim=1))
            if torch.equal(spread, label):
                break
            label = spread
        names = torch.unique(label[~door])
        return torch.where(door, -1, torch.searchsorted(names, label))

    def step(self, state, action):
        """Next states of B agents: int64 [B], [B] -> [B]."""
        return self.next_state[state, action]

    def render(self, state):
        """What one sees: states [...] -> images [..., 2, H, W], 0 or 1; channel 0 is the agent, channel 1 the walls."""
        state = torch.as_tensor(state)
        walls = torch.tensor([[mark == "#" for mark in row] for row in self.layout]).float()  # [H, W]
        agents = torch.zeros(self.states, *walls.shape)
        agents[torch.arange(self.states), self.cells[:, 0], self.cells[:, 1]] = 1
        agent = agents[state]  # [..., H, W]
        return torch.stack([agent, walls.expand_as(agent)], dim=-3)

    def on_map(self, values, wall=float("nan")):
        """Numbers per state [..., S] at their places on the map, [..., H, W]; walls get the value `wall`."""
        picture = values.new_full((*values.shape[:-1], len(self.layout), len(self.layout[0])), wall)
        picture[..., self.cells[:, 0], self.cells[:, 1]] = values
        return picture

    # --- data and tasks -----------------------------------------------------------------------------------

    def transitions(self, count=None, seed=0):
        """`count` steps from cells and with actions drawn uniformly; None: each of the S A steps once. Transitions."""
        if count is None:
            pairs = torch.arange(self.states * self.actions)
        else:
            generator = torch.Generator().manual_seed(2 * seed)  # even; the seeds of tasks are odd
            pairs = torch.randint(self.states * self.actions, (count,), generator=generator)
        state, action = pairs // self.actions, pairs % self.actions
        return Transitions(Transition(state, action, self.step(state, action)))

    def split_cells(self, count, seed=0):
        """`count` cells for tests, and all others, in random order: int64 [count], [S - count]."""
        order = torch.randperm(self.states, generator=torch.Generator().manual_seed(2 * seed + 1))
        return order[:count], order[count:]

    def goals(self, cells):
        """Rewards of 1 for arriving in one cell, one for each of `cells` [R]: [R, S]."""
        return torch.eye(self.states)[cells]

    def bumps(self, cells, width=2.0):
        """Rewards exp(-d^2 / (2 width^2)), d the number of steps to each of `cells` [R]: [R, S]."""
        return (-(self.distances[cells].float() ** 2) / (2 * width**2)).exp()

    def dense(self, count, seed=0, width=2.0):
        """`count` rewards that differ from 0 everywhere: sums of one bump per cell, with normal weights. [count, S]."""
        generator = torch.Generator().manual_seed(2 * seed + 1)
        weights = torch.randn(count, self.states, generator=generator)
        return weights @ self.bumps(torch.arange(self.states), width)  # [count, S]

    # --- oracles ------------------------------------------------------------------------------------------

    @cached_property
    def distances(self):
        """The number of steps of the shortest path from each state to each, int64 [S, S]; S where there is none."""
        steps = torch.full((self.states, self.states), self.states)
        steps.fill_diagonal_(0)
        while True:
            shorter = torch.minimum(steps, 1 + steps[self.next_state].amin(dim=1))  # [S, S]
            if torch.equal(shorter, steps):
                return steps
            steps = shorter

    @cached_property
    def random_walk(self):
        """P[s, s'], the probability of going from s to s' with an action drawn uniformly, [S, S]."""
        hits = torch.nn.functional.one_hot(self.next_state, self.states).float()  # [S, A, S]
        return hits.mean(dim=1)

    def value_iteration(self, reward, gamma):
        """The best values: Q(s, a) = r(s') + gamma max_a' Q(s', a'), [R, S] -> [R, S, A], to a relative 1e-6."""
        q = torch.zeros(*reward.shape, self.actions)
        scale = reward.abs().amax().clamp_min(1e-12) / (1 - gamma)
        while True:
            new = (reward + gamma * q.amax(dim=2))[:, self.next_state]  # [R, S, A]
            if (new - q).abs().amax() <= 1e-6 * (1 - gamma) * scale:
                return new
            q = new

    def policy_value(self, policy, reward, gamma):
        """V(s) = r(s') + gamma V(s') of policies [R, S] under rewards [R, S], exact: [R, S]."""
        to = self.next_state.gather(1, policy.T).T  # [R, S]
        P = torch.nn.functional.one_hot(to, self.states).double()  # [R, S, S]
        gained = reward.double().gather(1, to)  # [R, S]
        eye = torch.eye(self.states, dtype=torch.float64)
        return torch.linalg.solve(eye - gamma * P, gained[..., None])[..., 0].float()

    def random_value(self, reward, gamma):
        """V(s) of the policy that draws its actions uniformly: rewards [R, S] -> [R, S]."""
        P, r = self.random_walk.double(), reward.double()
        eye = torch.eye(self.states, dtype=torch.float64)
        return torch.linalg.solve(eye - gamma * P, P @ r.T).T.float()

    def score(self, policy, reward, gamma):
        """The return of policies between random and best: 0 is the random policy's, 1 value iteration's. [R].

        policy: [R, S]. reward: [R, S]. Returns are means over all S starts.
        """
        low = self.random_value(reward, gamma).mean(dim=1)  # [R]
        high = self.value_iteration(reward, gamma).amax(dim=2).mean(dim=1)
        return (self.policy_value(policy, reward, gamma).mean(dim=1) - low) / (high - low)

    def follow(self, policy, steps):
        """Where R policies [R, S] end after `steps` steps from each start: int64 [R, S]."""
        to = self.next_state.gather(1, policy.T).T  # [R, S]
        state = torch.arange(self.states).expand_as(policy)
        for _ in range(steps):
            state = to.gather(1, state)
        return state

    def success(self, policy, cells, steps=50, reach=0):
        """From which starts a policy ends within `reach` steps of its goal, among starts in another room.

        policy: [R, S], one for each goal in `cells` [R]. steps: of an episode; its last state counts.
        Returns the fraction of the successful pairs (start, goal) whose two cells lie in different rooms, in [0, 1].
        """
        last = self.follow(policy, steps)  # [R, S]
        reached = self.distances[last, cells[:, None]] <= reach
        here, there = self.room[None], self.room[cells][:, None]
        return reached[(here != there) & (here >= 0) & (there >= 0)].float().mean().item()

    def laplacian_features(self, k):
        """The k smoothest functions on the cells but for the constant: eigenvectors of the random walk, [S, k].

        The random walk is symmetric, and 1 - P is the graph's Laplacian over A. Source: proto-value functions,
        Mahadevan and Maggioni 2007.
        """
        return torch.linalg.eigh(self.random_walk)[1].flip(1)[:, 1 : k + 1]
