"""Assignment 02, exercise 6: the tokens that are kept, each with its own position."""

import torch

from minijepa.checks.picture import target_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal


def spec_embed_kept(tokens, positions, keep):
    """Kept patch by kept patch: its token plus its own position. [B, N, D], [N, D], [B, K] -> [B, K, D]."""
    rows = []
    for b in range(tokens.shape[0]):
        rows.append(torch.stack([tokens[b, j] + positions[j] for j in keep[b].tolist()]))
    return torch.stack(rows)


def kept_case(b, n, k, d, seed):
    """(tokens [B, N, D], positions [N, D], keep [B, K]) with a different choice for each image."""
    order = torch.rand(b, n, generator=torch.Generator().manual_seed(seed)).argsort(dim=1)  # [B, N]
    return normal(b, n, d, seed=seed), normal(n, d, seed=seed + 1), order[:, :k].sort(dim=1).values


CASES = [kept_case(1, 4, 2, 3, 3), kept_case(3, 9, 4, 5, 10), kept_case(2, 6, 6, 4, 20)]


def picked(tokens, keep):
    """The kept tokens: [B, N, D], [B, K] -> [B, K, D]."""
    return tokens.gather(1, keep.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))


MISTAKES = [
    (
        lambda t, p, k: picked(t, k) + p[: k.shape[1]],
        "these are the positions of the first K patches: each kept token needs its own, positions[keep]",
    ),
    (lambda t, p, k: picked(t, k), "the positions are missing: without them attention cannot tell places apart"),
    (
        lambda t, p, k: (t + p)[:, k[0]],
        "you use the choice of the first image for all: each image has its own row of `keep`",
    ),
    (lambda t, p, k: (t + p)[:, : k.shape[1]], "you keep the first K patches: pick those that `keep` names"),
    (
        lambda t, p, k: (t + p) * torch.zeros(t.shape[:2]).scatter(1, k, 1.0).unsqueeze(-1),
        "hidden patches must be removed, not set to zero: only then does the encoder save their cost",
    ),
]

ADVICE = "gather the kept tokens, and add positions[keep]"


def show_embed_kept(student):
    """Draw kept tokens with their positions: target and answer."""
    target_and_yours("embed_kept", student, spec_embed_kept, {"2 of 4": CASES[0], "4 of 9, three images": CASES[1]})


def embed_kept(student):
    """Check exercise 6, `embed_kept(tokens, positions, keep)`. Raises CheckFailed."""
    compare("embed_kept", student, spec_embed_kept, CASES, MISTAKES, ADVICE)
