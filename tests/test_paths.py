"""Trips, distances between paths, similarity search and T-JEPA: against slow computations, and planted bugs."""

import heapq
import math

import numpy as np
import pytest
import torch
from helpers import planted, seeded
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import directed_hausdorff

from minijepa import fit
from minijepa.datasets import trajectories
from minijepa.datasets.trajectories import City, by_order, city_trips, distorted, odd_even, straight_lines, thinned
from minijepa.family import t_jepa
from minijepa.probes import path_distances, retrieval

# --- the city and its trips ---


def dijkstra(times, start):
    """Shortest times from one crossing, with a queue."""
    best, queue = {}, [(0.0, start)]
    while queue:
        time, here = heapq.heappop(queue)
        if here not in best:
            best[here] = time
            for there in range(len(times)):
                if math.isfinite(times[here, there]) and there != here:
                    heapq.heappush(queue, (time + times[here, there].item(), there))
    return [best[i] for i in range(len(times))]


def check_city(module):
    city = module.City(side=4, seed=1)
    streets = torch.isfinite(city.times).sum() - 16
    assert streets == 2 * 2 * 4 * 3 and torch.equal(city.times, city.times.T)
    for start in (0, 5, 15):
        expected = torch.tensor(dijkstra(city.times, start), dtype=torch.float64)
        torch.testing.assert_close(city.fastest[start], expected)
    start, end = torch.tensor([0, 3, 7]), torch.tensor([15, 12, 7])
    for a, b, route in zip(start.tolist(), end.tolist(), city.routes(start, end).tolist(), strict=True):
        taken = sum(city.times[i, j].item() for i, j in zip(route, route[1:], strict=False))
        assert route[0] == a and route[-1] == b and taken == pytest.approx(city.fastest[a, b].item())


def to_route(point, corners):
    """The distance of a point from a polyline."""
    best = math.inf
    for a, b in zip(corners, corners[1:], strict=False):
        part = np.clip(np.dot(point - a, b - a) / max(np.dot(b - a, b - a), 1e-12), 0, 1)
        best = min(best, np.linalg.norm(point - a - part * (b - a)))
    return best


def check_trips(module):
    city = module.City(side=5, seed=3)
    assert city.places(torch.tensor(7)).tolist() == [2, 1], "east, north"
    data = module.city_trips(6, seed=4, city=city, jitter=0.0, least=3)
    for trip, route, minutes in zip(data.values, data.factors["route"], data.factors["minutes"], strict=True):
        corners = city.places(route).double().numpy()
        assert max(to_route(point, corners) for point in trip.T.double().numpy()) < 1e-4
        clock = np.cumsum([0.0] + [city.times[i, j].item() for i, j in zip(route, route[1:], strict=False)])
        assert clock[-1] == pytest.approx(minutes.item(), rel=1e-5)
        for moment in (0, 17, 63):
            east = np.interp(clock[-1] * moment / 63, clock, corners[:, 0])
            assert trip[0, moment].item() == pytest.approx(east, abs=1e-3)
    assert torch.equal(data.labels, data.factors["route"][:, -1])
    blocks = (city.places(data.factors["start"]) - city.places(data.labels)).abs().sum(dim=1)
    assert blocks.min() >= 3


def test_routes_are_the_fastest_ones_and_points_lie_on_them():
    check_city(trajectories)
    check_trips(trajectories)


def test_trips_repeat_and_grow():
    few, many = city_trips(5, seed=1), city_trips(40, seed=1)
    assert torch.equal(few.values, many.values[:5]) and torch.equal(few.labels, many.labels[:5])
    assert not torch.equal(few.values, city_trips(5, seed=2).values)
    assert few.values.shape == (5, 2, 64) and few.classes[few.labels[0]].startswith("(")
    exact = city_trips(40, seed=1, jitter=0.0)
    assert (many.values - exact.values).std().item() == pytest.approx(0.1, rel=0.05)


@pytest.mark.parametrize(
    "call, found",
    [
        (lambda: City(side=1), "side 1"),
        (lambda: City(slowest=0.5), "slowest 0.5"),
        (lambda: city_trips(3, least=23), "got 23"),
        (lambda: city_trips(3, jitter=-1), "and -1"),
        (lambda: thinned(odd_even(2)[0], 1.0), "got 1.0"),
        (lambda: thinned(torch.zeros(2, 1, dtype=torch.int64), 0.5), "1 points"),
    ],
)
def test_impossible_cities_and_trips_are_refused(call, found):
    with pytest.raises(ValueError, match=found):
        call()


