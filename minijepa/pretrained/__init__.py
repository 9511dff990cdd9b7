"""Encoders that are trained already: those that come with the course and your own (`shipped`), Meta's (`official`)."""

from minijepa.pretrained import official
from minijepa.pretrained.official import Official, load_official
from minijepa.pretrained.shipped import Pretrained, Shipped, WeightsCorrupt, load_pretrained, pretrained_names

__all__ = [
    "load_pretrained",
    "pretrained_names",
    "Pretrained",
    "Shipped",
    "WeightsCorrupt",
    "load_official",
    "Official",
    "official",
]
