"""The landscapes of the fork show the energies as given, and the answers where they are."""

import torch

from minijepa import plots


def test_landscapes_share_a_scale_and_mark_the_answers():
    f, answers = torch.rand(5, 4), torch.tensor([[-1.0, 1.0], [1.0, 1.0]])
    both = {"one": (f, answers[:1]), "two": (2 * f, answers)}
    for dots in (True, False):
        figure = plots.fork_landscapes(both, (-2, 2, -1, 2), dots)
        *panels, bar = figure.axes
        assert [ax.get_title() for ax in panels] == ["one", "two"] and bar.get_ylabel() == "energy F"
        for ax, (energy, places) in zip(panels, both.values(), strict=True):
            assert torch.equal(torch.tensor(ax.images[0].get_array()), energy) and ax.images[0].origin == "lower"
            assert ax.images[0].get_clim() == (0, 1) and ax.images[0].get_extent() == [-2, 2, -1, 2]
            crosses = [line.get_xydata().tolist() for line in ax.lines if line.get_marker() == "x"]
            assert crosses == ([places.tolist()] if dots else [])
        plots.plt.close(figure)
