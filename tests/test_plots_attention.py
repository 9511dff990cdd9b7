"""The picture of a mask shows each entry in its place, with the names of the tokens."""

import pytest
import torch

from minijepa import plots
from minijepa.planning import block_causal_mask


def test_rows_look_at_columns_and_each_token_has_its_name():
    mask = block_causal_mask(2, 3)
    figure = plots.attention_mask(mask, 2, ["a", "1", "2"])
    ax = figure.axes[0]
    assert torch.equal(torch.tensor(ax.images[0].get_array()).bool(), mask)
    for labels in (ax.get_xticklabels(), ax.get_yticklabels()):
        assert [label.get_text() for label in labels] == ["a", "1", "2"] * 2
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("token that is seen", "token that looks")
    thick = [line for line in ax.lines if line.get_linewidth() > 1]
    assert len(ax.lines) == 10 and len(thick) == 2 and thick[0].get_ydata() == [2.5, 2.5]  # between the two steps
    plots.plt.close(figure)


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"2 steps of 2 tokens have a mask of \[4, 4\], got \[6, 6\]"):
        plots.attention_mask(block_causal_mask(2, 3), 2, ["a", "1"])
