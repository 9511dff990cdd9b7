"""Assignment 20, exercise 2: how many predictions a step costs, with macro-actions and without."""

from minijepa.checks.curves import line_and_yours
from minijepa.checks.report import compare


def spec_predictions(stride, upper, lower):
    """Count one prediction after the other during the K steps between two decisions, and divide by K.

    stride: K. upper: samples, jumps and rounds of level 2's search. lower: samples and rounds of level 1's search.
    Returns three floats: predictions of level 2 and of level 1 per step, and those of a flat planner that looks as far.
    """
    of_upper = of_lower = flat = 0
    for t in range(stride):
        if t == 0:  # the decision
            of_upper += sum(1 for _ in range(upper[0]) for _ in range(upper[1]) for _ in range(upper[2]))
            of_lower += sum(1 for _ in range(lower[0]) for _ in range(stride) for _ in range(lower[1]))
        for _ in range(t, stride):  # the actions that are left
            of_lower += lower[0] * lower[1]
        for _ in range(upper[1] * stride):  # every step of every jump
            flat += upper[0] * upper[2]
    return of_upper / stride, of_lower / stride, flat / stride


CASES = [
    (2, (10, 3, 2), (4, 1)),
    (5, (512, 10, 4), (64, 3)),
    (3, (7, 4, 5), (6, 2)),
    (4, (9, 2, 3), (5, 4)),
    (1, (8, 6, 3), (4, 2)),
]


def right(k, u, low):
    """The three numbers in closed form."""
    every = low[0] * low[1]
    return u[0] * u[1] * u[2] / k, every * (1 + (k + 1) / 2), float(u[0] * u[1] * u[2] * k)


def but(one=None, two=None, three=None):
    """The right answer with other functions (K, upper, lower) for some of the three numbers."""

    def answer(k, u, low):
        return tuple(
            part if wrong is None else float(wrong(k, u, low))
            for part, wrong in zip(right(k, u, low), (one, two, three), strict=True)
        )

    return answer


def search(low):
    """Samples times rounds of level 1."""
    return low[0] * low[1]


MISTAKES = [
    (but(one=lambda k, u, low: u[0] * u[1] * u[2]), "level 2 searches once in K steps: divide by K"),
    (
        but(one=lambda k, u, low: u[0] * u[1] * u[2] * k),
        "a jump is ONE prediction, however many steps it spans, and there is one search in K steps: divide by K",
    ),
    (
        but(one=lambda k, u, low: u[0] * u[2] / k),
        "a plan of level 2 has several jumps, and each is a prediction",
    ),
    (but(one=lambda k, u, low: u[0] * u[1] / k), "the search has several rounds, and each tries all samples again"),
    (but(one=lambda k, u, low: u[0] * u[1] * u[2] / u[1]), "divide by K, the steps between two decisions, not by J"),
    (
        but(two=lambda k, u, low: search(low) * (k + 1) / 2),
        "the switch is missing: at each decision level 1 also searches K actions straight to the goal",
    ),
    (
        but(two=lambda k, u, low: search(low) * (1 + k)),
        "you search K actions at every step: towards the present sub-goal K, K - 1, ..., 1 are left",
    ),
    (
        but(two=lambda k, u, low: search(low) * (k + (k + 1) / 2)),
        "the way straight to the goal is searched once in K steps, at the decision, not at every step",
    ),
    (
        but(two=lambda k, u, low: search(low) * (k + k * (k + 1) / 2)),
        "this is for all K steps between two decisions: divide by K",
    ),
    (
        but(two=lambda k, u, low: search(low) * 2),
        "level 1 searches anew at EVERY step, with the actions that are left, not at the decision alone",
    ),
    (
        but(two=lambda k, u, low: low[0] * (1 + (k + 1) / 2)),
        "level 1's search has several rounds, too, and each tries all samples again",
    ),
    (
        but(three=lambda k, u, low: u[0] * u[1] * u[2]),
        "the flat planner predicts single steps: to look as far as J jumps it needs J K of them",
    ),
    (
        but(three=lambda k, u, low: u[0] * u[1] * u[2] * k / k**2),
        "the flat planner searches at every step, and has J K predictions per plan: do not divide by K",
    ),
    (
        but(three=lambda k, u, low: search(low) * u[1] * k),
        "the flat planner has the samples and rounds of LEVEL 2: nothing but the length of its steps is different",
    ),
    (
        lambda k, u, low: (right(k, u, low)[1], right(k, u, low)[0], right(k, u, low)[2]),
        "the levels are swapped: level 2 comes first",
    ),
]

ADVICE = "level 2: S J R / K; level 1: s r (K + K + (K - 1) + ... + 1) / K; flat: S R J K"


def show_predictions(student):
    """Draw the three numbers over K, for plans that look 60 steps ahead: target and answer."""

    def part_of(function):
        def one(stride, upper, lower, part):
            return function(stride, upper, lower)[part]

        return one

    strides = (1, 2, 3, 4, 5, 6, 10, 12, 15)
    names = ("level 2", "level 1", "flat, looks as far")
    cases = {name: [(k, (k, (64, 60 // k, 3), (32, 2), part)) for k in strides] for part, name in enumerate(names)}
    labels = ("K, for plans that reach 60 steps", "predictions per step")
    see = "level 2 becomes cheaper with the square of K, and level 1 more expensive; for large K level 1 costs more."
    line_and_yours("predictions", part_of(student), part_of(spec_predictions), cases, labels, see)


def predictions(student):
    """Check exercise 2, `predictions(stride, upper, lower)`. Raises CheckFailed."""
    compare("predictions", student, spec_predictions, CASES, MISTAKES, ADVICE)
