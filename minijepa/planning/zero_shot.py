"""From a reward to a policy without training: successor features times the task vector z.

    r(s) ~ psi(s) . z              z_r = least squares of r on psi: what the task is, in D numbers
    Q(s, a) = F_z(s, a) . z        F_z: successor features of psi under the policy pi_z
    pi_z(s) = argmax_a F_z(s, a) . z

`plan` finds F_z . z for each z on its own: the policy that these features allow. `ZeroShotActor` learns one predictor
T(phi(s), a, z) ~ F_z(s, a) for all z, and answers a new z at once. Source: TD-JEPA (arXiv:2510.00739), which trains an
actor network for continuous actions; five actions need none.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

from minijepa.planning.td_jepa import TDJEPAOutput


def task_vectors(psi, reward):
    """z_r, least squares: min |psi z - r|^2. psi: [S, D] of the states in the data. reward: [R, S]. Returns [R, D].

    For the goal reward of state g it is (psi^T psi)^-1 psi(g).
    """
    return torch.linalg.lstsq(psi, reward.T).solution.T


def on_sphere(z):
    """The length sqrt(D) for every z [..., D]: a policy depends on the direction of z alone."""
    return math.sqrt(z.shape[-1]) * F.normalize(z, dim=-1)


def training_tasks(psi, cells, count, seed=0):
    """Task vectors to train on: half uniform on the sphere of radius sqrt(D), half goals in `cells` [G]. [count, D].

    The goals' vectors are those of `task_vectors`. Source: TD-JEPA's code (`sample_mixed_z`, `scale_train_goals`).
    """
    generator = torch.Generator().manual_seed(seed)
    goals = task_vectors(psi, torch.eye(len(psi))[cells])  # [G, D]
    chosen = goals[torch.randint(len(goals), (count // 2,), generator=generator)]
    anywhere = torch.randn(count - count // 2, psi.shape[1], generator=generator)
    return on_sphere(torch.cat([anywhere, chosen]))


def plan(features, reward, next_state, gamma, ridge=1e-3, sweeps=150):
    """Values of frozen features under each task's own policy: [R, S, A].

    Repeats F_z(s, a) <- fit of (1 - gamma) psi(s') + gamma F_z(s', argmax_a' F_z(s', a') . z), linear in psi(s) for
    each action, for all tasks at once. What acts is F_z . z alone, and that is what is kept.

    features: psi [S, D]. reward: [R, S], known only through z_r. next_state: int64 [S, A], of the data.
    ridge: relative to the mean square of the features. sweeps: how often.
    """
    states, dim = features.shape
    rewards = task_vectors(features, reward) @ features.T  # [R, S]
    penalty = ridge * features.square().mean() * states * torch.eye(dim, device=features.device)
    fit = features @ torch.linalg.solve(features.T @ features + penalty, features.T)  # [S, S], values -> fitted values
    q = torch.zeros(*reward.shape, next_state.shape[1], device=reward.device)
    for _ in range(sweeps):
        target = ((1 - gamma) * rewards + gamma * q.amax(dim=2))[:, next_state]  # [R, S, A]
        q = torch.einsum("st,rta->rsa", fit, target)
    return q


class Tasks:
    """Task vectors as a data set for `fit`. z: [N, D]."""

    def __init__(self, z):
        self.z = z

    def __len__(self):
        return len(self.z)

    def batch(self, index, device=None):
        """The vectors `index`, int64 [B]: [B, D]."""
        return self.z[index].to(device)


class ZeroShotActor(nn.Module):
    """T(phi(s), a, z) = phi(s)^T M_a(z): successor features of psi under pi_z, for every z; `fit` trains it on `Tasks`.

    |T(phi(s), a, z) - sg[(1 - gamma) psi(s') + gamma T'(phi(s'), pi_z(s'), z)]|^2, over all (s, a) for each z,
    pi_z(s) = argmax_a T'(phi(s), a, z) . z.

    It starts at T = 0. What T starts with shrinks only by (1 - gamma) per time constant of the slow copy, and until it
    is gone it decides the policy: from PyTorch's usual initial weights the same run fails (notebook 20).

    phi, psi: frozen [S, D]; their scale is divided out. next_state: int64 [S, A], of the data.
    hidden: the width of the network z -> M. seed: of its weights.
    """

    def __init__(self, phi, psi, next_state, gamma, hidden=128, seed=0):
        super().__init__()
        self.gamma = gamma
        self.register_buffer("phi", phi / phi.square().mean().sqrt())
        self.register_buffer("psi", psi / psi.square().mean().sqrt())
        self.register_buffer("next_state", next_state)
        self.shape = (next_state.shape[1], phi.shape[1], psi.shape[1])  # of M(z): [A, D, D]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network, self.slow = (self.make(psi.shape[1], hidden) for _ in range(2))
        self.slow.load_state_dict(self.network.state_dict())
        self.slow.requires_grad_(False)

    def make(self, dim, hidden):
        """A network z [B, D] -> the entries of M(z) [B, A D D], 0 at first."""
        last = nn.Linear(hidden, math.prod(self.shape))
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        return nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), last)

    def predict(self, z, network=None):
        """T(phi(s), a, z) for all actions and states: z [B, D] -> [B, A, S, D]."""
        M = (network or self.network)(z).view(len(z), *self.shape)  # [B, A, D, D]
        return self.phi @ M

    def values(self, z):
        """Q(s, a) = T(phi(s), a, z) . z: [B, D] -> [B, S, A]."""
        return torch.einsum("basd,bd->bsa", self.predict(z), z)

    @torch.no_grad()
    def target(self, z):
        """(1 - gamma) psi(s') + gamma T'(phi(s'), pi_z(s'), z): z [B, D] -> [B, A, S, D]."""
        later = self.predict(z, self.slow)  # [B, A, S, D]
        best = torch.einsum("basd,bd->bas", later, z).argmax(dim=1)  # [B, S], the policy pi_z
        under = later.gather(1, best[:, None, :, None].expand(-1, 1, -1, later.shape[3]))[:, 0]  # [B, S, D]
        return ((1 - self.gamma) * self.psi + self.gamma * under)[:, self.next_state.T]

    def forward(self, z):
        """z: [B, D], one task each -> TDJEPAOutput."""
        loss = (self.predict(z) - self.target(z)).square().sum(dim=3).mean()
        return TDJEPAOutput(loss, {"loss_actor": loss.item()})

    @torch.no_grad()
    def after_step(self, momentum):
        """The slow copy follows: copy <- momentum copy + (1 - momentum) network."""
        for copy, original in zip(self.slow.parameters(), self.network.parameters(), strict=True):
            copy.lerp_(original, 1 - momentum)
