"""The maps show the plan that was made, and the bars the success that was measured."""

import torch

from minijepa import plots
from minijepa.planning import Episodes


def test_maps_show_the_path_so_far_and_the_plan():
    path, goal = torch.rand(11, 2), torch.tensor([0.9, 0.2])
    plan = torch.rand(4, 2)
    figure = plots.waypoint_maps(torch.tensor([0.5, 0.7, 0.9]), path, goal, {5: plan, 10: None})
    planned, straight = figure.axes
    assert planned.get_title() == "step 5" and straight.get_title() == "step 10, straight"
    lines = {line.get_label(): torch.tensor(line.get_xydata()) for line in planned.lines}
    assert torch.allclose(lines["path so far"], path[:6].double())
    assert torch.allclose(lines["plan"], torch.cat([path[5:6], plan]).double())
    assert torch.allclose(lines["sub-goal"], plan[:1].double()) and torch.allclose(lines["goal"], goal[None].double())
    assert "plan" not in [line.get_label() for line in straight.lines]
    plots.plt.close(figure)


def test_bars_are_as_long_as_the_success():
    solved = torch.tensor([[False, True], [True, False], [False, True], [False, True]])
    run = Episodes(torch.zeros(4, 2, 2), torch.zeros(4, 1, 2), torch.zeros(4, 2), solved)
    figure = plots.condition_bars({"a": {"one": run}, "b": {"two": run, "three": run}})
    (ax,) = figure.axes
    assert [round(bar.get_width(), 6) for bar in ax.patches] == [0.75] * 3
    assert [label.get_text() for label in ax.get_yticklabels()] == ["one", "two", "three"]
    assert sum("0.75 of 4" == text.get_text() for text in ax.texts) == 3
    plots.plt.close(figure)
