"""World models: a JEPA that hears actions, and what plans with it."""

from minijepa.planning.ac_predictor import ACPredictor, block_causal_mask
from minijepa.planning.ac_world_model import ACOutput, ACWorldModel, Trajectories, Trajectory, encode_frames
from minijepa.planning.cem import Search, cem, mppi
from minijepa.planning.decoder import Decoder
from minijepa.planning.gradient import gradient_search
from minijepa.planning.hierarchy import (
    Decision,
    Held,
    Level2,
    MacroEncoder,
    MacroSpace,
    StateEncoder,
    TwoLevelPlanner,
    Upper,
    lookup,
    macro_search,
)
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
from minijepa.planning.td_jepa import TDJEPA, TDJEPAOutput, orthonormality, successor_features
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
from minijepa.planning.zero_shot import Tasks, ZeroShotActor, on_sphere, plan, task_vectors, training_tasks

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
    "block_causal_mask",
    "ACPredictor",
    "Trajectory",
    "Trajectories",
    "encode_frames",
    "ACOutput",
    "ACWorldModel",
    "StateEncoder",
    "MacroEncoder",
    "Level2",
    "Upper",
    "Held",
    "MacroSpace",
    "macro_search",
    "TwoLevelPlanner",
    "Decision",
    "lookup",
    "TDJEPA",
    "TDJEPAOutput",
    "orthonormality",
    "successor_features",
    "task_vectors",
    "on_sphere",
    "training_tasks",
    "plan",
    "Tasks",
    "ZeroShotActor",
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
