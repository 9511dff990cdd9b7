"""Killed and resumed, a run ends where the uninterrupted one ends: bit for bit, wherever it died.

Run as a program, this file is the victim: it trains, writes a checkpoint after every step, and says so.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from minijepa.datasets.augment import crop_flip
from minijepa.jepa import JEPA
from minijepa.masking.blocks import block_masks
from minijepa.predictor import Predictor
from minijepa.training.fit import fit
from minijepa.vit import ViT

REPO = Path(__file__).parents[1]
STEPS = 60
KILLS = [
    (3, 12),
    (20, 30),
    (38, 50),
]  # each somewhere between two steps; a victim starts where the last one died


class Images:
    """Noise that answers `len` and `batch`; 22 images, so that an epoch does not end with a checkpoint."""

    pixels = torch.randn(22, 3, 8, 8, generator=torch.Generator().manual_seed(7))

    def __len__(self):
        return len(self.pixels)

    def batch(self, index=None, device=None):
        return self.pixels[index].to(device)


def build(seed=0):
    torch.manual_seed(seed)
    encoder = ViT(8, 2, dim=24, depth=1, heads=3)
    return JEPA(encoder, Predictor(24, (4, 4), width=12, depth=1, heads=3), weight=0.1)


def draw(batch, generator):
    return block_masks(batch, (4, 4), n_targets=2, target_scale=(0.2, 0.3), context_keep=5, generator=generator)


def train(path, seed=0, **settings):
    """The same run every time; each of its random choices and schedules is in use."""
    model = build(seed)
    history = fit(
        model, Images(), draw, steps=STEPS, batch_size=4, lr=3e-3, warmup=0.1, weight_decay=(0.05, 0.4),
        momentum=(0.9, 1.0), augment=crop_flip, seed=11, checkpoint=path, resume=True,
        **{"save_every": STEPS, **settings},
    )  # fmt: skip
    return model, history


def assert_same(a, b, place="checkpoint"):
    """Equal types, shapes and bits, all the way down."""
    assert type(a) is type(b), place
    if isinstance(a, dict):
        assert a.keys() == b.keys(), place
        for key in a:
            assert_same(a[key], b[key], f"{place}[{key!r}]")
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), place
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{place}[{i}]")
    elif isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype and torch.equal(a, b), place
    else:
        assert a == b, (place, a, b)


def read(path):
    return torch.load(path, weights_only=True)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The uninterrupted run: its last checkpoint, and the model after every step."""
    path, states = tmp_path_factory.mktemp("whole") / "run.pt", {}

    def remember(step, model, row):
        states[step] = {name: value.clone() for name, value in model.state_dict().items()}

    train(path, callbacks=[remember])
    assert not path.with_name("run.pt.part").exists()
    return read(path), states


def test_killed_again_and_again(whole, tmp_path):
    content, states = whole
    path = tmp_path / "run.pt"
    rng = random.Random(0)
    reached = 0
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment}
    # all are started at once, since importing torch takes longest, and let loose one after the other
    victims = [subprocess.Popen([sys.executable, __file__, str(path)], **pipes) for _ in KILLS]
    for victim, (low, high) in zip(victims, KILLS, strict=True):
        wanted = rng.randint(low, high)
        try:
            victim.stdin.write("go\n")
            victim.stdin.flush()
            first = step = int(victim.stdout.readline())
            while step < wanted:
                step = int(victim.stdout.readline())
            time.sleep(rng.uniform(0, 0.02))  # somewhere in a step, or in the writing of a checkpoint
        finally:
            victim.kill()  # SIGKILL where there is one: nothing can be tidied up
            victim.communicate()
        assert victim.returncode == -signal.SIGKILL if os.name == "posix" else victim.returncode != 0
        assert first == reached + 1  # it went on where the last one died, not from the start
        survived = read(path)
        reached = len(survived["rows"])
        assert step - 1 <= reached < STEPS
        assert_same(survived["rows"], content["rows"][:reached], "rows")
        assert_same(dict(survived["model"]), states[reached], f"model after step {reached}")
    model, history = train(path, seed=5)  # another start, which the checkpoint must replace
    assert [row["step"] for row in history.rows] == list(range(1, STEPS + 1))
    assert_same(read(path), content)
    assert_same(dict(model.state_dict()), states[STEPS])


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_checkpoint_that_is_cut_short_is_never_taken_for_a_whole(whole, tmp_path, monkeypatch, share):
    """The disk fills up during the second checkpoint; the first one stays and the run goes on from it."""
    content, states = whole
    path, part = tmp_path / "run.pt", tmp_path / "run.pt.part"
    save, calls = torch.save, []

    def save_some(obj, file):
        calls.append(len(obj["rows"]))
        if len(calls) == 1:
            return save(obj, file)
        save(obj, file)
        file.flush()
        file.truncate(int(file.tell() * share))
        raise OSError("no space left on device")

    monkeypatch.setattr(torch, "save", save_some)
    with pytest.raises(OSError, match="no space left"):
        train(path, save_every=20)
    monkeypatch.undo()
    assert calls == [20, 40] and not part.exists()
    assert_same(dict(read(path)["model"]), states[20])
    train(path, seed=5)
    assert_same(read(path), content)
    assert not part.exists()


def test_a_part_alone_is_no_checkpoint(whole, tmp_path):
    """Killed while the very first checkpoint was written: the run starts from its beginning."""
    path = tmp_path / "run.pt"
    path.with_name("run.pt.part").write_bytes(b"half a checkpoint")
    seen = []
    train(path, callbacks=[lambda step, model, row: seen.append(step)])
    assert seen[0] == 1
    assert_same(read(path), whole[0])


if __name__ == "__main__":
    sys.stdin.readline()
    train(Path(sys.argv[1]), save_every=1, callbacks=[lambda step, model, row: print(step, flush=True)])
