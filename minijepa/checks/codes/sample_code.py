"""Assignment 12, exercise 2: a random code that lets gradients through, the reparameterised sample."""

import math

import torch

from minijepa.checks.curves import line_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal


def weights(z):
    """What arrives from the decoder: the gradient of a loss with respect to z, of the shape of z [B, K]."""
    return normal(*z.shape, seed=9, dtype=z.dtype)


def spec_sample_code(mean, log_var, noise):
    """Number by number: z = mu + sigma * noise; and by hand, what comes back to mu and to log sigma^2.

    mean, log_var, noise: [B, K] each. Returns (z, gradient at mean, gradient at log_var), [B, K] each, for the gradient
    `weights(z)` at z: dz / d mu = 1 and dz / d log sigma^2 = noise * sigma / 2.
    Source: VAE (arXiv:1312.6114, section 2.4).
    """
    z, slope = torch.zeros_like(mean), torch.zeros_like(mean)
    for place in range(mean.numel()):
        at = divmod(place, mean.shape[1])
        sigma = math.sqrt(math.exp(float(log_var[at])))
        z[at] = mean[at] + sigma * noise[at]
        slope[at] = noise[at] * sigma / 2
    back = weights(z)
    return z, back, back * slope


def with_gradients(function):
    """The same function, followed by a backward pass: it returns z and the gradients at mean and log_var."""

    def there_and_back(mean, log_var, noise):
        mean, log_var = (x.detach().clone().requires_grad_() for x in (mean, log_var))
        z = function(mean, log_var, noise)
        back = [None, None]
        if z.requires_grad:
            back = torch.autograd.grad(z, (mean, log_var), weights(z), allow_unused=True)
        return z.detach(), *(torch.zeros_like(mean) if g is None else g for g in back)

    return there_and_back


CASES = [
    (torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, math.log(4.0)]]), torch.tensor([[2.0, -1.0]])),
    (normal(3, 4), normal(3, 4, seed=1), normal(3, 4, seed=2)),
    (normal(2, 5, seed=3), 2 * normal(2, 5, seed=4) - 2, normal(2, 5, seed=5)),
]

WRONG = [
    (
        lambda m, s, e: m + s.exp() * e,
        "exp(log_var) is the variance: noise is multiplied by the standard deviation, its root, exp(log_var / 2)",
    ),
    (
        lambda m, s, e: m + s * e,
        "`log_var` is a logarithm, and may be negative: sigma is exp(log_var / 2)",
    ),
    (
        lambda m, s, e: m + (2 * s).exp() * e,
        "halve log_var before the exponential, do not double it: sigma is exp(log_var / 2)",
    ),
    (
        lambda m, s, e: m + (-s / 2).exp() * e,
        "this divides by sigma: a large variance must move z far from mu",
    ),
    (
        lambda m, s, e: m + e,
        "sigma is missing: this noise has the variance 1 for every code",
    ),
    (
        lambda m, s, e: m,
        "this is the mean: in training a code is drawn at random, mu + sigma * noise",
    ),
    (
        lambda m, s, e: (m + e) * (s / 2).exp(),
        "sigma multiplies the noise alone, not the mean",
    ),
    (
        lambda m, s, e: m * e + (s / 2).exp(),
        "the noise multiplies sigma, not the mean",
    ),
    (
        lambda m, s, e: m + (s / 2).exp() * e[:1],
        "you use the noise of the first image for all: every image has its own row",
    ),
    (
        lambda m, s, e: (m + (s / 2).exp() * e).detach(),
        "the numbers are right, but no gradient comes back to the encoder: no detach, no torch.no_grad, no .data",
    ),
    (
        lambda m, s, e: m.detach() + (s / 2).exp() * e,
        "the numbers are right, but no gradient comes back to the mean",
    ),
    (
        lambda m, s, e: m + (s / 2).exp().detach() * e,
        "the numbers are right, but no gradient comes back to log_var: the encoder could not learn how sure it is",
    ),
]
MISTAKES = [(with_gradients(wrong), hint) for wrong, hint in WRONG]

ADVICE = "mean + (log_var / 2).exp() * noise, with the noise that you are given and without detach"
BACK = f"compared are z and the gradients at mean and log_var; {ADVICE}"


def value_of(mean, log_var, noise):
    """z of the specification, without the gradients. [B, K] each -> [B, K]."""
    return spec_sample_code(mean, log_var, noise)[0]


def show_sample_code(student):
    """Draw z against the noise, and the gradient at log sigma^2: target and answer."""

    def target(what, *arguments):
        z, _, at_log_var = spec_sample_code(*arguments)
        return z if what == "z" else at_log_var / weights(z)

    def yours(what, *arguments):
        z, _, at_log_var = with_gradients(student)(*arguments)
        return z if what == "z" else at_log_var / weights(z)

    def points(what):
        spread = torch.tensor([[math.log(4.0)]])
        return [(k / 2, (what, torch.tensor([[1.0]]), spread, torch.tensor([[k / 2]]))) for k in range(-4, 5)]

    cases = {"the sample, for mean 1 and sigma 2": points("z"), "what comes back to log_var": points("gradient")}
    labels = [("noise", "z"), ("noise", "dz / d log_var")]
    see = "without noise z is the mean; the further the noise moved z, the stronger it acts on log_var."
    line_and_yours("sample_code", yours, target, cases, labels, see)


def sample_code(student):
    """Check exercise 2, `sample_code(mean, log_var, noise)`: the numbers, then the gradients. Raises CheckFailed."""
    compare("sample_code", student, value_of, CASES, WRONG, ADVICE, quiet=True)
    compare("sample_code and its gradients", with_gradients(student), spec_sample_code, CASES, MISTAKES, BACK)
