"""The pictures of masks show what the masks hold."""

import torch

from minijepa import plots
from minijepa.plots.masks import KINDS, patch_kinds


def test_each_patch_is_drawn_as_what_it_is():
    context, targets = torch.tensor([0, 3]), torch.tensor([[1, 2], [2, 5]])
    assert patch_kinds(context, targets, 6).tolist() == [1, 2, 3, 1, 0, 2]
    figure = plots.mask_maps({"a": {"one": (context, targets), "two": (context, targets[:1])}}, (2, 3))
    drawn = [ax.images[0].get_array().tolist() for ax in figure.axes]
    assert drawn == [[[1, 2, 3], [1, 0, 2]], [[1, 2, 2], [1, 0, 0]]]
    assert [ax.get_title() for ax in figure.axes] == ["one", "two"] and figure.axes[0].get_ylabel() == "a"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(KINDS)
    plots.plt.close(figure)


def test_heat_maps_share_a_scale_whose_end_says_when_values_exceed_it():
    maps = {"a": {"x": torch.zeros(2, 2), "y": torch.full((2, 2), 4.0)}}
    for high, extend in ((3, "max"), (4, "neither")):
        figure = plots.heat_table(maps, "per patch", high=high)
        first, second, bar = figure.axes
        assert first.images[0].get_clim() == second.images[0].get_clim() == (0, high)
        assert second.images[0].colorbar.extend == extend and bar.get_ylabel() == "per patch"
        plots.plt.close(figure)
