"""A folder of clips of your own: animated GIFs, folders of frames, or videos."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from .clips import ClipData
from .folder import SUFFIXES as PICTURES
from .folder import _moments
from .images import DataCorrupt

VIDEOS = {".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v"}


def video_folder(
    path: str | Path, size: int = 32, frames: int = 8, stride: int = 1, limit: int | None = None
) -> ClipData:
    """Read clips, take `frames` frames with `stride` between them, resize the shorter side, crop the centre.

    Args:
        path: a folder with one sub-folder of clips per class, or of clips alone (then there is one class, named
            after the folder). A clip is a GIF, a video file (mp4, mov, avi, mkv, webm, m4v) or a folder of pictures,
            its frames in the order of their names.
        size: side of the square frames in pixels, at least 1.
        frames: frames per clip, T, at least 1.
        stride: take every stride-th frame, at least 1. A file gives as many clips as fit into it one after the
            other, each frames × stride frames of the file long.
        limit: at most so many files, taken evenly over the sorted list; None: all.

    Returns:
        `ClipData`, clips uint8 [N, 3, T, size, size], with the label "class" and the factors file [N] (number of the
        file in sorted order) and first [N] (its first frame in the file); mean and std are those of these clips.

    Raises:
        ValueError: no such folder, no clip in it, clips beside class folders, a file with too few frames, or a bad
            size, frames, stride or limit.
        DataCorrupt: a file that cannot be decoded, by name.
        ImportError: a video file where the package `av` is not installed, with the command that installs it.
    """
    path = Path(path).expanduser()
    for name, value in (("size", size), ("frames", frames), ("stride", stride), ("limit", limit)):
        if value is not None and value < 1:
            raise ValueError(f"{name} is {value}; expected at least 1")
    groups = _list(path)
    sources = [(source, label) for label, group in enumerate(groups.values()) for source in group]
    if limit is not None and limit < len(sources):
        sources = [sources[i * len(sources) // limit] for i in range(limit)]
    clips, labels, files, firsts = [], [], [], []
    for number, (source, label) in enumerate(sources):
        movie = _read(source, size, stride)  # [F, 3, size, size]: every stride-th frame
        if len(movie) < frames:
            raise ValueError(
                f"{source}: {len(movie)} frames at stride {stride}, expected at least {frames}; "
                "lower frames or stride, or take the file out"
            )
        for first in range(0, len(movie) - frames + 1, frames):
            clips.append(movie[first : first + frames].movedim(0, 1))  # [3, T, size, size]
            labels.append(label)
            files.append(number)
            firsts.append(first * stride)
    data = torch.stack(clips)  # [N, 3, T, size, size]
    mean, std = _moments(data.transpose(1, 2).flatten(0, 1))
    factors = {"file": torch.tensor(files), "first": torch.tensor(firsts)}
    return ClipData(
        data, {"class": torch.tensor(labels)}, {"class": tuple(groups)}, path.resolve().name, mean, std, factors
    )


def _list(path: Path) -> dict[str, list[Path]]:
    """Classes and the clips of each, by name."""
    if not path.is_dir():
        found = "a file" if path.exists() else "nothing"
        raise ValueError(f"{path}: expected a folder of clips, found {found}; check the path")
    entries = [p for p in sorted(path.iterdir()) if not p.name.startswith(".")]
    flat = [p for p in entries if _is_clip(p)]
    groups = {p.name: [q for q in sorted(p.iterdir()) if _is_clip(q)] for p in entries if p.is_dir() and p not in flat}
    groups = {name: group for name, group in groups.items() if group}
    if flat and groups:
        raise ValueError(
            f"{flat[0]}: {len(flat)} clips lie beside the class folders {', '.join(groups)}; "
            "move them into a class folder, or out of this one"
        )
    if not flat and not groups:
        kinds = " ".join(sorted(VIDEOS | {".gif"}))
        raise ValueError(f"{path}: no clip in this folder; expected files {kinds} or folders of pictures")
    return groups or {path.resolve().name: flat}


def _is_clip(path: Path) -> bool:
    """A video, a GIF, or a folder that holds pictures and no clip."""
    if path.name.startswith("."):
        return False
    if path.is_file():
        return path.suffix.lower() in VIDEOS | {".gif"}
    return path.is_dir() and any(p.is_file() and p.suffix.lower() in PICTURES for p in path.iterdir())


def _read(source: Path, size: int, stride: int) -> Tensor:
    """Every stride-th frame of a clip, uint8 [F, 3, size, size]."""
    from torchvision.transforms.v2 import functional as F  # late, as torchvision takes a second to import

    def fit(image) -> Tensor:
        return F.center_crop(F.resize(F.pil_to_tensor(image.convert("RGB")), [size], antialias=True), [size, size])

    try:
        images = _pictures(source, stride) if source.is_dir() else _frames(source, stride)
        return torch.stack([fit(image) for image in images])
    except (OSError, ValueError, SyntaxError, RuntimeError) as error:
        if isinstance(error, DataCorrupt):
            raise
        raise DataCorrupt(
            f"{source}: expected a clip, found a file that cannot be decoded ({error}); "
            "delete it or replace it by a whole copy"
        ) from error


def _pictures(folder: Path, stride: int):
    """Every stride-th picture of a folder, in the order of their names."""
    from PIL import Image

    files = [p for p in sorted(folder.iterdir()) if p.is_file() and p.suffix.lower() in PICTURES]
    for file in files[::stride]:
        try:
            with Image.open(file) as picture:
                yield picture.copy()
        except (OSError, ValueError, SyntaxError) as error:
            raise DataCorrupt(f"{file}: expected a picture, found a file that cannot be decoded ({error})") from error


def _frames(file: Path, stride: int):
    """Every stride-th frame of a GIF (Pillow) or a video (PyAV)."""
    if file.suffix.lower() == ".gif":
        from PIL import Image, ImageSequence

        with Image.open(file) as animation:
            for number, frame in enumerate(ImageSequence.Iterator(animation)):
                if number % stride == 0:
                    yield frame.copy()
        return
    try:
        import av
    except ImportError as error:
        raise ImportError(
            f"{file}: decoding a video needs the package av; install it with `pip install av`, "
            "or turn the video into a GIF or a folder of pictures"
        ) from error
    with av.open(str(file)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number % stride == 0:
                yield frame.to_image()
