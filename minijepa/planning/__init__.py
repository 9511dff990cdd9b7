"""World models: a JEPA that hears actions, and what plans with it."""

from minijepa.planning.cem import Search, cem, mppi
from minijepa.planning.decoder import Decoder
from minijepa.planning.gradient import gradient_search
from minijepa.planning.inverse import InversePolicy
from minijepa.planning.mpc import (
    Episodes,
    GreedyPolicy,
    Oracle,
    Planner,
    RandomPolicy,
    closest,
    last,
    run_episodes,
    total,
)
from minijepa.planning.stochastic import StochasticPredictor, Transitions, coverage, kl_gaussians
from minijepa.planning.two_stages import learn, learn_dynamics, learn_representation
from minijepa.planning.video_model import CopyLast, PixelModel, VideoModel, auroc, pairwise_accuracy, per_clip
from minijepa.planning.world_model import (
    LEWM,
    PLDM,
    Dynamics,
    FrameEncoder,
    LatentWalks,
    WorldModel,
    encode_walks,
)

__all__ = [
    "FrameEncoder",
    "Dynamics",
    "WorldModel",
    "PLDM",
    "LEWM",
    "LatentWalks",
    "encode_walks",
    "learn",
    "learn_representation",
    "learn_dynamics",
    "Decoder",
    "cem",
    "mppi",
    "gradient_search",
    "Search",
    "Planner",
    "closest",
    "total",
    "last",
    "Oracle",
    "InversePolicy",
    "RandomPolicy",
    "GreedyPolicy",
    "run_episodes",
    "Episodes",
    "VideoModel",
    "PixelModel",
    "CopyLast",
    "per_clip",
    "pairwise_accuracy",
    "auroc",
    "StochasticPredictor",
    "Transitions",
    "kl_gaussians",
    "coverage",
]
