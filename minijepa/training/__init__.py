"""One loop trains everything. `fit` is the place to begin; each other file holds one thing that a run needs."""

from minijepa.training import measure
from minijepa.training.fit import History, TrainingDiverged, fit
from minijepa.training.launch import launch
from minijepa.training.memory import recompute_blocks
from minijepa.training.muon import Muon
from minijepa.training.optimizers import make_optimizers

__all__ = ["fit", "History", "TrainingDiverged", "make_optimizers", "Muon", "recompute_blocks", "measure", "launch"]
