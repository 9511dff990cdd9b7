"""Assignment 13, exercise 2: where each direction of the linear network ends, and which ones die."""

import torch

from minijepa.checks.curves import line_and_yours
from minijepa.checks.report import compare


def spec_resting(signal, noise, decay):
    """Direction by direction: halve the interval right of the parabola's top until p has its last digit.

    signal, noise: variances [K], signal > 0. decay: eta >= 0. Returns the eigenvalues of F at rest, [K].
    Source: Tian, Chen and Ganguli (arXiv:2102.06810, section 3).
    """
    found = []
    for s, n in zip(signal.double().tolist(), noise.double().tolist(), strict=True):
        low, high = s / (2 * (s + n)), s / (s + n)  # the top of p (s - (s + n) p), and where it is 0 again
        if low * (s - (s + n) * low) < decay:
            found.append(0.0)
            continue
        for _ in range(100):
            p = (low + high) / 2
            low, high = (p, high) if p * (s - (s + n) * p) > decay else (low, p)
        found.append((s + n) * high**2)
    return torch.tensor(found, dtype=signal.dtype)


CASES = [
    (torch.tensor([1.0, 1.0]), torch.tensor([0.5, 3.0]), 0.125),
    (torch.tensor([2.0, 1.5, 1.0, 0.5, 0.2]), torch.tensor([0.5, 0.5, 0.5, 0.5, 0.5]), 0.1),
    (torch.tensor([1.0, 0.7, 0.3]), torch.tensor([0.0, 0.4, 0.1]), 0.0),
    (torch.tensor([0.3, 3.0]), torch.tensor([1.0, 1.0]), 0.2),
    (torch.tensor([0.8, 1.7, 2.9], dtype=torch.float64), torch.tensor([0.2, 1.1, 0.0], dtype=torch.float64), 0.15),
]


def root(s, n, decay, sign=1):
    """1 minus decay over its limit, and the larger (or smaller) p of every direction, [K]. s, n: [K]."""
    inside = 1 - 4 * decay * (s + n) / s**2
    return inside, s * (1 + sign * inside.clamp(min=0).sqrt()) / (2 * (s + n))


def alive(values, inside):
    """values [K] where there is a point of rest, else 0. inside: [K], below 0 where there is none."""
    return torch.where(inside >= 0, values, torch.zeros_like(values))


def right(s, n, decay, sign=1):
    """The answer, [K], or that of the smaller root."""
    inside, p = root(s, n, decay, sign)
    return alive((s + n) * p**2, inside)


def unclamped(s, n, decay):
    """The root of a negative number is NaN. s, n: [K]."""
    p = (s + (s**2 - 4 * decay * (s + n)).sqrt()) / (2 * (s + n))
    return (s + n) * p**2


def signal_one(s, n, decay):
    """The formula of the notebook, for signals of variance 1. s, n: [K]."""
    return right(torch.ones_like(s), n, decay)


def together(s, n, decay):
    """One dead direction kills all. s, n: [K]."""
    inside, p = root(s, n, decay)
    return alive((s + n) * p**2, inside.min().expand_as(s))


def without_four(s, n, decay):
    """s^2 - decay (s + n) under the root. s, n: [K]."""
    return right(s, n, decay / 4)


def without_root(s, n, decay):
    """The square root is missing. s, n: [K]."""
    inside, _ = root(s, n, decay)
    p = s * (1 + inside.clamp(min=0)) / (2 * (s + n))
    return alive((s + n) * p**2, inside)


MISTAKES = [
    (
        lambda s, n, decay: right(s, n, decay, sign=-1),
        "this is the smaller root, from which every push leads away: the larger one is stable",
    ),
    (
        unclamped,
        "where the decay is above its limit there is no root: such a direction ends at 0, not at NaN",
    ),
    (
        lambda s, n, decay: (s + n) * root(s, n, decay)[1] ** 2,
        "above the limit the parabola does not reach the decay: such a direction ends at 0, not at the parabola's top",
    ),
    (
        lambda s, n, decay: alive(root(s, n, decay)[1], root(s, n, decay)[0]),
        "this is p, the eigenvalue of the PREDICTOR: that of F is (signal + noise) p^2",
    ),
    (
        lambda s, n, decay: alive(root(s, n, decay)[1] ** 2, root(s, n, decay)[0]),
        "this is p^2, the eigenvalue of W W^T: F = E f f^T has the variance of x in it, (signal + noise) p^2",
    ),
    (
        lambda s, n, decay: alive(s * root(s, n, decay)[1] ** 2, root(s, n, decay)[0]),
        "F is the variance of the code of a view, which has noise: (signal + noise) p^2, not signal p^2",
    ),
    (
        signal_one,
        "you took each signal for 1: notebook 13 writes its formula for a signal of variance 1, here it is s",
    ),
    (
        together,
        "each direction lives or dies by itself: one that is above its limit leaves the others alone",
    ),
    (
        without_four,
        "the 4 is missing under the root: (s + n) p^2 - s p + decay = 0 has the roots "
        "(s ± sqrt(s^2 - 4 decay (s + n))) / (2 (s + n))",
    ),
    (without_root, "the square root of the discriminant is missing"),
    (
        lambda s, n, decay: right(s, torch.zeros_like(n), decay),
        "the noise is missing: the parabola is p (signal - (signal + noise) p)",
    ),
    (
        lambda s, n, decay: right(s, n, 0.0),
        "the decay is missing: without it every direction would end at signal^2 / (signal + noise)",
    ),
]

ADVICE = (
    "p = (s + sqrt(s^2 - 4 decay (s + n))) / (2 (s + n)); return (s + n) p^2, and 0 where the root is of a negative"
)


def show_resting(student):
    """Draw the eigenvalue at rest against the decay, and against the signal: target and answer."""
    decays = [i / 64 for i in range(17)]  # none at a limit, where rounding decides
    clean = [(d, (torch.tensor([1.0]), torch.tensor([0.5]), d)) for d in decays]
    noisy = [(d, (torch.tensor([1.0]), torch.tensor([2.0]), d)) for d in decays]
    signals = [0.2 + i / 5 for i in range(10)]
    many = [(s, (torch.tensor([s]), torch.tensor([0.5]), 0.1)) for s in signals]
    cases = {"signal 1, noise .5": clean, "signal 1, noise 2": noisy, "noise .5, decay .1": many}
    labels = [("weight decay", "eigenvalue of F"), ("weight decay", "eigenvalue of F"), ("signal", "eigenvalue of F")]
    see = "an eigenvalue does not shrink to 0: at its limit it jumps, earlier with more noise or less signal."
    line_and_yours("resting", student, spec_resting, cases, labels, see)


def resting(student):
    """Check exercise 2, `resting(signal, noise, decay)`. Raises CheckFailed."""
    compare("resting", student, spec_resting, CASES, MISTAKES, ADVICE)
