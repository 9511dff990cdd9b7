"""Assignment 09, exercise 5: the EMA momentum for a larger batch."""

from minijepa.checks.curves import line_and_yours
from minijepa.checks.report import compare


def spec_scaled_momentum(momentum, factor):
    """What `factor` updates leave of the old teacher, as the momentum of one update. A float."""
    left = 1.0
    for _ in range(factor):
        left *= momentum
    return left


CASES = [(0.9, 2), (0.996, 1), (0.996, 8), (0.5, 4), (0.99, 32)]

MISTAKES = [
    (lambda m, k: m, "the same momentum with fewer updates makes a slower teacher: it sees fewer steps"),
    (
        lambda m, k: 1 - (1 - m) * k,
        "this is right only for small steps, and below 0 for large ones: multiply the momentum `factor` times",
    ),
    (
        lambda m, k: m ** (1 / k),
        "this is the other way round: one update has to do the work of several, so the momentum is lower",
    ),
    (lambda m, k: 1 - (1 - m) / k, "this is the other way round: one update has to do the work of several"),
    (lambda m, k: m / k, "momenta multiply: after two updates m * m of the old teacher is left"),
]

ADVICE = "compute what `factor` updates leave of the old teacher"


def show_scaled_momentum(student):
    """Draw the momentum for batches 1 to 16 times as large: target and answer."""
    cases = {f"from {m}": [(k, (m, k)) for k in (1, 2, 4, 8, 12, 16)] for m in (0.996, 0.9)}
    see = "the larger the batch, the lower the momentum, which never falls below 0."
    labels = ("batch size, in multiples", "momentum")
    line_and_yours("scaled_momentum", student, spec_scaled_momentum, cases, labels, see)


def scaled_momentum(student):
    """Check exercise 5, `scaled_momentum(momentum, factor)`. Raises CheckFailed."""
    compare("scaled_momentum", student, spec_scaled_momentum, CASES, MISTAKES, ADVICE)
