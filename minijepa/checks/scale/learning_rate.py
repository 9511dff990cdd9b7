"""Assignment 09, exercise 4: a learning rate with warm-up and cosine."""

import math

from minijepa.checks.curves import line_and_yours
from minijepa.checks.report import compare


def spec_learning_rate(step, steps, warmup, peak):
    """A straight line from 0 to the peak over `warmup` steps, then half a cosine down to 0 at `steps`. A float."""
    if step < warmup:
        return peak * step / warmup
    progress = (step - warmup) / (steps - warmup)
    return peak * (1 + math.cos(math.pi * progress)) / 2


CASES = [(0, 100, 10, 1.0), (5, 100, 10, 1.0), (10, 100, 10, 0.3), (55, 100, 10, 0.3), (7, 20, 4, 1.0)]

CASES += [(99, 100, 10, 2.0), (100, 100, 10, 2.0)]


def cosine(progress):
    """Half a cosine, from 1 at 0 to 0 at 1."""
    return (1 + math.cos(math.pi * progress)) / 2


MISTAKES = [
    (
        lambda s, n, w, p: p * s / w if s < w else p * cosine(s / n),
        "the cosine begins AFTER the warm-up: progress is (step - warmup) / (steps - warmup), or the rate jumps",
    ),
    (
        lambda s, n, w, p: p * s / w if s < w else p * cosine((s - w) / n),
        "the rate must reach 0 at the last step: divide by steps - warmup",
    ),
    (lambda s, n, w, p: p * cosine(s / n), "the warm-up is missing: for step < warmup it is peak * step / warmup"),
    (lambda s, n, w, p: p * min(1.0, s / w), "the rate never falls: half a cosine follows the warm-up"),
    (
        lambda s, n, w, p: p * s / w if s < w else p * (1 - (s - w) / (n - w)),
        "the rate falls in a straight line: it should follow half a cosine",
    ),
    (
        lambda s, n, w, p: p * s / w if s < w else p * math.cos(math.pi * (s - w) / (n - w)),
        "a cosine runs from 1 to -1: (1 + cos) / 2 runs from 1 to 0",
    ),
    (
        lambda s, n, w, p: p * (s + 1) / w if s < w else spec_learning_rate(s, n, w, p),
        "at step 0 the rate is 0: peak * step / warmup",
    ),
]

ADVICE = "the rate is peak * step / warmup, then peak * (1 + cos(pi * progress)) / 2"


def show_learning_rate(student):
    """Draw two schedules, from the first to the last step: target and answer."""

    cases = {
        f"100 steps, {warmup} of warm-up": [(step, (step, 100, warmup, 0.5)) for step in range(0, 101, 5)]
        for warmup in (10, 50)
    }
    see = "the rate rises in a straight line and falls along half a cosine, without a jump."
    line_and_yours("learning_rate", student, spec_learning_rate, cases, ("step", "learning rate"), see)


def learning_rate(student):
    """Check exercise 4, `learning_rate(step, steps, warmup, peak)`. Raises CheckFailed."""
    compare("learning_rate", student, spec_learning_rate, CASES, MISTAKES, ADVICE)
