"""The encoders that this project trained itself and ships, each with its model card. Nothing is downloaded.

    shipped = load_pretrained("ijepa-cifar10-micro")
    features(shipped.encoder, data)

A card (`NAME.json`, all of them in README.md) says how the encoder was made: data, recipe, command, seed, hardware,
minutes, every probe number, known limits. `tools/ship.py` writes weights and card.
"""

import hashlib
import json
from dataclasses import dataclass
from importlib.resources import files

from safetensors.torch import load

from minijepa.vit import ViT


class WeightsCorrupt(RuntimeError):
    """The weights on disk are not those the model card describes."""


@dataclass
class Shipped:
    """A trained encoder with all that is known of it.

    encoder: ViT in float32 on the CPU, in eval mode, gradients on (call `requires_grad_(False)` to freeze it).
    config: the arguments of ViT that built it. card: the model card as a dict.
    """

    encoder: ViT
    config: dict
    card: dict


def pretrained_names():
    """The names that `load_pretrained` takes, sorted."""
    return sorted(f.name.removesuffix(".json") for f in files(__name__).iterdir() if f.name.endswith(".json"))


def load_pretrained(name="ijepa-cifar10-micro"):
    """A shipped encoder by name, as `Shipped`; needs no network. Weights are float16 on disk.

    Raises ValueError for an unknown name, WeightsCorrupt when the file's checksum is not the card's.
    """
    if name not in pretrained_names():
        raise ValueError(f"no shipped encoder is called {name!r}; there are {', '.join(pretrained_names())}")
    folder = files(__name__)
    card = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    content = (folder / f"{name}.safetensors").read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != card["sha256"]:
        raise WeightsCorrupt(
            f"{name}.safetensors has the checksum {found[:12]}…, its card says {card['sha256'][:12]}…: the file is "
            f"damaged or another one; install minijepa again"
        )
    encoder = ViT(**card["config"]).eval()
    encoder.load_state_dict({key: value.float() for key, value in load(content).items()})
    return Shipped(encoder, card["config"], card)
