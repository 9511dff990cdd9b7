"""Assignment 20: sub-goals, the cost of a hierarchy, TD targets, successor features, zero-shot policies, scores."""

from minijepa.checks.goals.hand_down import hand_down, show_hand_down
from minijepa.checks.goals.predictions import predictions, show_predictions
from minijepa.checks.goals.score import score, show_score
from minijepa.checks.goals.successors import show_successors, successors
from minijepa.checks.goals.td_loss import show_td_loss, td_loss
from minijepa.checks.goals.zero_shot import show_zero_shot, zero_shot

__all__ = ["hand_down", "predictions", "td_loss", "successors", "zero_shot", "score"]
__all__ += ["show_hand_down", "show_predictions", "show_td_loss", "show_successors", "show_zero_shot", "show_score"]
