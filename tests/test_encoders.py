"""The shipped encoders: what their cards say, they do; a damaged file is refused."""

import json
import shutil
import socket
from importlib.resources import files
from pathlib import Path

import pytest
import torch

from minijepa import encoders
from minijepa.datasets import DataUnavailable, cifar10, shapeworld
from minijepa.encoders import WeightsCorrupt, load_pretrained, pretrained_names
from minijepa.probes import features, knn_probe, linear_probe
from minijepa.vit import ViT

FOLDER = Path(str(files(encoders)))
NAMES = pretrained_names()
KEYS = {"name", "config", "sha256", "data", "recipe", "command", "commit", "date", "seed", "steps", "hardware",
        "versions", "cpu_minutes", "probe", "scores", "seeds", "quick", "limits"}  # fmt: skip


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Whoever opens a connection here fails: an encoder loads from what was installed."""

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
    monkeypatch.setattr(encoders, "files", lambda _: tmp_path)
    load_pretrained(name)
    path = tmp_path / f"{name}.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsCorrupt, match="damaged"):
        load_pretrained(name)


@pytest.mark.parametrize("name", NAMES)
def test_the_card_agrees_with_the_recorded_row(name):
    """The numbers of a card are copied by a program; nobody may have touched them since."""
    from minijepa.recorded import load

    card = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    table = card["command"].split(" run ")[1].split()[0]
    rows = [row for row in load(table)["rows"] if row["command"] == card["command"]]
    assert rows and rows[0]["scores"] == card["scores"]
