"""Assignment 08: what is asked for beside what came, before the check."""

import torch

from minijepa.checks.curves import line_and_yours
from minijepa.checks.picture import target_and_yours
from minijepa.checks.specs.clips import (
    CLIPS,
    TUBES,
    spec_clip_loss,
    spec_leak,
    spec_tube_indices,
    spec_tube_masks,
    spec_tubelets,
)

# --- 1: tubelets ------------------------------------------------------------------------------------------


def show_tubelets(student):
    """Draw two clips cut into tubelets, a row per tubelet: target and answer."""
    cases = {"2 frames, one tubelet long": CLIPS[0], "4 frames": (torch.arange(64.0).view(1, 1, 4, 4, 4), 2, 2)}
    target_and_yours("tubelets", student, spec_tubelets, cases)


# --- 2: a tube --------------------------------------------------------------------------------------------


def show_tube_indices(student):
    """Draw two tubes, each time a row of places: target and answer."""

    def as_map(answer, places, grid):
        return torch.zeros(grid[0] * grid[1] * grid[2]).scatter(0, answer.flatten(), 1.0).view(grid[0], -1)

    see = "a row per time, a column per place: tubes are columns without a gap."
    cases = {"2 places, 2 times": TUBES[0], "3 places, 4 times": TUBES[1]}
    target_and_yours("tube_indices", student, spec_tube_indices, cases, as_map, see)


# --- 3: masks of tubes ----------------------------------------------------------------------------------


def show_tube_masks(student):
    """Draw the target of one clip, a row per time, a column per place, for two settings: target and answer."""

    def as_map(answer, batch, grid, hidden, generator):
        n = grid[0] * grid[1] * grid[2]
        seen = torch.zeros(n).scatter(0, answer.context[0], 1.0)
        return seen.scatter(0, answer.targets[0].flatten(), 2.0).view(grid[0], -1)  # [times, places]

    cases = {
        "3 of 12 places": (1, (4, 3, 4), 3, torch.Generator().manual_seed(0)),
        "10 of 16 places": (1, (6, 4, 4), 10, torch.Generator().manual_seed(0)),
    }
    see = "bright: hidden, in columns without a gap; green: context. Which places is random, and may differ."
    target_and_yours("tube_masks", student, spec_tube_masks, cases, as_map, see, limits=(0, 2))


# --- 4: the leak ----------------------------------------------------------------------------------------


def show_leak(student):
    """Draw the leak of random tokens, and of blocks of time, by how many are hidden: target and answer."""
    grid, numbers = (8, 4, 4), torch.arange(128)  # 16 places, 8 times
    order = torch.rand(128, generator=torch.Generator().manual_seed(0)).argsort()
    shares = [i / 8 for i in range(1, 8)]

    def case(hidden):
        return numbers[~hidden], numbers[hidden], grid

    cases = {
        "random tokens": [(s, case(torch.isin(numbers, order[: int(128 * s)]))) for s in shares],
        "the last of 8 times": [(s, case(numbers >= 128 * (1 - s))) for s in shares],
    }
    see = "random targets leak until nearly all is hidden; of a hidden end of the clip only the first step leaks."
    line_and_yours("leak", student, spec_leak, cases, ("share that is hidden", "share that leaks"), see)


# --- 5: the loss over several masks ---------------------------------------------------------------------


def show_clip_loss(student):
    """Draw the loss where one of two sets, of 2 and of 10 tokens, is off by d: target and answer."""

    def case(first, second):
        truth = [torch.zeros(1, 1, 2, 3), torch.zeros(1, 1, 10, 3)]
        return [truth[0] + first, truth[1] + second], truth

    offsets = [i / 2 for i in range(-4, 5)]
    cases = {
        "the set of 2 is off by d": [(d, case(d, 0.0)) for d in offsets],
        "the set of 10 is off by d": [(d, case(0.0, d)) for d in offsets],
    }
    see = "two equal pictures: a set weighs the same, however many tokens it has."
    line_and_yours("clip_loss", student, spec_clip_loss, cases, ("d", "loss"), see)
