"""Assignment 06, exercise 3: the k nearest neighbours by cosine."""

import torch

from minijepa.checks.picture import target_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal


def spec_knn_predict(train, labels, queries, k):
    """The most frequent label among the k training features of largest cosine; of equally frequent ones the smallest.

    train: [N, D]; labels: int64 [N]; queries: [M, D]. Returns int64 [M].
    """
    found = []
    for query in queries:
        cosines = [float((query @ x) / (query.norm() * x.norm())) for x in train]
        nearest = sorted(range(len(train)), key=lambda i: -cosines[i])[:k]
        votes = [int(labels[i]) for i in nearest]
        found.append(min(set(votes), key=lambda label: (-votes.count(label), label)))
    return torch.tensor(found)


def knn_case(n, m, d, classes, k, seed):
    """(train [n, d], labels [n], queries [m, d], k): lengths differ widely, so that cosine and distance disagree."""
    labels = torch.arange(n) % classes
    centres = 2 * normal(classes, d, seed=seed)
    lengths = torch.rand(n, 1, generator=torch.Generator().manual_seed(seed)) * 5 + 0.1
    return (centres[labels] + normal(n, d, seed=seed + 1)) * lengths, labels, normal(m, d, seed=seed + 2), k


CASES = [
    (torch.tensor([[1.0, 0.0], [0.0, 5.0], [0.0, 1.0]]), torch.tensor([2, 0, 0]), torch.tensor([[1.0, 0.2]]), 1),
    knn_case(30, 20, 5, 3, 5, 0),
    knn_case(24, 30, 4, 4, 1, 10),
    knn_case(20, 25, 3, 6, 4, 20),
]


def vote(scores, labels, k, largest=True):
    """The most frequent label [M] among the k largest scores of each row. scores: [M, N], labels: [N]."""
    votes = labels[scores.topk(k, dim=1, largest=largest).indices]  # [M, k]
    return torch.nn.functional.one_hot(votes).sum(dim=1).argmax(dim=1)


def cosines(x, q):
    """The cosines [M, N] of queries [M, D] and training features [N, D]."""
    return torch.nn.functional.normalize(q, dim=1) @ torch.nn.functional.normalize(x, dim=1).T


MISTAKES = [
    (lambda x, y, q, k: vote(torch.cdist(q, x), y, k, False), "this is Euclidean distance: cosine ignores lengths"),
    (
        lambda x, y, q, k: vote(q @ x.T, y, k),
        "this is the inner product, so that long features win: normalise both to length 1",
    ),
    (lambda x, y, q, k: vote(cosines(x, q), y, k, False), "these are the k FARTHEST: a large cosine is near"),
    (lambda x, y, q, k: vote(cosines(x, q), y, 1), "only the nearest one votes: take the k nearest"),
    (
        lambda x, y, q, k: cosines(x, q).topk(k, dim=1).indices[:, 0],
        "these are indices of images, not their labels: return labels[index]",
    ),
    (
        lambda x, y, q, k: y[cosines(x, q).topk(k, dim=1).indices].float().mean(dim=1).round().long(),
        "labels are names, and their mean means nothing: count votes",
    ),
]

ADVICE = "take the cosines [M, N], the k largest of each row, their labels, and the most frequent label"


def show_knn_predict(student):
    """Draw the predicted label at each point of the plane, for 1 and for 5 neighbours: target and answer."""
    train, labels, _, _ = knn_case(15, 1, 2, 3, 1, 1)
    side = torch.linspace(-2, 2, 18)  # an even number, so that no point is the origin, which has no direction
    places = torch.cartesian_prod(side, side)  # [324, 2]

    def as_map(answer, *arguments):
        return answer.view(18, 18)

    cases = {f"k = {k}": (train, labels, places, k) for k in (1, 5)}
    see = "the labels form wedges that meet in the middle, since the cosine depends on the direction alone."
    target_and_yours("knn_predict", student, spec_knn_predict, cases, as_map, see, limits=(0, 2))


def knn_predict(student):
    """Check exercise 3, `knn_predict(train, labels, queries, k)`. Raises CheckFailed."""
    compare("knn_predict", student, spec_knn_predict, CASES, MISTAKES, ADVICE)
