"""The stochastic predictor: KL against torch.distributions, the loss by hand, coverage by loops; and planted bugs."""

import pytest
import torch
from helpers import planted, seeded
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Independent, Normal, kl_divergence

from minijepa import fit
from minijepa.planning import StochasticPredictor, Transitions, coverage, kl_gaussians, stochastic


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed))


def gaussian(mean, log_std):
    return Independent(Normal(mean, log_std.exp()), 1)


def check_kl(module):
    q, p = (numbers(7, 3, seed=1), numbers(7, 3, seed=2)), (numbers(7, 3, seed=3), numbers(7, 3, seed=4))
    wanted = kl_divergence(gaussian(*q), gaussian(*p))
    assert torch.allclose(module.kl_gaussians(*q, *p), wanted, rtol=1e-4)


def check_loss(module):
    """One row at a time, with torch's distributions; and no gradient reaches the target."""
    torch.manual_seed(0)
    model = module.StochasticPredictor(past=4, future=5, latent=3, beta=0.7, width=8)
    past, future = numbers(6, 4, seed=1), numbers(6, 5, seed=2).requires_grad_()
    output = model(module.PastFuture(past, future))
    noise = torch.randn(6, 3, generator=torch.Generator().manual_seed(int(model.calls)))
    total, nats = 0.0, 0.0
    for n in range(6):
        q, p = model.posterior(torch.cat([past[n], future[n]])), model.prior(past[n])
        q, p = ((each[:3], 3.5 * (each[3:] / 3.5).tanh() - 1.5) for each in (q, p))
        guess = model.predictor(torch.cat([past[n], q[0] + q[1].exp() * noise[n]]))
        total += ((guess - future[n]) ** 2).sum() / 6
        nats += kl_divergence(gaussian(*q), gaussian(*p)) / 6
    assert torch.allclose(output.loss, total + 0.7 * nats, rtol=1e-4)
    assert (
        abs(output.numbers["error"] - float(total.detach())) < 1e-3
        and abs(output.numbers["nats"] - float(nats.detach())) < 1e-3
    )
    output.loss.backward()
    assert future.grad is None and model.prior[0].weight.grad.abs().max() > 0
    again = model(module.PastFuture(past, future))
    assert not torch.equal(output.loss, again.loss)  # another draw of z


def check_samples(module):
    """Samples come from the prior, reconstructions from the posterior: their means, by another route."""
    torch.manual_seed(0)
    model = module.StochasticPredictor(past=4, future=2, latent=2, width=8)
    model.predictor = torch.nn.Linear(6, 2)  # linear, so that the mean and the spread of z go through
    past, future = numbers(3, 4, seed=1), 3 * numbers(3, 2, seed=2)
    g = model.predictor
    q, p = model.posterior(torch.cat([past, future], dim=1)), model.prior(past)
    with torch.no_grad():
        samples = model.sample(past, 20_000, seeded())
        for n in range(3):
            rows = past[n].expand(20_000, -1), future[n].expand(20_000, -1)
            seen = model.reconstruct(*rows, seeded())
            for got, code in ((samples[n], p[n]), (seen, q[n])):
                std = (3.5 * (code[2:] / 3.5).tanh() - 1.5).exp()
                mean = g.weight @ torch.cat([past[n], code[:2]]) + g.bias
                spread = g.weight[:, 4:] @ torch.diag(std**2) @ g.weight[:, 4:].T
                scale = spread.diagonal().sqrt()
                assert ((got.mean(dim=0) - mean).abs() < 5 * scale / 20_000**0.5 + 1e-6).all(), n
                assert torch.allclose(torch.cov(got.T), spread, atol=0.1 * float(scale.max()) ** 2), n


def check_coverage(module):
    samples, outcomes = numbers(5, 9, 2, seed=3), numbers(5, 3, 2, seed=4)
    reach = torch.tensor([0.2, 0.5, 0.7, 1.0, 1.5])
    covered, fits = [], []
    for b in range(5):
        distance = [[float((s - o).norm()) for o in outcomes[b]] for s in samples[b]]
        covered += [min(row[k] for row in distance) <= reach[b] for k in range(3)]
        fits += [min(row) <= reach[b] for row in distance]
    got = module.coverage(samples, outcomes, reach)
    assert abs(got[0] - sum(map(float, covered)) / 15) < 1e-9 and abs(got[1] - sum(map(float, fits)) / 45) < 1e-9


CHECKS = {"kl": check_kl, "loss": check_loss, "samples": check_samples, "coverage": check_coverage}

