"""The relatives of I-JEPA: each file shows the component that is replaced, and nothing else. `fit` trains them all.

A relative is a file with four names: `NAME`, `model(encoder)`, `masks` (None for a method without) and `TRAINING`,
settings for `fit`. One that learns from clips also has `TUBELET`, and its `masks` take a `grid`. METHODS lists those
that `python -m minijepa.train --method` trains; I-JEPA's are in the recipe. Others need more than images: SALT a
trained target encoder, CLIP captions, A-JEPA sounds, TS-JEPA series, T-JEPA trips, VL-JEPA and the token VLM questions
and answers. M3-JEPA learns between frozen vectors, which `named` makes.
"""

from minijepa.family import (
    a_jepa,
    autoencoder,
    beit,
    bootleg,
    byol,
    cjepa,
    clip,
    data2vec,
    data2vec2,
    dmt_jepa,
    lejepa,
    m3_jepa,
    mae,
    moco,
    named,
    salt,
    simclr,
    t_jepa,
    ts_jepa,
    two_targets,
    vae,
    vicreg,
    vjepa,
    vjepa21,
    vl_jepa,
    vlm,
)
from minijepa.family.autoencoder import Autoencoder, Frames
from minijepa.family.beit import BEiT
from minijepa.family.byol import BYOL, byol_loss
from minijepa.family.cjepa import CJEPA, cjepa_regulariser
from minijepa.family.clip import CLIP, clip_loss
from minijepa.family.data2vec import Data2Vec
from minijepa.family.dmt_jepa import DMTJEPA, neighbourhood
from minijepa.family.lejepa import lejepa_loss
from minijepa.family.m3_jepa import M3JEPA
from minijepa.family.mae import PixelTeacher
from minijepa.family.moco import MoCo, moco_loss
from minijepa.family.simclr import info_nce
from minijepa.family.t_jepa import AdjFuse, CellEmbed, cell_vectors, completed
from minijepa.family.two_targets import LatentsAndPixels, TwoTargets
from minijepa.family.two_views import TwoViews, colours, two_views
from minijepa.family.vae import VAE
from minijepa.family.vjepa21 import DenseJEPA, distance_weights, warmed_up
from minijepa.family.vl_jepa import VLJEPA, QuestionPredictor, at_intervals, cosine_loss, held, spread, when_moved
from minijepa.family.vlm import VLM
from minijepa.training import recipe

METHODS = {
    # latent prediction
    "ijepa": recipe,
    "data2vec": data2vec,
    "data2vec2": data2vec2,
    "bootleg": bootleg,
    "dmt_jepa": dmt_jepa,
    "cjepa": cjepa,
    "vjepa": vjepa,
    "vjepa21": vjepa21,
    "two_targets": two_targets,
    # generation
    "mae": mae,
    "beit": beit,
    "autoencoder": autoencoder,
    "vae": vae,
    # invariance
    "simclr": simclr,
    "moco": moco,
    "byol": byol,
    "vicreg": vicreg,
    "lejepa": lejepa,
}

__all__ = [
    "METHODS",
    "data2vec",
    "Data2Vec",
    "data2vec2",
    "bootleg",
    "salt",
    "dmt_jepa",
    "DMTJEPA",
    "neighbourhood",
    "cjepa",
    "CJEPA",
    "cjepa_regulariser",
    "a_jepa",
    "vjepa",
    "vjepa21",
    "DenseJEPA",
    "distance_weights",
    "warmed_up",
    "t_jepa",
    "CellEmbed",
    "AdjFuse",
    "cell_vectors",
    "completed",
    "mae",
    "PixelTeacher",
    "beit",
    "BEiT",
    "autoencoder",
    "Autoencoder",
    "Frames",
    "vae",
    "VAE",
    "two_targets",
    "TwoTargets",
    "LatentsAndPixels",
    "TwoViews",
    "two_views",
    "colours",
    "simclr",
    "ts_jepa",
    "info_nce",
    "moco",
    "MoCo",
    "moco_loss",
    "byol",
    "BYOL",
    "byol_loss",
    "vicreg",
    "lejepa",
    "lejepa_loss",
    "clip",
    "CLIP",
    "clip_loss",
    "m3_jepa",
    "M3JEPA",
    "named",
    "vl_jepa",
    "VLJEPA",
    "QuestionPredictor",
    "cosine_loss",
    "spread",
    "when_moved",
    "at_intervals",
    "held",
    "vlm",
    "VLM",
]
