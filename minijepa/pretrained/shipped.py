"""Encoders ready for use: those that this project ships, each with its model card, and your own. Nothing is downloaded.

    shipped = load_pretrained("ijepa-cifar10-micro")
    features(shipped.encoder, data)
    mine = load_pretrained("runs/photos-seed0")      what python -m minijepa.train wrote

A card (`NAME.json`, all of them in README.md) says how the encoder was made: data, recipe, command, seed, hardware,
minutes, every probe number, known limits. `tools/record/ship.py` writes both; `own` does for runs of your own.
"""

import hashlib
import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from safetensors.torch import load

from minijepa.datasets import normalise
from minijepa.datasets.cifar import CLASSES, MEAN, STD
from minijepa.pretrained.encoder_file import WeightsCorrupt, read_encoder
from minijepa.vit import ViT

WEIGHTS = files("minijepa.pretrained") / "weights"


@dataclass
class Pretrained:
    """A trained encoder with all that is known of it, shipped or your own.

    encoder: ViT in float32 on the CPU, in eval mode, gradients on (call `requires_grad_(False)` to freeze it).
    config: the arguments of ViT that built it. card: the model card as a dict; of
    one of your own the name of its data. mean, std: what its images were normalised by, per channel in units of [0, 1].
    classes: the names of the classes of its data, of which it knows nothing.
    """

    encoder: ViT
    config: dict
    card: dict
    mean: tuple[float, ...] = MEAN
    std: tuple[float, ...] = STD
    classes: tuple | dict = CLASSES

    def floats(self, images):
        """Images or clips as the encoder was trained to see them: uint8 [B, C, (T,) H, W] -> float32, normalised."""
        if len(self.encoder.grid) == 3:  # of a clip [C, T, H, W], time stands between channels and rows
            return normalise(images.transpose(1, 2), self.mean, self.std).transpose(1, 2)
        return normalise(images, self.mean, self.std)


Shipped = Pretrained  # its earlier name


def pretrained_names():
    """The names that `load_pretrained` takes, sorted."""
    return sorted(f.name.removesuffix(".json") for f in WEIGHTS.iterdir() if f.name.endswith(".json"))


def load_pretrained(name="ijepa-cifar10-micro"):
    """A trained encoder, as `Pretrained`; needs no network.

    name: of a shipped one (float16 on disk), or the path of your own: the folder of a run, or its encoder.safetensors.
    Raises ValueError for an unknown name or a file that is missing or foreign, WeightsCorrupt when it is damaged.
    """
    if str(name) not in pretrained_names():
        path = Path(name).expanduser()
        if isinstance(name, str) and path.name == name and not path.suffix and not path.exists():
            raise ValueError(
                f"no shipped encoder is called {name!r}, nor is there a folder of that name; there are "
                f"{', '.join(pretrained_names())}"
            )
        encoder, config, facts = read_encoder(path)
        return Pretrained(encoder, config, {"name": str(path), "data": facts.pop("data")}, **facts)
    card = json.loads((WEIGHTS / f"{name}.json").read_text(encoding="utf-8"))
    content = (WEIGHTS / f"{name}.safetensors").read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != card["sha256"]:
        raise WeightsCorrupt(
            f"{name}.safetensors has the checksum {found[:12]}…, its card says {card['sha256'][:12]}…: the file is "
            f"damaged or another one; install minijepa again"
        )
    encoder = ViT(**card["config"]).eval()
    encoder.load_state_dict({key: value.float() for key, value in load(content).items()})
    return Pretrained(encoder, card["config"], card)
