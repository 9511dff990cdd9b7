"""Assignment 01, exercise 4: what each training objective gains by encoding one direction."""

from minijepa.checks.curves import line_and_yours
from minijepa.checks.report import compare


def spec_keeps(aim, amplitude, memory, noise=0.1):
    """What a code of one direction is worth to an aim, by covariances of a direction that is seen with noise.

    The direction has variance a^2, is seen with variance a^2 + noise^2, and keeps the share `memory` for a step.
    """
    seen = amplitude**2 + noise**2  # variance of what is seen
    covariance = memory * amplitude**2  # of what is seen now with what is seen next
    return {"reconstruct": seen, "predict pixels": covariance**2 / seen, "predict latents": covariance**2 / seen**2}[
        aim
    ]


AIMS = ("reconstruct", "predict pixels", "predict latents")

CASES = [(aim, a, m) for aim in AIMS for a, m in ((1.0, 0.9), (0.5, 1.0))]

CASES += [("predict pixels", 2.0, 0.0), ("predict latents", 0.05, 0.98), ("reconstruct", 0.1, 0.0)]


def spec_worth(aim, amplitude, memory):
    """`spec_keeps` with the noise of the notebook."""
    return spec_keeps(aim, amplitude, memory)


other = {"reconstruct": "reconstruct", "predict pixels": "predict latents", "predict latents": "predict pixels"}

MISTAKES = [
    (lambda aim, a, m: spec_keeps(aim, a, m**0.5), "the memory enters through the covariance, which is squared: m^2"),
    (
        lambda aim, a, m: spec_keeps(aim, a, m, noise=0.0),
        "what is seen has the variance a^2 + .01: you left out the noise of the sensor",
    ),
    (lambda aim, a, m: spec_keeps(aim, a, m, noise=0.1**0.5), "the noise has the DEVIATION .1, so the variance .01"),
    (
        lambda aim, a, m: spec_keeps(other[aim], a, m),
        "pixels and latents are swapped: a latent code has variance 1, so its worth has no loudness",
    ),
    (lambda aim, a, m: spec_keeps(aim, a**0.5, m), "the amplitude is a deviation: its variance is a^2"),
]

ADVICE = "v = a^2 + .01 is seen, c = m a^2 is the covariance with the next: v, c^2 / v, or c^2 / v^2"


def show_worth(student):
    """Draw the worth of a slow direction against its amplitude, for the three aims: target and answer."""
    amplitudes = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0)
    cases = {aim: [(a, (aim, a, 0.98)) for a in amplitudes] for aim in AIMS}
    see = "from left to right the direction gets louder: latents are the first to keep it."
    line_and_yours("worth", student, spec_worth, cases, ("amplitude", "worth"), see)


def worth(student):
    """Check exercise 4, `worth(aim, amplitude, memory)`. Raises CheckFailed."""
    compare("worth", student, spec_worth, CASES, MISTAKES, ADVICE)
