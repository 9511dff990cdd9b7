"""Clips in memory: what `ImageData` is for images, with time as one axis more."""

from dataclasses import dataclass, field, replace

import torch

from minijepa.datasets.images import map_tensors, per_channel, rows_at


@dataclass(frozen=True, eq=False)
class ClipData:
    """N labelled clips held as bytes; `minijepa.fit` trains on them as on images.

    clips: uint8 [N, C, T, H, W], values 0...255; C is 1 (grey) or 3 (RGB).
    labels: int64 [N] each, by what they tell: labels["direction"], labels["shape"], ...
    classes: for each of these the names of its values.
    name: what the data are called in tables and captions.
    mean, std: C floats each in units of [0, 1]; the constants of `batch`.
    factors: what else is known of each clip, by name; tensors whose first axis is N.
    Treat the tensors as read-only (clone before writing).
    Raises ValueError if a tensor has another type, shape or length than stated here.
    """

    clips: torch.Tensor
    labels: dict[str, torch.Tensor]
    classes: dict[str, tuple[str, ...]]
    name: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    factors: dict[str, torch.Tensor] = field(default_factory=dict)

    def __post_init__(self):
        if self.clips.dtype != torch.uint8 or self.clips.ndim != 5 or self.clips.shape[1] not in (1, 3):
            found = f"{self.clips.dtype} {list(self.clips.shape)}"
            raise ValueError(f"clips must be uint8 [N, 1 or 3, T, H, W], found {found}: stack bytes, 0 to 255")
        n, channels = self.clips.shape[:2]
        for name, values in self.labels.items():
            if values.dtype != torch.int64 or values.shape != (n,):
                found = f"{values.dtype} {list(values.shape)}"
                raise ValueError(f"labels[{name!r}] must be int64 [{n}], one per clip, found {found}")
        if set(self.labels) != set(self.classes):
            raise ValueError(f"labels are {sorted(self.labels)} but classes name {sorted(self.classes)}: name each")
        for name, values in self.factors.items():
            if len(values) != n:
                raise ValueError(f"factors[{name!r}] has {len(values)} rows for {n} clips: give one row per clip")
        if len(self.mean) != channels or len(self.std) != channels:
            raise ValueError(f"{channels} channels need as many means and stds, got {self.mean} and {self.std}")

    def __len__(self):
        return len(self.clips)

    def __repr__(self):
        n, _, frames, height, width = self.clips.shape
        size = f"{frames} frames {height}×{width}"
        return f"ClipData({self.name}: {n:,} clips of {size}, labels {', '.join(self.labels)})"

    def batch(self, index=None, device=None):
        """The clips as the model sees them: (x / 255 - mean) / std per channel.

        index: what to take: None (all), a slice, a list or tensor of indices [B], or a bool mask [N].
        device: where the result lives; the bytes travel and are normalised there.
        Returns float32 [B, C, T, H, W].
        """
        clips = self.clips if index is None else self.clips[rows_at(index, self.clips.device)]  # [B, C, T, H, W]
        clips = clips.to(device)
        mean, std = (per_channel(tuple(v), clips.device)[..., None] for v in (self.mean, self.std))  # [C, 1, 1, 1]
        return clips.to(torch.float32).div_(255).sub_(mean).div_(std)

    def subset(self, index):
        """The same data reduced to some clips, with labels and factors alike.

        index: a slice (no copy is made), or a list or tensor of indices [B] or a bool mask [N] (copies).
        """
        rows = rows_at(index, self.clips.device)
        return map_tensors(self, lambda part: part[rows])

    def having(self, **changes):
        """The same data with some attributes replaced, such as `having(clips=shuffle_frames(data.clips))`."""
        return replace(self, **changes)


def shuffle_frames(clips, seed=0):
    """Each clip's frames in a random order of its own: what is shown stays, what happens is gone.

    clips: uint8 or float [N, C, T, H, W]. seed: what the orders follow from.
    Returns the same clips, [N, C, T, H, W], frames permuted in time.
    """
    n, _, frames = clips.shape[:3]
    generator = torch.Generator().manual_seed(seed)
    order = torch.rand(n, frames, generator=generator).argsort(1).to(clips.device)  # [N, T]
    return clips.gather(2, order[:, None, :, None, None].expand_as(clips))
