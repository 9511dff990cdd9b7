"""Assignment 13: what keeps a code from collapsing, in a linear network and by a test of normality."""

from minijepa.checks.regularisers.lejepa import lejepa, show_lejepa
from minijepa.checks.regularisers.normality import normality, show_normality
from minijepa.checks.regularisers.over_directions import over_directions, show_over_directions
from minijepa.checks.regularisers.resting import resting, show_resting
from minijepa.checks.regularisers.steps_to_half import show_steps_to_half, steps_to_half
from minijepa.checks.regularisers.views_step import show_views_step, views_step

__all__ = ["views_step", "resting", "steps_to_half", "normality", "over_directions", "lejepa"]
__all__ += ["show_views_step", "show_resting", "show_steps_to_half"]
__all__ += ["show_normality", "show_over_directions", "show_lejepa"]
