"""Muon, the optimiser of the short runs: a step of equal length along every direction of a weight matrix.

The momentum of a matrix's gradient, M = U S V^T, is dominated by a few directions. Muon steps along U V^T instead:
the same directions, all with the same weight. On small transformers that needs about half the images of AdamW.
It is for matrices inside a network; embeddings, biases and norms stay with AdamW.
Sources: K. Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"; the factor that lets both
optimisers share one learning rate: Liu et al. 2025 (arXiv:2502.16982, section 2.2).

PyTorch's own `torch.optim.Muon` computes in bfloat16, which many laptops can only imitate, slowly, and one matrix at
a time. This one computes in float32, all matrices of a shape at once; a test holds the two to the same steps.
"""

from collections import defaultdict

import torch


def orthogonalise(m, steps=5):
    """U V^T of each matrix U S V^T, roughly: singular values end between about .7 and 1.2.

    m: [n, rows, columns] -> the same shape. Newton-Schulz: X <- a X + b (X X^T) X + c (X X^T)^2 X, with constants
    chosen to lift small singular values fast; it needs nothing but matrix products.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = m.shape[-2] > m.shape[-1]
    x = m.mT if tall else m  # the products below are of the smaller side
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)  # now no singular value is above 1
    for _ in range(steps):
        gram = x @ x.mT  # [n, r, r]
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """M <- mu M + g, then W <- (1 - lr wd) W - lr 0.2 sqrt(max(rows, columns)) orthogonalise(g + mu M).

    params: matrices only, [rows, columns]. lr: as for AdamW, whose steps have about this size too; weight_decay: wd;
    momentum: mu.
    Raises ValueError for a parameter that is no matrix.
    """

    def __init__(self, params, lr=2e-3, weight_decay=0.05, momentum=0.95):
        super().__init__(params, dict(lr=lr, weight_decay=weight_decay, momentum=momentum))
        for p in (p for group in self.param_groups for p in group["params"]):
            if p.ndim != 2:
                raise ValueError(f"Muon is for matrices, got a parameter of shape {tuple(p.shape)}: give it to AdamW")

    @torch.no_grad()
    def step(self):
        """One update of every parameter that has a gradient."""
        for group in self.param_groups:
            shapes = defaultdict(list)  # matrices of one shape are orthogonalised together
            for p in group["params"]:
                if p.grad is not None:
                    self.state[p].setdefault("momentum", torch.zeros_like(p))
                    shapes[p.shape].append(p)
            for shape, params in shapes.items():
                grads = [p.grad for p in params]
                momenta = [self.state[p]["momentum"] for p in params]
                torch._foreach_mul_(momenta, group["momentum"])
                torch._foreach_add_(momenta, grads)
                looked_ahead = torch._foreach_add(grads, momenta, alpha=group["momentum"])  # Nesterov
                direction = orthogonalise(torch.stack(looked_ahead))  # [n, rows, columns]
                torch._foreach_mul_(params, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_add_(params, list(direction), alpha=-group["lr"] * 0.2 * max(shape) ** 0.5)
