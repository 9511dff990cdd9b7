"""Assignment 12, exercise 5: the nearest code of a codebook, and the gradient that passes straight through it."""

import torch
from torch.nn import functional as F

from minijepa.checks.picture import target_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal


def weights(value):
    """What arrives from the decoder: the gradient of a loss with respect to the codes taken, [B, N, D]."""
    return normal(*value.shape, seed=9, dtype=value.dtype)


def spec_quantise(z, codes):
    """Token by token: list the squared distances to all codes, take the code of the smallest one.

    z: [B, N, D]. codes: [K, D]. Returns (index int64 [B, N], value [B, N, D], gradient at z, gradient at codes): the
    gradient at z is that at the value, `weights(value)`, unchanged, and the codes get none.
    Source: VQ-VAE (arXiv:1711.00937, sections 3.1 and 3.2).
    """
    index = []
    for token in z.flatten(0, 1):
        distances = [sum((a - b) ** 2 for a, b in zip(token.tolist(), code.tolist(), strict=True)) for code in codes]
        index.append(distances.index(min(distances)))
    index = torch.tensor(index).view(z.shape[:2])
    value = torch.stack([torch.stack([codes[k] for k in row]) for row in index.tolist()])
    return index, value, weights(value), torch.zeros_like(codes)


def with_gradients(function):
    """The same function, followed by a backward pass: also the gradients at z and at the codes."""

    def there_and_back(z, codes):
        z, codes = (x.detach().clone().requires_grad_() for x in (z, codes))
        index, value = function(z, codes)
        back = [None, None]
        if value.requires_grad:
            back = torch.autograd.grad(value, (z, codes), weights(value), allow_unused=True)
        back = [torch.zeros_like(x) if g is None else g for x, g in zip((z, codes), back, strict=True)]
        return index, value.detach(), *back

    return there_and_back


CASES = [
    (torch.tensor([[[0.9, 0.2], [-2.0, 0.1]]]), torch.tensor([[0.0, 0.0], [1.0, 0.0], [-3.0, 0.0]])),
    (normal(2, 5, 3), normal(7, 3, seed=1)),
    (normal(3, 4, 2, seed=2), 2 * normal(5, 2, seed=3) + 1),
    (normal(1, 6, 4, seed=4), normal(3, 4, seed=5)),
]


def straight(z, codes, index):
    """(index, value), the gradient straight through: index int64 [B, N]."""
    return index, z + (codes[index] - z).detach()


def nearest(z, codes, p=2.0):
    """The nearest codes, int64 [B, N], by a p-norm."""
    return torch.cdist(z, codes, p=p).argmin(dim=-1)


def mixture(z, codes):
    """The mean of all codes, weighted by nearness, in the place of one code: [B, N, D]."""
    return (-torch.cdist(z, codes).square()).softmax(dim=-1) @ codes


WRONG = [
    (
        lambda z, c: straight(z, c, torch.cdist(z, c).argmax(dim=-1)),
        "this is the code that is FARTHEST away: take the smallest distance",
    ),
    (
        lambda z, c: straight(z, c, (z @ c.T).argmax(dim=-1)),
        "you take the largest inner product, which long codes win: nearest means the smallest Euclidean distance",
    ),
    (
        lambda z, c: straight(z, c, (F.normalize(z, dim=-1) @ F.normalize(c, dim=-1).T).argmax(dim=-1)),
        "you take the largest cosine, which ignores length: nearest means the smallest Euclidean distance",
    ),
    (
        lambda z, c: straight(z, c, nearest(z, c, p=1.0)),
        "these distances are sums of absolute differences: take squared differences",
    ),
    (
        lambda z, c: straight(z, c, (z.unsqueeze(-2) - c).sum(dim=-1).square().argmin(dim=-1)),
        "square each difference before you add them up, or positive and negative ones cancel",
    ),
    (
        lambda z, c: straight(z, c, nearest(z[:1], c).expand(z.shape[:2])),
        "every image has its own codes: you use those of the first image for all",
    ),
    (
        lambda z, c: (nearest(z, c), z),
        "your value is z itself: after the codebook there are only codes",
    ),
    (
        lambda z, c: (nearest(z, c), c[nearest(z, c)] + (z - c[nearest(z, c)]).detach()),
        "the two are exchanged: the value must be the CODE and the gradient go to z, z + (code - z).detach()",
    ),
    (
        lambda z, c: (nearest(z, c), mixture(z, c)),
        "this is a mixture of codes: the value is one code, the nearest",
    ),
    (
        lambda z, c: (nearest(z, c), c[nearest(z, c)]),
        "the value is right, but no gradient comes back to z, since an index has none: z + (code - z).detach()",
    ),
    (
        lambda z, c: (nearest(z, c), c[nearest(z, c)].detach()),
        "the value is right, but no gradient comes back at all: z + (code - z).detach()",
    ),
    (
        lambda z, c: (nearest(z, c), z + c[nearest(z, c)] - z.detach()),
        "the gradient reaches z, as it should, and the codes as well: detach the whole difference, code - z",
    ),
    (
        lambda z, c: straight(z, c, nearest(z, c))[::-1],
        "return the index first, then the value",
    ),
]
MISTAKES = [(with_gradients(wrong), hint) for wrong, hint in WRONG]

ADVICE = "return (index, value): index = argmin over the codes of the distance, value = z + (codes[index] - z).detach()"
BACK = f"compared are index, value, and the gradients at z and at the codes; {ADVICE}"


def pair(z, codes):
    """Index and value of the specification, without the gradients. z: [B, N, D]; codes: [K, D]."""
    return spec_quantise(z, codes)[:2]


def show_quantise(student):
    """Draw which code each point of the plane gets, and the gradient that comes back to it: target and answer."""
    ticks = torch.linspace(-1, 1, 24)
    y, x = torch.meshgrid(ticks, ticks, indexing="ij")
    plane = torch.stack([x, y], dim=-1).flatten(0, 1)[None]  # [1, 576, 2]
    codes = torch.tensor([[-0.6, -0.5], [0.7, -0.7], [0.0, 0.1], [-0.7, 0.7], [0.6, 0.6]])
    lines = torch.tensor([[-0.8, -0.8], [0.0, 0.0], [0.8, 0.8]])

    def target(what, *arguments):
        return spec_quantise(*arguments)

    def yours(what, *arguments):
        return with_gradients(student)(*arguments) if what == "gradient" else student(*arguments)

    def as_map(answer, what, *_):
        return answer[2][..., 0].view(24, 24) if what == "gradient" else answer[0].view(24, 24)

    cases = {
        "the index, 5 codes": ("index", plane, codes),
        "the index, 3 codes": ("index", plane, lines),
        "gradient at z": ("gradient", plane, codes),
    }
    see = "each code owns the points nearest to it; the gradient at z is noise here, and comes back as it was."
    target_and_yours("quantise", yours, target, cases, as_map, see)


def quantise(student):
    """Check exercise 5, `quantise(z, codes)`: index and value, then the gradients. Raises CheckFailed."""
    compare("quantise", student, pair, CASES, WRONG, ADVICE, quiet=True)
    compare("quantise and its gradients", with_gradients(student), spec_quantise, CASES, MISTAKES, BACK)
