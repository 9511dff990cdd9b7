"""Assignment 16, exercise 3: one round of the cross-entropy method."""

import torch

from minijepa.checks.curves import line_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal


def spec_cem_round(score, mean, std, noise, elites):
    """Plan by plan: mean + std * noise; sort by cost; mean and standard deviation of the cheapest, entry by entry.

    score: function, plans [S, H, A] -> costs [S]. mean, std: [H, A]. noise: [S, H, A]. elites: how many, at most S.
    Returns (mean, std), [H, A] each. Source: Rubinstein 1999 (doi 10.1023/A:1010091220143).
    """
    plans = [mean + std * one for one in noise]
    costs = score(torch.stack(plans)).tolist()
    cheapest = sorted(range(len(plans)), key=lambda s: costs[s])[:elites]
    new_mean, new_std = torch.empty_like(mean), torch.empty_like(std)
    for h in range(mean.shape[0]):
        for a in range(mean.shape[1]):
            values = [plans[s][h, a].item() for s in cheapest]
            middle = sum(values) / elites
            new_mean[h, a] = middle
            new_std[h, a] = (sum((value - middle) ** 2 for value in values) / elites) ** 0.5
    return new_mean, new_std


def end_at_one(plans):
    """The squared distance of the sum of a plan's actions from 1: plans [S, H, A] -> [S]."""
    return (plans.sum(dim=1) - 1).square().sum(dim=1)


def tilted(plans):
    """Another cost, the same for no two plans: plans [S, H, A] -> [S]."""
    weight = torch.linspace(-1, 2, plans[0].numel()).to(plans).view_as(plans[0])
    return ((plans - 0.4) ** 2 * weight.abs() + plans * weight / 2).sum(dim=(1, 2))


CASES = [
    (end_at_one, torch.zeros(1, 1), torch.full((1, 1), 2.0), torch.tensor([0.0, 0.8, -1.0, 0.25]).view(4, 1, 1), 2),
    (tilted, 0.3 * normal(3, 2), 0.5 + normal(3, 2, seed=1).abs(), normal(12, 3, 2, seed=2), 4),
    (end_at_one, normal(2, 2, seed=3), 1.5 * torch.ones(2, 2), normal(20, 2, 2, seed=4), 5),
    (tilted, normal(4, 1, seed=5), 0.2 + normal(4, 1, seed=6).abs(), normal(9, 4, 1, seed=7), 1),
    (tilted, *(normal(2, 3, seed=s, dtype=torch.float64).abs() for s in (8, 9)), normal(8, 2, 3, seed=10).double(), 3),
]


def chosen(score, mean, std, noise, elites, largest=False, of=None):
    """The elites [elites, H, A] of the plans from mean, std [H, A] and noise [S, H, A], or of other rows `of`."""
    plans = mean + std * noise  # [S, H, A]
    return (plans if of is None else of)[score(plans).topk(elites, largest=largest).indices]


def fitted(elites):
    """Mean and standard deviation [H, A] of elites [n, H, A]."""
    return elites.mean(dim=0), elites.std(dim=0, correction=0)


def sampled(elites):
    """Mean and standard deviation [H, A] of elites [n, H, A], with n - 1: NaN for one elite."""
    n = torch.tensor(float(len(elites)), dtype=elites.dtype)
    return elites.mean(dim=0), elites.std(dim=0, correction=0) * (n / (n - 1)).sqrt()


def around(elites, mean):
    """The mean of elites [n, H, A], and their root mean square distance from another mean [H, A]."""
    return elites.mean(dim=0), (elites - mean).square().mean(dim=0).sqrt()


def weighed(score, mean, std, noise):
    """All plans weighed by exp(-cost), as MPPI does with a temperature of 1. Returns mean and std, [H, A]."""
    plans = mean + std * noise
    weight = torch.softmax(-score(plans), dim=0)[:, None, None]
    middle = (weight * plans).sum(dim=0)
    return middle, (weight * (plans - middle).square()).sum(dim=0).sqrt()


