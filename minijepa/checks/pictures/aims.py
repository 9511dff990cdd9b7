"""Assignment 01: what is asked for beside what came, before the check."""

import torch

from minijepa.checks.curves import line_and_yours
from minijepa.checks.picture import target_and_yours
from minijepa.checks.specs.aims import (
    AIMS,
    ROADS,
    probe_case,
    spec_contrast,
    spec_expected_cost,
    spec_latent_loss,
    spec_probe_r2,
    spec_worth,
)

# --- 1: one answer ----------------------------------------------------------------------------------------


def show_expected_cost(student):
    """Draw the cost of every place as an answer, for two roads that are equally likely, or not: target and answer."""
    side = torch.linspace(-2, 2, 21)
    cases = {
        "1/2 left, 1/2 right": (torch.tensor([0.5, 0.5]),),
        "1/4 left, 3/4 right": (torch.tensor([0.25, 0.75]),),
    }

    def over_places(cost):
        def plane(shares):
            costs = [cost(torch.tensor([x, y]), ROADS, shares) for y in side.tolist() for x in side.tolist()]
            return torch.stack(costs).view(21, 21)

        return plane

    see = "one dark well, where no road is: the best single answer is the mean."
    target_and_yours("expected_cost", over_places(student), over_places(spec_expected_cost), cases, see=see)


# --- 2: several answers ---------------------------------------------------------------------------------


def show_latent_loss(student):
    """Draw the loss of the answers -s and s, for cars on two roads, and on one: target and answer."""

    def points(*cars):
        y = torch.tensor(cars)[:, None]  # [B, 1]
        return [(s, (torch.tensor([[-s], [s]]).expand(len(cars), 2, 1), y)) for s in spread]

    spread = [i / 5 for i in range(11)]
    cases = {"cars at -1 and at 1": points(-1.0, 1.0), "three cars at 1, one at -2": points(1.0, 1.0, 1.0, -2.0)}
    see = "left the loss is 0 where both answers are roads, s = 1: each car takes its own."
    line_and_yours("latent_loss", student, spec_latent_loss, cases, ("s: the answers are -s and s", "loss"), see)


# --- 3: contrast ----------------------------------------------------------------------------------------


def show_contrast(student):
    """Draw the contrast between the gap at 0 and the roads at -1 and 1, for the answers -s and s: target and answer."""
    roads, gap = torch.tensor([[-1.0], [1.0]]), torch.zeros(1)
    one, two = [], []
    for s in [i / 5 for i in range(11)]:
        one.append((s, (torch.tensor([[s]]), gap, roads)))
        two.append((s, (torch.tensor([[-s], [s]]), gap, roads)))
    cases = {"the answers -s and s": two, "one answer, s": one}
    see = "above 0 the landscape tells gap from road. Two answers can do that, a single one hardly."
    line_and_yours("contrast", student, spec_contrast, cases, ("s", "contrast"), see)


# --- 4: what an aim is worth ------------------------------------------------------------------------------


def show_worth(student):
    """Draw the worth of a slow direction against its amplitude, for the three aims: target and answer."""
    amplitudes = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0)
    cases = {aim: [(a, (aim, a, 0.98)) for a in amplitudes] for aim in AIMS}
    see = "from left to right the direction gets louder: latents are the first to keep it."
    line_and_yours("worth", student, spec_worth, cases, ("amplitude", "worth"), see)


# --- 5: the judge ---------------------------------------------------------------------------------------


def show_probe_r2(student):
    """Draw the score of codes whose state is more and more noise, for few and many examples: target and answer."""
    noises = [0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0]
    cases = {
        "40 to fit, 30 to judge": [(noise, probe_case(0, noise=noise)) for noise in noises],
        "12 to fit 6 weights, 50 to judge": [(noise, probe_case(10, 12, 50, 6, noise)) for noise in noises],
    }
    see = "the score falls below 0, worse than the mean for a guess; on the training set it never does."
    line_and_yours("probe_r2", student, spec_probe_r2, cases, ("noise in the state", "R squared"), see)
