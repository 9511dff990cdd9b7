"""Search for actions without gradients: CEM, and MPPI, which weighs all samples instead of choosing the best.

Both hold a Gaussian over action sequences, draw samples, ask `score` how expensive each is, and move the Gaussian. All
episodes of a batch are searched at once. Every episode meets the same random numbers, so that an episode alone gets the
plan that it gets in a batch.
"""

from dataclasses import dataclass, field

import torch

from minijepa.worlds.two_rooms import limited


@dataclass
class Search:
    """What a search found. plan: [E, H, A]. rounds: one (samples [E, S, H, A], cost [E, S]) per iteration, if kept."""

    plan: torch.Tensor
    rounds: list = field(default_factory=list)


@torch.no_grad()
def cem(score, mean, *, std, longest, samples=128, elites=12, iterations=5, generator=None, keep=False):
    """The cross-entropy method: fit the Gaussian to the cheapest samples, and again.

    score: function, actions [E, S, H, A] -> costs [E, S].
    mean: [E, H, A], where the search begins. std: its first standard deviation, a number or [E, H, A].
    longest: actions are shortened to this length. keep: keep every round's samples, to draw them.
    The mean itself is the first sample of each round, so that a good plan is not lost. The returned plan is the last
    mean, as in V-JEPA 2-AC: it has less noise in it than the cheapest sample.
    Returns Search. Raises ValueError if there are more elites than samples.
    Source: Rubinstein 1999 (doi 10.1023/A:1010091220143); as planner of world models, V-JEPA 2-AC (arXiv:2506.09985).
    """
    if not 1 <= elites <= samples:
        raise ValueError(f"elites must be between 1 and samples ({samples}), got {elites}")
    spread, rounds = torch.zeros_like(mean) + std, []
    for _ in range(iterations):
        tried = candidates(mean, spread, samples, longest, generator)  # [E, S, H, A]
        cost = score(tried)  # [E, S]
        rank = cost.topk(elites, dim=1, largest=False).indices  # [E, elites]
        chosen = tried.gather(1, rank[:, :, None, None].expand(-1, -1, *tried.shape[2:]))  # [E, elites, H, A]
        mean, spread = chosen.mean(dim=1), chosen.std(dim=1, correction=0)  # [E, H, A]
        if keep:
            rounds.append((tried, cost))
    return Search(mean, rounds)


@torch.no_grad()
def mppi(score, mean, *, std, longest, samples=128, temperature=0.05, iterations=4, generator=None, keep=False):
    """Model-predictive path integral control: the new mean weighs sample s by exp(-(cost_s - min cost) / temperature).

    score, mean [E, H, A], std, longest, keep (True or False) and the result as of `cem`; the spread stays as it is.
    temperature: in standard deviations of the costs, so that it means the same for every cost.
    Source: Williams et al. 2017 (arXiv:1509.01149); planner of PLDM (arXiv:2502.14819).
    """
    spread, rounds = torch.full_like(mean, std), []
    for _ in range(iterations):
        tried = candidates(mean, spread, samples, longest, generator)  # [E, S, H, A]
        cost = score(tried)  # [E, S]
        scale = temperature * cost.std(dim=1, keepdim=True).clamp(min=1e-12)
        weight = torch.softmax(-cost / scale, dim=1)  # [E, S]
        mean = torch.einsum("es,esha->eha", weight, tried)
        if keep:
            rounds.append((tried, cost))
    return Search(mean, rounds)


def candidates(mean, std, samples, longest, generator):
    """Gaussian samples around `mean`, which is the first of them: [E, H, A] twice -> [E, S, H, A], none too long."""
    noise = torch.randn(samples, *mean.shape[1:], generator=generator).to(mean)  # [S, H, A], the same for each episode
    noise[0] = 0
    return limited(mean[:, None] + std[:, None] * noise, longest)