BUGS = {
    "variances, not deviations": ("kl", "(2 * (log_std_q - log_std_p)).exp()", "(log_std_q - log_std_p).exp()"),
    "shift in the posterior's unit": ("kl", "(-log_std_p).exp()", "(-log_std_q).exp()"),
    "KL the other way round": (
        "loss",
        "kl_gaussians(mean_q, log_std_q, mean_p, log_std_p).mean()",
        "kl_gaussians(mean_p, log_std_p, mean_q, log_std_q).mean()",
    ),
    "the target comes to meet the prediction": ("loss", "batch.future.detach()", "batch.future"),
    "beta is forgotten": ("loss", "error + self.beta * nats", "error + nats"),
    "z without noise": ("loss", "mean_q + log_std_q.exp() * noise", "mean_q + 0 * noise"),
    "the same noise in every step": ("loss", "self.calls += 1", "self.calls += 0"),
    "trained with z of the prior": (
        "loss",
        "z = mean_q + log_std_q.exp() * noise",
        "z = mean_p + log_std_p.exp() * noise",
    ),
    "the posterior does not see the future": (
        "loss",
        "q = self.posterior(torch.cat([past, future], dim=-1))",
        "q = self.posterior(torch.cat([past, 0 * future], dim=-1))",
    ),
    "samples of the posterior": (
        "samples",
        "mean, log_std, _, _ = self.gaussians",
        "_, _, mean, log_std = self.gaussians",
    ),
    "samples are the mean": (
        "samples",
        "log_std.exp() * torch.randn(mean.shape, generator=generator).to(mean))\n\n    @torch",
        "0)\n\n    @torch",
    ),
    "recall and precision swapped": ("coverage", "near.any(dim=1)", "near.any(dim=2)"),
    "all outcomes must be near": ("coverage", "near.any(dim=2)", "near.all(dim=2)"),
}


@pytest.mark.parametrize("name", CHECKS)
def test_the_stochastic_predictor_is_what_the_loops_say(name):
    CHECKS[name](stochastic)


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_planted_into_the_stochastic_predictor_is_caught(bug):
    check, old, new = BUGS[bug]
    with pytest.raises(AssertionError):
        CHECKS[check](planted(stochastic, old, new))


@given(st.lists(st.tuples(*[st.floats(-2, 2)] * 4), min_size=1, max_size=5))
def test_kl_is_torchs_and_never_negative(rows):
    mean_q, log_std_q, mean_p, log_std_p = torch.tensor(rows, dtype=torch.float64).unbind(dim=1)
    got = kl_gaussians(mean_q, log_std_q, mean_p, log_std_p)
    wanted = kl_divergence(gaussian(mean_q, log_std_q), gaussian(mean_p, log_std_p))
    assert torch.allclose(got, wanted) and got >= -1e-12
    assert kl_gaussians(mean_q, log_std_q, mean_q, log_std_q).abs() < 1e-12


def test_two_futures_are_both_sampled_and_a_deterministic_predictor_takes_their_mean():
    generator = seeded()
    past = torch.rand(400, 1, generator=generator)
    up = torch.rand(400, 1, generator=generator) < 0.5
    data = Transitions(past, torch.cat([past, torch.where(up, 3.0, -3.0)], dim=1))
    settings = dict(steps=300, batch_size=64, lr=5e-3, weight_decay=(0.0, 0.0))
    both = torch.stack([torch.cat([past, torch.full_like(past, y)], dim=1) for y in (3.0, -3.0)], dim=1)
    covered = {}
    for latent in (0, 1):
        torch.manual_seed(0)
        model = StochasticPredictor(1, 2, latent, beta=0.5, width=32)
        fit(model, data, **settings)
        covered[latent] = coverage(model.sample(past[:50], 32, seeded(1)), both[:50], 1.0)
    assert covered[0] == (0.0, 0.0) and covered[1][0] > 0.95 and covered[1][1] > 0.5


def test_a_run_that_is_resumed_draws_the_same_z(tmp_path):
    data = Transitions(numbers(64, 3), numbers(64, 2, seed=1))

    def run(steps, **more):
        torch.manual_seed(0)
        model = StochasticPredictor(3, 2, width=8)
        fit(model, data, steps=6, batch_size=8, **more)
        return model

    def stop(step, model, row):
        if step == 4:
            raise KeyboardInterrupt

    whole, file = run(6), tmp_path / "run.pt"
    with pytest.raises(KeyboardInterrupt):
        run(6, checkpoint=file, save_every=3, callbacks=[stop])
    resumed = run(6, checkpoint=file, resume=True)
    for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_a_negative_beta_is_named():
    with pytest.raises(ValueError, match="beta must be 0 or more, got -1"):
        StochasticPredictor(2, 2, beta=-1)