def check_thinning(module):
    odd, even = module.odd_even(3)
    assert odd[0].tolist() == list(range(1, 64, 2)) and even[2].tolist() == list(range(0, 64, 2))
    for drop, count in ((0, 32), (0.5, 16), (0.9, 3), (0.99, 2)):
        keep = module.thinned(odd, drop, seeded())
        assert keep.shape == (3, count) and (keep.diff(dim=1) > 0).all() and (keep % 2 == 1).all()
    assert not torch.equal(keep[0], keep[1]), "each trip loses points of its own"
    x = torch.randn(3, 2, 64, generator=seeded())
    keep = module.thinned(odd, 0.8, seeded(1))
    filled = module.straight_lines(x, keep)
    for trip in range(3):
        known = x[trip][:, keep[trip]]
        torch.testing.assert_close(module.points_at(x, keep)[trip], known)
        for axis in range(2):
            expected = np.interp(np.arange(64), keep[trip].numpy(), known[axis].numpy())
            np.testing.assert_allclose(filled[trip, axis].numpy(), expected, rtol=1e-4, atol=1e-5)
    moved, places = module.by_order(x, keep)
    assert places[0, 0] == 0 and places[0, -1] == 63 and (places.diff(dim=1) > 0).all()
    torch.testing.assert_close(module.points_at(moved, places), module.points_at(x, keep))


def test_thinning_keeps_points_and_straight_lines_fill_the_gaps():
    check_thinning(trajectories)
    x = torch.randn(4, 2, 64, generator=seeded())
    moved, places = by_order(x, torch.arange(64).expand(4, -1))
    assert torch.equal(moved, x) and torch.equal(places[0], torch.arange(64))
    torch.testing.assert_close(straight_lines(x, places), x)


def test_distortion_moves_the_fraction_that_it_says():
    x = torch.randn(200, 2, 64, generator=seeded())
    error = distorted(x, 0.3, 2.0, seeded(1)) - x
    moved = error.abs().sum(dim=1) > 0
    assert moved.float().mean().item() == pytest.approx(0.3, abs=0.02)
    assert error.mT[moved].std().item() == pytest.approx(2.0, rel=0.05)
    assert torch.equal(distorted(x, 0.0, 2.0, seeded(1)), x)


# --- distances and ranks ---


def slow_alignment(a, b, join):
    """The recursion with loops. a: [2, K], b: [2, L]."""
    cost = [[(a[:, i] - b[:, j]).norm().item() for j in range(b.shape[1])] for i in range(a.shape[1])]

    def best(i, j):
        if i == j == 0:
            return cost[0][0]
        before = [best(p, q) for p, q in ((i - 1, j), (i, j - 1), (i - 1, j - 1)) if p >= 0 and q >= 0]
        return join(cost[i][j], min(before))

    return best(a.shape[1] - 1, b.shape[1] - 1)


def check_distances(module):
    queries, database = torch.randn(4, 2, 5, generator=seeded()), torch.randn(6, 2, 4, generator=seeded(1))
    found = {name: getattr(module, name)(queries, database) for name in ("dtw", "frechet", "hausdorff")}
    for q, a in enumerate(queries):
        for n, b in enumerate(database):
            assert found["dtw"][q, n].item() == pytest.approx(slow_alignment(a, b, lambda x, y: x + y), rel=1e-4)
            assert found["frechet"][q, n].item() == pytest.approx(slow_alignment(a, b, max), rel=1e-4)
            both = [directed_hausdorff(u.T.double().numpy(), v.T.double().numpy())[0] for u, v in ((a, b), (b, a))]
            assert found["hausdorff"][q, n].item() == pytest.approx(max(both), rel=1e-4)
    other = torch.randn(6, 2, 5, generator=seeded(2))
    expected = (queries[:, None] - other[None]).square().sum(dim=(2, 3)).sqrt()
    torch.testing.assert_close(module.euclid(queries, other), expected)


def test_distances_are_those_of_slow_computations():
    check_distances(path_distances)
    with pytest.raises(ValueError, match="resample them"):
        path_distances.euclid(torch.zeros(2, 2, 5), torch.zeros(2, 2, 4))


def test_parts_change_nothing(monkeypatch):
    queries, database = torch.randn(5, 2, 4, generator=seeded()), torch.randn(3, 2, 6, generator=seeded(1))
    whole = path_distances.dtw(queries, database)
    monkeypatch.setattr(path_distances, "PAIRS", 1)
    assert torch.equal(whole, path_distances.dtw(queries, database))


