"""The pictures of notebook 06: every map in its place, boxes where they were given, two points per question."""

import torch

from minijepa import plots


def test_rows_hold_the_pictures_in_order():
    maps = [torch.full((4, 4), float(i)) for i in range(3)]
    fig = plots.map_rows({"image": (maps, {}), "depth": (maps[::-1], {"cmap": "cividis", "vmin": 0, "vmax": 2})})
    assert len(fig.axes) == 6 and [fig.axes[i].get_ylabel() for i in (0, 3)] == ["image", "depth"]
    shown = [float(ax.images[0].get_array()[0, 0]) for ax in fig.axes]
    assert shown == [0, 1, 2, 2, 1, 0]
    assert fig.axes[3].images[0].get_cmap().name == "cividis" and fig.axes[3].images[0].get_clim() == (0, 2)
    plots.plt.close(fig)


def test_boxes_are_drawn_around_pixels_and_empty_ones_left_out():
    fig = plots.map_rows({"image": ([torch.zeros(8, 8)], {})})
    plots.draw_boxes(fig.axes[0], torch.tensor([[2.0, 3.0, 6.0, 5.0], [0.0, 0.0, 0.0, 0.0]]), plots.ORANGE)
    (frame,) = fig.axes[0].patches
    assert frame.get_xy() == (1.5, 2.5) and (frame.get_width(), frame.get_height()) == (4, 2)
    plots.plt.close(fig)


def test_two_points_per_question_joined_by_a_line():
    fig = plots.paired_scores({"class": (0.3, 0.6), "count": (0.5, 0.4)}, ("before", "after"), "score")
    (ax,) = fig.axes
    joined, points = ax.lines[:2], ax.lines[2:]
    assert [tuple(line.get_xdata()) for line in joined] == [(0.3, 0.6), (0.5, 0.4)]
    assert [list(line.get_xdata()) for line in points] == [[0.3, 0.5], [0.6, 0.4]]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["class", "count"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["before", "after"]
    low, high = ax.get_ylim()
    assert low > high, "the first question stands at the top"
    plots.plt.close(fig)
