"""The relatives of I-JEPA: each file shows the component that is replaced, and nothing else. `fit` trains them all.

A relative is a file with four names: `NAME`, `model(encoder)`, `masks` (None for a method without) and `TRAINING`,
settings for `fit`. One that learns from clips also has `TUBELET`, and its `masks` take a `grid`. METHODS lists those
that `python -m minijepa.train --method` trains; I-JEPA's are in the recipe. CLIP learns from images with captions and
is not among them.
"""

from minijepa.family import byol, clip, data2vec, lejepa, mae, moco, simclr, vicreg, vjepa
from minijepa.family.byol import BYOL, byol_loss
from minijepa.family.clip import CLIP, clip_loss
from minijepa.family.data2vec import Data2Vec
from minijepa.family.lejepa import lejepa_loss
from minijepa.family.mae import PixelTeacher
from minijepa.family.moco import MoCo, moco_loss
from minijepa.family.simclr import info_nce
from minijepa.family.two_views import TwoViews, colours, two_views
from minijepa.training import recipe

METHODS = {
    "ijepa": recipe,
    "mae": mae,
    "data2vec": data2vec,
    "simclr": simclr,
    "moco": moco,
    "byol": byol,
    "vicreg": vicreg,
    "lejepa": lejepa,
    "vjepa": vjepa,
}

__all__ = [
    "METHODS",
    "mae",
    "PixelTeacher",
    "data2vec",
    "Data2Vec",
    "TwoViews",
    "two_views",
    "colours",
    "simclr",
    "info_nce",
    "moco",
    "MoCo",
    "moco_loss",
    "byol",
    "BYOL",
    "byol_loss",
    "clip",
    "CLIP",
    "clip_loss",
    "vicreg",
    "lejepa",
    "lejepa_loss",
    "vjepa",
]
