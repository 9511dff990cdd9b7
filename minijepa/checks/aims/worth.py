"""Assignment 01, exercise 4: what each training objective gains by encoding one direction."""

from minijepa.checks.curves import line_and_yours
from minijepa.checks.report import compare


def spec_keeps(aim, amplitude, memory, noise=0.1):
    """What an objective (`aim`) gains by encoding one direction, from covariances of noisy observations of it.

    The direction has variance a^2, is observed with variance a^2 + noise^2, and keeps the fraction `memory` per step.
    """
    seen = amplitude**2 + noise**2  # variance of an observation
    covariance = memory * amplitude**2  # of one observation with the next
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
    (
        lambda aim, a, m: spec_keeps(aim, a, m**0.5),
        "the memory enters through the covariance, which is squared: use m^2",
    ),
    (
        lambda aim, a, m: spec_keeps(aim, a, m, noise=0.0),
        "an observation has the variance a^2 + .01: you left out the noise of the sensor",
    ),
    (
        lambda aim, a, m: spec_keeps(aim, a, m, noise=0.1**0.5),
        "the noise has the STANDARD DEVIATION .1, so its variance is .01",
    ),
    (
        lambda aim, a, m: spec_keeps(other[aim], a, m),
        "pixels and latents are swapped: a latent code has variance 1, so its worth does not grow with the amplitude",
    ),
    (lambda aim, a, m: spec_keeps(aim, a**0.5, m), "the amplitude is a standard deviation: the variance is a^2"),
]

ADVICE = "with v = a^2 + .01 observed and c = m a^2, the covariance with the next: v, c^2 / v, or c^2 / v^2"


def show_worth(student):
    """Draw the worth of a slow direction against its amplitude, for the three objectives: target and answer."""
    amplitudes = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0)
    cases = {aim: [(a, (aim, a, 0.98)) for a in amplitudes] for aim in AIMS}
    see = "the amplitude grows from left to right, and the prediction of latents is the first to encode the direction."
    line_and_yours("worth", student, spec_worth, cases, ("amplitude", "worth"), see)


def worth(student):
    """Check exercise 4, `worth(aim, amplitude, memory)`. Raises CheckFailed."""
    compare("worth", student, spec_worth, CASES, MISTAKES, ADVICE)
