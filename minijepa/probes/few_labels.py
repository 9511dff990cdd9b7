"""Few labels: the same probe on 1, 5, 20 and 100 % of the labels."""

import torch

FRACTIONS = (0.01, 0.05, 0.2, 1.0)  # of the labels


def label_order(truth, seed=0):
    """A random order of the images, int64 [N], of which each prefix holds the classes in their proportions.

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


def low_shot(probe, train, train_truth, test, test_truth, *, seed=0, **settings):
    """The score of a probe for each number of labels that it may see: {number of labels: score}.

    The label sets hold 1, 5, 20 and 100 % of the training images, and at least one image of each class. Each set is
    part of the next.

    probe: any of the course's probes with these four arguments, such as `linear_probe`.
    train, test: vectors [N, D], tokens [N, L, D] or TokenFeatures, as the probe wants them.
    train_truth, test_truth: [N] and [M], or as the probe wants them.
    settings: passed on to the probe.
    """
    order = label_order(train_truth, seed)
    least = len(train_truth.unique()) if train_truth.dtype == torch.int64 else 2
    scores = {}
    for fraction in FRACTIONS:
        index = order[: max(least, round(fraction * len(order)))]
        scores[len(index)] = probe(train[index], train_truth[index], test, test_truth, **settings)
    return scores
