"""TD-JEPA: predict the discounted sum of all later representations, learned from single steps.

    phi(s)  state encoder     T_phi(phi(s), a)  ->  (1 - gamma) sum over t >= 1 of gamma^(t-1) psi(s_t)
    psi(s)  task encoder      T_psi(psi(s), a)  ->  (1 - gamma) sum over t >= 1 of gamma^(t-1) phi(s_t)

The sums are never seen: the target of a step is its next representation and the prediction from there,

    L_phi = |T_phi(phi(s), a) - sg[(1 - gamma) psi'(s') + gamma T_phi'(phi'(s'), a')]|^2,   a' ~ policy

with slow copies (') and the stop-gradient sg, and L_psi the same with phi and psi swapped: a JEPA whose target is a
temporal difference. gamma = 0 predicts the next representation only. The policy is the one that made the data; the
policies of zero_shot.py depend on a task z. Source: TD-JEPA (arXiv:2510.00739), losses and orthonormality as in the
authors' second release; substituted: tables for encoders, and predictors that are linear per action and solved for.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F


@dataclass
class TDJEPAOutput:
    """What one step made. loss: scalar. numbers: the two prediction errors and the regulariser, as floats."""

    loss: torch.Tensor
    numbers: dict


def orthonormality(e):
    """-E[e.e] + 1/2 E[(e.f)^2], f another row: e [B, D] -> scalar, least (-D / 2) where E[e e^T] = I.

    It pushes features away from 0 and from each other. Rows must be drawn independently of each other: the mean over
    pairs i != j is then |E[e e^T]|^2. In a batch that holds each state once it is not, and the loss has no minimum.
    Source: Wu et al. (arXiv:1810.04586), as the term is used in TD-JEPA's code.
    """
    own = e.square().sum(dim=1)  # [B], e_i . e_i
    pairs = (e.T @ e).square().sum()  # of all (e_i . e_j)^2, i = j included: |e e^T|^2 = |e^T e|^2, which is cheaper
    others = (pairs - own.square().sum()) / (len(e) * (len(e) - 1))
    return -own.mean() + others / 2


def successor_features(P, features, gamma):
    """What T estimates, exactly: (1 - gamma) sum over t >= 1 of gamma^(t-1) P^t f = (1 - gamma) (I - gamma P)^-1 P f.

    P: [S, S], of the policy. features: f [S, D]. Returns [S, D]; gamma in [0, 1).
    """
    eye = torch.eye(len(P), dtype=P.dtype, device=P.device)
    return (1 - gamma) * torch.linalg.solve(eye - gamma * P, P @ features)


def per_action_ridge(x, action, y, actions, ridge):
    """For each action a the W_a with least |x W_a - y|^2 + penalty over its rows: [A, D, K].

    x: [B, D]. action: int64 [B]. y: [B, K]. ridge: the penalty on |W_a|^2, relative to the mean square of x.
    """
    chosen = F.one_hot(action, actions).T.to(x.dtype)  # [A, B]
    mine = chosen[:, :, None] * x  # [A, B, D]: rows of other actions are 0
    eye = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    penalty = ridge * x.square().mean() * len(x) / actions * eye
    return torch.linalg.solve(mine.mT @ mine + penalty, mine.mT @ y)  # [A, D, K]


class TDJEPA(nn.Module):
    """Tables phi and psi of S states, trained on transitions; `fit` trains it.

    states, actions: S and A. dim: D of phi and psi. gamma: the discount, in [0, 1).
    orth: the weight of `orthonormality` for both encoders; (1 - gamma)^2 times that of the paper, whose targets are not
    scaled. ridge: of the predictors.
    behaviour: the probabilities of the actions in the data, [A]; None: uniform. seed: of the tables, N(0, 1).
    Raises ValueError for another gamma.
    """

    compares_examples = True  # the predictors are solved over the batch

    def __init__(self, states, actions, dim=32, gamma=0.9, orth=0.003, ridge=1e-3, behaviour=None, seed=0):
        super().__init__()
        if not 0 <= gamma < 1:
            raise ValueError(f"gamma must be in [0, 1), got {gamma}: the sum of all later steps must be finite")
        generator = torch.Generator().manual_seed(seed)
        self.phi = nn.Parameter(torch.randn(states, dim, generator=generator))
        self.psi = nn.Parameter(torch.randn(states, dim, generator=generator))
        self.gamma, self.orth, self.ridge, self.actions = gamma, orth, ridge, actions
        self.register_buffer("behaviour", torch.full((actions,), 1 / actions) if behaviour is None else behaviour)
        for name in ("phi", "psi"):
            self.register_buffer(f"slow_{name}", getattr(self, name).detach().clone())  # [S, D]
            self.register_buffer(f"T_{name}", torch.zeros(actions, dim, dim))  # the last solution
            self.register_buffer(f"slow_T_{name}", torch.zeros(actions, dim, dim))

    @torch.no_grad()
    def target(self, own, other, T, next_state):
        """(1 - gamma) other(s') + gamma E_a'[T(own(s'), a')]: own, other [S, D], T [A, D, D], int64 [B] -> [B, D]."""
        mean_T = torch.einsum("a,aij->ij", self.behaviour, T)  # the expectation over a' needs no sampling
        return (1 - self.gamma) * other[next_state] + self.gamma * own[next_state] @ mean_T

    def forward(self, batch):
        """batch: Transition of B steps -> TDJEPAOutput."""
        state, action, next_state = batch
        phi, psi = self.phi[state], self.psi[state]  # [B, D]
        to_psi = self.target(self.slow_phi, self.slow_psi, self.slow_T_phi, next_state)  # [B, D]
        to_phi = self.target(self.slow_psi, self.slow_phi, self.slow_T_psi, next_state)
        with torch.no_grad():  # the best predictors for these encoders and targets
            self.T_phi = per_action_ridge(phi, action, to_psi, self.actions, self.ridge)
            self.T_psi = per_action_ridge(psi, action, to_phi, self.actions, self.ridge)
        loss_phi = (predicted(phi, self.T_phi, action) - to_psi).square().sum(dim=1).mean()
        loss_psi = (predicted(psi, self.T_psi, action) - to_phi).square().sum(dim=1).mean()
        orth = orthonormality(phi) + orthonormality(psi)
        numbers = {"loss_phi": loss_phi.item(), "loss_psi": loss_psi.item(), "orth": orth.item()}
        return TDJEPAOutput(loss_phi + loss_psi + self.orth * orth, numbers)

    @torch.no_grad()
    def after_step(self, momentum):
        """The slow copies follow: copy <- momentum copy + (1 - momentum) original."""
        for name in ("phi", "psi", "T_phi", "T_psi"):
            getattr(self, f"slow_{name}").lerp_(getattr(self, name), 1 - momentum)


def predicted(x, T, action):
    """T(x, a) = x T_a: x [B, D], T [A, D, K], action int64 [B] -> [B, K]."""
    every = torch.einsum("bi,aik->abk", x, T)  # cheaper than a matrix per row
    return every[action, torch.arange(len(x), device=x.device)]
