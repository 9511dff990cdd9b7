"""Trips through a small city: fastest routes on a grid of streets, recorded as points, and ways to lose points.

    City --> fastest route between two crossings --> 64 points, equally spaced in time, with errors like those of GPS

Every street has its own travel time, so there is a fastest route between two crossings, and it is seldom the straight
line: who knows the city can fill in what is missing. A trip is a series with two channels, east and north, in units of
one block; crossing r * side + c lies at (c, r). Real recordings have different lengths and are padded; here every trip
has 64 points, and a trip with fewer is those 64 and a list of which are known, so nothing is padded.
"""

import torch

from minijepa.datasets.signals import SignalData

POINTS = 64  # of each trip


class City:
    """A grid of side x side crossings, N in all, with a travel time for each street between two neighbours.

    side: crossings in a row, at least 2. slowest: times are uniform in [1, slowest] minutes per block. seed: of the
    times. `times`: [N, N], the minutes from a crossing to its neighbour, infinite elsewhere, 0 to itself.
    `fastest`: [N, N], the minutes from a to b on the fastest route; `towards`: int64 [N, N], the crossing after a on
    that route. Raises ValueError for a smaller side or slowest < 1.
    """

    def __init__(self, side=12, slowest=3.0, seed=0):
        if side < 2 or slowest < 1:
            raise ValueError(f"a city needs side >= 2 and slowest >= 1, got side {side} and slowest {slowest}")
        self.side = side
        n = side * side
        row, column = torch.arange(n) // side, torch.arange(n) % side
        street = (row[:, None] - row).abs() + (column[:, None] - column).abs() == 1  # [N, N]
        drawn = 1 + (slowest - 1) * torch.rand(n, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        drawn = torch.minimum(drawn, drawn.T)  # both directions take equally long
        self.times = torch.where(street, drawn, torch.inf).fill_diagonal_(0)
        self.fastest, self.towards = all_fastest(self.times)

    def routes(self, start, end):
        """The crossings of the fastest routes, int64 [B, L]: start first; an early end is repeated. start, end: [B]."""
        path = [start]
        while not torch.equal(path[-1], end):
            path.append(self.towards[path[-1], end])
        return torch.stack(path, dim=1)

    def places(self, crossings):
        """East and north of crossings: int64 [...] -> float [..., 2]."""
        return torch.stack([crossings % self.side, crossings // self.side], dim=-1).float()


def all_fastest(times):
    """Floyd and Warshall's algorithm: shortest times between all pairs, and the next crossing on the way.

    times: [N, N], infinite where no street leads. Returns ([N, N], int64 [N, N]). Allow crossing k in between, for one
    k after the other: a route through k is taken where it is faster.
    """
    fastest, n = times.clone(), len(times)
    towards = torch.arange(n).repeat(n, 1)  # [N, N]: straight to the end, where there is a street
    for k in range(n):
        through = fastest[:, k, None] + fastest[k]  # [N, N]
        better = through < fastest
        fastest = torch.where(better, through, fastest)
        towards = torch.where(better, towards[:, k, None], towards)
    return fastest, towards


def city_trips(n, seed=0, *, city=None, jitter=0.1, least=5):
    """Trips between random crossings on the fastest route, each recorded at 64 equally spaced moments.

    n: how many; a smaller n gives the first of a larger one. seed: of ends and errors. city: default City().
    jitter: standard deviation of each point's error, in blocks. least: blocks between start and end at least.
    Returns SignalData: values [n, 2, 64]; labels, the crossing where the trip ends; factors `start`, `route` (the
    crossings, int64 [n, L], an early end is repeated) and `minutes` (the trip's duration).
    Raises ValueError if no two crossings are `least` blocks apart or jitter is negative.
    """
    city = City() if city is None else city
    ends = city.places(torch.arange(city.side**2))
    pairs = ((ends[:, None] - ends).abs().sum(dim=-1) >= least).nonzero()  # [pairs, 2]
    if not len(pairs) or jitter < 0:
        raise ValueError(
            f"least must be at most {2 * city.side - 2} blocks and jitter at least 0, got {least} and {jitter}"
        )
    generator, errors = (torch.Generator().manual_seed(2 * seed + part) for part in (0, 1))
    start, end = pairs[torch.randint(len(pairs), (n,), generator=generator)].unbind(dim=1)  # each [n]
    route = city.routes(start, end)  # [n, L]
    clock = city.times[route[:, :-1], route[:, 1:]].cumsum(dim=1)  # [n, L - 1]
    clock = torch.cat([torch.zeros(n, 1, dtype=clock.dtype), clock], dim=1).float()  # [n, L]: when at which crossing
    moments = clock[:, -1:] * torch.linspace(0, 1, POINTS)  # [n, T]
    points = along(city.places(route), clock, moments).mT  # [n, 2, T]
    noise = torch.randn(n, *points.shape[1:], generator=errors)
    factors = {"start": start, "route": route, "minutes": clock[:, -1]}
    names = tuple(f"({x:.0f}, {y:.0f})" for x, y in ends.tolist())
    return SignalData(
        (points + jitter * noise).contiguous(), end, names, f"trips through {city.side}×{city.side} crossings", factors
    )


def along(places, clock, moments):
    """Where a traveller is at some moments, by linear interpolation: [B, T, 2].

    places: [B, L, 2], reached at the times `clock`, [B, L], which never fall. moments: [B, T]; before the first time it
    is the first place, after the last time the last place.
    """
    after = torch.searchsorted(clock, moments.contiguous(), right=True).clamp(1, clock.shape[1] - 1)  # [B, T]
    t0, t1 = clock.gather(1, after - 1), clock.gather(1, after)
    part = ((moments - t0) / (t1 - t0).clamp(min=1e-9)).clamp(0, 1).unsqueeze(-1)  # [B, T, 1]
    p0, p1 = (places.gather(1, index.unsqueeze(-1).expand(-1, -1, 2)) for index in (after - 1, after))
    return p0 + part * (p1 - p0)


# --- a trip with fewer points, and one with wrong points ---


def points_at(paths, keep):
    """The points that are known. paths: [B, 2, T]; keep: int64 [B, K], which ones. Returns [B, 2, K]."""
    return paths.gather(2, keep.unsqueeze(1).expand(-1, 2, -1))


def thinned(index, drop, generator=None):
    """Some of these points, a random subset of its own for each trip: int64 [B, K] -> int64 [B, K'], in order.

    index: which points there are. drop: the fraction that gets lost, in [0, 1); at least two points remain.
    Raises ValueError for another fraction, or for fewer than two points.
    """
    if not 0 <= drop < 1 or index.shape[1] < 2:
        raise ValueError(f"drop must lie in [0, 1) and 2 points be there, got {drop} and {index.shape[1]} points")
    keep = max(2, round(index.shape[1] * (1 - drop)))
    chosen = torch.rand(index.shape, generator=generator).topk(keep, dim=1).indices.sort(dim=1).values
    return index.gather(1, chosen)


def odd_even(trips, length=POINTS):
    """Two halves of the points of each trip: every second point from the second on, and every second from the first.

    trips: how many, B. Returns two int64 [B, length / 2].
    """
    return tuple(torch.arange(first, length, 2).repeat(trips, 1) for first in (1, 0))


def distorted(paths, fraction, shift=1.0, generator=None):
    """Each point is moved with probability `fraction`, by normal errors of `shift` blocks. [B, 2, T] -> [B, 2, T]."""
    moved = torch.rand(paths[:, :1].shape, generator=generator) < fraction  # [B, 1, T]
    return paths + shift * moved * torch.randn(paths.shape, generator=generator)


def by_order(paths, keep):
    """Forget when the known points were recorded, and keep their order: they are spread evenly over the trip.

    paths: [B, 2, T]; keep: int64 [B, K], 2 <= K <= T. Returns the same points at other places, ([B, 2, T], int64
    [B, K]); the first is point 0 and the last is point T - 1.
    """
    places = (
        torch.linspace(0, paths.shape[2] - 1, keep.shape[1], device=keep.device).round().long().expand_as(keep)
    )  # [B, K]
    moved = torch.zeros_like(paths).scatter(2, places.unsqueeze(1).expand(-1, 2, -1), points_at(paths, keep))
    return moved, places


def straight_lines(paths, keep):
    """Fill the gaps with straight lines, in time; before the first and after the last known point the trip stands.

    paths: [B, 2, T]; keep: int64 [B, K], the known points. Returns [B, 2, T].
    """
    moments = torch.arange(paths.shape[2], dtype=torch.float32, device=paths.device).expand(len(paths), -1)
    return along(points_at(paths, keep).mT.contiguous(), keep.float(), moments).mT
