"""Assignment 13, exercise 3: how many steps a deep linear network needs for one feature."""

from minijepa.checks.curves import line_and_yours
from minijepa.checks.report import compare

LONGEST = 20_000  # steps after which a wrong function gives up


def spec_steps_to_half(method, layers, lam, rho, start, lr):
    """Find the end by halving an interval; then step by step until half of it is reached. Returns an int.

    Source: Littwin et al. (arXiv:2407.03475, equations 7 and 8).
    """
    power = {"jepa": 3 - 1 / layers, "mae": 2 - 1 / layers}[method]

    def slope(w):
        return layers * lam * (w**power - w**3 / rho)

    low, high = 1e-9, 2.0  # it grows from small values, and shrinks from large ones
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    w, steps = start, 0
    while w < low / 2:
        w, steps = w + lr * slope(w), steps + 1
    return steps


CASES = [
    ("jepa", 1, 1.0, 1.0, 0.4, 1.0),
    ("mae", 1, 1.0, 0.8, 0.05, 0.02),
    ("jepa", 3, 0.9, 0.7, 0.05, 0.05),
    ("mae", 3, 0.9, 0.7, 0.05, 0.05),
    ("jepa", 5, 0.6, 0.9, 0.1, 0.03),
    ("mae", 2, 0.5, 0.6, 0.03, 0.04),
]


def powers(method, layers):
    """The first exponent of both equations."""
    return (3 if method == "jepa" else 2) - 1 / layers


def ends(method, layers, rho):
    """Where both equations stand still."""
    return rho ** (layers if method == "jepa" else layers / (layers + 1))


def count(power, layers, lam, rho, start, lr, goal):
    """Steps until w reaches the goal, at most LONGEST; 0 if it is there at the start."""
    w, steps = start, 0
    while w < goal and steps < LONGEST:
        w, steps = w + lr * layers * lam * (w**power - w**3 / rho), steps + 1
    return steps


def right(m, L, lam, rho, start, lr):
    """The right number of steps."""
    return count(powers(m, L), L, lam, rho, start, lr, ends(m, L, rho) / 2)


def other(method):
    """The other method."""
    return "mae" if method == "jepa" else "jepa"


MISTAKES = [
    (
        lambda m, L, lam, rho, start, lr: right(other(m), L, lam, rho, start, lr),
        "the two methods are swapped: the JEPA has the exponent 3 - 1/L, the MAE 2 - 1/L",
    ),
    (
        lambda m, L, lam, rho, start, lr: count(powers(m, L), L, lam, rho, start, lr, 0.5),
        "you wait for w = 1/2: half of the END of this feature is wanted, the w > 0 at which its growth is 0",
    ),
    (
        lambda m, L, lam, rho, start, lr: count(powers(m, L), L, lam, rho, start, lr, rho / 2),
        "the end is rho for a JEPA of one layer only: set the growth to 0 and solve for w, with the layers in it",
    ),
    (
        lambda m, L, lam, rho, start, lr: count(powers(m, L), L, lam, rho, start, lr, ends("jepa", L, rho) / 2),
        "this is the JEPA's end for both: w^(2 - 1/L) = w^3 / rho gives the MAE another one, rho^(L / (L + 1))",
    ),
    (
        lambda m, L, lam, rho, start, lr: count(powers(m, L), L, lam, rho, start, lr, (start + ends(m, L, rho)) / 2),
        "this is half of the WAY from start to end: the feature counts as learned at half of its end",
    ),
    (
        lambda m, L, lam, rho, start, lr: count(powers(m, L), L, lam, rho, start, lr, 0.99 * ends(m, L, rho)),
        "you wait for the end itself, which is never quite reached: half of it is enough",
    ),
    (
        lambda m, L, lam, rho, start, lr: count(powers(m, L), 1, lam, rho, start, lr, ends(m, L, rho) / 2),
        "the factor L in front is missing: with more layers, more weights grow at a time",
    ),
    (
        lambda m, L, lam, rho, start, lr: count(powers(m, L), L, 1.0, rho, start, lr, ends(m, L, rho) / 2),
        "the factor lambda is missing: a feature with more covariance grows faster",
    ),
    (
        lambda m, L, lam, rho, start, lr: count(powers(m, L), L, lam, 1 / rho, start, lr, ends(m, L, rho) / 2),
        "w^3 is DIVIDED by rho: a noisier feature is held back earlier",
    ),
    (
        lambda m, L, lam, rho, start, lr: count(powers(m, 1), L, lam, rho, start, lr, ends(m, L, rho) / 2),
        "the layers are missing in the exponents: they are 3 - 1/L and 2 - 1/L, not 2 and 1",
    ),
    (
        lambda m, L, lam, rho, start, lr: count(3 if m == "jepa" else 2, L, lam, rho, start, lr, ends(m, L, rho) / 2),
        "the exponents are 3 - 1/L and 2 - 1/L, not 3 and 2: write 1 / L, since 1 // L is 0",
    ),
    (
        lambda m, L, lam, rho, start, lr: right(m, L, lam, rho, start, lr) + 1,
        "one step too many: stop as soon as w has reached half of its end, before the next step",
    ),
    (
        lambda m, L, lam, rho, start, lr: right(m, L, lam, rho, start, lr) - 1,
        "one step too few: the step that reaches half of the end counts",
    ),
    (
        lambda m, L, lam, rho, start, lr: lr * right(m, L, lam, rho, start, lr),
        "this is the time, lr times the steps: return how many steps it took",
    ),
]

ADVICE = "end: rho^L (JEPA), rho^(L / (L + 1)) (MAE); add lr L lambda (w^power - w^3 / rho) until w >= end / 2; count"


def show_steps_to_half(student):
    """Draw the steps of a noisy feature over those of a clean one, against depth: target and answer."""

    def ratio(of):
        def both(method, layers, lr):
            noisy, clean = ((1.0, 0.8), (0.9, 1.0))
            return of(method, layers, *noisy, 0.05, lr) / of(method, layers, *clean, 0.05, lr)

        return both

    cases = {name: [(n, (name.lower(), n, lr)) for n in range(1, 7)] for name, lr in (("JEPA", 0.05), ("MAE", 0.005))}
    see = "above 1 the clean feature is learned first: from three layers on for the JEPA, never for the MAE."
    labels = ("layers", "steps of A / steps of B")
    line_and_yours("steps_to_half", lambda *a: ratio(student)(*a), ratio(spec_steps_to_half), cases, labels, see)


def steps_to_half(student):
    """Check exercise 3, `steps_to_half(method, layers, lam, rho, start, lr)`. Raises CheckFailed."""
    compare("steps_to_half", student, spec_steps_to_half, CASES, MISTAKES, ADVICE)
