"""Assignment 01: squared error at a fork, a latent variable, and what each training objective encodes."""

from minijepa.checks.aims.contrast import contrast, show_contrast
from minijepa.checks.aims.expected_cost import expected_cost, show_expected_cost
from minijepa.checks.aims.latent_loss import latent_loss, show_latent_loss
from minijepa.checks.aims.probe_r2 import probe_r2, show_probe_r2
from minijepa.checks.aims.worth import show_worth, worth

__all__ = ["expected_cost", "latent_loss", "contrast", "worth", "probe_r2"]
__all__ += ["show_expected_cost", "show_latent_loss", "show_contrast", "show_worth", "show_probe_r2"]
