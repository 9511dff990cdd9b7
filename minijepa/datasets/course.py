"""Which data a run uses: what the notebooks and the command line call.

ShapeWorld is drawn in grey here: if every object had a colour of its own, colour would be learned long before shape,
and shape is what the probes ask for.
"""

from pathlib import Path

import torch

from minijepa.datasets.audio import synthetic_words
from minijepa.datasets.cifar import cifar10
from minijepa.datasets.folder import image_folder
from minijepa.datasets.images import DataUnavailable
from minijepa.datasets.shapes.shapeworld import shapeworld
from minijepa.datasets.spoken_digits import spoken_digits


def course_data(train=10_000, heldout=5_000):
    """The course's images: CIFAR-10 where it is available, else as many of ShapeWorld.

    Prints one line, "data in use: ...", which says which of the two it is and, if it is the second, the remedy.
    train: how many images, the first of CIFAR-10's 40,000 training images.
    heldout: how many, the first of its 10,000 held-out images.
    Returns (train, heldout), two ImageData: images [N, 3, 32, 32] of ten classes in both cases, so the chance level is
    0.100.
    Raises ValueError for more images than there are, or fewer than one; DataCorrupt if CIFAR-10 is there but damaged:
    the reader should fix that and not continue on other data.
    """
    check_count("train", train, 40_000)
    check_count("heldout", heldout, 10_000)
    try:
        data = cifar10("train").subset(slice(train)), cifar10("heldout").subset(slice(heldout))
        print(f"data in use: CIFAR-10, {train:,} training and {heldout:,} held-out images")
    except DataUnavailable:
        data = shapeworld(train, seed=0, colour="grey"), shapeworld(heldout, seed=1, colour="grey")
        print(
            f"data in use: ShapeWorld (procedural), {train:,} training and {heldout:,} held-out images, "
            "because CIFAR-10 is neither on disk nor downloadable: to use it, run `python -m "
            "minijepa.datasets` where there is a network, or set MINIJEPA_DATA to the folder of a copy"
        )
    return data


def course_sound():
    """The course's sounds: the Free Spoken Digit Dataset where it is available, else as many synthetic words.

    Prints one line, "data in use: ...", as `course_data` does. Both are 3,000 words of ten, by 6 speakers, so the
    chance level is 0.100 for words and 0.167 for speakers.
    Returns SignalData, values float32 [3000, 1, 8192] that begin at sample 0, with factors speaker, length and start.
    Raises DataCorrupt if the recordings are there but damaged.
    """
    try:
        data = spoken_digits()
        print("data in use: Free Spoken Digit Dataset, 3,000 recordings (Z. Jackson and contributors, CC BY-SA 4.0)")
    except DataUnavailable:
        data = synthetic_words(3_000)
        print(
            "data in use: synthetic words (procedural), 3,000 sounds, because the Free Spoken Digit Dataset is neither "
            "on disk nor downloadable: to use it, run `python -m minijepa.datasets` where there is a network, or set "
            "MINIJEPA_DATA to the folder of a copy"
        )
    return data


def load(data, *, size=32, train=40_000, heldout=10_000, seed=0):
    """(train, heldout) by name, or from a folder: two ImageData, images [N, 3, size, size].

    data: "cifar10", "shapeworld", or the path of a folder of images (see `image_folder`). If it has folders train and
    val (or test), the latter is held out, else a random fifth.
    size: the side of the images in pixels; CIFAR-10 has 32 and no other.
    train, heldout: at most so many images, each [3, size, size].
    seed: what ShapeWorld is drawn from (`seed` and `seed + 1`), and a folder's split.
    Raises ValueError for a name that is neither known nor a folder, a bad size or count, or too few images, and
    DataUnavailable and DataCorrupt as `cifar10` and `image_folder` do.
    """
    check_count("train", train)
    check_count("heldout", heldout)
    if str(data) == "cifar10":
        if size != 32:
            raise ValueError(f"size is {size}; CIFAR-10's images have 32 pixels a side: leave size at 32")
        return cifar10("train").subset(slice(train)), cifar10("heldout").subset(slice(heldout))
    if str(data) == "shapeworld":
        grey = {"size": size, "colour": "grey"}
        return shapeworld(train, seed=seed, **grey), shapeworld(heldout, seed=seed + 1, **grey)
    if not Path(data).expanduser().is_dir():
        raise ValueError(f"data is {str(data)!r}; expected 'cifar10', 'shapeworld' or the path of a folder")
    images = image_folder(data, size)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    if "heldout" in images.factors:
        kept = images.factors["heldout"][order]
        return images.subset(order[~kept][:train]), images.subset(order[kept][:heldout])
    if len(images) < 5:
        raise ValueError(f"{data} holds {len(images)} images; a fifth is held out, so at least 5 are needed")
    cut = len(images) - len(images) // 5
    return images.subset(order[:cut][:train]), images.subset(order[cut:][:heldout])


def check_count(name, value, most=None):
    """A number of images must be at least 1 and at most `most`."""
    if value < 1 or (most is not None and value > most):
        expected = "at least 1" if most is None else f"1 to {most:,}"
        raise ValueError(f"{name} is {value}; expected {expected} images")
