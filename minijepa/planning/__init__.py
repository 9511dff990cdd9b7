"""World models: a JEPA that hears actions, and what plans with it."""

from minijepa.planning.cem import Search, cem, mppi
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
    "cem",
    "mppi",
    "Search",
    "Planner",
    "closest",
    "total",
    "last",
    "Oracle",
    "RandomPolicy",
    "GreedyPolicy",
    "run_episodes",
    "Episodes",
]
