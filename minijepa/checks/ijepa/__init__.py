"""Assignment 04: I-JEPA from its parts: target encoder, targets, loss, and where gradients may flow."""

from minijepa.checks.ijepa.ema_update import ema_update, show_ema_update
from minijepa.checks.ijepa.jepa_loss import jepa_loss, show_jepa_loss
from minijepa.checks.ijepa.momentum_for import momentum_for, show_momentum_for
from minijepa.checks.ijepa.normalise import normalise, show_normalise
from minijepa.checks.ijepa.step_loss import show_step_loss, small_parts, step_loss

__all__ = ["ema_update", "momentum_for", "normalise", "jepa_loss", "step_loss", "small_parts"]
__all__ += ["show_ema_update", "show_momentum_for", "show_normalise", "show_jepa_loss", "show_step_loss"]
