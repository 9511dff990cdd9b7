"""Assignment 09, exercise 5: the EMA momentum for a larger batch."""

from minijepa.checks.curves import line_and_yours
from minijepa.checks.report import compare


def spec_scaled_momentum(momentum, factor):
    """One update in place of `factor` updates: what is left of the old teacher after them. A float."""
    left = 1.0
    for _ in range(factor):
        left *= momentum
    return left


MISTAKES = [
    (lambda m, k: m, "the same momentum, with fewer updates, makes a slower teacher: it sees fewer steps"),
    (lambda m, k: 1 - (1 - m) * k, "this is right only for small steps, and below 0 for large ones: repeat the factor"),
    (
        lambda m, k: m ** (1 / k),
        "the other way round: one update has to do the work of several, so the momentum is lower",
    ),
    (lambda m, k: 1 - (1 - m) / k, "the other way round: one update has to do the work of several"),
    (lambda m, k: m / k, "momenta multiply: after two updates m * m of the old teacher is left"),
]

CASES = [(0.9, 2), (0.996, 1), (0.996, 8), (0.5, 4), (0.99, 32)]


def show_scaled_momentum(student):
    """Draw the momentum for batches that are 1 to 16 times larger: target and answer."""
    cases = {f"from {m}": [(k, (m, k)) for k in (1, 2, 4, 8, 12, 16)] for m in (0.996, 0.9)}
    see = "the larger the batch, the lower the momentum, and never below 0."
    labels = ("times larger", "momentum")
    line_and_yours("scaled_momentum", student, spec_scaled_momentum, cases, labels, see)


def scaled_momentum(student):
    """Check exercise 5, `scaled_momentum(momentum, factor)`. Raises CheckFailed."""
    compare("scaled_momentum", student, spec_scaled_momentum, CASES, MISTAKES, "what is left after `factor` updates?")
