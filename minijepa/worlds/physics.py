"""A body that bounces, an occluder that hides it, and events that cannot happen: clips in matched pairs.

The room is the unit square, y upwards, with a wall near its right end. The body keeps its velocity and its colour, and
is reflected by the sides of the room and by the wall, also while the occluder hides it. A **violation** breaks one of
these rules at one moment; both clips of a pair are equal until it shows (violation of expectation, arXiv:2502.11831).
This file is the whole physics, so it is also the oracle.
"""

from dataclasses import dataclass, fields
from typing import NamedTuple

import torch

VIOLATIONS = ("vanish", "change", "elsewhere", "teleport", "wall", "freeze")
HIDDEN = ("vanish", "change", "elsewhere")  # these happen behind the occluder
LESS_MOTION = ("vanish", "freeze")
OUTCOMES = (0.5, 0.3, 0.2)  # how often the hidden deflector sends a body up, straight on, down


@dataclass
class Clips:
    """N clips of T frames as states; drawn as images when a batch is asked for. The labels are for probes and tests.

    position, velocity: [N, T, 2]. colour: int64 [N, T], 0 red, 1 blue. present: bool [N, T].
    occluder: [N, 2], its left and right end. wall: [N], its x.
    """

    world: "Physics"
    position: torch.Tensor
    velocity: torch.Tensor
    colour: torch.Tensor
    present: torch.Tensor
    occluder: torch.Tensor
    wall: torch.Tensor

    def __len__(self):
        return len(self.position)

    def __getitem__(self, index):
        """The clips `index` (int64 or bool [M], or a slice) as Clips."""
        return Clips(self.world, *(getattr(self, field.name)[index] for field in fields(self)[1:]))

    def batch(self, index, device=None):
        """The clips `index`, int64 [B], as images [B, T, 3, S, S]."""
        return self[index].frames().to(device)

    def frames(self):
        """All clips as images [N, T, 3, S, S] between 0 and 1."""
        return self.world.render(self.position, self.colour, self.present, self.occluder[:, None], self.wall[:, None])

    def hidden(self):
        """Is no pixel of the body to be seen? bool [N, T]."""
        return self.world.is_hidden(self.position, self.occluder[:, None]) | ~self.present


class Pairs(NamedTuple):
    """Matched clips: row i of both is the same until frame event[i], the first whose pictures differ."""

    possible: Clips
    impossible: Clips
    event: torch.Tensor  # int64 [N]


class Futures(NamedTuple):
    """What a hidden deflector can do to a body, and what it did."""

    clips: tuple  # one Clips per outcome, equal as long as the body is seen to come
    outcome: torch.Tensor  # int64 [N], drawn with the probabilities OUTCOMES
    out: (
        torch.Tensor
    )  # int64 [N], the frame in which more than half of the body is out again; the same for all outcomes

    def observed(self):
        """The clips that happened: Clips of N."""
        parts = [torch.stack([getattr(c, f.name) for c in self.clips], dim=1) for f in fields(Clips)[1:]]
        return Clips(self.clips[0].world, *(part[torch.arange(len(part)), self.outcome] for part in parts))


