"""Images read from disk by workers: the same images, crops that repeat, and the run that one process would make."""

import signal

import pytest
import torch
from PIL import Image

from minijepa.datasets import DataCorrupt, image_folder
from minijepa.datasets.loader import LoaderData
from minijepa.datasets.shapes import shapeworld
from minijepa.training import recipe
from minijepa.training.batches import Batches
from minijepa.training.distributed import Team
from minijepa.training.fit import fit


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twenty drawn images of 40 pixels."""
    root = tmp_path_factory.mktemp("images")
    for i, image in enumerate(shapeworld(20, seed=0, size=40).images):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(root / f"{i:02d}.png")
    return root


def read(data, team=None, steps=range(3), batch=8, accumulate=1):
    """What a process of that team receives: a list of [B, 3, H, W]."""
    requests = list(Batches(data, None, None, batch, accumulate, 0, team or Team(), "cpu").requests(steps))
    data.read_ahead(requests)
    return [data.batch(index) for _, index in requests]


def test_without_training_it_gives_the_whole_images(folder):
    data, memory = LoaderData(folder, size=32, workers=0), image_folder(folder, size=32)
    small = LoaderData(folder, size=32, workers=0, mean=memory.mean, std=memory.std)
    assert len(data) == 20
    assert torch.equal(small.batch(slice(3, 9)), memory.batch(slice(3, 9)))
    assert torch.equal(small.batch(), memory.batch())


def test_crops_repeat_and_differ(folder):
    data = LoaderData(folder, size=32, workers=0)
    before = torch.random.get_rng_state()
    one, two = read(data), read(data)
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    again = [LoaderData(folder, size=32, seed=seed, workers=0)[step, 5][2] for seed, step in ((0, 1), (0, 2), (1, 1))]
    assert not torch.equal(again[0], again[1]) and not torch.equal(again[0], again[2])
    assert torch.equal(again[0], data[1, 5][2])


def test_processes_divide_the_batches_of_one(folder):
    data = LoaderData(folder, size=32, workers=0)
    whole = read(data, accumulate=2)
    parts = [read(data, Team(rank, 2), accumulate=2) for rank in range(2)]
    for x, *both in zip(whole, *parts, strict=True):
        assert torch.equal(x, torch.cat(both))


def test_fit_trains_on_it_and_resumes(folder, tmp_path):
    """Workers or none, stopped by Ctrl-C and resumed or not: the same run. Afterwards whole images are given again."""

    def train(workers, **more):
        settings = {**recipe.TRAINING, "augment": None, "batch_size": 8, "steps": 4}
        data, model = LoaderData(folder, size=32, workers=workers), recipe.build()
        history = fit(model, data, recipe.masks, **settings, **more)
        assert torch.equal(data.batch(slice(2)), LoaderData(folder, size=32).batch(slice(2)))
        return history, model.state_dict()

    def stop(step, model, row):
        if step == 2:
            signal.raise_signal(signal.SIGINT)

    whole, states = train(workers=0)
    assert train(workers=1)[0].rows == whole.rows
    path = tmp_path / "run.pt"
    assert train(workers=0, checkpoint=path, callbacks=[stop])[0].rows == whole.rows[:2]
    resumed, again = train(workers=1, checkpoint=path, resume=True)
    assert resumed.rows == whole.rows and all(torch.equal(value, again[name]) for name, value in states.items())


def test_an_error_lets_the_workers_go(folder):
    def stop(step, model, row):
        raise ZeroDivisionError

    data = LoaderData(folder, size=32, workers=0)
    with pytest.raises(ZeroDivisionError):
        fit(recipe.build(), data, recipe.masks, steps=3, batch_size=8, callbacks=[stop])
    assert data.batch(slice(2)).shape == (2, 3, 32, 32)


@pytest.mark.skipif(torch.cuda.is_available(), reason="with a GPU the workers' batches are pinned")
def test_a_copy_from_ordinary_memory_is_waited_for(folder, monkeypatch):
    """On MPS the next batch could be written over one that is still on its way."""
    data, copies, to = LoaderData(folder, size=32, workers=0), [], torch.Tensor.to
    data.read_ahead([(0, torch.tensor([1, 2]))])
    monkeypatch.setattr(
        torch.Tensor, "to", lambda x, *where, **how: copies.append((where, how)) or to(x, *where, **how)
    )
    assert data.batch(torch.tensor([1, 2]), device="meta").device.type == "meta"
    assert (("meta",), {"non_blocking": False}) in copies


def test_other_images_than_ordered_are_refused(folder):
    data = LoaderData(folder, size=32, workers=0)
    data.read_ahead([(0, torch.tensor([1, 2]))])
    with pytest.raises(RuntimeError, match=r"\[1, 2\] were read ahead, but \[3, 4\]"):
        data.batch(torch.tensor([3, 4]))


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no image")
    data = LoaderData(tmp_path, size=32, workers=0)
    with pytest.raises(DataCorrupt, match="bad.png"):
        data[0, 0]
