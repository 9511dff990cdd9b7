"""A folder of clips of your own: animated GIFs, folders of frames, or videos."""

import struct
from itertools import islice
from pathlib import Path

import torch

from minijepa.datasets.clips import ClipData
from minijepa.datasets.folder import moments, spread
from minijepa.datasets.images import DataCorrupt
from minijepa.datasets.open_image import SUFFIXES as PICTURES
from minijepa.datasets.open_image import open_image, report_one_colour, square, to_rgb
from minijepa.datasets.walk import announce, natural, walk
from minijepa.machine.progress import progress_bar
from minijepa.training.distributed import Team

VIDEOS = {".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".gif"}


def video_folder(path, size=32, frames=8, stride=1, limit=None):
    """Read clips, take `frames` frames with `stride` between them, resize the shorter side, crop the centre.

    Prints one line: the classes with their counts, and what was left out.
    path: folders as for `image_folder`. A clip is a GIF, a video file (mp4, mov, avi, mkv, webm, m4v), rotated as its
    display matrix says, or a folder of pictures, its frames in the order of their names (2 before 10).
    size: side of the square frames in pixels, at least 1.
    frames: frames per clip, T, at least 1.
    stride: take every stride-th frame, at least 1. A file gives as many clips as fit into it one after the other.
    limit: at most so many files, taken evenly over the sorted list; None: all.
    Returns ClipData, clips uint8 [N, 3, T, size, size], normalised by their own mean and std, label "class"; factors:
    file [N] (its number in sorted order), first [N] (the first frame in it) and, where the folder is split, heldout,
    bool [N].
    Raises ValueError as `image_folder` does, and for a file with too few frames; DataCorrupt for a file that cannot be
    decoded, by name; ImportError for a video where the package `av` is missing, with the command that installs it.
    """
    path = Path(path).expanduser()
    for name, value in (("size", size), ("frames", frames), ("stride", stride), ("limit", limit)):
        if value is not None and value < 1:
            raise ValueError(f"{name} is {value}; expected at least 1")
    found = walk(path, "clips", VIDEOS, is_clip)
    announce(found.summary)
    keep = spread(len(found.files), limit)
    clips, labels, files, firsts, heldout = [], [], [], [], []
    with progress_bar("reading clips", len(keep), hidden=Team.current().rank > 0) as bar:
        for number, i in enumerate(keep):
            movie = read(found.files[i], size, stride)  # [F, 3, size, size]: every stride-th frame
            if len(movie) < frames:
                raise ValueError(
                    f"{found.files[i]}: {len(movie)} frames at stride {stride}, expected at least {frames}; "
                    "lower frames or stride, or take the file out"
                )
            for first in range(0, len(movie) - frames + 1, frames):
                clips.append(movie[first : first + frames].movedim(0, 1))  # [3, T, size, size]
                labels.append(found.labels[i])
                files.append(number)
                firsts.append(first * stride)
                heldout.append(found.heldout is not None and found.heldout[i])
            bar.update()
    data = torch.stack(clips)  # [N, 3, T, size, size]
    report_one_colour(data, [found.files[keep[number]] for number in files], "clips")
    mean, std = moments(data.transpose(1, 2).flatten(0, 1))
    factors = {"file": torch.tensor(files), "first": torch.tensor(firsts)}
    factors |= {} if found.heldout is None else {"heldout": torch.tensor(heldout)}
    labels = {"class": torch.tensor(labels)}
    return ClipData(data, labels, {"class": found.classes}, path.resolve().name, mean, std, factors)


# --- the pieces ---


def is_clip(folder):
    """True for a folder that holds pictures and no video."""
    suffixes = {p.suffix.lower() for p in folder.iterdir() if p.is_file() and not p.name.startswith(".")}
    return bool(suffixes & PICTURES) and not suffixes & VIDEOS


def read(source, size, stride):
    """Every stride-th frame of a clip, uint8 [F, 3, size, size]. Raises DataCorrupt if it cannot be decoded."""
    if source.is_dir():
        pictures = [p for p in source.iterdir() if p.suffix.lower() in PICTURES and not p.name.startswith(".")]
        pictures.sort(key=lambda p: natural(p.name))
        return torch.stack([square(open_image(p, size), size) for p in pictures[::stride]])
    frames = gif if source.suffix.lower() == ".gif" else video
    try:
        return torch.stack([square(to_rgb(frame), size) for frame in frames(source, stride)])
    except (DataCorrupt, ImportError):
        raise
    except Exception as error:  # the decoders raise many kinds
        raise DataCorrupt(
            f"{source}: expected a clip, found a file that cannot be decoded ({error}); "
            "delete it or replace it by a whole copy"
        ) from error


def gif(file, stride):
    """Every stride-th frame of a GIF, as Pillow images."""
    from PIL import Image, ImageSequence

    with Image.open(file) as animation:
        for frame in islice(ImageSequence.Iterator(animation), 0, None, stride):
            yield frame.copy()


def video(file, stride):
    """Every stride-th frame of a video as a player shows it, as Pillow images; decoded by PyAV.

    Raises ImportError without PyAV, and DataCorrupt for a file that holds no pictures.
    """
    try:
        import av
    except ImportError as error:
        raise ImportError(
            f"{file}: decoding a video needs the package av; install it with `pip install av`, "
            "or turn the video into a GIF or a folder of pictures"
        ) from error
    with av.open(str(file)) as container:
        if not container.streams.video:
            raise DataCorrupt(f"{file}: expected a video, found a file without pictures (sound only?); take it out")
        for frame in islice(container.decode(video=0), 0, None, stride):
            yield upright(frame.to_image(), frame.side_data.get("DISPLAYMATRIX"))


def upright(image, matrix):
    """Rotate a frame as its display matrix says: a phone stores what its sensor saw, and how it was held.

    matrix: nine 32-bit integers a b u, c d v, x y w, or None. The stored pixel (p, q) is shown at (ap + cq, bp + dq),
    shifted. Quarter rotations and reflections are carried out; other angles do not occur. Source: ISO 14496-12, 6.2.2.
    """
    from PIL import Image

    if matrix is None:
        return image
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(matrix))
    if abs(b) > abs(a):  # the axes change places, so that afterwards p is multiplied by c and q by b
        image, a, d = image.transpose(Image.Transpose.TRANSPOSE), c, b
    if a < 0:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return image.transpose(Image.Transpose.FLIP_TOP_BOTTOM) if d < 0 else image
