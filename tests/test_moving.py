"""Clips of moving things: the pixels show what the labels say, and one frame does not give the motion away."""

import math

import pytest
import torch

from minijepa.datasets.clips import ClipData, shuffle_frames
from minijepa.datasets.shapes.moving import DIRECTIONS, moving_digits, moving_shapes

QUIET = {"noise": 0.0, "count": 1}


@pytest.fixture(scope="module")
def clips():
    return moving_shapes(400, seed=3)


def centres(clips):
    """Centre of what is brighter than the background in each frame, (x, y) in pixels: [N, T, 2]."""
    ink = (clips[:, 0].double() - 26).clamp(min=0)  # [N, T, S, S]; the background is 0.1
    grid = torch.arange(ink.shape[-1]) + 0.5
    total = ink.sum((2, 3))
    return torch.stack([(ink.sum(2) * grid).sum(2), (ink.sum(3) * grid).sum(2)], -1) / total[..., None]


@pytest.mark.parametrize("draw", [moving_shapes, moving_digits])
def test_the_pixels_move_as_the_factors_say(draw):
    data = draw(60, start="middle", speed=(0.5, 1.5), **QUIET)
    found = centres(data.clips)  # [N, T, 2]
    velocity = data.factors["velocity"].double()
    torch.testing.assert_close((found[:, -1] - found[:, 0]) / 7, velocity, atol=0.06, rtol=0)
    torch.testing.assert_close(found.diff(dim=1), velocity[:, None].expand(-1, 7, -1), atol=0.3, rtol=0)
    places = torch.stack([data.factors["x"], data.factors["y"]], -1)[:, 0]
    assert ((found - places).abs().amax(dim=(1, 2)) < (0.3 if draw is moving_shapes else 2.5)).all()


def test_labels_follow_from_the_factors(clips):
    angle, velocity = clips.factors["angle"], clips.factors["velocity"]
    assert torch.equal(((angle / (math.pi / 4)).round() % 8).long(), clips.labels["direction"])
    torch.testing.assert_close(torch.atan2(velocity[:, 1], velocity[:, 0]) % (2 * math.pi), angle)
    assert DIRECTIONS[2] == "down" and (velocity[clips.labels["direction"] == 2, 1] > 0).all()
    thirds = ((velocity.norm(dim=1) - 1) / 2 * 3).long()
    assert torch.equal(thirds, clips.labels["speed"])
    assert torch.equal((clips.factors["radius"][:, 0] > 5).long(), clips.labels["size"])
    for name, values in clips.labels.items():
        assert values.max() < len(clips.classes[name]), name
    for name in ("direction", "speed", "shape", "size"):  # all values, about equally often
        share = torch.bincount(clips.labels[name], minlength=len(clips.classes[name])) / len(clips)
        assert (share - 1 / len(share)).abs().max() < 0.08, name


@pytest.mark.parametrize("start", ["wrap", "middle"])
def test_one_frame_does_not_tell_the_direction(start):
    """Places at mid-clip do not depend on the direction, and the label is in no frame's mean place or brightness."""
    data = moving_shapes(4000, start=start, speed=(0.5, 1.5), frames=5, **QUIET)
    middle = torch.stack([data.factors["x"], data.factors["y"]], -1)[:, 0, 2]  # [N, 2]
    overall = middle.mean(dim=0)
    spread = middle.std(dim=0) / (4000 / 8) ** 0.5
    for direction in range(8):
        mean = middle[data.labels["direction"] == direction].mean(dim=0)
        assert ((mean - overall).abs() < 4 * spread).all()


def test_wrapping_and_bouncing():
    wrapped = moving_shapes(50, speed=(3, 5), **QUIET)
    ink = (wrapped.clips.double() - 26).clamp(min=0).sum((1, 3, 4))  # [N, T]: nothing is lost at a border
    assert (ink.std(dim=1) < 0.03 * ink.mean(dim=1)).all()
    assert wrapped.factors["x"].min() >= 0 and wrapped.factors["x"].max() < 32
    bounced = moving_shapes(200, start="bounce", speed=(3, 5), **QUIET)
    x = bounced.factors["x"][:, 0]  # [N, T]
    assert x.min() >= 6 and x.max() <= 26
    steps = x.diff(dim=1)
    assert (steps.abs() <= bounced.factors["velocity"][:, :1].abs() + 1e-4).all()
    assert ((steps[:, 0] * steps[:, -1]) < 0).sum() > 40  # many have turned round


