"""A JEPA that hears actions is a world model: it predicts the representation of the next frame.

    frames x_t ──► encoder f ──► z_t ──► dynamics g(z_t, a_t) ──► ẑ_{t+1}
                                              target: z_{t+1} = f(x_{t+1}), no gradient stopped
    loss = |ẑ_{t+1} - z_{t+1}|^2 + the same for predictions of predictions + terms against collapse

Two published sets of terms are two dictionaries here: PLDM (variance, covariance, inverse dynamics; arXiv:2502.14819,
section 3) and LeWorldModel (SIGReg alone; arXiv:2603.19312). With a frozen encoder and no terms it is the way of
V-JEPA 2-AC (arXiv:2506.09985, section 3), whose own predictor stands in `ac_predictor.py`.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from minijepa.losses import covariance, l2, sigreg, variance
from minijepa.worlds.two_rooms import Clip, window_rows

PLDM = {"variance": 4.0, "covariance": 1.0, "inverse": 1.0}
LEWM = {"sigreg": 0.1}


class FrameEncoder(nn.Module):
    """f: one small image to one vector. Patches of 4 x 4 pixels, each through one linear map, then two layers.

    images [..., C, S, S], S a multiple of 4 -> [..., D]. No normalisation: the length of z carries information.
    """

    def __init__(self, size=28, channels=2, dim=32, width=128):
        super().__init__()
        self.patch_embed = nn.Conv2d(channels, 16, kernel_size=4, stride=4)
        self.head = nn.Sequential(nn.Linear(16 * (size // 4) ** 2, width), nn.GELU(), nn.Linear(width, dim))
        self.dim = dim

    def forward(self, images):
        patches = F.gelu(self.patch_embed(images.flatten(0, -4)))  # [..., C, S, S] -> [M, 16, S / 4, S / 4]
        return self.head(patches.flatten(1)).view(*images.shape[:-3], self.dim)


class Dynamics(nn.Module):
    """g: the predictor that hears the action. z [..., D], action [..., A] -> z + MLP(z, action / scale) [..., D]."""

    def __init__(self, dim=32, action_dim=2, width=96, scale=0.1):
        super().__init__()
        self.scale = scale  # the longest action: the network sees numbers of size 1
        self.net = nn.Sequential(
            nn.Linear(dim + action_dim, width), nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, dim)
        )

    def forward(self, z, action):
        return z + self.net(torch.cat([z, action / self.scale], dim=-1))


class WorldModelOutput(NamedTuple):
    """loss: a scalar. terms: each term before its weight. numbers: their values, which `fit` records."""

    loss: torch.Tensor
    terms: dict

    @property
    def numbers(self):
        return {name: float(value.detach()) for name, value in self.terms.items()}


class WorldModel(nn.Module):
    """Encoder, dynamics and the terms that train them. `model(clip)` gives the loss that `fit` lowers.

    encoder: frames [..., C, S, S] -> [..., D]. dynamics: as Dynamics.
    weights: of the terms against collapse, by name: variance, covariance, similarity (of neighbouring frames),
    inverse (dynamics: the action read off two neighbours), sigreg. Each is asked of the batch at one time step.
    steps: how many predictions in a row are trained; 1 is teacher forcing alone, 2 adds predictions of predictions.
    """

    def __init__(self, encoder, dynamics, weights=PLDM, steps=2):
        super().__init__()
        unknown = set(weights) - {"variance", "covariance", "similarity", "inverse", "sigreg"}
        if unknown:
            raise ValueError(
                f"no term is called {sorted(unknown)}; there are variance, covariance, similarity, inverse, sigreg"
            )
        self.encoder, self.dynamics, self.weights, self.steps = encoder, dynamics, dict(weights), steps
        self.inverse = None
        if "inverse" in weights:
            dim, actions = dynamics.net[-1].out_features, dynamics.net[0].in_features - dynamics.net[-1].out_features
            self.inverse = nn.Sequential(nn.Linear(2 * dim, 64), nn.GELU(), nn.Linear(64, actions))

    def encode(self, frames):
        return self.encoder(frames)

    def rollout(self, z, actions):
        """Imagine H actions: z [..., D], actions [..., H, A] -> the predicted [..., H, D]."""
        path = []
        for action in actions.unbind(dim=-2):
            z = self.dynamics(z, action)
            path.append(z)
        return torch.stack(path, dim=-2)

    def forward(self, clip):
        z = self.encode(clip.frames)  # [B, T, D]
        return self.loss(z, clip.actions)

    def loss(self, z, actions):
        """The terms, from z [B, T, D] and actions [B, T - 1, A], T > steps. Returns WorldModelOutput."""
        terms, guess = {}, z
        for ahead in range(1, self.steps + 1):  # guess[:, t] is the prediction of z[:, t + ahead - 1]
            guess = self.dynamics(guess[:, : z.shape[1] - ahead], actions[:, ahead - 1 :])  # [B, T - ahead, D]
            terms[f"predict_{ahead}"] = l2(guess, z[:, ahead:]).mean()
        loss = sum(terms.values())
        for name, weight in self.weights.items():
            terms[name] = getattr(self, f"{name}_term")(z, actions)
            loss = loss + weight * terms[name]
        return WorldModelOutput(loss, terms)

    def variance_term(self, z, actions):
        return variance(z)  # over the batch, at each time step

    def covariance_term(self, z, actions):
        return covariance(z)

    def similarity_term(self, z, actions):
        return l2(z[:, 1:], z[:, :-1]).mean()

    def inverse_term(self, z, actions):
        read = self.inverse(torch.cat([z[:, :-1], z[:, 1:]], dim=-1))  # [B, T - 1, A]
        return l2(read, actions / self.dynamics.scale).mean()

    def sigreg_term(self, z, actions):
        return torch.stack([sigreg(step) for step in z.unbind(dim=1)]).mean()


@dataclass
class LatentWalks:
    """Walks whose frames were encoded once by a frozen encoder: the data of the second stage.

    z: [N, T, D]. actions: [N, T - 1, A]. window: frames of an example.
    """

    z: torch.Tensor
    actions: torch.Tensor
    window: int

    def __len__(self):
        return len(self.z) * (self.z.shape[1] - self.window + 1)

    def batch(self, index, device=None):
        """Clip of latents [B, window, D] and actions [B, window - 1, A]."""
        walk, steps = window_rows(index, self.z.shape[1], self.window)
        return Clip(self.z[walk, steps].to(device), self.actions[walk, steps[:, :-1]].to(device))


@torch.no_grad()
def encode_walks(encoder, walks, window, rows=250):
    """Encode every frame of the walks once, `rows` walks at a time. Returns LatentWalks."""
    pieces = [
        encoder(walks.world.render(walks.positions[i : i + rows], walks.wall[i : i + rows, None]))
        for i in range(0, len(walks.positions), rows)
    ]
    return LatentWalks(torch.cat(pieces), walks.actions, window)
