"""Figures of trips and of ranks: what is drawn is what was given."""

import torch

from minijepa import plots
from minijepa.datasets import City, city_trips


def test_a_map_shows_every_street_and_every_point():
    city = City(side=4)
    trip = city_trips(1, seed=0, city=city, least=3).values[0]
    fig = plots.city_map(city, {"a": {"route line": trip, "points": trip[:, ::8]}, "b": {"points": trip}}, zoom=False)
    first, second = fig.axes
    assert [ax.get_title() for ax in fig.axes] == ["a", "b"]
    assert len(first.lines) == 24 + 2 and len(second.lines) == 24 + 1
    assert first.lines[-2].get_linestyle() == "-" and first.lines[-1].get_marker() != first.lines[-2].get_marker()
    assert first.lines[-1].get_xdata().tolist() == trip[0, ::8].tolist()
    shades = {float(line.get_color()) for line in first.lines[:24]}
    assert min(shades) == 0.55 and max(shades) <= 0.951, "the fastest street is the darkest"
    near = plots.city_map(city, {"a": {"points": trip[:, :2]}})
    assert near.axes[0].get_xlim()[1] - near.axes[0].get_xlim()[0] < 3
    for each in (fig, near):
        plots.plt.close(each)


def test_ranks_show_the_mean_and_the_range_of_seeds():
    lines = {"one": ([0, 0.5], [[1, 2]]), "three": ([0, 0.5], [[1, 10], [1, 20], [1, 60]])}
    fig = plots.rank_curves({"left": lines, "right": {"three": lines["three"]}}, "dropped", guess=500)
    left, right = fig.axes
    assert left.get_yscale() == "log" and left.lines[1].get_ydata().tolist() == [1, 30]
    assert left.lines[1].get_color() == right.lines[0].get_color(), "a name keeps its colour"
    band = left.collections[1].get_paths()[0].vertices
    assert band[:, 1].max() == 60 and band[:, 1].min() == 1
    assert len(fig.legends[0].get_texts()) == 2 and torch.tensor(left.lines[2].get_ydata()).eq(500).all()
    plots.plt.close(fig)
