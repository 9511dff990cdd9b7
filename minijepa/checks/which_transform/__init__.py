"""Assignment 11: the losses of two-view methods, SimCLR's and Barlow Twins', and a run compared with its start."""

from minijepa.checks.which_transform.barlow_twins import barlow_twins, show_barlow_twins
from minijepa.checks.which_transform.beats_start import beats_start, show_beats_start
from minijepa.checks.which_transform.nt_xent_logits import nt_xent_logits, show_nt_xent_logits
from minijepa.checks.which_transform.partner_index import partner_index, show_partner_index
from minijepa.checks.which_transform.stripes import stripes

__all__ = ["partner_index", "nt_xent_logits", "barlow_twins", "beats_start", "stripes"]
__all__ += ["show_partner_index", "show_nt_xent_logits", "show_barlow_twins", "show_beats_start"]