MISTAKES = [
    (
        lambda f, m, s, n, k: fitted(chosen(f, m, s, n, k, largest=True)),
        "these are the most EXPENSIVE plans: give largest=False to topk, or sort upwards",
    ),
    (
        lambda f, m, s, n, k: fitted((m + s * n)[:k]),
        "these are the first plans, whatever they cost: sort by cost, then take the first",
    ),
    (
        lambda f, m, s, n, k: fitted(m + s * n),
        "this is the mean of all plans: only the elites count",
    ),
    (
        lambda f, m, s, n, k: (fitted(chosen(f, m, s, n, k))[0], (m + s * n).std(dim=0, correction=0)),
        "your standard deviation is that of ALL plans, so that the search never narrows: take that of the elites",
    ),
    (
        lambda f, m, s, n, k: (fitted(chosen(f, m, s, n, k))[0], s),
        "the standard deviation stays as it was: compute it anew, from the elites",
    ),
    (
        lambda f, m, s, n, k: sampled(chosen(f, m, s, n, k)),
        "`std` divides by elites - 1, which is 0 for one elite: give correction=0",
    ),
    (
        lambda f, m, s, n, k: (fitted(chosen(f, m, s, n, k))[0], fitted(chosen(f, m, s, n, k))[1] ** 2),
        "this is the variance: take its root",
    ),
    (
        lambda f, m, s, n, k: around(chosen(f, m, s, n, k), m),
        "you measure the spread around the OLD mean: take it around the mean of the elites",
    ),
    (
        lambda f, m, s, n, k: (chosen(f, m, s, n, 1)[0], fitted(chosen(f, m, s, n, k))[1]),
        "this is the cheapest plan alone: the new mean is that of all elites",
    ),
    (
        lambda f, m, s, n, k: fitted(chosen(f, m, s, n, k, of=n)),
        "this is the mean of the elites' NOISE: take that of the plans, mean + std * noise",
    ),
    (
        lambda f, m, s, n, k: fitted(chosen(f, 0 * m, s, n, k)),
        "your plans begin at 0: add the mean to std * noise, else no round builds on the one before",
    ),
    (
        lambda f, m, s, n, k: fitted(chosen(f, m, torch.ones_like(s), n, k)),
        "multiply the noise by std, entry by entry, else the search stays as wide as it is",
    ),
    (
        lambda f, m, s, n, k: fitted(chosen(f, m, s**2, n, k)),
        "you multiply the noise by the variance: multiply it by std",
    ),
    (
        lambda f, m, s, n, k: fitted(chosen(f, m, s, n, k))[::-1],
        "the two are swapped: the mean comes first, then the standard deviation",
    ),
    (
        lambda f, m, s, n, k: (
            fitted(chosen(f, m, s, n, k))[0],
            chosen(f, m, s, n, k).std(correction=0).expand_as(s),
        ),
        "this is one standard deviation for the whole plan: each entry [h, a] has its own, over the elites (dim=0)",
    ),
    (
        lambda f, m, s, n, k: weighed(f, m, s, n),
        "this weighs all plans by exp(-cost), as MPPI does: CEM takes the elites, and counts them equally",
    ),
]

ADVICE = "plans = mean + std * noise, costs = score(plans), take the `elites` cheapest, their mean and std over dim=0"


def show_cem_round(student):
    """Draw where rounds in a row bring the mean and the standard deviation: target and answer."""
    wanted = torch.tensor([[0.8, -0.5], [0.3, 0.9]])
    noise = normal(8, 64, 2, 2, seed=11)  # a block for each round

    def score(plans):
        return (plans - wanted).square().sum(dim=(1, 2))

    def search(one_round, rounds, part):
        mean, std = torch.zeros(2, 2), torch.ones(2, 2)
        for block in noise[:rounds]:
            mean, std = one_round(score, mean, std, block, 8)
        return (mean - wanted).abs().mean() if part == "mean" else std.mean()

    cases = {
        "distance of the mean to the best plan": [(r, (r, "mean")) for r in range(1, 9)],
        "standard deviation": [(r, (r, "std")) for r in range(1, 9)],
    }
    see = "both fall from round to round: the search narrows around the best plan."
    labels = ("rounds", "mean over the entries")

    def yours(rounds, part):
        return search(student, rounds, part)

    def target(rounds, part):
        return search(spec_cem_round, rounds, part)

    line_and_yours("cem_round", yours, target, cases, labels, see)


def cem_round(student):
    """Check exercise 3, `cem_round(score, mean, std, noise, elites)`. Raises CheckFailed."""
    compare("cem_round", student, spec_cem_round, CASES, MISTAKES, ADVICE)
