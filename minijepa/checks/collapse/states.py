"""Assignment 05: TODO."""

import torch

from minijepa.checks.curves import line_and_yours
from minijepa.checks.values import normal


def std(numbers):
    """Standard deviation of a one-dimensional tensor [count], dividing by count - 1."""
    mean = sum(numbers) / len(numbers)
    return (sum((number - mean) ** 2 for number in numbers) / (len(numbers) - 1)) ** 0.5


# Tokens [B, N, D] in three states: alive, positional collapse, complete collapse.
ALIVE = normal(6, 4, 3) + normal(1, 4, 3, seed=9)


POSITIONAL = normal(1, 4, 3, seed=1) + 0.01 * normal(6, 4, 3, seed=2)


COMPLETE = torch.full((6, 4, 3), 0.5) + 0.001 * normal(6, 4, 3, seed=3)


STATES = {"alive": (ALIVE,), "positional": (POSITIONAL,), "complete": (COMPLETE,)}


MORE = [(normal(3, 5, 2, seed=4, dtype=torch.float64),), (2 * normal(2, 2, 4, seed=5),)]


def as_one(student, spec, name, see):
    """Draw a measure of the three states, and of tokens on their way from a positional collapse to life."""
    states = [(words, case) for words, case in STATES.items()]
    way = [(share, (share * ALIVE + (1 - share) * POSITIONAL,)) for share in (0.0, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)]
    cases = {"three states": states, "from positional to alive": way}
    labels = [("state", name), ("share that is alive", name)]
    line_and_yours(name, student, spec, cases, labels, see)
