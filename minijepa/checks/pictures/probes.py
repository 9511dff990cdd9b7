"""Assignment 06: what is asked for beside what came, before the check."""

import torch

from minijepa.checks.curves import line_and_yours
from minijepa.checks.picture import target_and_yours
from minijepa.checks.specs import normal
from minijepa.checks.specs.probes import (
    FEATURES,
    experiment,
    knn_case,
    spec_choose,
    spec_group_split,
    spec_knn,
    spec_paired_margin,
    spec_standardise,
)

# --- 1: standardise ---------------------------------------------------------------------------------------


def show_standardise(student):
    """Draw training and test features, one under the other, after the map: target and answer."""

    def one_map(answer, train, test):
        return torch.cat(list(answer))

    cases = {"12 and 7 images": FEATURES[1], "one constant feature": FEATURES[2]}
    target_and_yours("standardise", student, spec_standardise, cases, one_map)


# --- 2: split -------------------------------------------------------------------------------------------


def show_group_split(student):
    """Draw which crops of 8 photographs are held out, a row per photograph: target and answer."""

    def as_map(answer, groups, share, generator):
        out = torch.zeros(len(groups)).scatter(0, answer[1], 1.0)  # [N]
        return out[groups.argsort(stable=True)].view(len(groups.unique()), -1)  # [photographs, crops]

    groups = torch.arange(40) % 8 * 3 + 2
    cases = {
        "share 0.25": (groups, 0.25, torch.Generator().manual_seed(0)),
        "share 0.5": (groups, 0.5, torch.Generator().manual_seed(1)),
    }
    see = "a row is a photograph: it is held out (bright) as a whole or not at all. Which ones is random."
    target_and_yours("group_split", student, spec_group_split, cases, as_map, see, limits=(0, 1))


# --- 3: neighbours --------------------------------------------------------------------------------------


def show_knn_predict(student):
    """Draw the label of every place in the plane, for 1 and for 5 neighbours: target and answer."""
    train, labels, _, _ = knn_case(15, 1, 2, 3, 1, 1)
    side = torch.linspace(-2, 2, 18)  # even, so that no place is the origin, which has no direction
    places = torch.cartesian_prod(side, side)  # [324, 2]

    def as_map(answer, *arguments):
        return answer.view(18, 18)

    cases = {f"k = {k}": (train, labels, places, k) for k in (1, 5)}
    see = "wedges that meet in the middle: cosine looks at the direction alone."
    target_and_yours("knn_predict", student, spec_knn, cases, as_map, see, limits=(0, 2))


# --- 4: choose ------------------------------------------------------------------------------------------


def show_choose(student):
    """Draw the accuracy that is reported in ten experiments of eight settings each: target and answer."""
    cases = {"ten experiments": [(str(number), (list(range(8)), experiment(number))) for number in range(1, 11)]}
    see = "who looks for the best on the TEST set reports more than there is: crosses above the rings."
    labels = ("experiment", "reported accuracy")
    line_and_yours("choose", student, spec_choose, cases, labels, see, number=lambda answer: answer[1])


# --- 5: a margin over seeds -----------------------------------------------------------------------------


def show_paired_margin(student):
    """Draw the mean difference and its error for 2 to 10 seeds: target and answer."""
    level = 0.1 * normal(10)  # what makes a seed easy or hard, for both
    ours, theirs = 0.6 + level + 0.02 * normal(10, seed=1), 0.55 + level + 0.02 * normal(10, seed=2)

    def part(function):
        return lambda index, a, b: function(a, b)[index]

    cases = {
        words: [(n, (index, ours[:n], theirs[:n])) for n in range(2, 11)]
        for index, words in enumerate(("mean difference", "its standard error"))
    }
    see = "with two or three seeds the error itself is a matter of luck, and may come out far too small."
    labels = [("seeds", "difference"), ("seeds", "error")]
    line_and_yours("paired_margin", part(student), part(spec_paired_margin), cases, labels, see)