def test_distances_ignore_what_they_should():
    x = torch.randn(3, 2, 6, generator=seeded())
    slower = x.repeat_interleave(2, dim=2)  # the same points, each twice
    for distance in (path_distances.dtw, path_distances.frechet, path_distances.hausdorff):
        assert distance(x, slower).diagonal().abs().max() < 1e-5
    back = x.flip(2)
    assert path_distances.hausdorff(x, back).diagonal().max() < 1e-6 < path_distances.dtw(x, back).diagonal().min()


def check_ranks(module):
    distances = torch.tensor([[0.5, 0.1, 0.9], [0.3, 0.2, 0.2], [0.0, 1.0, 0.5]])
    assert module.ranks(distances).tolist() == [2, 2, 2]
    assert module.ranks(torch.zeros(3, 5)).tolist() == [5, 5, 5], "if all are equal, the rank is the worst"
    random = torch.rand(7, 30, generator=seeded())
    for i, row in enumerate(random.tolist()):
        assert module.ranks(random)[i] == 1 + sorted(row).index(row[i])
        others = sorted(j for j in range(30) if j != i)
        assert module.nearest(random, 4)[i].tolist() == sorted(others, key=row.__getitem__)[:4]
    found, wanted = torch.tensor([[1, 2, 3], [4, 5, 6]]), torch.tensor([[3, 9, 1], [7, 8, 9]])
    assert module.overlap(found, wanted) == pytest.approx(2 / 6)


def test_ranks_are_places_in_the_sorted_list():
    check_ranks(retrieval)
    assert retrieval.nearest(torch.tensor([[0.0, 1.0]]), 1, itself=True).tolist() == [[0]]


# --- T-JEPA ---


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(12, 64), st.integers(1, 5), st.floats(0.05, 0.6), st.integers(0, 1000))
def test_masks_hide_sets_and_show_none_of_them(batch, length, sets, ratio, seed):
    masks = t_jepa.masks(batch, seeded(seed), length=length, sets=sets, ratios=(ratio,))
    hidden, seen = masks.targets, masks.context
    assert hidden.shape == (batch, sets, max(1, round(ratio * length))) and seen.shape[1] >= 2
    for index in (hidden, seen):
        assert index.dtype == torch.int64 and index.min() >= 0 and index.max() < length
        assert (index.diff(dim=-1) > 0).all(), "sorted, none twice"
    for row, sets_of_row in zip(seen.tolist(), hidden.flatten(1).tolist(), strict=True):
        assert not set(row) & set(sets_of_row)
    again = t_jepa.masks(batch, seeded(seed), length=length, sets=sets, ratios=(ratio,))
    assert torch.equal(again.targets, hidden) and torch.equal(again.context, seen)


def check_masks(module):
    masks = module.masks(2000, seeded(), ratios=(0.2,))
    spans = masks.targets[..., -1] - masks.targets[..., 0] == masks.targets.shape[2] - 1
    assert spans.float().mean().item() == pytest.approx(0.5, abs=0.03), "half of the sets are spans"
    counts = {module.masks(2, seeded(seed)).targets.shape[2] for seed in range(30)}
    assert counts == {6, 13, 19}, "10, 20 or 30 % of 64 points"
    scattered = torch.bincount(masks.targets[~spans].flatten(), minlength=64).float()
    assert scattered.min() > 0.8 * scattered.mean() and scattered.max() < 1.2 * scattered.mean()
    places = set(masks.targets[spans][:, 0].tolist())
    assert places == set(range(64 - 13 + 1)), "spans begin everywhere"
    alone = module.masks(500, seeded(), sets=1, ratios=(0.1,), context_scale=(0.9, 0.9))
    assert 58 - 6 <= alone.context.shape[1] <= 58 - 2


def test_half_of_the_sets_are_spans():
    check_masks(t_jepa)
    with pytest.raises(ValueError, match=r"ratios must lie in \(0, 1\)"):
        t_jepa.masks(2, ratios=(0.0,))
    with pytest.raises(ValueError, match="context_scale"):
        t_jepa.masks(2, context_scale=(0.9, 0.8))


def slow_neighbours(i, grid):
    """The 8 cells around cell i; beyond the border the nearest cell inside."""
    r, c = divmod(i, grid[1])
    steps = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if (a, b) != (0, 0)]
    return [min(max(r + a, 0), grid[0] - 1) * grid[1] + min(max(c + b, 0), grid[1] - 1) for a, b in steps]