@dataclass(frozen=True)
class Physics:
    """The world. size: pixels of a side, a multiple of 4. length: frames of a clip. radius: of the body."""

    size: int = 24
    length: int = 16
    radius: float = 0.09

    def step(self, position, velocity, high):
        """The exact dynamics of one frame: position, velocity [..., 2], high [...] -> the next two.

        The centre moves by the velocity; what would pass the sides, `radius` from 0 and 1 (in x: from 0 and `high`), is
        reflected, and that part of the velocity turns. Speeds below half the room need one reflection at most.
        """
        low = self.radius
        up = torch.stack([high - low, torch.full_like(high, 1 - low)], dim=-1)  # [..., 2]
        moved = position + velocity
        over, under = moved > up, moved < low
        reflected = torch.where(over, 2 * up - moved, torch.where(under, 2 * low - moved, moved))
        return reflected, torch.where(over | under, -velocity, velocity)

    def render(self, position, colour, present, occluder, wall):
        """What one sees: a red or blue body, a green occluder, a white wall. Returns [..., 3, S, S] between 0 and 1.

        position: [..., 2]. colour, present: [...]. occluder: [..., 2]. wall: [...]. The body's edge is one pixel soft;
        the occluder stands in front of it.
        """
        colour, present, wall = (value[..., None, None] for value in (colour, present, wall))  # [..., 1, 1]
        pixel = (torch.arange(self.size) + 0.5) / self.size
        x, y = pixel, pixel.flip(0)[:, None]  # columns, rows; row 0 is the top
        left, right = occluder[..., 0, None, None], occluder[..., 1, None, None]
        distance = ((x - position[..., 0, None, None]) ** 2 + (y - position[..., 1, None, None]) ** 2).sqrt()
        front = (x >= left) & (x <= right) & (y > 0)  # [..., S, S]
        post = ((x - wall).abs() <= 0.5 / self.size) & (y > 0)
        disc = ((self.radius - distance) * self.size + 0.5).clamp(0, 1) * present * ~front  # [..., S, S]
        red, blue = disc * (1 - colour), disc * colour
        white = post.to(disc.dtype).expand(disc.shape)
        return torch.stack([red.maximum(white), white.maximum(front.to(disc.dtype)), blue.maximum(white)], dim=-3)

    def is_hidden(self, position, occluder):
        """Is the whole body behind the occluder? position, occluder [..., 2] -> bool [...]."""
        reach = self.radius + 0.5 / self.size  # with its soft edge
        return (position[..., 0] - reach >= occluder[..., 0]) & (position[..., 0] + reach <= occluder[..., 1])

    def is_clear(self, position, occluder):
        """Is no part of the body behind the occluder? position, occluder [..., 2] -> bool [...]."""
        reach = self.radius + 0.5 / self.size
        return (position[..., 0] + reach < occluder[..., 0]) | (position[..., 0] - reach > occluder[..., 1])

    def starts(self, count, generator):
        """`count` scenes and first states: position, velocity [N, 2], colour [N], occluder [N, 2], wall [N].

        The body starts with its centre outside the occluder and crosses .05 to .08 of the room per frame.
        """
        u = torch.rand(9, count, generator=generator)
        left = 0.27 + 0.04 * u[0]
        occluder, wall = torch.stack([left, left + 0.30], dim=1), 0.82 + 0.04 * u[1]
        before = self.radius + u[2] * (left - self.radius)
        behind = left + 0.30 + u[2] * (wall - self.radius - left - 0.30)
        position = torch.stack([torch.where(u[3] < 0.6, before, behind), self.radius + u[4] * (1 - 2 * self.radius)], 1)
        sign = torch.where(u[5] < 0.5, -1.0, 1.0)
        velocity = torch.stack([sign * (0.05 + 0.03 * u[6]), 0.12 * u[7] - 0.06], dim=1)
        return position, velocity, (u[8] < 0.5).long(), occluder, wall

    def run(self, start, violation=None, when=None, generator=None):
        """Let the scenes of `starts` run for `length` frames. Returns Clips.

        violation: None, or one of VIOLATIONS, which clip n suffers at frame when[n] (int64 [N], >= 1):
        vanish, change (of colour), elsewhere (another height, at least .3 away), teleport (to another place in sight,
        at least .25 away), wall (from then on it stops nothing), freeze (the velocity becomes 0).
        Raises ValueError for another name.
        """
        if violation not in (None, *VIOLATIONS):
            raise ValueError(f"no violation is called {violation!r}; there are {', '.join(VIOLATIONS)}")
        position, velocity, colour, occluder, wall = start
        count, high, present = len(position), wall, torch.ones(len(position), dtype=torch.bool)
        states = [(position, velocity, colour, present)]
        for t in range(1, self.length):
            now = when == t if violation else torch.zeros(count, dtype=torch.bool)
            if violation == "wall":
                high = torch.where(now, 1.0, high)
            if violation == "freeze":
                velocity = torch.where(now[:, None], 0.0, velocity)
            position, velocity = self.step(position, velocity, high)
            if violation == "vanish":
                present = present & ~now
            if violation == "change":
                colour = torch.where(now, 1 - colour, colour)
            if violation in ("elsewhere", "teleport"):
                jump = self.other_height if violation == "elsewhere" else self.other_place
                position = torch.where(now[:, None], jump(position, occluder, wall, generator), position)
            states.append((position, velocity, colour, present))
        return Clips(self, *(torch.stack(each, dim=1) for each in zip(*states, strict=True)), occluder, wall)

    def other_height(self, position, occluder, wall, generator):
        """The same x, and a y at least .3 away: [N, 2] -> [N, 2]."""
        room = 1 - 2 * self.radius
        shift = 0.3 + (room - 0.6) * torch.rand(len(position), generator=generator)
        y = self.radius + (position[:, 1] - self.radius + shift) % room  # once around the room's height
        return torch.stack([position[:, 0], y], dim=1)

    def other_place(self, position, occluder, wall, generator):
        """A place in full sight at least .25 away, where the room has one among 32 tries: [N, 2] -> [N, 2]."""
        low, tries = self.radius, torch.rand(32, len(position), 2, generator=generator)
        span = torch.stack([wall - 2 * low, torch.full_like(wall, 1 - 2 * low)], dim=-1)  # [N, 2]
        tries = low + tries * span
        good = self.is_clear(tries, occluder) & ((tries - position).norm(dim=-1) >= 0.25)  # [32, N]
        first = good.to(torch.int8).argmax(dim=0)
        return torch.where(good.any(dim=0)[:, None], tries[first, torch.arange(len(position))], position)

    def clips(self, count, seed=0):
        """`count` possible clips, to train on or to look at. Another stream of the generator than `pairs`."""
        return self.run(self.starts(count, torch.Generator().manual_seed(3 * seed)))

    def pairs(self, violation, count, seed=0):
        """`count` matched pairs: a possible clip, and the same with a violation that shows in frame 5 to T - 4.

        Scenes in which the violation has no occasion are drawn again. Raises ValueError for an unknown violation, and
        where almost no scene has an occasion, as in clips that are too short.
        """
        generator = torch.Generator().manual_seed(3 * seed + 1)
        found = []
        for _ in range(20 + count // 4):
            if sum(len(pairs.event) for pairs in found) >= count:
                break
            start = self.starts(256, generator)
            possible = self.run(start)
            when = self.occasion(violation, possible, generator)
            impossible = self.run(start, violation, when, generator)
            differs = (possible.frames() != impossible.frames()).flatten(2).any(dim=2)  # [256, T]
            event = torch.where(differs.any(dim=1), differs.to(torch.int8).argmax(dim=1), 0)
            rows = (when > 0) & (event >= 5) & (event <= self.length - 4)
            found.append(Pairs(possible[rows], impossible[rows], event[rows]))
        if sum(len(pairs.event) for pairs in found) < count:
            raise ValueError(
                f"hardly a scene has an occasion for {violation!r} in {self.length} frames of {self.size} pixels; "
                "a violation shows in frame 5 to length - 4, so make clips longer (16 frames are enough)"
            )
        join = [
            Clips(self, *(torch.cat([getattr(p[side], f.name) for p in found])[:count] for f in fields(Clips)[1:]))
            for side in (0, 1)
        ]
        return Pairs(*join, torch.cat([p.event for p in found])[:count])

    def occasion(self, violation, clips, generator):
        """A frame at which the violation can happen, drawn among all that fit: int64 [N], 0 where there is none."""
        hidden, clear = clips.hidden(), self.is_clear(clips.position, clips.occluder[:, None])  # [N, T]
        fits = torch.zeros_like(hidden)
        if violation in HIDDEN:
            fits[:, 1:-1] = hidden[:, 1:-1] & hidden[:, :-2]  # hidden in the frame before, too
        elif violation == "wall":
            ahead = clips.position[:, :-1, 0] + clips.velocity[:, :-1, 0] + self.radius - clips.wall[:, None]
            fits[:, 1:] = ahead > 0.015  # so far, at least, it would get beyond the wall's face
        else:
            fits[:, 1:] = clear[:, 1:] & clear[:, :-1]  # in full sight before and after
        chance = torch.rand(fits.shape, generator=generator) * fits
        if violation not in HIDDEN:
            chance[:, :5] = 0
            chance[:, self.length - 3 :] = 0
        return torch.where(chance.amax(dim=1) > 0, chance.argmax(dim=1), 0)

    def futures(self, count, seed=0):
        """Bodies that meet a deflector which the occluder hides: up, straight on or down, at random. Returns Futures.

        The body comes from the left at a height of .4 to .6 and moves horizontally. In the first frame in which it is
        hidden, its velocity becomes (v, v), (v, 0) or (v, -v), with the probabilities OUTCOMES. What it did before does
        not tell which.
        """
        generator = torch.Generator().manual_seed(3 * seed + 2)
        position, velocity, colour, occluder, wall = self.starts(count, generator)
        u = torch.rand(2, count, generator=generator)
        room = occluder[:, 0] - 2 * self.radius
        position = torch.stack([self.radius + 0.5 * room * u[0], 0.4 + 0.2 * u[1]], dim=1)
        velocity = torch.stack([0.9 * velocity[:, 0].abs(), torch.zeros(count)], dim=1)  # no step past the hiding place
        clips = []
        for turn in (1.0, 0.0, -1.0):
            p, v, states = position, velocity, [(position, velocity)]
            for _ in range(1, self.length):
                before = self.is_hidden(p, occluder)
                p, v = self.step(p, v, wall)
                met = self.is_hidden(p, occluder) & ~before & (v[:, 0] > 0) & (v[:, 1] == 0)
                v = torch.where(met[:, None], torch.stack([v[:, 0], turn * v[:, 0]], dim=1), v)
                states.append((p, v))
            p, v = (torch.stack(each, dim=1) for each in zip(*states, strict=True))
            rest = colour[:, None].expand(-1, self.length), torch.ones(count, self.length, dtype=torch.bool)
            clips.append(Clips(self, p, v, *rest, occluder, wall))
        outcome = torch.multinomial(torch.tensor(OUTCOMES), count, replacement=True, generator=generator)
        beyond = clips[0].position[..., 0] - occluder[:, 1:] > self.radius / 2  # [N, T]
        return Futures(tuple(clips), outcome, beyond.to(torch.int8).argmax(dim=1))
