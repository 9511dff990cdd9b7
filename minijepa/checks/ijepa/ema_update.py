"""Assignment 04, exercise 1: one update of the target encoder, an exponential moving average."""

import torch

from minijepa.checks.curves import line_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal


def spec_ema_update(teacher, student, momentum):
    """Number by number: momentum * teacher + (1 - momentum) * student. Returns a list of new tensors."""
    news = []
    for old, new in zip(teacher, student, strict=True):
        numbers = [momentum * a + (1 - momentum) * b for a, b in zip(old.flatten(), new.flatten(), strict=True)]
        news.append(torch.stack(numbers).view(old.shape))
    return news


def weights(seed, dtype=torch.float32):
    """Weights of a very small network: a list of tensors."""
    return [normal(2, 3, seed=seed, dtype=dtype), normal(3, seed=seed + 1, dtype=dtype)]


CASES = [
    ([torch.tensor([1.0, 0.0])], [torch.tensor([0.0, 1.0])], 0.9),
    (weights(0), weights(5), 0.996),
    (weights(1), weights(6), 0.5),
    (weights(2, torch.float64), weights(7, torch.float64), 0.99),
    (weights(3), weights(8), 1.0),
    (weights(3), weights(8), 0.0),
]

MISTAKES = [
    (
        lambda t, s, m: spec_ema_update(s, t, m),
        "the momentum is swapped: tau weights the OLD teacher, 1 - tau the student, so that the teacher moves slowly",
    ),
    (
        lambda t, s, m: [m * a + b for a, b in zip(t, s, strict=True)],
        "the weights must add up to 1: the student's part is 1 - tau",
    ),
    (lambda t, s, m: s, "this copies the student: a teacher that equals the student at every step makes collapse easy"),
]

ADVICE = "for every pair of tensors: momentum * teacher + (1 - momentum) * student"


def show_ema_update(student):
    """Draw a teacher after 40 updates towards a student that stays: target and answer."""

    def after(update):
        def run(steps, momentum):
            teacher = [torch.zeros(1)]
            for _ in range(steps):
                teacher = update(teacher, [torch.ones(1)], momentum)
            return teacher[0]

        return run

    cases = {f"momentum {tau}": [(n, (n, tau)) for n in range(0, 41, 4)] for tau in (0.9, 0.98)}
    see = "the teacher starts at 0 and comes closer to the student, which is 1; the higher the momentum, the slower."
    line_and_yours("ema_update", after(student), after(spec_ema_update), cases, ("updates", "teacher"), see)


def ema_update(student):
    """Check exercise 1, `ema_update(teacher, student, momentum)`. Raises CheckFailed."""
    compare("ema_update", student, spec_ema_update, CASES, MISTAKES, ADVICE)
