"""A data set is one uint8 tensor in memory; it becomes float, and normalised, batch by batch on the device.

CIFAR-10's 40,000 training images take 123 MB as uint8 and 491 MB as float32, so the bytes are what is kept.
With everything in memory a batch is one indexing operation: no worker processes, no decoding, no files.
"""

from dataclasses import dataclass, field, replace
from functools import lru_cache

import torch


class DataUnavailable(RuntimeError):
    """The data are not on this machine and cannot be fetched."""


class DataCorrupt(RuntimeError):
    """Data were found, but a file is missing, truncated, foreign or unreadable."""


def normalise(images, mean, std):
    """(x / 255 - mean) / std per channel.

    images: uint8 [..., C, H, W]. mean, std: C floats each, in units of the range [0, 1].
    Returns float32 [..., C, H, W] on the device of `images`.
    """
    mean, std = (per_channel(tuple(v), images.device) for v in (mean, std))  # [C, 1, 1]
    return images.to(torch.float32).div_(255).sub_(mean).div_(std)


def denormalise(x, mean, std):
    """The inverse of `normalise`: 255 (x std + mean), rounded and clamped to 0...255.

    x: float [..., C, H, W] in normalised units. mean, std: C floats each, in units of the range [0, 1].
    Returns uint8 [..., C, H, W] on the device of `x`.
    """
    mean, std = (per_channel(tuple(v), x.device) for v in (mean, std))  # [C, 1, 1]
    return (x.detach().float() * std + mean).mul_(255).round_().clamp_(0, 255).to(torch.uint8)


@dataclass(frozen=True, eq=False)
class ImageData:
    """N labelled images held as bytes.

    images: uint8 [N, 3, H, W], values 0...255.
    labels: int64 [N], indices into `classes`.
    classes: the name of each class.
    name: what the data are called in tables and captions.
    mean, std: three floats each in units of [0, 1]; the constants of `batch`.
    factors: what else is known of each image, by name; tensors [N] or, per object, [N, K].
    The tensors may be views of one cached array: treat them as read-only (clone before writing).
    Raises ValueError if a tensor has another type, shape or length than stated here.
    """

    images: torch.Tensor
    labels: torch.Tensor
    classes: tuple[str, ...]
    name: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    factors: dict[str, torch.Tensor] = field(default_factory=dict)

    def __post_init__(self):
        if self.images.dtype != torch.uint8 or self.images.ndim != 4 or self.images.shape[1] != 3:
            found = f"{self.images.dtype} {list(self.images.shape)}"
            raise ValueError(f"images must be uint8 [N, 3, H, W], found {found}: stack RGB bytes, 0 to 255")
        n = len(self.images)
        if self.labels.dtype != torch.int64 or self.labels.shape != (n,):
            found = f"{self.labels.dtype} {list(self.labels.shape)}"
            raise ValueError(f"labels must be int64 [{n}], one per image, found {found}")
        for name, part in {**vars(self), **self.factors}.items():
            if isinstance(part, torch.Tensor) and len(part) != n:
                raise ValueError(f"{name} has {len(part)} rows for {n} images: give one row per image")

    def __len__(self):
        return len(self.images)

    def __repr__(self):
        n, _, height, width = self.images.shape
        return f"ImageData({self.name}: {n:,} images {height}×{width}, {len(self.classes)} classes)"

    def batch(self, index=None, device=None):
        """The images as the model sees them: `normalise(images[index], mean, std)`.

        index: what to take: None (all), a slice, a list or tensor of indices [B], or a bool mask [N].
        device: where the result lives; the bytes travel and are normalised there.
        Returns float32 [B, 3, H, W].
        """
        images = self.images if index is None else self.images[rows_at(index, self.images.device)]  # [B, 3, H, W]
        return normalise(images.to(device), self.mean, self.std)

    def to(self, device):
        """The same data with every tensor on a device: on a GPU batches then need no copy and no worker.

        device: "cuda", "cpu", ...; 40,000 images of 32x32 pixels take 123 MB there.
        Returns ImageData whose `batch` gathers and normalises on that device.
        """
        return map_tensors(self, lambda part: part.to(device))

    def subset(self, index):
        """The same data reduced to some images: images, labels, factors and all else alike.

        index: a slice (no copy is made), or a list or tensor of indices [B] or a bool mask [N] (copies).
        """
        rows = rows_at(index, self.images.device)
        return map_tensors(self, lambda part: part[rows])


# --- the pieces ---


@lru_cache(maxsize=64)
def per_channel(values, device):
    """Numbers as a tensor [C, 1, 1], kept: a GPU need not wait for them in every batch."""
    with torch.inference_mode(False):  # else the first caller's mode would be everyone's
        return torch.tensor(values, device=device).view(-1, 1, 1)


def rows_at(index, device):
    """An index (slice, list, tensor [B] or bool mask [N]) that keeps the batch dimension, on the device of the data."""
    if isinstance(index, slice):
        return index
    index = torch.as_tensor(index, device=device)
    return index.reshape(1) if index.ndim == 0 else index


def map_tensors(data, change):
    """A dataclass with `change` applied to each tensor in it and in its dictionaries."""

    def apply(part):
        if isinstance(part, dict):
            return {name: apply(value) for name, value in part.items()}
        return change(part) if isinstance(part, torch.Tensor) else part

    return replace(data, **{name: apply(part) for name, part in vars(data).items()})
