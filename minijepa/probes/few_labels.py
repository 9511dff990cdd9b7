"""Few labels: the same probe on 1, 5, 20 and 100 % of them."""

import torch


def label_order(truth, seed=0):
    """A random order of the images whose every beginning holds the classes in their proportions: int64 [N].

    truth: int64 [N] for classes; float [N, K], for values, gives a plain random order.
    """
    shuffled = torch.randperm(len(truth), generator=torch.Generator().manual_seed(seed))  # [N]
    if truth.dtype != torch.int64:
        return shuffled
    place = torch.empty(len(truth), dtype=torch.float64)
    for label in truth.unique():
        rows = shuffled[truth[shuffled] == label]  # the images of one class, in random order
        place[rows] = torch.arange(len(rows), dtype=torch.float64) / len(rows)  # spread over 0..1, the first at 0
    return shuffled[place[shuffled].argsort(stable=True)]


def low_shot(probe, train, train_truth, test, test_truth, *, shares=(0.01, 0.05, 0.2, 1.0), seed=0, **settings):
    """Scores of a probe against the number of labels it may see: {images with labels: score}.

    probe: any with the course's four arguments, such as `linear_probe`; settings: passed on to it. train: features
    [N, D], tokens [N, L, D] or TokenFeatures, test alike; truth: [N] and [M], or as the probe wants it.
    shares: of the labels, each in (0, 1]; smaller sets are parts of larger ones, with at least one image of each
    class. Raises ValueError for another share.
    """
    if not all(0 < share <= 1 for share in shares):
        raise ValueError(f"shares are parts of the labels, above 0 and at most 1, got {tuple(shares)}")
    order = label_order(train_truth, seed)
    least = len(train_truth.unique()) if train_truth.dtype == torch.int64 else 2
    scores = {}
    for share in shares:
        index = order[: max(least, round(share * len(order)))]
        scores[len(index)] = probe(train[index], train_truth[index], test, test_truth, **settings)
    return scores
