"""Two views of one signal and a linear network: why a predictor with stop-gradient does not collapse.

    x = s + n  --> W --> W_p --> prediction        s: what two views share
    x' = s + n' --> W_a --> target                 n, n': what they do not share
    loss = E|W_p W x - W_a x'|^2 / 2,   W_a = W, or its moving average

Nothing is sampled: with the two covariances the loss and its gradients are exact.
Source: Tian, Chen and Ganguli (arXiv:2102.06810, section 3).
"""

import math
from dataclasses import dataclass

import torch


@dataclass
class ViewsRun:
    """What `train_views` recorded before the first step and after every tenth, T times, float64.

    steps: [T], steps made by then. eigenvalues: of F = E[f f^T], f = W x, descending, [T, D].
    alignment: [T], as `alignment` computes it. loss: [T].
    W, predictor: the last encoder [D, X] and predictor [D, D].
    """

    steps: torch.Tensor
    eigenvalues: torch.Tensor
    alignment: torch.Tensor
    loss: torch.Tensor
    W: torch.Tensor
    predictor: torch.Tensor


def views_loss(W, predictor, target, signal, noise):
    """E|W_p W x - W_a x'|^2 / 2, exact: a scalar.

    W: [D, X]. predictor: W_p [D, D]. target: W_a [D, X]. signal, noise: covariances [X, X].
    """
    P, S = predictor @ W, signal + noise  # S = E[x x^T], while E[x' x^T] = signal
    return (P @ S @ P.T).trace() / 2 - (P @ signal @ target.T).trace() + (target @ S @ target.T).trace() / 2


def alignment(F, predictor):
    """Do the predictor and F = E[f f^T] share their eigenvectors? The mean of v^T W_p v / |W_p v| over those v of F.

    F, predictor: [D, D], F symmetric. The mean is weighted with F's eigenvalues: a dead direction does not count.
    Returns a float in [-1, 1]; 1 if each v is an eigenvector of W_p too, with an eigenvalue > 0.
    """
    s, v = torch.linalg.eigh(F)  # [D], and a column of [D, D] each
    image = predictor @ v
    cosine = (v * image).sum(dim=0) / image.norm(dim=0).clamp_min(1e-300)
    return ((s * cosine).sum() / s.sum().clamp_min(1e-300)).item()


def train_views(
    signal,
    noise,
    *,
    width=4,
    steps=2_000,
    lr=0.1,
    predictor=True,
    stop_gradient=True,
    momentum=0.0,
    weight_decay=0.0,
    seed=0,
):
    """Gradient descent on the exact loss. Returns a ViewsRun.

    signal, noise: covariances [X, X], symmetric, >= 0.
    width: D, numbers in the code. lr: for W and W_p alike.
    predictor: False fixes W_p = I. stop_gradient: False lets the gradient flow into the target as well, which is then
    W itself. momentum: of the target's moving average; 0 is W_a = W.
    weight_decay: eta, added to the gradient of W and of W_p as eta times each.
    seed: of the initial W (W W^T has eigenvalues around 1) and W_p (symmetric, eigenvalues > 0, around 1).
    Raises ValueError for a moving average without stop-gradient.
    Source: arXiv:2102.06810, equations 1 to 3.
    """
    if momentum and not stop_gradient:
        raise ValueError(f"a target that is a moving average gets no gradient, got momentum={momentum}: set it to 0")
    n, generator = len(signal), torch.Generator().manual_seed(seed)
    W = torch.randn(width, n, generator=generator, dtype=torch.float64) / math.sqrt(n)
    A = torch.randn(width, 2 * width, generator=generator, dtype=torch.float64)
    Wp = A @ A.T / (2 * width) if predictor else torch.eye(width, dtype=torch.float64)
    Wa, S = W.clone(), signal + noise
    spectra, aligned, losses = [], [], []
    for step in range(steps + 1):
        if step % 10 == 0:
            F = W @ S @ W.T
            spectra.append(torch.linalg.eigvalsh(F).flip(0))
            aligned.append(alignment(F, Wp))
            losses.append(views_loss(W, Wp, Wa, signal, noise))
        if step == steps:
            break
        error = Wp @ W @ S - Wa @ signal  # the derivative of the loss by W_p W, [D, X]
        dW = Wp.T @ error + weight_decay * W
        if not stop_gradient:
            dW = dW + Wa @ S - Wp @ W @ signal
        if predictor:
            Wp = Wp - lr * (error @ W.T + weight_decay * Wp)
        W = W - lr * dW
        Wa = momentum * Wa + (1 - momentum) * W
    done = 10 * torch.arange(len(spectra))
    return ViewsRun(done, torch.stack(spectra), torch.tensor(aligned).double(), torch.stack(losses), W, Wp)


def critical_decay(signal, noise):
    """The weight decay above which a direction with these variances dies: signal^2 / (4 (signal + noise))."""
    return signal**2 / (4 * (signal + noise))


def plateau(signal, noise, weight_decay):
    """Where gradient flow with the target W_a = W takes an eigenvalue of F, along a direction with these variances.

    Where W_p and W W^T share an eigenvector, with eigenvalues p and s,
    p' = s (signal - (signal + noise) p) - eta p and s' = 2 s (p (signal - (signal + noise) p) - eta). Both stand still
    at s = p^2 and p (signal - (signal + noise) p) = eta; the larger root is stable, and the eigenvalue of F is
    (signal + noise) p^2; a start that is too small goes to 0 instead.
    weight_decay: eta >= 0; for 0 the limit of ever smaller ones, since a run without any ends where its start decides.
    Returns 0 above `critical_decay`. Source: arXiv:2102.06810, section 3.
    """
    root = 1 - weight_decay / critical_decay(signal, noise)
    p = signal * (1 + math.sqrt(max(root, 0.0))) / (2 * (signal + noise))
    return (signal + noise) * p**2 if root >= 0 else 0.0
