"""Assignment 07: what is asked for beside what came, before the check."""

import torch

from minijepa.checks.curves import line_and_yours
from minijepa.checks.picture import target_and_yours
from minijepa.checks.specs import normal
from minijepa.checks.specs.energy import (
    SURPRISES,
    spec_auroc,
    spec_free_energy,
    spec_pair_energy,
    spec_partners,
    spec_surprise_map,
)

# --- 1: the energy --------------------------------------------------------------------------------------


def show_pair_energy(student):
    """Draw the energy of the first of two images that is off by d, while the second is right: target and answer."""

    def case(offset):
        right = torch.zeros(2, 1, 2, 3)
        return right + offset * torch.tensor([1.0, 0.0]).view(2, 1, 1, 1), right

    cases = {"the first image": [(d, case(d)) for d in [i / 2 for i in range(-6, 7)]]}
    see = "0 where both fit, a parabola near it, straight lines beyond 1; the second image has no part in it."
    line_and_yours("pair_energy", student, spec_pair_energy, cases, ("d", "energy"), see, lambda e: e.flatten()[0])


# --- 2: fair pairs --------------------------------------------------------------------------------------


def show_partners(student):
    """Draw who is whose partner, a row per image: target and answer."""

    def as_map(answer, count, generator):
        return torch.zeros(count, count).scatter(1, answer[:, None], 1.0)

    cases = {f"{count} images": (count, torch.Generator().manual_seed(0)) for count in (6, 12)}
    see = "one bright square in every row and every column, none on the diagonal. Which ones is random, and may differ."
    target_and_yours("partners", student, spec_partners, cases, as_map, see, limits=(0, 1))


# --- 3: AUROC -------------------------------------------------------------------------------------------


def show_auroc(student):
    """Draw the score against how much higher shuffled energies are, also where they tie: target and answer."""
    low, high = normal(40), normal(50, seed=1)
    shifts = [i / 2 for i in range(-4, 7)]
    cases = {
        "energies with all digits": [(s, (low, high + s)) for s in shifts],
        "rounded, so that many tie": [(s, (low.round(), (high + s).round())) for s in shifts],
    }
    see = "near one half where both are alike, towards 1 as they part; rounding changes little if ties count half."
    line_and_yours("auroc", student, spec_auroc, cases, ("shuffled energies higher by", "AUROC"), see)


# --- 4: a latent variable ---------------------------------------------------------------------------------


def show_free_energy(student):
    """Draw the free energy around a fork, where the answers are (-1, 0) and (1, 0): target and answer."""
    side = torch.linspace(-2, 2, 25)
    places = torch.cartesian_prod(side, side).flip(1)  # [625, 2]: (across, along)
    roads = torch.tensor([[-1.0, 0.0], [1.0, 0.0]]).expand(len(places), 2, 2)

    def both(answer, answers, y):
        return torch.cat([answer[0].view(25, 25), answer[1].view(25, 25).to(answer[0]) * 5], dim=1)

    see = "left of each: two dark wells, one per road, and a ridge between them; right: which z was taken."
    target_and_yours("free_energy", student, spec_free_energy, {"energy | z": (roads, places)}, both, see)


# --- 5: surprise ------------------------------------------------------------------------------------------


def show_surprise_map(student):
    """Draw the maps of two images: target and answer."""
    cases = {"9 patches, 10 draws": (SURPRISES[1]), "6 patches, 30 draws": (SURPRISES[3])}
    target_and_yours("surprise_map", student, spec_surprise_map, cases)
