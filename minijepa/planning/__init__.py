"""World models: a JEPA that hears actions, and what plans with it."""

from minijepa.planning.ac_predictor import ACPredictor, block_causal_mask
from minijepa.planning.ac_world_model import ACOutput, ACWorldModel, Trajectories, Trajectory, encode_frames

__all__ = [
    "block_causal_mask",
    "ACPredictor",
    "Trajectory",
    "Trajectories",
    "encode_frames",
    "ACOutput",
    "ACWorldModel",
]
