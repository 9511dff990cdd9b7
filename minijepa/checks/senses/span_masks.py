"""Assignment 24, exercise 3: hidden spans of a series, and contexts of one length that hold none of them."""

import torch

from minijepa.checks.picture import target_and_yours
from minijepa.checks.report import compare


def spec_span_masks(starts, width, numbers):
    """One by one: hide the spans, then take as many free tokens as the series with the fewest, least number first.

    starts: int64 [B, M]. width: tokens of a span. numbers: [B, N], all different in a row.
    Returns (context int64 [B, K], targets int64 [B, M, width]).
    Source: I-JEPA (arXiv:2301.08243, section 3), with spans for blocks.
    """
    targets = [[[start + i for i in range(width)] for start in row] for row in starts.tolist()]
    free = []
    for spans, row in zip(targets, numbers.tolist(), strict=True):
        hidden = {token for span in spans for token in span}
        free.append([(number, token) for token, number in enumerate(row) if token not in hidden])
    shortest = min(len(tokens) for tokens in free)
    context = [sorted(token for _, token in sorted(tokens)[:shortest]) for tokens in free]
    return torch.tensor(context), torch.tensor(targets)


def uniform(b, n, seed):
    """Uniform numbers [b, n], always the same for one seed."""
    return torch.rand(b, n, generator=torch.Generator().manual_seed(seed))


HAND = torch.tensor([[0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1], [0.5, 0.15, 0.1, 0.12, 0.9, 0.2, 0.4, 0.3]])

CASES = [
    (torch.tensor([[0, 4], [1, 2]]), 2, HAND),
    (torch.tensor([[0, 7, 2], [4, 5, 6], [8, 0, 1]]), 3, uniform(3, 12, 0)),
    (torch.tensor([[3], [0], [7], [5]]), 2, uniform(4, 10, 1)),
    (torch.tensor([[6, 6, 1, 0], [0, 5, 10, 14]]), 4, uniform(2, 20, 2)),
]


def spans(starts, width):
    """Targets [B, M, width]."""
    return starts.unsqueeze(-1) + torch.arange(width)


def free_of(targets, numbers):
    """bool [B, N]: what no target holds."""
    return torch.ones_like(numbers, dtype=torch.bool).scatter(1, targets.flatten(1), False)


def lowest(numbers, free, count=None):
    """The `count` free tokens with the lowest numbers, in the numbers' order: [B, count]; default: as all have."""
    count = int(free.sum(dim=1).min()) if count is None else count
    return numbers.masked_fill(~free, torch.inf).argsort(dim=1, stable=True)[:, :count]


def both(starts, width, numbers, context=None, targets=None):
    """The pair (context, targets) with one of the two made by a function, (free, numbers) -> [B, K] or starts -> ..."""
    hidden = spans(starts, width)
    free = free_of(hidden, numbers)
    seen = context(free, numbers) if context else lowest(numbers, free).sort(dim=1).values
    return seen, targets(hidden) if targets else hidden


def fewest(free):
    """The smallest number of free tokens of a row. free: bool [B, N]."""
    return int(free.sum(dim=1).min())


def places_in_list(free, numbers):
    """Positions in the list of free tokens, in the place of the tokens: int64 [B, K]."""
    place = free.cumsum(dim=1) - 1  # [B, N]
    return place.gather(1, lowest(numbers, free).sort(dim=1).values)


MISTAKES = [
    (
        lambda s, w, u: both(s, w, u, lambda free, u: u.argsort(dim=1)[:, : fewest(free)].sort(dim=1).values),
        "the context holds hidden tokens, and so the answer: choose among the FREE tokens of each series alone",
    ),
    (
        lambda s, w, u: both(s, w, u, lambda free, u: lowest(u, free_of(spans(s[:, :1], w), u)).sort(dim=1).values),
        "only the first span is taken out of the context: take out all M of them, or the others leak",
    ),
    (
        lambda s, w, u: both(s, w, u, lambda free, u: lowest(u, free.all(dim=0).expand_as(free)).sort(dim=1).values),
        "a series loses its OWN spans: you also take out those of the other series of the batch",
    ),
    (
        lambda s, w, u: both(s, w, u, lambda free, u: lowest(u, free, int(free.sum(dim=1).max())).sort(dim=1).values),
        "K is what the series with the FEWEST free tokens has: with more, a row is filled up with hidden ones",
    ),
    (
        lambda s, w, u: both(
            s, w, u, lambda free, u: lowest(u, free, max(1, u.shape[1] - s.shape[1] * w)).sort(dim=1).values
        ),
        "spans may overlap, so that more than N - M * width tokens are free: count those of each series",
    ),
    (
        lambda s, w, u: both(s, w, u, lambda free, u: lowest(torch.arange(u.shape[1]).expand_as(u).float(), free)),
        "you keep the beginning of each list, so that contexts see the start of a series more often than its end: "
        "keep the free tokens with the smallest numbers",
    ),
    (
        lambda s, w, u: both(s, w, u, lambda free, u: lowest(-u, free).sort(dim=1).values),
        "you keep the largest numbers: keep the K smallest",
    ),
    (
        lambda s, w, u: both(s, w, u, lambda free, u: lowest(u, free)),
        "sort each context after the choice: tokens stand in the order of time",
    ),
    (
        lambda s, w, u: both(s, w, u, lambda free, u: lowest(u[:1].expand_as(u), free).sort(dim=1).values),
        "series b has row b of `numbers`: you use the first row for all",
    ),
    (
        lambda s, w, u: both(s, w, u, places_in_list),
        "these are positions in the list of free tokens: return the tokens themselves",
    ),
    (
        lambda s, w, u: both(s, w + 1, u),
        "your spans have one token too many: from start to start + width - 1",
    ),
    (
        lambda s, w, u: both(s + 1, w, u),
        "your spans begin one token late: the start itself is hidden",
    ),
    (
        lambda s, w, u: both(s, w, u, targets=lambda hidden: hidden.flatten(1)),
        "targets keep an axis for the span, [B, M, width]: each span is predicted on its own",
    ),
    (
        lambda s, w, u: both(s, w, u)[::-1],
        "return the context first, then the targets",
    ),
]

ADVICE = "targets: starts plus 0 ... width - 1; context: of the tokens in no span, the K smallest numbers, then sorted"


def show_span_masks(student):
    """Draw context (bright), targets (middle) and what is left out (dark), a row per series: target and answer."""

    def as_map(answer, starts, width, numbers):
        context, targets = answer
        drawn = torch.zeros(numbers.shape).scatter(1, targets.flatten(1), 1.0)
        return drawn.scatter(1, context, 2.0)

    def starts(b, m, high, seed):
        return torch.randint(high, (b, m), generator=torch.Generator().manual_seed(seed))

    cases = {
        "2 spans of 3": (starts(8, 2, 14, 0), 3, uniform(8, 16, 3)),
        "4 spans of 2": (starts(8, 4, 15, 1), 2, uniform(8, 16, 4)),
    }
    see = "yellow is seen, green is hidden in spans, and dark tokens are left out so that all rows have as many yellow."
    target_and_yours("span_masks", student, spec_span_masks, cases, as_map, see, limits=(0, 2))


def span_masks(student):
    """Check exercise 3, `span_masks(starts, width, numbers)`. Raises CheckFailed."""
    compare("span_masks", student, spec_span_masks, CASES, MISTAKES, ADVICE)
