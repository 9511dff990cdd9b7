"""Maps show the numbers at their cells, walls apart; bars show means, and a dot for every seed."""

import numpy as np
import torch

from minijepa import plots
from minijepa.worlds import GridRooms

WORLD = GridRooms(("#####", "#   #", "#####"))


def test_maps_show_each_cell_and_leave_walls_out():
    numbers = torch.tensor([[-2.0, 0.0, 1.0], [4.0, 3.0, 2.0]])
    maps = dict(zip(("one", "two"), WORLD.on_map(numbers), strict=True))
    for label, limits in ((None, [(-2, 2), (-4, 4)]), ("value", [(-4, 4), (-4, 4)])):
        figure = plots.grid_maps(maps, label, marks={"two": (1, 3)})
        panels = figure.axes[:2]
        for ax, (title, picture), row, limit in zip(panels, maps.items(), numbers, limits, strict=True):
            drawn = ax.images[0].get_array()
            assert ax.get_title() == title and drawn.mask.sum() == 12 == np.isnan(picture.numpy()).sum()
            assert drawn[1, 1:4].tolist() == row.tolist() and ax.images[0].get_clim() == limit
        assert not panels[0].lines and panels[1].lines[0].get_xydata().tolist() == [[3, 1]]
        assert len(figure.axes) == (3 if label else 2)
        plots.plt.close(figure)
    figure = plots.grid_maps(maps, signed=False)
    assert [ax.images[0].get_clim() for ax in figure.axes] == [(-2, 1), (2, 4)]
    plots.plt.close(figure)


def test_bars_are_means_and_dots_are_seeds():
    table = {"a": {"goals": [0.1, 0.3], "bumps": [0.5, 0.7]}, "b": {"goals": [0.0, 0.2], "bumps": [1.0, 0.8]}}
    figure = plots.seed_bars(table, "score", ("best", 1.0))
    (ax,) = figure.axes
    heights = [bar.get_height() for bar in ax.patches]
    np.testing.assert_allclose(heights, [0.2, 0.6, 0.1, 0.9])
    dots = [line.get_ydata().tolist() if hasattr(line.get_ydata(), "tolist") else line.get_ydata()
            for line in ax.lines if line.get_marker() == "o"]  # fmt: skip
    assert dots == [[0.1, 0.3], [0.5, 0.7], [0.0, 0.2], [1.0, 0.8]]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["goals", "bumps"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]
    plots.plt.close(figure)
