"""VAE: an autoencoder whose code is a distribution, kept near N(0, I). Replaced: masks, predictor and target encoder.

    x --> encoder --> mean over tokens --> linear map: mu, log sigma^2 --> z = mu + sigma * noise --> decoder --> pixels
    loss = (squared error of all pixels) / 2 + beta * KL(N(mu, sigma^2) || N(0, I)) = -ELBO, for beta = 1

The noise limits what a number of the code can say, so only what lowers the error by more than it costs is kept.
mu is a linear map of the pooled tokens, so probes of the pooled tokens are probes of it: no noise is drawn for them.
Source: VAE (arXiv:1312.6114, section 2 and appendix B), with a Gaussian p(x | z) of variance 1; beta: beta-VAE
(Higgins et al. 2017). Here the encoder is a ViT.

    model = vae.model(ViT.nano(img_size=32, patch_size=4))
    fit(model, course_data()[0], steps=1000, **vae.TRAINING)
"""

from dataclasses import dataclass

import torch
from torch import nn

from minijepa.family.autoencoder import AutoencoderOutput, Decoder
from minijepa.training import recipe
from minijepa.training.distributed import Team
from minijepa.vit import init_weights, pool

NAME = "VAE"
TRAINING = recipe.TRAINING
masks = None


def gaussian_kl(mean, log_var):
    """KL(N(mu, sigma^2) || N(0, I)) = 1/2 sum over k of (mu_k^2 + sigma_k^2 - 1 - log sigma_k^2).

    mean, log_var: mu and log sigma^2, [B, K] each. Returns [B], >= 0; 0 only for mu = 0 and sigma = 1.
    Source: arXiv:1312.6114, appendix B.
    """
    return 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum(dim=-1)


def reparametrise(mean, log_var, noise):
    """z = mu + sigma * noise, through which gradients reach mu and sigma. All [B, K]; noise from N(0, I)."""
    return mean + (log_var / 2).exp() * noise


def negative_elbo(drawn, wanted, mean, log_var, beta=1.0):
    """-ELBO, up to a constant, of one sample of the code: (squared error) / 2 + beta * KL, in nats per image.

    The error is -log p(x | z) of a Gaussian with variance 1 around what the decoder draws.
    drawn, wanted: [B, N, values], patches. mean, log_var: [B, K]. beta: 1 for the VAE.
    Returns [B], >= 0. Source: arXiv:1312.6114, equations 7 and 10.
    """
    error = (drawn - wanted).square().flatten(1).sum(dim=1) / 2  # [B]
    return error + beta * gaussian_kl(mean, log_var)


@dataclass
class VAEOutput(AutoencoderOutput):
    """AutoencoderOutput, where code is mu, and kl: [B], what the code costs."""

    kl: torch.Tensor

    @property
    def numbers(self):
        """What `fit` records now and then; also the mean KL, in nats per image."""
        return {**super().numbers, "kl": self.kl.mean()}


class VAE(nn.Module):
    """An encoder, the mean and variance of a code of `code` numbers per image, a decoder.

    encoder: a ViT. code: K, at least 1. beta: weight of the KL. hidden: units of the decoder's hidden layer.
    In training each call draws its own noise, from a generator whose seed is `calls`: a random start, plus the calls so
    far. It is kept in checkpoints, so a seed gives one run, also a resumed one, and several processes draw the noise
    that one would draw. In eval mode the noise is 0.
    """

    def __init__(self, encoder, code=32, beta=1.0, hidden=256):
        super().__init__()
        self.encoder = encoder
        self.beta = beta
        self.to_code = nn.Linear(encoder.dim, 2 * code).apply(init_weights)
        self.decoder = Decoder(code, encoder, hidden)
        self.register_buffer("calls", torch.randint(2**31, ()))

    def forward(self, x):
        """x: images [B, C, H, W]. Returns VAEOutput."""
        tokens = self.encoder(x)  # [B, N, D]
        mean, log_var = self.to_code(pool(tokens)).chunk(2, dim=-1)  # [B, K] each
        drawn = self.decoder(reparametrise(mean, log_var, self.noise(mean)))  # [B, N, values]
        wanted = self.encoder.patch_embed.patches(x)  # [B, N, values]
        loss = negative_elbo(drawn.float(), wanted, mean.float(), log_var.float(), self.beta).mean()
        return VAEOutput(loss, drawn, mean, tokens, gaussian_kl(mean, log_var).detach())

    @torch.compiler.disable
    def noise(self, mean):
        """From N(0, I), of the shape of mean, [B, K]; zeros in eval mode."""
        if not self.training:
            return torch.zeros_like(mean)
        team = Team.current()
        generator = torch.Generator().manual_seed(int(self.calls))
        self.calls += 1
        whole = torch.randn(team.size * len(mean), mean.shape[1], generator=generator)  # of all processes
        return whole[team.rows(len(whole))].to(mean)

    @property
    def target_encoder(self):
        """The encoder to keep: the only one."""
        return self.encoder


def model(encoder, beta=1.0):
    """A VAE with a code of 32 numbers. encoder: a ViT; beta: weight of the KL."""
    return VAE(encoder, beta=beta)
