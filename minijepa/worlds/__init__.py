"""Worlds so small that one can compute what ought to be learned. They import no model."""

from minijepa.worlds.fork import Latent, SideBySide, disc, fit_fork, fork, roads
from minijepa.worlds.linear import (
    DISTRACTORS,
    LinearWorld,
    cca_encoder,
    encoder_r2,
    linear_world,
    pca_encoder,
    probe_r2,
    reduced_rank_encoder,
    rotation,
    slow_encoder,
    whitener,
)

__all__ = [
    "SideBySide",
    "roads",
    "disc",
    "Latent",
    "fit_fork",
    "DISTRACTORS",
    "LinearWorld",
    "linear_world",
    "rotation",
    "whitener",
    "pca_encoder",
    "reduced_rank_encoder",
    "cca_encoder",
    "slow_encoder",
    "encoder_r2",
    "probe_r2",
    "fork",
]
