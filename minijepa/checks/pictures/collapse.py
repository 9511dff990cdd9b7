"""Assignment 05: what is asked for beside what came, before the check."""

import torch

from minijepa.checks.curves import line_and_yours
from minijepa.checks.specs import normal
from minijepa.checks.specs.collapse import (
    ALIVE,
    POSITIONAL,
    STATES,
    spec_content_share,
    spec_covariance_term,
    spec_position_std,
    spec_rankme,
    spec_variance_term,
)

# --- 1: does anything differ between images? --------------------------------------------------------------


def show_position_std(student):
    """Draw the measure for three states of the tokens, on one scale: target and answer."""
    see = "low for both collapses, also where tokens differ from place to place."
    as_one(student, spec_position_std, "position_std", see)


def as_one(student, spec, name, see):
    """Draw a measure of the three states, and of tokens on their way from a positional collapse to life."""
    states = [(words, case) for words, case in STATES.items()]
    way = [(share, (share * ALIVE + (1 - share) * POSITIONAL,)) for share in (0.0, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)]
    cases = {"three states": states, "from positional to alive": way}
    labels = [("state", name), ("share that is alive", name)]
    line_and_yours(name, student, spec, cases, labels, see)


# --- 2: what share of the variance is content? ------------------------------------------------------------


def show_content_share(student):
    """Draw the measure for three states of the tokens: target and answer."""
    see = "low for a positional collapse; after a complete one it is a share of next to nothing, and says nothing."
    as_one(student, spec_content_share, "content_share", see)


# --- 3: how many directions? ----------------------------------------------------------------------------


def show_rankme(student):
    """Draw the measure for features that use 1 to 8 of 8 directions, around 0 and far from it: target and answer."""

    def points(mean):
        noise = normal(60, 8)
        return [(k, (noise * (torch.arange(8) < k) + mean,)) for k in range(1, 9)]

    cases = {"mean 0": points(0.0), "mean 5": points(5.0)}
    see = "about as many as there are; the mean of the features must not matter."
    line_and_yours("rankme", student, spec_rankme, cases, ("directions that are used", "centred RankMe"), see)


# --- 4, 5: VICReg's terms -------------------------------------------------------------------------------


def show_variance_term(student):
    """Draw the term for features of growing deviation, all or one of two: target and answer."""
    z = normal(32, 2)
    z = (z - z.mean(dim=0)) / z.std(dim=0)  # [32, 2], deviation 1
    sizes = [i / 4 for i in range(9)]
    cases = {
        "both features": [(s, (s * z,)) for s in sizes],
        "the first; the second is dead": [(s, (s * z * torch.tensor([1.0, 0.0]),)) for s in sizes],
    }
    see = "falls to 0 at deviation 1 and stays there; a dead feature costs its half whatever the other does."
    line_and_yours("variance_term", student, spec_variance_term, cases, ("deviation", "variance term"), see)


def show_covariance_term(student):
    """Draw the term for two features that are more and more alike, for two sizes: target and answer."""
    z = normal(32, 2)
    q = torch.linalg.qr(z - z.mean(dim=0)).Q * 31**0.5  # [32, 2]: deviation 1, correlation 0

    def points(size):
        mix = [(r, torch.stack([q[:, 0], r * q[:, 0] + (1 - r * r) ** 0.5 * q[:, 1]], dim=1)) for r in shares]
        return [(r, (size * both + 3,)) for r, both in mix]

    shares = [i / 5 for i in range(-5, 6)]
    cases = {"deviation 1": points(1.0), "deviation 2": points(2.0)}
    see = "0 where the features are uncorrelated; larger features cost more: it is a covariance."
    line_and_yours("covariance_term", student, spec_covariance_term, cases, ("correlation", "covariance term"), see)
