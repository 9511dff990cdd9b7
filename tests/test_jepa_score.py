"""JEPA-SCORE: linear maps in closed form, finite differences, a density that is known, planted bugs."""

import math

import numpy as np
import pytest
import torch
from helpers import planted, seeded
from torch import nn

from minijepa import ViT, energy


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Dropout(0.5), nn.Linear(16, 4)).double()


def slow_score(f, x, step=1e-5):
    """By central differences, numpy's singular values and a loop over examples."""
    scores = []
    for example in x:
        columns = []
        for k in range(example.numel()):
            shift = torch.zeros_like(example).flatten()
            shift[k] = step
            shift = shift.view_as(example)
            columns.append((f((example + shift)[None]) - f((example - shift)[None]))[0].flatten() / (2 * step))
        s = np.linalg.svd(torch.stack(columns, dim=1).detach().numpy(), compute_uv=False)
        scores.append(sum(math.log(max(value, 1e-6)) for value in s))
    return scores


def check_score(module):
    model = network()
    x = torch.randn(5, 6, generator=seeded(), dtype=torch.float64)
    scores = module.jepa_score(model, x, chunk=2)
    model.eval()
    assert scores.tolist() == pytest.approx(slow_score(model, x), rel=1e-5)
    A = torch.randn(3, 6, generator=seeded(1), dtype=torch.float64)
    volume = (A @ A.T).logdet().item() / 2
    assert module.jepa_score(lambda z: z @ A.T, x).tolist() == pytest.approx([volume] * 5), "log-volume of a linear map"
    flat = torch.cat([A, A[:1] + A[1:2]])  # rank 3: the fourth singular value is 0
    s = torch.linalg.svdvals(flat)[:3].log().sum().item()
    assert module.jepa_score(lambda z: z @ flat.T, x).tolist() == pytest.approx([s + math.log(1e-6)] * 5)


def test_score_is_that_of_finite_differences_and_linear_maps():
    check_score(energy)


EVAL = "with torch.no_grad(), eval_mode(encoder) if isinstance(encoder, torch.nn.Module) else nullcontext():"
BUGS = {
    "sign": ("clamp_min(floor).log().sum(dim=1)", "clamp_min(floor).log().sum(dim=1).neg()"),
    "log missing": (".clamp_min(floor).log().sum", ".clamp_min(floor).sum"),
    "no floor": (".clamp_min(floor).log()", ".log()"),
    "mean of the chunk": ("([scores(examples) for", "([scores(examples).mean().expand(len(examples)) for"),
    "training mode": (EVAL, "with torch.no_grad():"),
}


@pytest.mark.parametrize("bug", BUGS)
def test_the_checks_find_a_planted_bug(bug):
    with pytest.raises((AssertionError, RuntimeError)):
        check_score(planted(energy, *BUGS[bug]))


def test_tokens_are_averaged_and_modes_are_kept():
    torch.manual_seed(0)
    encoder = ViT(8, 4, dim=12, depth=1, heads=2).double().train()
    x = torch.rand(3, 3, 8, 8, generator=seeded(), dtype=torch.float64)
    scores = energy.jepa_score(encoder, x)
    assert encoder.training and scores.shape == (3,) and not scores.requires_grad
    assert scores.tolist() == pytest.approx(slow_score(lambda z: encoder(z).mean(dim=1), x), rel=1e-4)


def test_with_the_features_own_density_the_score_is_the_density_and_without_it_is_not():
    """A lognormal x becomes N(0, 1) under f = log: log p(x) = log q(f(x)) + score, the score alone is -log x."""
    x = torch.tensor([0.2, 0.5, 1.0, 2.0, 5.0]).double().unsqueeze(1)
    score = energy.jepa_score(torch.log, x)
    assert torch.allclose(score, -x[:, 0].log())
    truth = torch.distributions.LogNormal(torch.zeros(1).double(), torch.ones(1).double()).log_prob(x)[:, 0]
    q = torch.distributions.Normal(0.0, 1.0).log_prob(x[:, 0].log())
    assert torch.allclose(truth, q + score)
    assert score[0] > score[1] and truth[0] < truth[1], "in one dimension the score alone can have the order wrong"
