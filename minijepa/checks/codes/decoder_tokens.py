"""Assignment 12, exercise 3: what MAE's decoder gets, each seen token in its place and a mask token in every other."""

import torch

from minijepa.checks.picture import target_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal


def spec_decoder_tokens(seen, numbers, mask_token):
    """Patch by patch: count the smaller numbers of its image; with k < K of them it is the k-th seen, else hidden.

    seen: [B, K, D], tokens of the K patches with the smallest numbers, the smallest first. numbers: [B, N], all
    different in a row. mask_token: [D]. Returns (tokens [B, N, D], hidden bool [B, N]).
    Source: MAE (arXiv:2111.06377, section 3, "Simple implementation").
    """
    tokens, hidden = [], []
    for own, row in zip(seen, numbers.tolist(), strict=True):
        ranks = [sum(other < number for other in row) for number in row]
        tokens.append(torch.stack([own[rank] if rank < len(own) else mask_token for rank in ranks]))
        hidden.append([rank >= len(own) for rank in ranks])
    return torch.stack(tokens), torch.tensor(hidden)


def uniform(b, n, seed):
    """Uniform numbers [b, n], always the same for one seed."""
    return torch.rand(b, n, generator=torch.Generator().manual_seed(seed))


CASES = [
    (torch.tensor([[[1.0], [2.0]]]), torch.tensor([[0.7, 0.1, 0.9, 0.3]]), torch.tensor([-1.0])),
    (normal(3, 3, 2), uniform(3, 8, 0), normal(2, seed=1)),
    (normal(2, 1, 3, seed=2), uniform(2, 6, 1), normal(3, seed=3)),
    (normal(2, 5, 2, seed=4), uniform(2, 7, 2), normal(2, seed=5)),
    (normal(2, 4, 2, seed=6), uniform(2, 4, 3), normal(2, seed=7)),
]


def padded(s, u, m):
    """The seen tokens, followed by mask tokens: [B, N, D]."""
    rest = m.expand(len(s), u.shape[1] - s.shape[1], len(m))
    return torch.cat([s, rest], dim=1)


def ranks(u):
    """The rank of each patch among the numbers of its image, int64 [B, N]."""
    return u.argsort(dim=1).argsort(dim=1)


def pick(tokens, index):
    """Tokens [B, N, D] at int64 [B, K] places -> [B, K, D]."""
    return tokens.gather(1, index.unsqueeze(-1).expand(-1, -1, tokens.shape[2]))


def both(s, u, m, tokens=None, hidden=None):
    """(tokens [B, N, D], hidden bool [B, N]), each right unless given."""
    right = pick(padded(s, u, m), ranks(u)), ranks(u) >= s.shape[1]
    return right[0] if tokens is None else tokens, right[1] if hidden is None else hidden


def in_rising_places(s, u, m):
    """The seen tokens in the right places, but handed out from left to right. [B, N, D]"""
    places = u.argsort(dim=1)[:, : s.shape[1]].sort(dim=1).values  # [B, K]
    start = m.expand(*u.shape, len(m))
    return start.scatter(1, places.unsqueeze(-1).expand_as(s), s)


MISTAKES = [
    (
        lambda s, u, m: both(s, u, m, padded(s, u, m)),
        "the mask tokens still stand behind the seen ones: bring each token to the place of its patch",
    ),
    (
        lambda s, u, m: both(s, u, m, pick(padded(s, u, m), u.argsort(dim=1))),
        "you shuffled once more: `argsort` says which patch comes k-th, and you need at which rank patch j comes, the "
        "INVERSE permutation, argsort of the argsort",
    ),
    (
        lambda s, u, m: both(s, u, m, in_rising_places(s, u, m)),
        "the right places, but the tokens in the wrong ones: `seen` is in the order of the numbers, not of the image",
    ),
    (
        lambda s, u, m: both(s, u, m, pick(padded(s, u, m), ranks(-u)), ranks(-u) >= s.shape[1]),
        "you show the patches with the LARGEST numbers: those with the smallest were seen",
    ),
    (
        lambda s, u, m: both(s, u, m, hidden=ranks(u) < s.shape[1]),
        "your second tensor says what was seen: it must be True where a patch is HIDDEN, since the loss asks there",
    ),
    (
        lambda s, u, m: both(s, u, m, hidden=(torch.arange(u.shape[1]) >= s.shape[1]).expand(u.shape)),
        "`hidden` is still in the order of the shuffle: bring it to the order of the image, like the tokens",
    ),
    (
        lambda s, u, m: both(s, u, m, hidden=u.argsort(dim=1) >= s.shape[1]),
        "`hidden` compares places of patches with K: compare the RANK of each patch with K",
    ),
    (
        lambda s, u, m: both(s, u, m, hidden=(ranks(u) >= s.shape[1]).to(s.dtype)),
        "`hidden` is a bool tensor, the result of a comparison",
    ),
    (
        lambda s, u, m: both(s, u, m, pick(padded(s, u, 0 * m), ranks(u))),
        "hidden places hold the mask token, not zeros: it is learned, and says that something is missing",
    ),
    (
        lambda s, u, m: both(s, u, m, pick(padded(s, u, m), ranks(u[:1]).expand_as(u))),
        "every image has its own order: row b of `numbers` is for image b, you use the first row for all",
    ),
    (
        lambda s, u, m: both(s, u, m, torch.cat([pick(padded(s, u, m), ranks(u)), m.expand(len(s), 1, -1)], dim=1)),
        "this is one token too many: N - K mask tokens are added, so that there are N in all",
    ),
    (
        lambda s, u, m: both(s, u, m)[::-1],
        "return the tokens first, then which patches are hidden",
    ),
]

ADVICE = "append N - K mask tokens, then give patch j the token at its rank, numbers.argsort(1).argsort(1)"


def show_decoder_tokens(student):
    """Draw tokens whose value is the place of their patch, a row per image: target and answer."""

    def as_map(answer, *_):
        return answer[0][..., 0]  # [B, N]

    def case(k, seed):
        numbers = uniform(8, 16, seed)
        seen = 1.0 + numbers.argsort(dim=1)[:, :k]  # [8, k]: where each seen patch stands
        return seen.unsqueeze(-1), numbers, torch.tensor([-4.0])

    cases = {"4 of 16 patches seen": case(4, 5), "12 of 16 patches seen": case(12, 6)}
    see = "dark is the mask token; what was seen stands in its place, so each row gets brighter to the right."
    target_and_yours("decoder_tokens", student, spec_decoder_tokens, cases, as_map, see, limits=(-4, 16))


def decoder_tokens(student):
    """Check exercise 3, `decoder_tokens(seen, numbers, mask_token)`. Raises CheckFailed."""
    compare("decoder_tokens", student, spec_decoder_tokens, CASES, MISTAKES, ADVICE)
