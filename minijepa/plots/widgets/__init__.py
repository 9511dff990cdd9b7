"""Explorers: move a slider, see what changes. Each is a picture drawn from plain tensors, under a few controls.

Imported on its own (`from minijepa.plots.widgets import MaskExplorer`), so that `import minijepa` does not wait for
ipywidgets. An explorer as the last line of a cell shows itself; without a kernel (on GitHub, in HTML) the same output
holds a static picture of several of its states. Everything slow is computed when an explorer is made.
"""

from minijepa.plots.widgets.collapse import CollapseExplorer, Snapshot, SnapshotDuring
from minijepa.plots.widgets.energy import EnergyExplorer
from minijepa.plots.widgets.explorer import Explorer
from minijepa.plots.widgets.masks import MaskExplorer
from minijepa.plots.widgets.plan import PlanExplorer
from minijepa.plots.widgets.prediction import PredictionExplorer

__all__ = [
    "MaskExplorer",
    "PredictionExplorer",
    "CollapseExplorer",
    "Snapshot",
    "SnapshotDuring",
    "EnergyExplorer",
    "PlanExplorer",
    "Explorer",
]
