"""World models: a JEPA that hears actions, and what plans with it."""

from minijepa.planning.td_jepa import TDJEPA, TDJEPAOutput, orthonormality, successor_features
from minijepa.planning.zero_shot import Tasks, ZeroShotActor, on_sphere, plan, task_vectors, training_tasks

__all__ = [
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
]
