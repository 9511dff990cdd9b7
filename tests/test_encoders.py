"""The shipped encoders: they score what their cards say, and a damaged file is refused."""

import json
import shutil
import socket
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from minijepa import train
from minijepa.datasets import DataUnavailable, cifar10, image_folder
from minijepa.datasets.shapes import moving_shapes, shapeworld
from minijepa.pretrained import shipped as encoders
from minijepa.pretrained.encoder_file import NAME, save_encoder
from minijepa.pretrained.shipped import WeightsCorrupt, load_pretrained, pretrained_names
from minijepa.probes import features, knn_probe, linear_probe
from minijepa.vit import ViT

FOLDER = Path(str(encoders.WEIGHTS))
NAMES = pretrained_names()
KEYS = {"name", "config", "sha256", "data", "recipe", "command", "commit", "date", "seed", "steps", "hardware",
        "versions", "cpu_minutes", "probe", "scores", "seeds", "quick", "limits"}  # fmt: skip


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Opening a connection fails here: an encoder must load from the installed files."""

    def refuse(*_, **__):
        raise AssertionError("this needs no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_there_are_some_and_they_are_light():
    assert NAMES
    assert sum(path.stat().st_size for path in FOLDER.glob("*.safetensors")) <= 12 * 2**20


@pytest.mark.parametrize("name", NAMES)
def test_loads_as_the_card_says(name):
    shipped = load_pretrained(name)
    assert KEYS <= shipped.card.keys() and shipped.card["name"] == name
    assert isinstance(shipped.encoder, ViT) and not shipped.encoder.training
    assert {p.dtype for p in shipped.encoder.parameters()} == {torch.float32}
    twin = ViT(**shipped.config)
    twin.load_state_dict(shipped.encoder.state_dict())  # the config rebuilds it
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(twin(x), shipped.encoder(x))
    assert name in (FOLDER / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("data", ["cifar10", "shapeworld"])
def test_its_probes_are_within_a_point_of_its_card(name, data):
    if data == "cifar10":
        try:
            train, heldout = (cifar10(split, download=False).subset(slice(0, 5000)) for split in ("train", "heldout"))
        except DataUnavailable as error:
            pytest.skip(f"CIFAR-10 is not at hand: {error}")
    else:
        train, heldout = (shapeworld(5000, seed=seed, colour="grey") for seed in (0, 1))
    shipped = load_pretrained(name)
    f, g = features(shipped.encoder, train), features(shipped.encoder, heldout)
    card = shipped.card["quick"][data]
    assert knn_probe(f, train.labels, g, heldout.labels) == pytest.approx(card["kNN"], abs=0.01)
    assert linear_probe(f, train.labels, g, heldout.labels) == pytest.approx(card["linear"], abs=0.01)


def test_unknown_name_says_which_there_are():
    with pytest.raises(ValueError, match="ijepa-cifar10-micro"):
        load_pretrained("ijepa-imagenet")


def test_a_changed_byte_is_seen(tmp_path, monkeypatch):
    name = NAMES[0]
    for suffix in (".json", ".safetensors"):
        shutil.copy(FOLDER / f"{name}{suffix}", tmp_path)
    monkeypatch.setattr(encoders, "WEIGHTS", tmp_path)
    load_pretrained(name)
    path = tmp_path / f"{name}.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsCorrupt, match="damaged"):
        load_pretrained(name)


@pytest.mark.parametrize("name", NAMES)
def test_the_card_agrees_with_the_recorded_row(name):
    """A program copies the numbers of a card; they must not have been edited since."""
    from minijepa.plots.recorded import load

    card = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    table = card["command"].split(" run ")[1].split()[0]
    rows = [row for row in load(table)["rows"] if row["command"] == card["command"]]
    assert rows and rows[0]["scores"] == card["scores"]


# --- encoders of one's own ---


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """(folder of a run of three steps on a folder of images, those images)."""
    root = tmp_path_factory.mktemp("own")
    for i, image in enumerate(shapeworld(40, seed=0).images):
        place = root / "Äpfel & pears" / ("cats", "dogs")[i % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(place / f"{i:02d}.png")
    data = root / "Äpfel & pears"
    words = ["--steps", "3", "--batch-size", "8", "--device", "cpu"]
    assert train.main(["--data", str(data), "--out", str(root / "run"), *words]) == 0
    return root / "run", image_folder(data)


def test_an_encoder_of_one_s_own_comes_back_with_all_it_needs(own):
    """Loaded from the folder or the file, it gives the vectors of images that are normalised as in the training."""
    run, images = own
    for place in (run, str(run), run / NAME):
        mine = load_pretrained(place)
        assert (mine.mean, mine.std, mine.classes) == (images.mean, images.std, ("cats", "dogs"))
        assert mine.config["img_size"] == 32 and mine.card["data"] == "Äpfel & pears"
        assert not mine.encoder.training and torch.equal(mine.floats(images.images), images.batch())
    twin = ViT.nano(img_size=32, patch_size=4).eval()
    twin.load_state_dict(load_file(run / NAME))
    assert torch.equal(mine.encoder(mine.floats(images.images)), twin(images.batch()))
    shipped = load_pretrained()
    assert shipped.floats(images.images).shape == (40, 3, 32, 32) and len(shipped.classes) == 10


def test_an_encoder_of_clips_comes_back_and_normalises_them(tmp_path):
    torch.manual_seed(0)
    encoder, clips = ViT.nano(img_size=(8, 16, 16), patch_size=(2, 4, 4), in_chans=1), moving_shapes(3, seed=0, size=16)
    save_encoder(tmp_path / NAME, encoder, "nano", clips)
    mine = load_pretrained(tmp_path)
    assert mine.encoder.grid == (4, 4, 4) and torch.equal(mine.floats(clips.clips), clips.batch())
    assert torch.equal(mine.encoder(clips.batch()), encoder(clips.batch()))


def test_an_encoder_of_another_size_keeps_it(tmp_path):
    torch.manual_seed(0)
    encoder, data = ViT.micro(img_size=48, patch_size=8), shapeworld(4, seed=0, size=48)
    save_encoder(tmp_path / "any name.safetensors", encoder, "micro", data)
    mine = load_pretrained(tmp_path / "any name.safetensors")
    assert (mine.config["img_size"], mine.config["patch_size"], mine.config["dim"]) == (48, 8, 192)
    assert torch.equal(mine.encoder(data.batch()), encoder(data.batch()))


def changed(place, content):
    copy = place / "copy.safetensors"
    copy.write_bytes(content)
    return copy


def test_a_damaged_encoder_is_refused_with_a_remedy(own, tmp_path):
    content = (own[0] / NAME).read_bytes()
    flipped = bytearray(content)
    flipped[-1] ^= 1
    for damaged in (content[:-100], content[:5], b"", bytes(flipped)):
        with pytest.raises(WeightsCorrupt, match="copy.safetensors.*--resume"):
            load_pretrained(changed(tmp_path, damaged))


def test_what_is_no_encoder_of_a_run_is_refused_with_a_remedy(own, tmp_path):
    tensors = load_file(own[0] / NAME)
    save_file(tensors, tmp_path / "older.safetensors", {"size": "nano", "img_size": "32", "patch_size": "4"})
    save_file(tensors, tmp_path / "foreign.safetensors")
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "checkpoint.pt").touch()
    for place, said in {
        "older.safetensors": "mean, std, classes.*--resume",
        "foreign.safetensors": "load_official",
        "nothing.safetensors": "there is no file",
        "begun": "--resume",
        ".": "the folder of a run",
    }.items():
        with pytest.raises(ValueError, match=said):
            load_pretrained(tmp_path / place)
