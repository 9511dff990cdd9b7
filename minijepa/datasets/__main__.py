"""`python -m minijepa.datasets`: get CIFAR-10 before the course begins, or be told what is missing."""

import sys

from minijepa.datasets import DataCorrupt, DataUnavailable, cifar10, find_cifar10
from minijepa.machine.console import print_any_name


def main():
    """Look for CIFAR-10, download it if necessary, and read all of it; returns 1 if it is damaged, else 0."""
    print_any_name()
    try:
        train, heldout, test = (cifar10(split) for split in ("train", "heldout", "test"))
    except DataUnavailable as error:
        print(f"{error}; until then the notebooks run on ShapeWorld, which needs no download.")
        return 0
    except DataCorrupt as error:
        print(error, file=sys.stderr)
        return 1
    sizes = f"{len(train):,} training, {len(heldout):,} held-out and {len(test):,} test images"
    print(f"CIFAR-10 is ready in {find_cifar10()}: {sizes}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
