"""Assignment 05: the tokens in three states, alive and collapsed, on which several measures are tried."""

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


CASES = [*STATES.values(), (normal(3, 5, 2, seed=4, dtype=torch.float64),), (2 * normal(2, 2, 4, seed=5),)]


def show_states(student, spec, name, see):
    """Draw a measure of the three states, and of mixtures from the positional collapse to the living tokens."""
    states = [(words, case) for words, case in STATES.items()]
    mixed = [(w, (w * ALIVE + (1 - w) * POSITIONAL,)) for w in (0.0, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)]
    cases = {"three states": states, "from positional to alive": mixed}
    labels = [("state", name), ("weight of the living tokens", name)]
    line_and_yours(name, student, spec, cases, labels, see)
