"""Assignment 05: measures that catch each kind of collapse, and VICReg's terms that hold it off."""

import math

import torch

from minijepa.checks.picture import target_and_yours
from minijepa.checks.report import compare


def normal(*shape, seed=0, dtype=torch.float32):
    """Standard normal numbers, always the same for one seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def std(numbers):
    """Standard deviation of a one-dimensional tensor [count], dividing by count - 1."""
    mean = sum(numbers) / len(numbers)
    return (sum((number - mean) ** 2 for number in numbers) / (len(numbers) - 1)) ** 0.5


# Tokens [B, N, D] in three states: alive, positional collapse, complete collapse.
ALIVE = normal(6, 4, 3) + normal(1, 4, 3, seed=9)
POSITIONAL = normal(1, 4, 3, seed=1) + 0.01 * normal(6, 4, 3, seed=2)
COMPLETE = torch.full((6, 4, 3), 0.5) + 0.001 * normal(6, 4, 3, seed=3)
STATES = {"alive": (ALIVE,), "positional": (POSITIONAL,), "complete": (COMPLETE,)}
MORE = [(normal(3, 5, 2, seed=4, dtype=torch.float64),), (2 * normal(2, 2, 4, seed=5),)]


# --- 1: does anything differ between images? --------------------------------------------------------------


def spec_position_std(tokens):
    """Place by place and feature by feature: the deviation over the images; the mean of all. [B, N, D] -> float."""
    values = [std(tokens[:, n, d]) for n in range(tokens.shape[1]) for d in range(tokens.shape[2])]
    return float(sum(values) / len(values))


def position_std(student):
    """Check exercise 1, `position_std(tokens)`. Raises CheckFailed."""
    mistakes = [
        (
            lambda x: x.std(dim=1).mean().item(),
            "this is over the tokens of one image: it calls a positional collapse healthy. Compare images: dim=0",
        ),
        (
            lambda x: x.std(dim=2).mean().item(),
            "this is over the features of one token: a LayerNorm makes it 1 whatever happens. Compare images: dim=0",
        ),
        (
            lambda x: x.mean(dim=1).std(dim=0).mean().item(),
            "you pool before you look: differences between images may cancel out. First the deviation, then the mean",
        ),
        (lambda x: x.std().item(), "one deviation over everything mixes places with images: dim=0 alone"),
        (
            lambda x: x.flatten(0, 1).std(dim=0).mean().item(),
            "this mixes places with images: dim=0 alone, place by place",
        ),
        (lambda x: x.var(dim=0).mean().item(), "this is the variance: take its root, the standard deviation"),
        (lambda x: x.std(dim=0, correction=0).mean().item(), "divide by B - 1, as `std` does"),
    ]
    compare(
        "position_std", student, spec_position_std, [*STATES.values(), *MORE], mistakes, "std over dim=0, then mean"
    )


def show_position_std(student):
    """Draw the measure for three states of the tokens, on one scale: target and answer."""
    as_one(student, spec_position_std, "position_std")


def as_one(student, spec, name):
    """Draw a measure of the three states side by side in one map."""

    def of_all(measure):
        return lambda *states: torch.tensor([float(measure(tokens)) for tokens in states])

    cases = {"alive | positional | complete": (ALIVE, POSITIONAL, COMPLETE)}
    target_and_yours(name, of_all(student), of_all(spec), cases)


# --- 2: what share of the variance is content? ------------------------------------------------------------


def spec_content_share(tokens):
    """Variance over images at a fixed place, averaged over places, divided by the variance over images and places.

    Both variances divide by the number of values, and are added up over the features. tokens: [B, N, D]. A float.
    """
    within = total = 0.0
    for d in range(tokens.shape[2]):
        places = [tokens[:, n, d] for n in range(tokens.shape[1])]
        within += sum(((place - place.mean()) ** 2).mean() for place in places) / len(places)
        total += ((tokens[:, :, d] - tokens[:, :, d].mean()) ** 2).mean()
    return float(within / total)


def content_share(student):
    """Check exercise 2, `content_share(tokens)`. Raises CheckFailed."""

    def parts(x, dim=0):
        within = x.var(dim=dim, correction=0).mean(dim=0).sum()
        return within, x.flatten(0, 1).var(dim=0, correction=0).sum()

    mistakes = [
        (
            lambda x: (1 - parts(x)[0] / parts(x)[1]).item(),
            "this is the share of the POSITION: content is what differs between images at one place",
        ),
        (
            lambda x: (parts(x, 1)[0] / parts(x)[1]).item(),
            "this is the variance over places: content is what differs between images, dim=0",
        ),
        (
            lambda x: (x.std(dim=0, correction=0).mean() / x.flatten(0, 1).std(dim=0, correction=0).mean()).item(),
            "shares add up for variances, not for standard deviations",
        ),
        (
            lambda x: (x.var(dim=0, correction=0).mean(0) / x.flatten(0, 1).var(dim=0, correction=0)).mean().item(),
            "add up the variances over the features before you divide, or a dead feature counts like a lively one",
        ),
        (
            lambda x: (x.var(dim=0).mean(dim=0).sum() / x.flatten(0, 1).var(dim=0).sum()).item(),
            "correction=0 in both, or the shares of content and position do not add up to 1",
        ),
    ]
    advice = "variance over images at one place, mean over places, sum over features; over the same of everything"
    compare("content_share", student, spec_content_share, [*STATES.values(), *MORE], mistakes, advice)


def show_content_share(student):
    """Draw the measure for three states of the tokens: target and answer."""
    as_one(student, spec_content_share, "content_share")


# --- 3: how many directions? ------------------------------------------------------------------------------


def spec_rankme(features):
    """exp of the entropy of the singular values of the centred features, as shares. [B, D] -> float in [1, D].

    The singular values are the roots of the eigenvalues of X' X.
    """
    centred = features.double() - features.double().mean(dim=0)
    eigenvalues = torch.linalg.eigvalsh(centred.T @ centred)
    values = [math.sqrt(max(float(value), 0.0)) for value in eigenvalues]
    shares = [value / sum(values) for value in values]
    return math.exp(-sum(share * math.log(share) for share in shares if share > 1e-7))


def line(count, width, seed):
    """Features [count, width] along a single direction, with a little noise, and far from 0."""
    return normal(count, 1, seed=seed) * normal(1, width, seed=seed + 1) + 1e-3 * normal(count, width, seed=seed) + 3


RANKS = [(normal(40, 6),), (line(40, 6, 1),), (normal(30, 4, seed=3) * torch.tensor([5.0, 2.0, 1.0, 0.2]) + 1,)]


def rankme(student):
    """Check exercise 3, `rankme(features)`. Raises CheckFailed."""

    def entropy_of(x, centre=True, power=1, base=math.e, exponential=True):
        s = torch.linalg.svdvals(x - x.mean(dim=0) if centre else x) ** power
        p = s / s.sum()
        entropy = -(p * (p + 1e-12).log()).sum() / math.log(base)
        return entropy.exp().item() if exponential else entropy.item()

    mistakes = [
        (
            lambda x: entropy_of(x, centre=False),
            "centre the features first: what all images share would be one long axis that hides the others",
        ),
        (
            lambda x: entropy_of(x, power=2),
            "these are the eigenvalues s^2: RankMe takes the singular values themselves",
        ),
        (lambda x: entropy_of(x, exponential=False), "this is the entropy: its exponential is a number of directions"),
        (lambda x: entropy_of(x, base=2), "the exponential of an entropy in bits: take the natural logarithm"),
        (
            lambda x: float(torch.linalg.matrix_rank(x)),
            "the algebraic rank counts the smallest noise as a full direction: weigh directions by their share",
        ),
        (
            lambda x: float(torch.linalg.matrix_rank(x - x.mean(dim=0))),
            "the algebraic rank counts the smallest noise as a full direction: weigh directions by their share",
        ),
    ]
    advice = "singular values of the centred features, as shares p; then exp(-sum p log p)"
    compare("rankme", student, spec_rankme, RANKS, mistakes, advice)


# --- 4, 5: VICReg's terms ---------------------------------------------------------------------------------


def spec_variance_term(z):
    """Feature by feature: how far its deviation sqrt(Var + 1e-4) falls short of 1; the mean. [B, D] -> scalar."""
    short = [(1 - (std(z[:, d]) ** 2 + 1e-4) ** 0.5).clamp_min(0) for d in range(z.shape[1])]
    return sum(short) / len(short)


SPREADS = [
    (normal(8, 4) * torch.tensor([0.1, 0.5, 1.0, 3.0]),),
    (0.01 * normal(5, 3, seed=1),),
    (torch.full((4, 2), 2.0),),
    (normal(6, 5, seed=2, dtype=torch.float64) * 0.7 + 4,),
]


def variance_term(student):
    """Check exercise 4, `variance_term(z)`. Raises CheckFailed."""
    relu = torch.nn.functional.relu

    def deviation(z, dim=0):
        return (z.var(dim=dim) + 1e-4).sqrt()

    mistakes = [
        (lambda z: relu(1 - deviation(z, 1)).mean(), "over the batch, dim=0: every feature must vary between images"),
        (
            lambda z: relu(1 - (z.var(dim=0) + 1e-4)).mean(),
            "the hinge is on the standard deviation, not the variance, whose slope vanishes at 0",
        ),
        (lambda z: relu(deviation(z) - 1).mean(), "the sign: it costs to be BELOW 1"),
        (
            lambda z: (1 - deviation(z)).mean(),
            "without the hinge a large feature pays for a dead one: max(0, ...) each",
        ),
        (lambda z: relu(1 - deviation(z)).sum(), "the mean over the features, not the sum"),
        (
            lambda z: relu(1 - deviation(z).mean()),
            "first the hinge for each feature, then the mean: a large one must not pay for a dead one",
        ),
        (
            lambda z: relu(1 - z.std(dim=0)).mean(),
            "add 1e-4 to the variance before the root, which has no finite slope at 0",
        ),
    ]
    advice = "max(0, 1 - sqrt(var + 1e-4)) for every feature, then the mean"
    compare("variance_term", student, spec_variance_term, SPREADS, mistakes, advice)


def spec_covariance_term(z):
    """Pair by pair of different features: the square of their covariance; the sum over D. [B, D] -> scalar."""
    b, d = z.shape
    total = z.new_zeros(())
    for i in range(d):
        for j in range(d):
            if i != j:
                covariance = ((z[:, i] - z[:, i].mean()) * (z[:, j] - z[:, j].mean())).sum() / (b - 1)
                total = total + covariance**2
    return total / d


COPIES = [
    (torch.tensor([[0.0, 0.0], [2.0, 2.0]]),),
    (normal(6, 4, seed=3) + 2,),
    (normal(9, 1, seed=4).expand(9, 3).contiguous(),),
    (normal(5, 3, seed=5, dtype=torch.float64),),
]


def covariance_term(student):
    """Check exercise 5, `covariance_term(z)`. Raises CheckFailed."""

    def matrix(z, centre=True, over=1):
        z = z - z.mean(dim=0) if centre else z
        return z.T @ z / (len(z) - over)

    def off(c):
        return c - c.diagonal().diag()

    mistakes = [
        (
            lambda z: matrix(z).square().sum() / z.shape[1],
            "leave out the diagonal: those are variances, which must not shrink",
        ),
        (
            lambda z: off(matrix(z, centre=False)).square().sum() / z.shape[1],
            "centre each feature over the batch first",
        ),
        (lambda z: off(matrix(z, over=0)).square().sum() / z.shape[1], "divide the covariance by B - 1"),
        (lambda z: off(matrix(z)).square().sum(), "divide the sum by D, the number of features"),
        (lambda z: off(matrix(z)).square().mean(), "divide the sum by D, not by D^2"),
        (
            lambda z: off(matrix(z)).sum() / z.shape[1],
            "square each covariance: positive and negative ones must not cancel",
        ),
        (
            lambda z: off(matrix(z)).abs().sum() / z.shape[1],
            "the squares of the covariances, not their absolute values",
        ),
        (
            lambda z: off(z.T.corrcoef()).square().sum() / z.shape[1],
            "covariances, not correlations: do not divide by the deviations",
        ),
    ]
    advice = "the covariance matrix [D, D], its diagonal left out, squared, summed, over D"
    compare("covariance_term", student, spec_covariance_term, COPIES, mistakes, advice)
