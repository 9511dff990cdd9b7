"""Assignment 06, exercise 1: features standardised by the training set."""

import torch

from minijepa.checks.picture import target_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal


def spec_standardise(train, test):
    """Feature by feature: subtract the training mean, divide by the training standard deviation; a constant becomes 0.

    train: [N, D], test: [M, D]. Returns both, of the same shapes.
    """
    new_train, new_test = train.clone(), test.clone()
    for d in range(train.shape[1]):
        mean = train[:, d].sum() / len(train)
        deviation = (((train[:, d] - mean) ** 2).sum() / len(train)).sqrt()
        for x in (new_train, new_test):
            x[:, d] = (x[:, d] - mean) / (deviation if deviation > 0 else 1.0)
    return new_train, new_test


def features(n, m, d, seed, constant=False):
    """Training features [n, d] and test features [m, d], of another mean and scale; one feature may be constant."""
    scale = torch.arange(1.0, d + 1)
    train, test = scale * normal(n, d, seed=seed) + 3, 2 * scale * normal(m, d, seed=seed + 1) + 5
    if constant:
        train[:, 0], test[:, 0] = 4.0, 4.0
    return train, test


CASES = [
    (torch.tensor([[0.0], [2.0]]), torch.tensor([[3.0], [5.0]])),
    features(12, 7, 3, 0),
    features(9, 9, 4, 5, True),
]


def by(train, test, source, correction=0):
    """Both sets, [N, D] and [M, D], standardised by the statistics of a third."""
    mean, deviation = source.mean(dim=0), source.std(dim=0, correction=correction)
    deviation = torch.where(deviation > 0, deviation, 1.0)
    return (train - mean) / deviation, (test - mean) / deviation


MISTAKES = [
    (
        lambda a, b: (by(a, b, a)[0], by(a, b, b)[1]),
        "the test set is standardised by its own statistics: use those of the TRAINING set for both",
    ),
    (
        lambda a, b: by(a, b, torch.cat([a, b])),
        "the statistics come from both sets together, so the test set leaks: use the TRAINING set alone",
    ),
    (lambda a, b: by(a, b, b), "mean and standard deviation come from the test set: use the TRAINING set"),
    (
        lambda a, b: (by(a.T, a.T, a.T)[0].T, by(b.T, b.T, b.T)[0].T),
        "each image is standardised by itself: standardise each feature, over the images",
    ),
    (lambda a, b: by(a, b, a, correction=1), "this divides by N - 1: divide by the number of images, correction=0"),
    (lambda a, b: (by(a, b, a)[0], b), "the test features must go through the same map as the training features"),
    (
        lambda a, b: tuple((x - a.mean(dim=0)) / a.std(dim=0, correction=0) for x in (a, b)),
        "a feature that never varies has standard deviation 0: divide by 1 there, so that it becomes 0 and not NaN",
    ),
]

ADVICE = "take mean and standard deviation of each feature over the training set, and apply them to both sets"


def show_standardise(student):
    """Draw the standardised training and test features, one under the other: target and answer."""

    def one_map(answer, train, test):
        return torch.cat(list(answer))

    cases = {"12 and 7 images": CASES[1], "one constant feature": CASES[2]}
    target_and_yours("standardise", student, spec_standardise, cases, one_map)


def standardise(student):
    """Check exercise 1, `standardise(train, test)`. Raises CheckFailed."""
    compare("standardise", student, spec_standardise, CASES, MISTAKES, ADVICE)
