"""Assignment 07: an energy, shuffled pairs to test it on, its AUROC, and the free energy of a latent variable."""

from minijepa.checks.energy.auroc import auroc, show_auroc
from minijepa.checks.energy.free_energy import free_energy, show_free_energy
from minijepa.checks.energy.pair_energy import pair_energy, show_pair_energy
from minijepa.checks.energy.partners import partners, show_partners
from minijepa.checks.energy.surprise_map import show_surprise_map, surprise_map

__all__ = ["pair_energy", "partners", "auroc", "free_energy", "surprise_map"]
__all__ += ["show_pair_energy", "show_partners", "show_auroc", "show_free_energy", "show_surprise_map"]