def slow_walks(grid, window):
    """How often a random walk from each cell is at each other one, averaged over its first steps: cell by cell."""
    n = grid[0] * grid[1]
    near = [sorted(set(slow_neighbours(i, grid)) - {i}) for i in range(n)]
    total = np.zeros((n, n))
    for start in range(n):
        here = np.zeros(n)
        here[start] = 1
        for _ in range(window):
            there = np.zeros(n)
            for i in range(n):
                for j in near[i]:
                    there[j] += here[i] / len(near[i])
            here = there
            total[start] += here / window
    return total, np.array([len(row) for row in near])


def check_cells(module):
    grid = (3, 4)
    assert module.around(grid).tolist() == [slow_neighbours(i, grid) for i in range(12)]
    walks, degree = slow_walks(grid, 5)
    wanted = np.log(np.maximum(1, walks / (degree / degree.sum())))  # against a cell's share of all visits
    values, directions = np.linalg.eigh(wanted)
    best = (directions * np.maximum(values, 0)) @ directions.T  # the nearest matrix of the form E E^T
    e = module.cell_vectors(grid, 12).double().numpy()
    scale = np.trace(best) / np.trace(e @ e.T)
    np.testing.assert_allclose(scale * e @ e.T, best, atol=1e-5)
    e = torch.nn.functional.normalize(module.cell_vectors((12, 12), 32), dim=1)
    cosine = e @ e.T
    assert cosine[65, 66] > cosine[65, 67] > cosine[65, 69] and cosine[65, 77] > 0.5


def check_adjfuse(module):
    torch.manual_seed(0)
    fuse = module.AdjFuse((3, 4), 5)
    torch.nn.init.normal_(fuse.kernel)
    torch.nn.init.normal_(fuse.bias)
    cells = torch.randn(12, 5, generator=seeded())
    out = fuse(cells)
    kernel = fuse.kernel.exp() / fuse.kernel.exp().sum()
    for i in range(12):
        heard = sum(w * cells[j] for w, j in zip(kernel, slow_neighbours(i, (3, 4)), strict=True))
        expected = cells[i] + fuse.weight @ (heard + fuse.bias).clamp(min=0)
        torch.testing.assert_close(out[i], expected)


def check_embedder(module):
    embed = module.CellEmbed((24, 24), 16)
    x = torch.tensor([[[0.0, -0.5, 11.49, -9.0, 3.2], [0.0, -0.5, 11.49, 99.0, 7.1]]])  # [1, 2, 5]
    expected = [1 * 24 + 1, 0, 23 * 24 + 23, 23 * 24 + 0, 15 * 24 + 7]
    assert embed.cells(x)[0].tolist() == expected, "row from north, column from east"
    keep = torch.tensor([[4, 0]])
    torch.testing.assert_close(embed(x, keep), embed(x)[:, [4, 0]])
    torch.testing.assert_close(embed(x)[0, 4], embed.fuse(embed.vectors)[15 * 24 + 7])


def test_cells_have_vectors_that_hear_their_neighbours():
    check_cells(t_jepa)
    check_adjfuse(t_jepa)
    check_embedder(t_jepa)
    with pytest.raises(ValueError, match="at most 12 numbers, got dim 13"):
        t_jepa.cell_vectors((3, 4), 13)


def small(fuse=True):
    torch.manual_seed(0)
    return t_jepa.model(t_jepa.encoder(fuse=fuse, dim=16, depth=1, heads=2))


def test_the_loss_is_the_mean_over_the_hidden_points():
    model, x = small(), city_trips(4, seed=0).values
    masks = t_jepa.masks(4, seeded())
    output = model(x, masks)
    full = torch.nn.functional.layer_norm(model.teacher.encoder(x), (16,))
    energies = []
    for trip in range(4):
        for part, hidden in enumerate(masks.targets[trip]):
            for place, point in enumerate(hidden):
                d = (output.prediction[trip, part, place] - full[trip, point]).abs()
                energies.append(torch.where(d < 1, d.square() / 2, d - 0.5).mean())
    assert output.loss.item() == pytest.approx(torch.stack(energies).mean().item(), rel=1e-4)


def test_t_jepa_learns_through_the_one_loop():
    trips = city_trips(64, seed=0)
    for fuse in (True, False):
        model = small(fuse)
        before = [p.clone() for p in model.encoder.patch_embed.parameters()]
        vectors = model.encoder.patch_embed.vectors.clone()
        history = fit(model, trips, t_jepa.masks, steps=4, **{**t_jepa.TRAINING, "batch_size": 16})
        assert math.isfinite(history.rows[-1]["loss"])
        assert len(before) == (3 if fuse else 0)
        assert all(not torch.equal(p, q) for p, q in zip(before, model.encoder.patch_embed.parameters(), strict=True))
        assert torch.equal(vectors, model.encoder.patch_embed.vectors), "the vectors of the cells stay"