def test_each_knob_does_its_own(clips):
    still = moving_shapes(40, camera=0.0, texture=0.4, count=1, noise=0.0)
    moved = moving_shapes(40, camera=1.5, texture=0.4, count=1, noise=0.0)
    assert torch.equal(still.labels["direction"], moved.labels["direction"])
    assert torch.equal(still.factors["velocity"], moved.factors["velocity"])
    drift = moved.factors["camera"]
    assert drift.abs().max() <= 1.5 and drift.abs().mean() > 0.5 and still.factors["camera"].abs().max() == 0
    shift = torch.stack([moved.factors["x"] - still.factors["x"], moved.factors["y"] - still.factors["y"]], -1)[:, 0]
    time = torch.arange(8)[:, None]
    torch.testing.assert_close((shift + 16) % 32 - 16, (drift[:, None] * time + 16) % 32 - 16, atol=1e-3, rtol=0)
    # a static background does not change where no object comes, a drifting one does
    quiet = still.clips[:, 0].float().std(dim=1).flatten(1).quantile(0.2, dim=1)
    assert quiet.max() < 0.5 < moved.clips[:, 0].float().std(dim=1).flatten(1).quantile(0.2, dim=1).median()

    barred = moving_shapes(20, occluder=0.25, noise=0.0)
    grey = (barred.clips[:, 0] == 128).all(dim=1).all(dim=1)  # [N, S]: columns that are the bar
    assert ((grey.sum(1) >= 7) & (grey.sum(1) <= 9)).all()

    changing = moving_shapes(60, change=0.8, **QUIET)
    brightness = (changing.clips.float() - 26).clamp(min=0).sum((1, 3, 4))  # [N, T]
    ratio = brightness[:, -1] / brightness[:, 0]
    assert (ratio[changing.labels["change"] == 0] < 0.4).all() and (ratio[changing.labels["change"] == 2] > 2.5).all()
    assert ((ratio[changing.labels["change"] == 1] - 1).abs() < 0.05).all()

    crowd = moving_shapes(60, count=(1, 4), radius=(2, 3), channels=3, colour="random")
    assert crowd.clips.shape == (60, 3, 8, 32, 32) and set((crowd.labels["count"] + 1).tolist()) == {1, 2, 3, 4}
    assert torch.equal((~crowd.factors["x"][..., 0].isnan()).sum(1), crowd.labels["count"] + 1)
    for size, frames in ((16, 4), (64, 2)):
        assert moving_shapes(3, size=size, frames=frames).clips.shape == (3, 1, frames, size, size)


def test_same_arguments_same_clips_and_fewer_are_the_first(clips):
    again = moving_shapes(150, seed=3)
    assert torch.equal(again.clips, clips.clips[:150])
    assert torch.equal(again.labels["direction"], clips.labels["direction"][:150])
    assert not torch.equal(moving_shapes(150, seed=4).clips, again.clips)


def test_digits_are_the_bundled_ones_and_the_held_out_ones_are_others():
    train, heldout = moving_digits(300), moving_digits(300, heldout=True)
    assert set(train.labels["digit"].tolist()) == set(range(10)) and train.classes["digit"][3] == "3"
    from minijepa.datasets.shapes.moving import _digits

    (a, labels), (b, _) = _digits(False), _digits(True)
    assert len(a) + len(b) == 1797 and len(labels) == len(a)
    assert not (a.flatten(1)[:, None] == b.flatten(1)[None]).all(dim=2).any()
    assert heldout.clips.shape == train.clips.shape


def test_normalised_values_are_about_standard():
    for colour in ("bright", "random"):
        x = moving_shapes(256, colour=colour).batch()
        assert abs(float(x.mean())) < 0.15 and abs(float(x.std()) - 1) < 0.15, colour


