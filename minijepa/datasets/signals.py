"""Signals in memory: sounds as spectrograms, series, anything that is a float tensor with labels and factors.

What `ImageData` is to bytes, this is to floats: `batch` gives what the model sees, `subset` picks, `factors` holds what
else is known of each signal.
"""

from dataclasses import dataclass, field

import torch

from minijepa.datasets.images import map_tensors, rows_at


@dataclass(frozen=True, eq=False)
class SignalData:
    """N labelled signals.

    values: float32 [N, C, ...], already normalised: [N, C, T] a series, [N, 1, mel, T] a spectrogram.
    labels: int64 [N], indices into `classes`.
    classes: the name of each class.
    name: what the data are called in tables and captions.
    factors: what else is known of each signal, by name; tensors [N, ...].
    The tensors may be views of one cached array: treat them as read-only (clone before writing).
    Raises ValueError if a tensor has another type, shape or length than stated here.
    """

    values: torch.Tensor
    labels: torch.Tensor
    classes: tuple[str, ...]
    name: str
    factors: dict[str, torch.Tensor] = field(default_factory=dict)

    def __post_init__(self):
        if self.values.dtype != torch.float32 or self.values.ndim < 3:
            found = f"{self.values.dtype} {list(self.values.shape)}"
            raise ValueError(f"values must be float32 [N, C, ...], found {found}: give each signal a channel")
        n = len(self.values)
        if self.labels.dtype != torch.int64 or self.labels.shape != (n,):
            found = f"{self.labels.dtype} {list(self.labels.shape)}"
            raise ValueError(f"labels must be int64 [{n}], one per signal, found {found}")
        for name, part in self.factors.items():
            if len(part) != n:
                raise ValueError(f"{name} has {len(part)} rows for {n} signals: give one row per signal")

    def __len__(self):
        return len(self.values)

    def __repr__(self):
        shape = "×".join(map(str, self.values.shape[1:]))
        return f"SignalData({self.name}: {len(self):,} signals {shape}, {len(self.classes)} classes)"

    def batch(self, index=None, device=None):
        """The signals as the model sees them, float32 [B, C, ...].

        index: what to take: None (all), a slice, a list or tensor of indices [B], or a bool mask [N].
        device: where the result lives.
        """
        values = self.values if index is None else self.values[rows_at(index, self.values.device)]
        return values.to(device)

    def subset(self, index):
        """The same data reduced to some signals. index: a slice, a list or tensor of indices [B] or a mask [N]."""
        rows = rows_at(index, self.values.device)
        return map_tensors(self, lambda part: part[rows])
