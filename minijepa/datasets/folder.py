"""A folder of images of your own: one sub-folder per class, or all of them in one folder."""

from pathlib import Path

import torch

from minijepa.datasets.images import ImageData
from minijepa.datasets.open_image import SUFFIXES, open_image, report_one_colour, square
from minijepa.datasets.walk import announce, walk
from minijepa.machine.progress import progress_bar
from minijepa.training.distributed import Team


def image_folder(path, size=32, limit=None):
    """Read images, resize the shorter side to `size`, crop the centre, keep them as bytes.

    Prints one line: the classes with their counts, and what was left out. `open_image` says how deep grey, rotation
    and transparency are read, `walk` which files are read.
    path: a folder with one sub-folder of images per class (searched to any depth); or of images alone, without classes:
    then `classes` has one name, the folder's; or with folders train and val (or test) of either.
    size: the side of the square images, in pixels, at least 1.
    limit: at most so many images, taken evenly over the sorted list; None: all.
    Returns ImageData, images uint8 [N, 3, size, size], normalised by their own mean and std. Where the folder is split,
    factors["heldout"], bool [N], is true for the images of val or test.
    Raises ValueError for a folder that is no data set (see `walk`), images of one colour alone, a greyscale image whose
    white is unknown, and a bad size or limit; DataCorrupt for a file that cannot be decoded, by name.
    """
    path = Path(path).expanduser()
    for name, value in (("size", size), ("limit", limit)):
        if value is not None and value < 1:
            raise ValueError(f"{name} is {value}; expected at least 1")
    found = walk(path, "images", SUFFIXES)
    announce(found.summary)
    keep = spread(len(found.files), limit)
    files = [found.files[i] for i in keep]
    images = []
    with progress_bar("reading images", len(files), hidden=Team.current().rank > 0) as bar:
        for file in files:
            images.append(square(open_image(file, size), size))
            bar.update()
    images = torch.stack(images)  # [N, 3, size, size]
    report_one_colour(images, files)
    mean, std = moments(images)
    factors = {} if found.heldout is None else {"heldout": torch.tensor(found.heldout)[keep]}
    labels = torch.tensor(found.labels)[keep]
    return ImageData(images, labels, found.classes, path.resolve().name, mean, std, factors)


def spread(count, limit):
    """At most `limit` of the numbers 0 ... count - 1, evenly spaced; None: all."""
    return [i * count // limit for i in range(limit)] if limit is not None and limit < count else list(range(count))


def moments(images):
    """Mean and standard deviation per channel in units of [0, 1], from histograms: exact, and small.

    images: uint8 [N, C, ...]. Returns two tuples of C floats.
    """
    values = torch.arange(256, dtype=torch.float64) / 255
    mean, std = [], []
    for channel in images.unbind(1):
        weight = torch.bincount(channel.flatten(), minlength=256).double()
        weight /= weight.sum()
        m = (weight * values).sum()
        mean.append(m.item())
        # A channel that never varies would divide by zero; one grey level is the least spread to scale by.
        std.append(max((weight * (values - m) ** 2).sum().sqrt().item(), 1 / 255))
    return tuple(mean), tuple(std)