def test_clip_data_is_cut_and_normalised_like_images(clips):
    index = torch.tensor([5, 0, 7])
    x = clips.batch(index)
    expected = (clips.clips[index].double() / 255 - clips.mean[0]) / clips.std[0]
    torch.testing.assert_close(x.double(), expected, atol=1e-5, rtol=0)
    assert x.shape == (3, 1, 8, 32, 32) and clips.batch(slice(0, 4)).shape[0] == 4 and len(clips) == 400
    part = clips.subset(clips.labels["direction"] == 1)
    assert len(part) == int((clips.labels["direction"] == 1).sum()) and set(part.labels["direction"].tolist()) == {1}
    assert torch.equal(part.factors["angle"], clips.factors["angle"][clips.labels["direction"] == 1])
    assert "400 clips of 8 frames" in repr(clips)
    colour = ClipData(torch.full((2, 3, 2, 4, 4), 51, dtype=torch.uint8), {}, {}, "c", (0.2, 0.1, 0.0), (1.0, 0.5, 0.1))
    torch.testing.assert_close(colour.batch()[0, :, 0, 0, 0], torch.tensor([0.0, 0.2, 2.0]))


def test_shuffled_frames_are_the_same_frames():
    clips = torch.arange(6 * 2 * 5 * 4, dtype=torch.uint8).view(6, 2, 5, 2, 2)
    mixed = shuffle_frames(clips, seed=1)
    assert torch.equal(mixed, shuffle_frames(clips, seed=1)) and not torch.equal(mixed, clips)
    orders = set()
    for a, b in zip(clips, mixed, strict=True):
        order = [int((a[0] == b[0, t]).all(dim=(1, 2)).nonzero()[0]) for t in range(5)]
        assert sorted(order) == list(range(5)) and torch.equal(b, a[:, order])  # both channels alike
        orders.add(tuple(order))
    assert len(orders) > 1  # each clip its own


@pytest.mark.parametrize(
    ("knobs", "named"),
    [
        ({"shapes": ("disk", "blob")}, "blob.*star"),
        ({"frames": 1}, "frames is 1"),
        ({"size": 8}, "size is 8"),
        ({"channels": 2}, "channels is 2"),
        ({"count": 5}, r"\(5, 5\).*1 to 4"),
        ({"radius": (5, 9)}, "9.*8 pixels"),
        ({"speed": (0, 2)}, "speed.*above 0|speed is"),
        ({"start": "left"}, "'left'.*wrap"),
        ({"colour": "red"}, "'red'.*bright"),
        ({"camera": 3}, "3.*0 to 2"),
        ({"noise": 2}, "noise is 2"),
        ({"occluder": 0.9}, "occluder is 0.9"),
        ({"start": "middle", "speed": (1, 4)}, "20.0 pixels.*16"),
    ],
)
def test_errors_name_the_number(knobs, named):
    with pytest.raises(ValueError, match=named):
        moving_shapes(2, **knobs)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"clips": torch.zeros(2, 1, 2, 4, 4)}, "float32"),
        ({"clips": torch.zeros(2, 2, 2, 4, 4, dtype=torch.uint8)}, r"\[2, 2, 2, 4, 4\]"),
        ({"labels": {"direction": torch.zeros(3, dtype=torch.int64)}}, r"direction.*\[3\]"),
        ({"classes": {}}, "direction"),
        ({"factors": {"angle": torch.zeros(1)}}, "angle.*1 rows for 2"),
        ({"mean": (0.5, 0.5)}, "1 channels"),
    ],
)
def test_clip_data_refuses_what_does_not_fit(change, named):
    good = dict(
        clips=torch.zeros(2, 1, 2, 4, 4, dtype=torch.uint8),
        labels={"direction": torch.zeros(2, dtype=torch.int64)},
        classes={"direction": DIRECTIONS},
        name="test",
        mean=(0.5,),
        std=(0.2,),
    )
    ClipData(**good)
    with pytest.raises(ValueError, match=named):
        ClipData(**{**good, **change})
