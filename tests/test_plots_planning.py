"""Pictures of planning: what is drawn is what was given."""

import matplotlib
import pytest
import torch

from minijepa import plots
from minijepa.worlds import TwoRooms

matplotlib.use("Agg")
WORLD = TwoRooms()
WALL = torch.tensor([0.5, 0.4, 0.6])
START, GOAL = torch.tensor([0.2, 0.3]), torch.tensor([0.8, 0.7])


@pytest.fixture(autouse=True)
def close():
    yield
    plots.plt.close("all")


def test_a_room_as_a_picture():
    picture = plots.as_picture(WORLD.render(torch.tensor([0.25, 0.75]), WALL))
    assert picture.shape == (28, 28, 3) and 0 <= picture.min() and picture.max() <= 1
    assert picture[7, 7, 2] > picture[7, 7, 0] + 0.5, "the dot is blue"
    assert torch.allclose(picture[0, 13], torch.tensor(0.42)) and torch.allclose(picture[20, 20], torch.tensor(1.0))


def test_strips_have_a_panel_per_frame():
    frames = WORLD.walks(2, length=4).batch(torch.arange(2)).frames
    fig = plots.room_strips({"a": frames[0], "b": frames[1]}, ["1", "2", "3", "4"])
    assert len(fig.axes) == 8 and [ax.get_ylabel() for ax in fig.axes[::4]] == ["a", "b"]
    with pytest.raises(ValueError):
        plots.room_strips({"a": frames[0]}, ["1", "2"])


def test_paths_and_clouds():
    path = torch.rand(2, 5, 2)
    fig = plots.room_paths({"one": (path, START, GOAL), "two": (path[:1], START, GOAL)}, WALL)
    assert len(fig.axes) == 2
    drawn = [line.get_xydata() for line in fig.axes[0].lines]
    assert any(d.shape == (5, 2) and torch.allclose(torch.tensor(d).float(), path[1]) for d in drawn)
    ends, costs = [torch.rand(9, 2), torch.rand(9, 2)], [torch.rand(9), 2 + torch.rand(9)]
    fig = plots.plan_clouds(ends, costs, WALL, START, GOAL, ["round 1", "round 2"])
    clouds = [ax.collections[0] for ax in fig.axes[:2]]
    assert torch.allclose(torch.tensor(clouds[1].get_offsets().data).float(), ends[1])
    assert clouds[0].get_clim() == clouds[1].get_clim() == (min(costs[0]).item(), max(costs[1]).item())


def test_energies_over_actions():
    energy = torch.arange(25.0).view(5, 5)  # rows a_y
    fig = plots.action_energies({"map": energy}, 0.1, {"map": {"true action": torch.tensor([0.05, -0.05])}})
    (image,) = fig.axes[0].images
    assert image.origin == "lower" and image.get_extent() == [-0.1, 0.1, -0.1, 0.1]
    assert fig.axes[0].lines[0].get_xydata().tolist() == [[pytest.approx(0.05), pytest.approx(-0.05)]]


def test_success():
    fig = plots.success_curves({"a": ((1, 2), (0.1, 0.9), (0.01, 0.02))}, "horizon", {"greedy": 0.5})
    assert fig.axes[0].get_xlabel() == "horizon"
    assert {text.get_text() for text in fig.axes[0].get_legend().texts} == {"a", "greedy"}
    fig = plots.success_bars({"a": (0.2, 0.8), "b": (0.4, 0.5)}, {"a": 0.01, "b": 0.02})
    assert [bar.get_width() for bar in fig.axes[0].patches] == [0.8, 0.5, 0.2, 0.4]


def test_the_agent_names_its_six_modules():
    words = " ".join(text.get_text() for text in plots.agent_diagram().axes[0].texts)
    for module in ("perception", "world model", "cost", "actor", "short-term memory", "configurator"):
        assert module in words
