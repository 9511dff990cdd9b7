"""An encoder of your own as a file that holds all it needs to be used again, also how its images are normalised.

One safetensors file. Its metadata hold size, img_size and patch_size, mean and std per channel, the names of the
classes and of the data, and a checksum of the tensors.
"""

import hashlib
import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from minijepa.machine.files import whole_file
from minijepa.vit import SIZES, ViT

NAME = "encoder.safetensors"  # in the folder of a run
FACTS = ("size", "img_size", "patch_size", "mean", "std", "classes", "data", "sha256")


class WeightsCorrupt(RuntimeError):
    """The weights on disk are not those that were written."""


def save_encoder(path, encoder, size, data):
    """Write an encoder with what is needed to use it, the whole file or nothing.

    encoder: a ViT of the size called `size`, for square images or for clips. data: ImageData or ClipData, whose mean,
    std, classes and name are kept. Raises CannotWrite where there is no room.
    """
    tensors = {name: value.contiguous().cpu() for name, value in encoder.state_dict().items()}
    metadata = {
        "size": size,
        "img_size": json.dumps(shortest(encoder.img_size)),
        "patch_size": json.dumps(shortest(encoder.patch_embed.patch_size)),
        "in_chans": str(len(data.mean)),
        "mean": json.dumps(list(data.mean)),
        "std": json.dumps(list(data.std)),
        "classes": json.dumps(data.classes),
        "data": data.name,
        "sha256": checksum(tensors),
    }
    with whole_file(path) as file:
        file.write(save(tensors, metadata))


def shortest(size):
    """One number for a square, (S, S), as ViT takes it; else all of them."""
    return size[0] if len(size) == 2 and size[0] == size[1] else list(size)


def checksum(tensors):
    """SHA-256 of a state dict, whatever the order of its tensors."""
    found = hashlib.sha256()
    for name in sorted(tensors):
        found.update(name.encode() + tensors[name].numpy().tobytes())
    return found.hexdigest()


def read_encoder(path):
    """What `save_encoder` wrote, from the file or the folder of the run: (encoder, config, facts).

    encoder: ViT in float32 on the CPU, in eval mode. config: the arguments that built it. facts: a dict with mean,
    std, classes and data. Raises ValueError where there is no such file or it is foreign, WeightsCorrupt where it is
    damaged; both name the remedy.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        if not (path / NAME).is_file():
            again = "its training has not ended: go on with it with --resume"
            remedy = again if (path / "checkpoint.pt").exists() else "give the folder of a run of minijepa.train"
            raise ValueError(f"{path} holds no {NAME}: {remedy}")
        path = path / NAME
    if not path.is_file():
        raise ValueError(f"there is no file {path}: check the path, or train an encoder with python -m minijepa.train")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except SafetensorError as error:
        raise WeightsCorrupt(
            f"{path} is cut short, or no safetensors file ({error}): copy it again, or write it again with the command "
            f"of its run and --resume"
        ) from error
    missing = [name for name in FACTS if name not in metadata]
    if missing:
        raise ValueError(
            f"{path} does not say its {', '.join(missing)}, so it is not of this version of minijepa.train: if it is "
            f"of an older run, write it again with --resume; a published checkpoint opens with load_official"
        )
    if checksum(tensors) != metadata["sha256"]:
        raise WeightsCorrupt(
            f"the weights in {path} are not those that were written: copy it again, or write it again with the command "
            f"of its run and --resume"
        )
    shape = {name: json.loads(metadata[name]) for name in ("img_size", "patch_size")}
    shape["in_chans"] = int(metadata.get("in_chans", 3))
    dim, depth, heads, mlp_ratio = SIZES[metadata["size"]]
    config = {**shape, "dim": dim, "depth": depth, "heads": heads, "mlp_ratio": mlp_ratio}
    encoder = ViT(**config).eval()
    encoder.load_state_dict(tensors)
    facts = {name: json.loads(metadata[name]) for name in ("mean", "std", "classes")}
    facts = {name: value if isinstance(value, dict) else tuple(value) for name, value in facts.items()}
    return encoder, config, {**facts, "data": metadata["data"]}
