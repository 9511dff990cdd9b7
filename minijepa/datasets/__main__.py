"""`python -m minijepa.datasets`: get CIFAR-10 and the spoken digits first, or be told what is missing."""

import sys

from minijepa.datasets import (
    DataCorrupt,
    DataUnavailable,
    cifar10,
    find_cifar10,
    find_spoken_digits,
    spoken_digits,
)
from minijepa.machine.console import print_any_name


def main():
    """Look for both data sets, download them if necessary, and read all of them; 1 if one is damaged, else 0."""
    print_any_name()
    return max([ready(photographs, "ShapeWorld"), ready(recordings, "synthetic words")])


def ready(read, instead):
    """Print in one line what `read` says, or why the data cannot be had; 1 if they are damaged, else 0."""
    try:
        print(read())
    except DataUnavailable as error:
        print(f"{error}; until then the notebooks run on {instead}, which needs no download.")
    except DataCorrupt as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def photographs():
    """Read CIFAR-10 and say where it is."""
    train, heldout, test = (cifar10(split) for split in ("train", "heldout", "test"))
    sizes = f"{len(train):,} training, {len(heldout):,} held-out and {len(test):,} test images"
    return f"CIFAR-10 is ready in {find_cifar10()}: {sizes}."


def recordings():
    """Read the Free Spoken Digit Dataset and say where it is."""
    data = spoken_digits()
    return f"The {data.name} is ready in {find_spoken_digits()}: {len(data):,} recordings."


if __name__ == "__main__":
    sys.exit(main())
