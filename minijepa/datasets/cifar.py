"""CIFAR-10 from the disk, in either of its two layouts, else downloaded once.

The 50,000 training images are divided into train (batches 1-4) and held-out (batch 5), because the course chooses
things by looking at the held-out part; the 10,000 test images stay out of every such choice.
Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
"""

import os
from functools import lru_cache
from pathlib import Path

import torch

from minijepa.datasets import download as downloads
from minijepa.datasets.download import download_cifar10, sweep
from minijepa.datasets.images import DataCorrupt, ImageData

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
MEAN = (0.4914, 0.4822, 0.4465)  # of the 50,000 training images, per channel
STD = (0.2470, 0.2435, 0.2616)
PYTHON, BINARY = "cifar-10-batches-py", "cifar-10-batches-bin"
PER_FILE, RECORD = 10_000, 1 + 3 * 32 * 32  # images in a file; bytes of one: label, then R, G, B planes


def cifar10(split="train", download=True):
    """CIFAR-10 as one tensor of bytes.

    It is looked for as `cifar-10-batches-py` or `cifar-10-batches-bin`, in the folder named by the environment variable
    MINIJEPA_DATA, then in `data/` of the checkout (or of the working folder).
    split: "train" (batches 1-4, 40,000 images), "heldout" (batch 5, 10,000) or "test" (10,000).
    download: fetch the data (170 MB) if they are not there; MINIJEPA_OFFLINE=1 forbids it everywhere.
    Returns ImageData, images uint8 [N, 3, 32, 32]. Files are read once per process; splits use the same memory.
    Raises ValueError for an unknown split; DataUnavailable if the data are not on the disk and cannot be downloaded (no
    network, or forbidden); DataCorrupt if a folder is there but a file in it is missing, truncated or foreign.
    """
    if split not in ("train", "heldout", "test"):
        raise ValueError(f"split is {split!r}; expected 'train', 'heldout' or 'test'")
    folder = find_cifar10()
    if folder is None:
        folder = fetch(places(), download)
    images, labels = read(folder.absolute(), split == "test")
    if split != "test":
        cut = slice(0, 4 * PER_FILE) if split == "train" else slice(4 * PER_FILE, None)
        images, labels = images[cut], labels[cut]
    return ImageData(images, labels, CLASSES, f"CIFAR-10 {split}", MEAN, STD)


def places():
    """The folders where the data are looked for, first choice first."""
    checkout = Path(__file__).resolve().parents[2]
    home = checkout if (checkout / "pyproject.toml").is_file() else Path()
    named = os.environ.get("MINIJEPA_DATA")
    return ([Path(named).expanduser()] if named else []) + [home / "data"]


def find_cifar10():
    """The first folder of CIFAR-10 batches on this machine, or None; its content is not looked at."""
    for place in places():
        for layout in (PYTHON, BINARY):
            if (place / layout).is_dir():
                return place / layout
    return None


# --- the pieces ---


def fetch(where, download):
    """Download into the first of these folders that can be written, or raise DataUnavailable with what to do."""
    looked = " nor in ".join(str(place) for place in where)
    missing = f"CIFAR-10 ({PYTHON} or {BINARY}) is not in {looked}"
    return downloads.fetch(missing, lambda: download_cifar10(where, PYTHON), download)


@lru_cache(maxsize=2)  # one folder's training and test images; an error is not kept
def read(folder, test):
    """Images uint8 [N, 3, 32, 32] and labels int64 [N]: all five training batches, or the test batch."""
    sweep(folder.parent)
    return (read_python if folder.name == PYTHON else read_binary)(folder, test)


def read_python(folder, test):
    """Images uint8 [N, 3, 32, 32] and labels [N] of the "python version"; DataCorrupt names a corrupt file."""
    # torchvision takes a second to import, and unpickles nothing before all md5 sums have been checked.
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import check_integrity

    try:
        data = CIFAR10(folder.parent, train=not test)
    except RuntimeError:
        meta = (CIFAR10.meta["filename"], CIFAR10.meta["md5"])
        for name, md5 in [*CIFAR10.train_list, *CIFAR10.test_list, meta]:
            path = folder / name
            if not path.is_file():
                raise corrupt(path, "a file of CIFAR-10's python version", "no such file") from None
            if not check_integrity(path, md5):
                found = f"{path.stat().st_size:,} bytes with another"
                raise corrupt(path, f"a file with md5 sum {md5}", found) from None
        raise
    images = torch.from_numpy(data.data).permute(0, 3, 1, 2).contiguous()  # [N, 32, 32, 3] -> [N, 3, 32, 32]
    return images, torch.tensor(data.targets)


def read_binary(folder, test):
    """Images uint8 [N, 3, 32, 32] and labels [N] of the "binary version"; DataCorrupt names a corrupt file."""
    names = ["test_batch.bin"] if test else [f"data_batch_{i}.bin" for i in range(1, 6)]
    images = torch.empty(len(names), PER_FILE, 3, 32, 32, dtype=torch.uint8)
    labels = torch.empty(len(names), PER_FILE, dtype=torch.int64)
    for i, name in enumerate(names):
        path, size = folder / name, PER_FILE * RECORD
        if not path.is_file():
            raise corrupt(path, "a file of CIFAR-10's binary version", "no such file")
        if path.stat().st_size != size:
            raise corrupt(path, f"{size:,} bytes ({PER_FILE:,} images)", f"{path.stat().st_size:,} bytes")
        records = torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8)
        records = records.view(PER_FILE, RECORD)  # [10000 * 3073] -> [10000, 3073]
        labels[i] = records[:, 0]
        images[i] = records[:, 1:].view(PER_FILE, 3, 32, 32)  # [10000, 3072] -> [10000, 3, 32, 32]
        if labels[i].max() > 9:
            at = int(labels[i].gt(9).nonzero()[0])
            found = f"{int(labels[i, at])} in record {at}"
            raise corrupt(path, "label bytes 0 to 9 at the head of each 3,073-byte record", found)
    return images.flatten(0, 1), labels.flatten()  # [F, 10000, ...] -> [10000 F, ...]


def corrupt(path, expected, found):
    """The DataCorrupt that names a file, what was expected, what was found, and the remedy."""
    return DataCorrupt(
        f"{path}: expected {expected}, found {found}. Delete the folder {path.parent} and run "
        "`python -m minijepa.datasets` to download it again, or copy the whole folder anew."
    )
