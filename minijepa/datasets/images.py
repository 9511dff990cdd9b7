"""A data set is one uint8 tensor in memory; it becomes float, and normalised, batch by batch on the device.

CIFAR-10's 40,000 training images take 123 MB as uint8 and 491 MB as float32, so the bytes are what is kept.
With everything in memory a batch is one indexing operation: no worker processes, no decoding, no files.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache

import torch
from torch import Tensor


class DataUnavailable(RuntimeError):
    """The data are not on this machine and cannot be fetched."""


class DataCorrupt(RuntimeError):
    """Data were found, but a file is missing, cut short, foreign or unreadable."""


@lru_cache(maxsize=64)
def _per_channel(values, device):
    """Numbers as a tensor [C, 1, 1], kept: a GPU need not wait for them in every batch."""
    with torch.inference_mode(False):  # else the first caller's mode would be everybody's
        return torch.tensor(values, device=device).view(-1, 1, 1)


def normalise(images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """(x / 255 − mean) / std per channel.

    Args:
        images: uint8 [..., C, H, W].
        mean, std: C floats each, in units of the range [0, 1].

    Returns:
        float32 [..., C, H, W] on the device of `images`.
    """
    mean_, std_ = (_per_channel(tuple(v), images.device) for v in (mean, std))  # [C, 1, 1]
    return images.to(torch.float32).div_(255).sub_(mean_).div_(std_)


def denormalise(x: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """The inverse of `normalise`: 255 (x std + mean), rounded and clamped to 0…255.

    Args:
        x: float [..., C, H, W] in normalised units.
        mean, std: C floats each, in units of the range [0, 1].

    Returns:
        uint8 [..., C, H, W] on the device of `x`.
    """
    mean_, std_ = (_per_channel(tuple(v), x.device) for v in (mean, std))  # [C, 1, 1]
    return (x.detach().float() * std_ + mean_).mul_(255).round_().clamp_(0, 255).to(torch.uint8)


@dataclass(frozen=True, eq=False)
class ImageData:
    """N labelled images held as bytes.

    Attributes:
        images: uint8 [N, 3, H, W], values 0…255.
        labels: int64 [N], indices into `classes`.
        classes: the name of each class.
        name: what the data are called in tables and captions.
        mean, std: three floats each in units of [0, 1]; the constants of `batch`.
        factors: what else is known of each image, by name; tensors [N] or, per object, [N, K].
        object_masks: bool [N, K, H, W], the visible pixels of each object, or None.
        boxes: float32 [N, K, 4], (x0, y0, x1, y1) in pixels around those, or None.

    The tensors may be views of one cached array: treat them as read-only (clone before writing).
    """

    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    name: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    factors: dict[str, Tensor] = field(default_factory=dict)
    object_masks: Tensor | None = None
    boxes: Tensor | None = None

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.ndim != 4 or self.images.shape[1] != 3:
            found = f"{self.images.dtype} {list(self.images.shape)}"
            raise ValueError(f"images must be uint8 [N, 3, H, W], found {found}: stack RGB bytes, 0 to 255")
        n = len(self.images)
        if self.labels.dtype != torch.int64 or self.labels.shape != (n,):
            found = f"{self.labels.dtype} {list(self.labels.shape)}"
            raise ValueError(f"labels must be int64 [{n}], one per image, found {found}")
        parts = {**self.factors, "object_masks": self.object_masks, "boxes": self.boxes}
        for name, part in parts.items():
            if part is not None and len(part) != n:
                raise ValueError(f"{name} has {len(part)} rows for {n} images: give one row per image")

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        n, _, height, width = self.images.shape
        return f"ImageData({self.name}: {n:,} images {height}×{width}, {len(self.classes)} classes)"

    def batch(self, index=None, device=None) -> Tensor:
        """The images as the model sees them: `normalise(images[index], mean, std)`.

        Args:
            index: what to take: None (all), a slice, a list or tensor of indices, or a bool mask [N].
            device: where the result lives; the bytes travel and are normalised there.

        Returns:
            float32 [B, 3, H, W].
        """
        images = self.images if index is None else self.images[_rows(index, self.images)]  # [B, 3, H, W]
        return normalise(images.to(device), self.mean, self.std)

    def to(self, device) -> ImageData:
        """The same data with every tensor on a device: on a GPU batches then need no copy and no worker.

        Args:
            device: "cuda", "cpu", … ; 40,000 images of 32×32 pixels take 123 MB there.

        Returns:
            `ImageData` whose `batch` gathers and normalises on that device.
        """

        def move(part):
            return None if part is None else part.to(device)

        return replace(
            self,
            images=move(self.images),
            labels=move(self.labels),
            factors={name: move(values) for name, values in self.factors.items()},
            object_masks=move(self.object_masks),
            boxes=move(self.boxes),
        )

    def subset(self, index) -> ImageData:
        """The same data cut down to some images.

        Args:
            index: a slice (shares memory), or a list or tensor of indices or a bool mask [N] (copies).

        Returns:
            `ImageData` with images, labels, factors, masks and boxes cut alike.
        """
        rows = _rows(index, self.images)
        return ImageData(
            images=self.images[rows],
            labels=self.labels[rows],
            classes=self.classes,
            name=self.name,
            mean=self.mean,
            std=self.std,
            factors={name: values[rows] for name, values in self.factors.items()},
            object_masks=None if self.object_masks is None else self.object_masks[rows],
            boxes=None if self.boxes is None else self.boxes[rows],
        )


def _rows(index, images: Tensor):
    """An index that keeps the batch dimension and lives where the images live."""
    if isinstance(index, slice):
        return index
    index = torch.as_tensor(index, device=images.device)
    return index.reshape(1) if index.ndim == 0 else index
