"""The pictures of notebook 14: maps in their places with the right patch framed, and a point per seed."""

import torch

from minijepa import plots


def test_the_framed_patch_is_the_one_that_was_asked_for():
    images = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    maps = {"a": torch.arange(8.0).view(2, 4), "b": -torch.ones(2, 4)}
    fig = plots.self_similarity(images, maps, (2, 2), [1, 2], "cosine")
    axes = fig.axes[:6]
    assert [axes[k].get_title() for k in range(3)] == ["image", "a", "b"]
    assert axes[1].images[0].get_array().tolist() == [[0, 1], [2, 3]] and axes[4].images[0].get_array()[0, 0] == 4
    assert {ax.images[0].get_clim() for ax in (axes[1], axes[2], axes[4])} == {(-1, 7)}
    assert axes[0].patches[0].get_xy() == (3.5, -0.5) and axes[0].patches[0].get_width() == 4
    assert axes[1].patches[0].get_xy() == (0.5, -0.5) and axes[4].patches[1].get_xy() == (-0.5, 0.5)
    plots.plt.close(fig)


def test_every_seed_has_its_point_and_every_condition_its_mean():
    scores = {"one": {"x": [0.1, 0.3], "y": [0.5]}, "two": {"x": [0.2, 0.2], "y": [0.6]}}
    fig = plots.seed_points(scores, {"one": "mIoU", "two": "F"})
    first, second = fig.axes
    means, points = first.lines[::2], first.lines[1::2]
    assert [round(line.get_xdata()[0], 6) for line in means] == [0.2, 0.5]
    assert [list(line.get_xdata()) for line in points] == [[0.1, 0.3], [0.5]]
    assert len(second.lines) == 4
    assert [label.get_text() for label in first.get_yticklabels()] == ["x", "y"]
    assert (first.get_xlabel(), second.get_title()) == ("mIoU", "two")
    plots.plt.close(fig)
