"""Search for actions with gradients: the model is a network, so the cost of a plan has a slope in every action."""

import torch

from minijepa.planning.cem import Search, candidates
from minijepa.worlds.two_rooms import limited


def gradient_search(score, mean, *, std, longest, samples=8, steps=20, lr=0.02, generator=None, keep=False):
    """Adam on the actions of `samples` plans at once, from `mean` and random plans around it; the cheapest is kept.

    score: function, actions [E, S, H, A] -> costs [E, S], differentiable. mean, std, longest, generator, keep: as of
    `cem`. lr: in units of actions. After each step actions are shortened to `longest`.
    Returns Search. A slope says nothing about what lies behind a wall: more starts help, smaller steps do not.
    Source: planning by backpropagation, LeCun 2022 ("A path towards autonomous machine intelligence", section 3.1).
    """
    plans = candidates(mean, torch.full_like(mean, std), samples, longest, generator)  # [E, S, H, A]
    rounds = []
    with torch.enable_grad():  # a planner runs without gradients
        plans = plans.requires_grad_()
        optimizer = torch.optim.Adam([plans], lr)
        for _ in range(steps):
            cost = score(plans)  # [E, S]
            if keep:
                rounds.append((plans.detach().clone(), cost.detach()))
            (plans.grad,) = torch.autograd.grad(cost.sum(), plans)  # plans do not meet, so the sum keeps them apart
            optimizer.step()
            plans.data = limited(plans.data, longest)
    plans = plans.detach()
    best = score(plans).argmin(dim=1)  # [E]
    return Search(plans[torch.arange(len(plans)), best], rounds)
