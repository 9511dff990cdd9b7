"""Clips of moving things: the pixels show what the labels say, and one frame does not give the motion away."""

import math

import pytest
import torch

from minijepa.datasets.clips import ClipData, shuffle_frames
from minijepa.datasets.shapes.moving import DIRECTIONS, bundled_digits, moving_digits, moving_shapes


@pytest.fixture(scope="module")
def clips():
    return moving_shapes(400, seed=3)


@pytest.mark.parametrize("draw", [moving_shapes, moving_digits])
def test_the_pixels_move_as_the_factors_say(draw):
    """Both objects move together, so the whole picture is shifted: a Fourier coefficient changes only its phase."""
    data = draw(60, speed=(0.5, 1.5), noise=0.0)
    phase = torch.fft.fft2(data.clips[:, 0].double())  # [N, T, S, S]
    for axis, first in ((0, phase[:, :, 0, 1]), (1, phase[:, :, 1, 0])):  # one wave across, one wave down
        strong = first.abs()[:, 0] > 2000  # else the waves of the two objects nearly cancel
        steps = torch.angle(first[:, 1:] / first[:, :-1]) * 32 / (-2 * math.pi)  # [N, T - 1] pixels
        velocity = data.factors["velocity"][:, axis].double()
        assert strong.sum() > 20
        torch.testing.assert_close(steps.mean(1)[strong], velocity[strong], atol=0.1, rtol=0)
    places = torch.stack([data.factors["x"], data.factors["y"]], -1)  # [N, 2, T, 2]
    moves = (places.diff(dim=2) + 16) % 32 - 16
    torch.testing.assert_close(moves, data.factors["velocity"][:, None, None].expand_as(moves), atol=1e-4, rtol=0)


def test_shapes_are_where_the_factors_say():
    data = moving_shapes(200, noise=0.0)
    x, y = data.factors["x"].long(), data.factors["y"].long()  # [N, 2, T]
    n, t = torch.arange(200)[:, None, None], torch.arange(8)
    assert (data.clips[n, 0, t, y, x] > 150).all()  # the middle of every one of these shapes is covered
    assert data.clips.flatten(1).mode(1).values.eq(26).all()  # the background is 0.1


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


def test_one_frame_does_not_tell_the_direction():
    """Places in any frame do not depend on the direction."""
    data = moving_shapes(4000, frames=5)
    middle = torch.stack([data.factors["x"], data.factors["y"]], -1)[:, 0, 2]  # [N, 2]
    overall = middle.mean(dim=0)
    spread = middle.std(dim=0) / (4000 / 8) ** 0.5
    for direction in range(8):
        mean = middle[data.labels["direction"] == direction].mean(dim=0)
        assert ((mean - overall).abs() < 4 * spread).all()


def test_what_leaves_on_one_side_comes_back_on_the_other():
    wrapped = moving_shapes(50, speed=(3, 5), noise=0.0)
    ink = (wrapped.clips.double() - 26).clamp(min=0).sum((1, 3, 4))  # [N, T]: nothing is lost at a border
    assert (ink.std(dim=1) < 0.03 * ink.mean(dim=1)).all()
    assert wrapped.factors["x"].min() >= 0 and wrapped.factors["x"].max() < 32


@pytest.mark.parametrize(("size", "frames"), [(16, 4), (64, 2)])
def test_size_frames_speed_and_noise_do_what_they_say(size, frames):
    data = moving_shapes(300, size=size, frames=frames, speed=(2, 4), noise=0.0)
    assert data.clips.shape == (300, 1, frames, size, size)
    speed = data.factors["velocity"].norm(dim=1) * 32 / size
    assert 2 <= speed.min() < 2.2 and 3.8 < speed.max() <= 4
    assert 4 * size / 32 <= data.factors["radius"].min() and data.factors["radius"].max() <= 6 * size / 32
    noisy = moving_shapes(300, size=size, frames=frames, speed=(2, 4), noise=0.1)
    middle = (data.clips > 110) & (data.clips < 200)  # where nothing is clipped
    assert float((noisy.clips.float() - data.clips.float())[middle].std()) / 255 == pytest.approx(0.1, rel=0.05)


def test_a_seed_gives_the_clips_that_it_always_gave():
    """Pixels written down when the recorded runs were made; in the second chunk too."""
    for draw, known in (
        (moving_shapes, [[61, 192, 89, 29, 55, 38, 0, 21], [8, 120, 178, 190, 186, 61, 26, 0]]),
        (moving_digits, [[55, 147, 19, 29, 55, 38, 0, 21], [8, 14, 19, 95, 115, 6, 26, 0]]),
    ):
        clips = draw(150, seed=1, size=16).clips
        found = torch.stack([clips[0, 0, 0, 9, :8], clips[149, 0, 7, 5, 8:]]).int()
        assert (found - torch.tensor(known)).abs().max() <= 1  # rounding may differ between machines


def test_same_arguments_same_clips_and_fewer_are_the_first(clips):
    again = moving_shapes(150, seed=3)
    assert torch.equal(again.clips, clips.clips[:150])
    assert torch.equal(again.labels["direction"], clips.labels["direction"][:150])
    assert not torch.equal(moving_shapes(150, seed=4).clips, again.clips)


def test_digits_are_the_bundled_ones_and_the_held_out_ones_are_others():
    train, heldout = moving_digits(300), moving_digits(300, heldout=True)
    assert set(train.labels["digit"].tolist()) == set(range(10)) and train.classes["digit"][3] == "3"
    (a, labels), (b, _) = bundled_digits(False), bundled_digits(True)
    assert len(a) + len(b) == 1797 and len(labels) == len(a)
    assert not (a.flatten(1)[:, None] == b.flatten(1)[None]).all(dim=2).any()
    assert heldout.clips.shape == train.clips.shape


def test_normalised_values_are_about_standard():
    x = moving_shapes(256).batch()
    assert abs(float(x.mean())) < 0.15 and abs(float(x.std()) - 1) < 0.15


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
    ("settings", "named"),
    [
        ({"n": 0}, "n is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"frames": 1}, "frames is 1"),
        ({"size": 8}, "size is 8"),
        ({"speed": (0, 2)}, r"speed is \(0, 2\)"),
        ({"speed": (3, 2)}, r"speed is \(3, 2\)"),
        ({"speed": (2, 9)}, "at most 8 pixels"),
        ({"noise": 2}, "noise is 2"),
    ],
)
def test_errors_name_the_number(settings, named):
    with pytest.raises(ValueError, match=named):
        moving_shapes(**{"n": 2, **settings})


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
