"""The pictures of tokens show the right numbers in the right places."""

import pytest
import torch

from minijepa import plots


def test_a_table_shows_each_number_in_its_cell_and_the_colour_of_its_patch():
    figure, ax = plots.plt.subplots()
    plots.number_table(ax, [[0, 1, 2], [3, 4, 5]], [[0, 0, 1], [2, 2, 3]])
    places = {text.get_text(): text.get_position() for text in ax.texts}
    assert places["2"] == (2.5, 0.5) and places["3"] == (0.5, 1.5) and len(places) == 6
    colours = [cell.get_facecolor() for cell in ax.patches]
    assert colours[0] == colours[1] and len(set(colours)) == 4
    assert ax.get_xlim() == (0, 3) and ax.get_ylim() == (2, 0)
    plots.plt.close(figure)


def test_each_map_is_the_row_of_its_patch_and_the_frame_is_around_it():
    maps = torch.arange(64.0).view(8, 8)  # N = 8 patches: a grid of 2 x 4
    image = torch.zeros(3, 8, 16, dtype=torch.uint8)
    figure = plots.patch_maps(image, maps, (2, 4), "weight", {"A": 1, "B": 6})
    picture, first, second, bar = figure.axes
    assert torch.equal(torch.tensor(first.images[0].get_array()), maps[1].view(2, 4))
    assert torch.equal(torch.tensor(second.images[0].get_array()), maps[6].view(2, 4))
    assert first.images[0].get_clim() == second.images[0].get_clim() == (8, 55)
    assert second.patches[0].get_bbox().bounds == pytest.approx((1.5, 0.5, 1, 1))  # row 1, column 2
    assert picture.patches[2].get_bbox().bounds == pytest.approx((7.5, 3.5, 4, 4))  # the same patch in pixels
    assert second.get_title() == "patch B (token 6)" and bar.get_ylabel() == "weight"
    plots.plt.close(figure)
