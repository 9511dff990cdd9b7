"""Assignment 04, exercise 2: the momentum whose half-life is a number of steps."""

import math

from minijepa.checks.curves import line_and_yours
from minijepa.checks.report import compare


def spec_momentum_for(steps):
    """After `steps` updates half of an old weight is left: tau^steps = 1/2. Found by halving an interval."""
    low, high = 0.0, 1.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if middle**steps < 0.5 else (low, middle)
    return (low + high) / 2


CASES = [(1,), (2,), (10,), (40,), (173,), (2000,)]

MISTAKES = [
    (lambda n: 1 - 1 / n, "1 - 1/steps leaves 1/e, about 37 %, after `steps` updates: the half-life asks for 50 %"),
    (lambda n: math.log(2) / n, "this is nearly 1 - tau: the fraction lost in one step, not the fraction that stays"),
    (lambda n: math.exp(-1 / n), "exp(-1/steps) leaves 1/e after `steps` updates: the half-life asks for one half"),
    (
        lambda n: 1 - 0.5 / n,
        "the half is not lost evenly: each step removes a fixed fraction of the rest, tau^steps = 1/2",
    ),
]


def show_momentum_for(student):
    """Draw what is left of an old weight after `steps` updates with the momentum for `steps`: target and answer."""

    def left(momentum):
        return lambda steps: momentum(steps) ** steps

    cases = {"what is left": [(n, (n,)) for n in (1, 2, 3, 5, 10, 20, 40)]}
    labels = ("steps, and as many updates", "fraction of the old weight")
    see = "one half of the old weight is left, whatever the number of steps."
    line_and_yours("momentum_for", left(student), left(spec_momentum_for), cases, labels, see)


def momentum_for(student):
    """Check exercise 2, `momentum_for(steps)`. Raises CheckFailed."""
    compare("momentum_for", student, spec_momentum_for, CASES, MISTAKES, "solve tau^steps = 1/2 for tau")
