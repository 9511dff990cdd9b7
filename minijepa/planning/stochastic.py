"""A predictor with a latent variable z: one past, several futures.

    posterior q(z | s_x, s_y)  what z was, to one who has seen the future; only in training
    prior     p(z | s_x)       what z may be, to one who has not
    loss = |g(s_x, z) - sg(s_y)|^2 + beta KL(q || p),   z drawn from q

It is a conditional variational autoencoder between latents instead of pixels (LeCun 2022 asks to limit what z carries;
here KL does). Small beta: z leaks all of s_y, and samples of the prior are wrong. Large beta: z is not used, and the
prediction is the mean of the futures. Var-JEPA (arXiv:2603.20111) reads a JEPA as variational posteriors and learned
conditional priors, VJEPA (arXiv:2601.14354) learns a predictive distribution over latents; their objectives differ.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from minijepa.planning.world_model import WorldModelOutput


class PastFuture(NamedTuple):
    """A batch of latents: of what was seen, and of what came."""

    past: torch.Tensor  # [B, X]
    future: torch.Tensor  # [B, Y]


@dataclass
class Transitions:
    """Latents of pasts and of their futures, as data for `fit`. past: [N, X]. future: [N, Y]."""

    past: torch.Tensor
    future: torch.Tensor

    def __len__(self):
        return len(self.past)

    def batch(self, index, device=None):
        """The rows `index`, int64 [B], as PastFuture."""
        return PastFuture(self.past[index].to(device), self.future[index].to(device))


def kl_gaussians(mean_q, log_std_q, mean_p, log_std_p):
    """KL(q || p) of two Gaussians with diagonal covariance, in nats: [..., Z] each -> [...], >= 0.

    sum over d of log(std_p / std_q) + (std_q^2 + (mean_q - mean_p)^2) / (2 std_p^2) - 1/2.
    """
    ratio = (2 * (log_std_q - log_std_p)).exp()
    shift = ((mean_q - mean_p) * (-log_std_p).exp()).square()
    return (log_std_p - log_std_q + 0.5 * (ratio + shift) - 0.5).sum(dim=-1)


def mlp(inputs, width, outputs):
    """Two hidden layers with GELU."""
    return nn.Sequential(
        nn.Linear(inputs, width), nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, outputs)
    )


class StochasticPredictor(nn.Module):
    """Prior, posterior and predictor; `model(batch)` of a PastFuture gives the loss that `fit` lowers.

    past, future: widths of s_x and s_y. latent: width of z; 0 makes the predictor deterministic, one answer per past.
    beta: the price of a nat in z, >= 0. Raises ValueError for a negative one.
    In training each call draws z from a generator whose seed is the number of calls, which is kept with the parameters.
    """

    def __init__(self, past, future, latent=2, beta=0.1, width=96):
        super().__init__()
        if beta < 0:
            raise ValueError(f"beta must be 0 or more, got {beta}: a negative one would pay z for leaking")
        self.latent, self.beta = latent, beta
        self.prior = mlp(past, width, 2 * latent) if latent else None
        self.posterior = mlp(past + future, width, 2 * latent) if latent else None
        self.predictor = mlp(past + latent, width, future)
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))

    def predict(self, past, z):
        """g: past [..., X], z [..., Z] -> the future [..., Y]."""
        return self.predictor(torch.cat([past, z], dim=-1))

    def gaussians(self, past, future):
        """The two distributions of z: mean and log std of q, then of p, four tensors [B, Z]."""
        q = self.posterior(torch.cat([past, future], dim=-1))
        return *limited(q), *limited(self.prior(past))

    def forward(self, batch):
        past, future = batch.past, batch.future.detach()  # sg: the target does not come to meet the prediction
        if not self.latent:
            error = (self.predictor(past) - future).square().sum(dim=-1).mean()
            return WorldModelOutput(error, {"error": error})
        mean_q, log_std_q, mean_p, log_std_p = self.gaussians(past, future)
        self.calls += 1
        noise = torch.randn(mean_q.shape, generator=torch.Generator().manual_seed(int(self.calls)))
        z = mean_q + log_std_q.exp() * noise.to(mean_q)
        error = (self.predict(past, z) - future).square().sum(dim=-1).mean()
        nats = kl_gaussians(mean_q, log_std_q, mean_p, log_std_p).mean()
        return WorldModelOutput(error + self.beta * nats, {"error": error, "nats": nats})

    @torch.no_grad()
    def sample(self, past, count, generator):
        """`count` possible futures per past, z drawn from the prior: [B, X] -> [B, count, Y]."""
        past = past[:, None].expand(-1, count, -1)  # [B, count, X]
        if not self.latent:
            return self.predictor(past)
        mean, log_std = limited(self.prior(past))
        return self.predict(past, mean + log_std.exp() * torch.randn(mean.shape, generator=generator).to(mean))

    @torch.no_grad()
    def reconstruct(self, past, future, generator):
        """One future per past, z drawn from the posterior, which has seen it: [B, X], [B, Y] -> [B, Y]."""
        mean, log_std, _, _ = self.gaussians(past, future)
        return self.predict(past, mean + log_std.exp() * torch.randn(mean.shape, generator=generator).to(mean))


def limited(parameters):
    """Mean and log std [..., Z] from a network's output [..., 2 Z]; the log std is kept between -5 and 2."""
    mean, log_std = parameters.chunk(2, dim=-1)
    return mean, 3.5 * torch.tanh(log_std / 3.5) - 1.5


def coverage(samples, outcomes, reach):
    """The fraction of outcomes that have a sample within `reach`, and of samples that are within reach of an outcome.

    samples: [B, M, Y]. outcomes: [B, K, Y], all that can happen. reach: a distance, a float or [B].
    Returns two floats in [0, 1]: modes covered (recall) and samples that could happen (precision).
    """
    near = torch.cdist(samples, outcomes) <= torch.as_tensor(reach).view(-1, 1, 1)  # [B, M, K]
    return near.any(dim=1).double().mean().item(), near.any(dim=2).double().mean().item()
