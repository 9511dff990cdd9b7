"""Masks of clips, drawn: each tubelet covers its pixels, and the picture shows what the mask says."""

import pytest
import torch

from minijepa import plots
from minijepa.masking import random_tubelets, random_tubes
from minijepa.plots.figures import GREY, ORANGE

GRID, SIZE = (2, 2, 2), (4, 6, 4)


def test_each_number_covers_its_tubelet():
    cube = plots.over_pixels(torch.arange(8.0), GRID, SIZE)
    assert cube.shape == SIZE
    for time in range(4):
        for row in range(6):
            for column in range(4):
                assert cube[time, row, column] == (time // 2) * 4 + (row // 3) * 2 + column // 2
    with pytest.raises(ValueError, match=r"\(4, 5, 4\)"):
        plots.over_pixels(torch.zeros(8), GRID, (4, 5, 4))


def test_tubelets_that_are_not_kept_are_grey():
    clip = torch.full(SIZE, 200, dtype=torch.uint8)
    kept = plots.keep_tubelets(clip, torch.tensor([0, 7]), GRID)
    assert (kept[:2, :3, :2] == 200).all() and (kept[2:, 3:, 2:] == 200).all()
    assert (kept == 200).sum() == 2 * 2 * 3 * 2
    coloured = plots.keep_tubelets(clip[..., None].expand(*SIZE, 3).numpy(), torch.tensor([0, 7]), GRID)
    assert torch.equal(coloured, kept[..., None].expand(*SIZE, 3))


def test_a_tubelet_is_framed_and_nothing_else_is_changed():
    clip = torch.full((4, 8, 6, 3), 9, dtype=torch.uint8)
    framed = plots.frame_tubelet(clip, 6, GRID, colour=(1, 2, 3))  # time 1, row 1, column 0: 2 frames of 4 x 3 pixels
    changed = (framed != clip).any(-1)
    assert changed.sum() == 2 * (4 * 3 - 2 * 1) and changed[2:, 4:, :3].sum() == changed.sum()
    assert not changed[2:, 5:7, 1].any(), "the values inside can still be read"
    assert (framed[changed] == torch.tensor([1, 2, 3])).all()
    assert (clip == 9).all(), "the clip that was given stays as it was"


def test_the_gallery_covers_what_the_masks_hide():
    clip = torch.randint(0, 255, (8, 16, 16), dtype=torch.uint8)
    grid = (4, 4, 4)
    generator = torch.Generator().manual_seed(0)
    masks = {
        "tubes": random_tubes(1, grid, context_keep=4, target_keep=10, generator=generator),
        "tubelets": random_tubelets(1, grid, context_keep=16, target_keep=40, generator=generator),
    }
    fig = plots.tube_gallery(clip, masks, grid)
    axes = [[fig.axes[4 * row + time] for time in range(4)] for row in range(3)]
    assert [ax.get_title() for ax in axes[0]] == ["time 1", "time 2", "time 3", "time 4"]
    assert not any(ax.patches for ax in axes[0]), "the first row is the clip itself"
    places = []
    for row, mask in zip(axes[1:], masks.values(), strict=True):
        asked = []
        for time, ax in enumerate(row):
            colours = [plots.plt.matplotlib.colors.to_hex(patch.get_facecolor()).upper() for patch in ax.patches]
            assert set(colours) <= {ORANGE, GREY}
            for patch, colour in zip(ax.patches, colours, strict=True):
                assert patch.get_width() == patch.get_height() == 4
                if colour == ORANGE:
                    column, place = round(patch.get_x() + 0.5) // 4, round(patch.get_y() + 0.5) // 4
                    asked.append(16 * time + 4 * place + column)
        assert sorted(asked) == sorted(mask.targets[0].flatten().tolist())
        hidden = sum(len(ax.patches) for ax in row)
        assert hidden == 64 - mask.context.shape[1]
        places.append([{a % 16 for a in asked if a // 16 == time} for time in range(4)])
    tubes, tubelets = places
    assert all(each == tubes[0] for each in tubes), "a tube hides the same places at all times"
    assert any(each != tubelets[0] for each in tubelets)
    plots.plt.close(fig)
