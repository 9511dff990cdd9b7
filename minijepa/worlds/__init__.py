"""Worlds so small that one can compute what ought to be learned. They import no model."""

from minijepa.worlds.depth import fixed_point, grow, growth, learning_time
from minijepa.worlds.fork import Latent, SideBySide, disc, fit_fork, fork, roads
from minijepa.worlds.grid_rooms import FOUR_ROOMS, GridRooms, Transition, Transitions
from minijepa.worlds.gym import gym_env
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
from minijepa.worlds.linear_views import ViewsRun, alignment, critical_decay, plateau, train_views, views_loss
from minijepa.worlds.physics import HIDDEN, LESS_MOTION, OUTCOMES, VIOLATIONS, Clips, Futures, Pairs, Physics
from minijepa.worlds.spectral import laplacian, smoothest_encoder, spectral_embedding, subspace_overlap
from minijepa.worlds.two_rooms import Clip, Tasks, TwoRooms, Walks

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
    "ViewsRun",
    "train_views",
    "views_loss",
    "alignment",
    "plateau",
    "critical_decay",
    "growth",
    "fixed_point",
    "learning_time",
    "grow",
    "laplacian",
    "spectral_embedding",
    "smoothest_encoder",
    "subspace_overlap",
    "TwoRooms",
    "Walks",
    "Tasks",
    "Clip",
    "gym_env",
    "FOUR_ROOMS",
    "GridRooms",
    "Transition",
    "Transitions",
    "Physics",
    "Clips",
    "Pairs",
    "Futures",
    "VIOLATIONS",
    "HIDDEN",
    "LESS_MOTION",
    "OUTCOMES",
]