def check_completed(module):
    torch.manual_seed(0)
    model = module.model(module.encoder(dim=16, depth=1, heads=2)).eval()
    x = city_trips(3, seed=0).values
    keep = thinned(odd_even(3)[0], 0.8, seeded())
    whole = module.completed(model, x, keep)
    assert whole.shape == (3, 64, 16)
    unknown = torch.ones(3, 64, dtype=torch.bool).scatter_(1, keep, False)
    other = torch.where(unknown.unsqueeze(1), torch.full_like(x, 5.0), x)
    torch.testing.assert_close(whole, module.completed(model, other, keep)), "it sees the known points alone"
    one = model.predictor(model.encoder(x, keep), module.Masks(keep, torch.full((3, 1, 1), 40)))[:, 0, 0]
    assert whole[:, 40].shape == one.shape and not torch.allclose(whole[:, 40], whole[:, 41])


def test_a_trip_is_completed_from_its_known_points():
    check_completed(t_jepa)


# --- the bugs that these tests catch ---

BUGS = [
    (trajectories, check_city, "fastest[:, k, None] + fastest[k]", "fastest[:, k, None] + fastest[k] + 0.5"),
    (trajectories, check_city, "towards[:, k, None], towards", "torch.full_like(towards, k), towards"),
    (trajectories, check_city, "torch.minimum(drawn, drawn.T)", "drawn"),
    (trajectories, check_trips, "crossings % self.side, cross", "crossings // self.side, cross"),
    (trajectories, check_trips, "moments = clock[:, -1:] *", "moments = clock.amax() *"),
    (trajectories, check_trips, "right=True).clamp(1,", "right=True).clamp(2,"),
    (trajectories, check_thinning, ".indices.sort(dim=1).values", ".indices"),
    (trajectories, check_thinning, "torch.rand(index.shape,", "torch.rand(index[:1].shape,"),
    (trajectories, check_thinning, "for first in (1, 0)", "for first in (0, 1)"),
    (trajectories, check_thinning, "keep.float(), moments", "keep.float() + 1, moments"),
    (path_distances, check_distances, "([above[j - 1]] if i and j else [])", "[]"),
    (path_distances, check_distances, "aligned(d, torch.maximum)", "aligned(d, torch.add)"),
    (path_distances, check_distances, "d.amin(0).amax(0)", "d.amin(1).amax(0)"),
    (path_distances, check_distances, "(east.square() + north.square()).sqrt()", "(east.square() + north.square())"),
    (path_distances, check_distances, "above = row", "above = above or row"),
    (retrieval, check_ranks, "distances <= distances", "distances < distances"),
    (retrieval, check_ranks, "clone().fill_diagonal_(torch.inf)", "clone()"),
    (t_jepa, check_masks, "generator=generator) < 0.5", "generator=generator) < 0.7"),
    (t_jepa, check_masks, "length - k + 1", "length - k"),
    (t_jepa, check_masks, "ratios[int(torch.randint(len(ratios), (), generator=generator))]", "ratios[0]"),
    (t_jepa, check_cells, "(rows * columns)\n", "(rows * columns).roll(1)\n"),
    (t_jepa, check_cells, ".clamp(min=1).log()", ".clamp(min=0.5).log()"),
    (t_jepa, check_cells, "torch.linalg.matrix_power(step, r)", "torch.linalg.matrix_power(step, 1)"),
    (t_jepa, check_adjfuse, "return cells + ", "return "),
    (t_jepa, check_adjfuse, "self.kernel.softmax(dim=0)", "self.kernel"),
    (t_jepa, check_embedder, "column, row = ", "row, column = "),
    (t_jepa, check_embedder, "index.gather(1, keep)", "index[:, : keep.shape[1]]"),
    (t_jepa, check_completed, "[1][:, 0]", "[1][:, 0, :1].expand(-1, x.shape[2], -1)"),
]  # fmt: skip


@pytest.mark.parametrize("module, check, old, new", BUGS, ids=range(len(BUGS)))
def test_planted_bugs_are_caught(module, check, old, new):
    with pytest.raises((AssertionError, RuntimeError, IndexError, ValueError)):
        check(planted(module, old, new))
