"""The relatives of I-JEPA: each file shows the component that is replaced, and nothing else. `fit` trains them all.

A relative is a file with four names: `NAME`, `model(encoder)`, `masks` (None for a method without) and `TRAINING`,
settings for `fit`. One that learns from clips also has `TUBELET`, and its `masks` take a `grid`. METHODS lists those
that `python -m minijepa.train --method` trains; I-JEPA's are in the recipe.
"""

from minijepa.family import autoencoder, beit, data2vec, lejepa, mae, simclr, vae, vicreg, vjepa
from minijepa.family.autoencoder import Autoencoder, Frames
from minijepa.family.beit import BEiT
from minijepa.family.data2vec import Data2Vec
from minijepa.family.lejepa import lejepa_loss
from minijepa.family.mae import PixelTeacher
from minijepa.family.simclr import info_nce
from minijepa.family.two_views import TwoViews, colours, two_views
from minijepa.family.vae import VAE
from minijepa.training import recipe

METHODS = {
    "ijepa": recipe,
    "mae": mae,
    "data2vec": data2vec,
    "simclr": simclr,
    "vicreg": vicreg,
    "lejepa": lejepa,
    "vjepa": vjepa,
    "autoencoder": autoencoder,
    "vae": vae,
    "beit": beit,
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
    "vicreg",
    "lejepa",
    "lejepa_loss",
    "vjepa",
    "autoencoder",
    "Autoencoder",
    "Frames",
    "vae",
    "VAE",
    "beit",
    "BEiT",
]
