"""The animated picture of the first page: what the program makes of a tiny run, and the file that is committed."""

import re

import numpy as np
import pytest
import torch
from helpers import REPO, load_tool, planted, seeded
from PIL import Image

from minijepa.datasets import shapeworld

animation = load_tool("animation")
PICTURE = REPO / "docs" / "learning.gif"


def frames_of(path):
    """The frames of an animation, uint8 [T, H, W, 3], and how long each stays, in milliseconds."""
    with Image.open(path) as film:
        frames, durations = [], []
        for number in range(film.n_frames):
            film.seek(number)
            frames.append(np.asarray(film.convert("RGB")))
            durations.append(film.info["duration"])
    return np.stack(frames), durations


def test_a_tiny_run_makes_the_promised_frames_and_says_how(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(animation, "load", lambda name: (shapeworld(100, seed=0), shapeworld(40, seed=1)))
    for name, value in {"LABELLED": 60, "SCORED": 40, "COLOURED": 16}.items():
        monkeypatch.setattr(animation, name, value)
    out = tmp_path / "small.gif"
    animation.main(["--data", "shapeworld", "--steps", "3", "--frames", "3", "--out", str(out)])
    frames, durations = frames_of(out)
    assert frames.shape == (3, 430, 800, 3)
    assert durations == [animation.FIRST, animation.EACH, animation.EACH]
    assert all((frames[i] != frames[j]).any() for i, j in ((0, 1), (1, 2), (0, 2)))
    printed = capsys.readouterr().out
    assert "python tools/animation.py --data shapeworld --steps 3 --frames 3 --seed 0\n" in printed
    assert re.search(
        r"kNN accuracy: I-JEPA 0\.\d{3}, raw pixels 0\.\d{3}, random-init 0\.\d{3}, chance 0\.100", printed
    )
    with Image.open(out) as film:
        assert film.info["comment"].decode() in printed


def test_too_few_frames_get_a_usage_message(capsys):
    with pytest.raises(SystemExit):
        animation.main(["--frames", "1"])
    assert "at least 2" in capsys.readouterr().err


def test_snapshots_go_from_the_start_to_the_end_and_lie_closer_at_the_start():
    steps = animation.snapshot_steps(1000, 21)
    gaps = np.diff(steps)
    assert steps[0] == 0 and steps[-1] == 1000 and len(steps) == 21
    assert (gaps > 0).all() and (np.diff(gaps) >= -1).all()  # growing, up to rounding
    assert animation.snapshot_steps(2, 21) == [0, 1, 2]


def test_the_first_frame_is_the_last_picture(tmp_path):
    pictures = [Image.new("RGB", (8, 8), (value, value, value)) for value in (0, 100, 200)]
    animation.write(pictures, tmp_path / "a.gif", "made here")
    frames, _ = frames_of(tmp_path / "a.gif")
    assert frames[:, 0, 0, 0].tolist() == [200, 0, 100]


def snapshots(rotation):
    """Two snapshots of one model: the second has the same embeddings in another basis, rotation [D, D]."""
    tokens = torch.randn(16, 64, 6, generator=seeded()) * torch.tensor([9.0, 4, 1, 1, 1, 1])  # [B, N, D]
    positions = torch.stack([torch.randperm(64, generator=seeded(i))[:5] for i in range(3)])  # [3, K_t]
    shown = tokens[list(animation.SHOWN)]
    predicted = shown.gather(1, positions[..., None].expand(-1, -1, 6))  # a perfect prediction
    each = [animation.Snapshot(i, 0.0, tokens @ r, predicted @ r) for i, r in enumerate((rotation, torch.eye(6)))]
    return each, positions


def turned(module, rotation):
    """How much the colours of two snapshots differ that differ in their basis alone. rotation: [D, D]."""
    each, positions = snapshots(rotation)
    (before, _), (after, _) = module.colours(each, positions)
    return np.abs(before - after).max()


def test_colours_do_not_turn_with_the_basis_and_a_perfect_prediction_has_those_of_its_target():
    each, positions = snapshots(torch.eye(6))
    for target, predicted in animation.colours(each, positions):
        assert target.shape == (3, 5, 3) and np.allclose(target, predicted, atol=1e-5)
    some, _ = torch.linalg.qr(torch.randn(6, 6, generator=seeded(1)))
    assert turned(animation, some) < 1e-3 and turned(animation, -torch.eye(6)) < 1e-3
    bug = planted(animation, "directions = directions @ u @ v", "pass")
    assert turned(bug, -torch.eye(6)) > 0.1


def test_colours_grow_lighter_and_warmer():
    corner = {(a, b): animation.two_colours(np.array([a, b], float)) for a in (0, 1) for b in (0, 1)}
    weights = np.array([0.2126, 0.7152, 0.0722])  # of red, green and blue in lightness
    for warm in (0, 1):
        assert corner[1, warm] @ weights > corner[0, warm] @ weights + 0.3
    for light in (0, 1):
        blue, orange = corner[light, 0], corner[light, 1]
        assert blue[2] > blue[0] and orange[0] > orange[2]  # which does not depend on telling red from green


def test_the_committed_animation_is_small_short_and_says_where_it_comes_from():
    frames, durations = frames_of(PICTURE)
    assert frames.shape == (21, 430, 800, 3) and PICTURE.stat().st_size < 900_000
    assert sum(durations) <= 12_000 and durations[0] == animation.FIRST
    with Image.open(PICTURE) as film:
        assert "python tools/animation.py --data cifar10" in film.info["comment"].decode()


@pytest.mark.parametrize("page", ["README.md", "book/index.md"])
def test_pages_describe_the_animation_with_the_numbers_that_were_measured(page):
    text = (REPO / page).read_text(encoding="utf-8")
    (words,) = re.findall(r"!\[([^\]]+)\]\((?:\.\./)?docs/learning\.gif\)", text)
    with Image.open(PICTURE) as film:
        measured = re.findall(r"(?:I-JEPA|raw pixels|random-init) 0(\.\d{3})", film.info["comment"].decode())
    assert len(words.split()) > 30 and len(measured) == 3
    assert {f"{float(number):.2f}"[1:] for number in measured} == set(re.findall(r"(?<![\d])\.\d\d\b", words))
