"""The figures of the senses show the numbers they are given."""

import torch

from minijepa import plots

DIRECTIONS = ((0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1))
NAMES = ("image", "caption", "tone")


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_columns_show_image_tone_and_loudness():
    images = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    spectrograms, series = torch.rand(3, 1, 8, 4), torch.rand(3, 1, 16)
    figure = plots.sense_columns(images, spectrograms, ["a b c d e"] * 3, series)
    assert torch.equal(torch.tensor(figure.axes[1].images[0].get_array()), images[1].permute(1, 2, 0))
    assert torch.allclose(torch.tensor(figure.axes[4].images[0].get_array()), spectrograms[1, 0])
    assert torch.allclose(torch.tensor(figure.axes[7].lines[0].get_ydata()), series[1, 0])
    assert figure.axes[0].get_xlabel() == "a b c\nd e"
    plots.plt.close(figure)


def test_grids_have_sources_in_rows_and_targets_in_columns():
    values = torch.arange(6) / 10
    figure = plots.recall_grids({"a": values, "b": values, "c": values, "d": values, "e": values}, DIRECTIONS, NAMES)
    grid = figure.axes[4].images[0].get_array()
    for (s, t), value in zip(DIRECTIONS, values, strict=True):
        assert abs(float(grid[s, t]) - float(value)) < 1e-6
    assert texts(figure.axes[0]) == [f"{value:.2f}" for value in values.tolist()]
    assert not figure.axes[5].axison, "a place without a table is empty"
    plots.plt.close(figure)


def test_dots_show_each_seed_and_the_mean():
    figure = plots.condition_dots({"one": [0.1, 0.2, 0.3], "two": [0.5]}, {"chance": 0.01}, "R@1")
    (ax,) = figure.axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["one", "two"]
    assert sorted(line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o") == [0.1, 0.5]
    assert [text.strip() for text in texts(ax)] == ["0.200", "0.500"]
    plots.plt.close(figure)


def test_routing_maps_and_direction_grids_write_their_numbers():
    use, cosines = torch.rand(6, 4), torch.eye(6)
    figure = plots.routing_maps({"start": use, "trained": use}, DIRECTIONS, NAMES)
    assert texts(figure.axes[1]) == [f"{value:.1f}" for value in use.flatten().tolist()]
    assert figure.axes[0].get_yticklabels()[2].get_text() == "caption → image"
    plots.plt.close(figure)
    figure = plots.direction_grids({"a": cosines}, DIRECTIONS, NAMES)
    assert texts(figure.axes[0]).count("1.0") == 6
    assert figure.axes[0].get_xticklabels()[5].get_text() == "t→c"
    plots.plt.close(figure)
