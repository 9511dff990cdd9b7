"""The matrices of notebook 11: every number in its cell, the pairs on the diagonal."""

import torch

from minijepa import plots


def test_every_score_stands_in_its_cell():
    table = {"SimCLR": {"shape": 0.5, "colour": -0.1}, "BYOL": {"shape": 1.0, "colour": 0.25}}
    fig = plots.factor_matrix({"z": table, "h": table}, rules=(1,))
    first, second = fig.axes[:2]
    assert [text.get_text() for text in first.texts] == [".50", ".00", "1.00", ".25"]
    assert first.images[0].get_array().tolist() == [[0.5, 0.0], [1.0, 0.25]]
    assert [label.get_text() for label in first.get_yticklabels()] == ["SimCLR", "BYOL"]
    assert [label.get_text() for label in second.get_yticklabels()] == ["", ""]
    assert [ax.get_title() for ax in (first, second)] == ["z", "h"]
    plots.plt.close(fig)


def test_a_row_may_be_blank_in_a_later_panel():
    table = {"pixels": {"x": 0.5}, "BYOL": {"x": 1.0}}
    fig = plots.factor_matrix({"h": table, "z": {"pixels": {}, "BYOL": {"x": 0.25}}})
    first, second = fig.axes[:2]
    assert [text.get_text() for text in first.texts] == [".50", "1.00"]
    assert [text.get_text() for text in second.texts] == ["", ".25"]
    plots.plt.close(fig)


def test_pairs_are_marked_on_the_diagonal():
    images = torch.zeros(3, 3, 4, 4, dtype=torch.uint8)
    cosines = torch.tensor([[1.0, 0.0, -1.0], [0.0, 0.5, 0.0], [0.0, 0.0, 0.25]])
    fig = plots.retrieval_matrix(cosines, images, ["one", "two", "three"])
    matrix = fig.axes[0]
    assert torch.equal(torch.tensor(matrix.images[0].get_array().tolist()), cosines)
    assert [label.get_text() for label in matrix.get_yticklabels()] == ["one", "two", "three"]
    assert [(text.get_position()) for text in matrix.texts] == [(0, 0), (1, 1), (2, 2)]
    assert sum(bool(ax.images) for ax in fig.axes) >= 4  # the matrix and an image for each column
    plots.plt.close(fig)
