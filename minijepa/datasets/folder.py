"""A folder of images of your own: one sub-folder per class, or all of them in one folder."""

from __future__ import annotations

from pathlib import Path

import torch

from .images import DataCorrupt, ImageData

SUFFIXES = {".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"}


def image_folder(path: str | Path, size: int = 32, limit: int | None = None) -> ImageData:
    """Read images, resize the shorter side to `size`, crop the centre, keep them as bytes.

    Args:
        path: a folder with one sub-folder of images per class (searched to any depth), or of images alone
            (then there is one class, named after the folder). Files that are no images by name are left out.
        size: the side of the square images, in pixels, at least 1.
        limit: at most so many images, taken evenly over the sorted list; None: all.

    Returns:
        `ImageData`, images uint8 [N, 3, size, size]; mean and std are those of these images.

    Raises:
        ValueError: no such folder, no image in it, images beside class folders, or a bad size or limit.
        DataCorrupt: a file that cannot be decoded, by name.
    """
    path = Path(path).expanduser()
    for name, value in (("size", size), ("limit", limit)):
        if value is not None and value < 1:
            raise ValueError(f"{name} is {value}; expected at least 1")
    files, labels, classes = _list(path)
    keep = list(range(len(files)))
    if limit is not None and limit < len(files):
        keep = [i * len(files) // limit for i in range(limit)]
    images = torch.stack([_read(files[i], size) for i in keep])  # [N, 3, size, size]
    mean, std = _moments(images)
    return ImageData(images, torch.tensor([labels[i] for i in keep]), classes, path.resolve().name, mean, std)


def _list(path: Path) -> tuple[list[Path], list[int], tuple[str, ...]]:
    if not path.is_dir():
        found = "a file" if path.exists() else "nothing"
        raise ValueError(f"{path}: expected a folder of images, found {found}; check the path")
    flat = sorted(p for p in path.iterdir() if _is_image(p))
    folders = [p for p in sorted(path.iterdir()) if p.is_dir() and not p.name.startswith(".")]
    groups = {p.name: sorted(q for q in p.rglob("*") if _is_image(q)) for p in folders}
    groups = {name: images for name, images in groups.items() if images}
    if groups and flat:
        raise ValueError(
            f"{flat[0]}: {len(flat)} images lie beside the class folders {', '.join(groups)}; "
            "move them into a class folder, or out of this one"
        )
    groups = groups or {path.resolve().name: flat}
    if not any(groups.values()):
        kinds = " ".join(sorted(SUFFIXES))
        raise ValueError(f"{path}: no image in this folder; expected files {kinds}, one sub-folder per class")
    files = [p for images in groups.values() for p in images]
    labels = [label for label, images in enumerate(groups.values()) for _ in images]
    return files, labels, tuple(groups)


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith(".")


def _read(path: Path, size: int) -> torch.Tensor:
    """One image, uint8 [3, size, size]."""
    from PIL import Image, ImageOps  # late, as torchvision takes a second to import
    from torchvision.transforms.v2 import functional as F

    try:
        with Image.open(path) as file:
            image = F.pil_to_tensor(ImageOps.exif_transpose(file).convert("RGB"))  # [3, H, W]
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataCorrupt(
            f"{path}: expected an image, found a file that cannot be decoded ({error}); "
            "delete it or replace it by a whole copy"
        ) from error
    return F.center_crop(F.resize(image, [size], antialias=True), [size, size])  # [3, size, size]


def _moments(images: torch.Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel in units of [0, 1], from histograms: exact, and small."""
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
