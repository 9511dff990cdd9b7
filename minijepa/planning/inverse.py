"""A planner that does not plan: a network reads the first action off the present and the goal.

    z_t, z_{t+k} ──► MLP ──► a_t        for every k up to the length of a clip

The inverse dynamics of notebook 15 between neighbours, asked about goals further away. It is trained on random walks,
whose first step says little about where they end; how far that carries is measured in notebook 16.
"""

import torch
from torch import nn

from minijepa.losses import l2
from minijepa.planning.world_model import WorldModelOutput


class InversePolicy(nn.Module):
    """The policy and its training: `model(clip)` of latents for `fit`, then `begin` and `act` as a policy.

    encoder: what turns an observation into z when it acts; frozen. dim: of z. scale: the longest action.
    Trained by |MLP(z_0, z_k) - a_0 / scale|^2 over all k of a clip.
    """

    def __init__(self, encoder, dim=32, action_dim=2, width=128, scale=0.1):
        super().__init__()
        self.encoder, self.scale = encoder.requires_grad_(False), scale
        self.net = nn.Sequential(
            nn.Linear(2 * dim, width), nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, action_dim)
        )

    def read(self, z, goal):
        """The action that begins the way from z to the goal: [..., D], [..., D] -> [..., A]."""
        return self.scale * self.net(torch.cat([z, goal], dim=-1))

    def forward(self, clip):
        z = clip.frames  # latents, [B, T, D]
        now = z[:, :1].expand_as(z[:, 1:])
        error = l2(self.read(now, z[:, 1:]), clip.actions[:, :1].expand_as(clip.actions)).mean() / self.scale**2
        return WorldModelOutput(error, {"action": error})

    @torch.no_grad()
    def begin(self, goal):
        self.goal = self.encoder(goal)

    @torch.no_grad()
    def act(self, observation):
        return self.read(self.encoder(observation), self.goal)
