"""Assignment 06: a probe done right: no leak from the test set, a fair choice of settings, an honest margin."""

import math

import torch

from minijepa.checks.picture import target_and_yours
from minijepa.checks.report import call, compare, fail, passed, patience
from minijepa.checks.values import describe


def normal(*shape, seed=0, dtype=torch.float32):
    """Standard normal numbers, always the same for one seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


# --- 1: standardise ---------------------------------------------------------------------------------------


def spec_standardise(train, test):
    """Feature by feature: minus the training mean, over the training deviation; a constant one becomes 0.

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
    """Training features [n, d] and test features [m, d], which lie elsewhere; one feature may be constant."""
    scale = torch.arange(1.0, d + 1)
    train, test = scale * normal(n, d, seed=seed) + 3, 2 * scale * normal(m, d, seed=seed + 1) + 5
    if constant:
        train[:, 0], test[:, 0] = 4.0, 4.0
    return train, test


FEATURES = [
    (torch.tensor([[0.0], [2.0]]), torch.tensor([[3.0], [5.0]])),
    features(12, 7, 3, 0),
    features(9, 9, 4, 5, True),
]


def standardise(student):
    """Check exercise 1, `standardise(train, test)`. Raises CheckFailed."""

    def by(train, test, source, correction=0):
        mean, deviation = source.mean(dim=0), source.std(dim=0, correction=correction)
        deviation = torch.where(deviation > 0, deviation, 1.0)
        return (train - mean) / deviation, (test - mean) / deviation

    mistakes = [
        (
            lambda a, b: (by(a, b, a)[0], by(a, b, b)[1]),
            "the test set is standardised by its own mean and deviation: use those of the TRAINING set for both",
        ),
        (
            lambda a, b: by(a, b, torch.cat([a, b])),
            "mean and deviation come from both sets together, so the test set leaks: use the TRAINING set alone",
        ),
        (lambda a, b: by(a, b, b), "mean and deviation come from the test set: use the TRAINING set"),
        (
            lambda a, b: (by(a.T, a.T, a.T)[0].T, by(b.T, b.T, b.T)[0].T),
            "each image is standardised by itself: it should be each feature, over the images",
        ),
        (lambda a, b: by(a, b, a, correction=1), "divide by the number of images: correction=0"),
        (lambda a, b: (by(a, b, a)[0], b), "the test features must go through the same map as the training features"),
        (
            lambda a, b: tuple((x - a.mean(dim=0)) / a.std(dim=0, correction=0) for x in (a, b)),
            "a feature that never varies has deviation 0: divide by 1 there, so that it becomes 0 and not NaN",
        ),
    ]
    advice = "mean and deviation of each feature over the training set, applied to both sets"
    compare("standardise", student, spec_standardise, FEATURES, mistakes, advice)


def show_standardise(student):
    """Draw training and test features, one under the other, after the map: target and answer."""

    def one_map(answer, train, test):
        return torch.cat(list(answer))

    cases = {"12 and 7 images": FEATURES[1], "one constant feature": FEATURES[2]}
    target_and_yours("standardise", student, spec_standardise, cases, one_map)


# --- 2: split ---------------------------------------------------------------------------------------------


def group_split(student):
    """Check exercise 2, `group_split(groups, share, generator)`, by what it must satisfy. Raises CheckFailed."""
    name = "group_split"
    sets = {
        "40 photographs, 5 crops each": torch.arange(200) % 40,
        "30 groups of 1 to 8": torch.repeat_interleave(torch.arange(30) * 7, torch.arange(30) % 8 + 1),
        "two groups": torch.tensor([4, 4, 9]),
    }
    with patience(name):
        for words, groups in sets.items():
            case, drawn = f"{words}, share=0.25", set()
            for seed in range(12):
                got = call(name, student, (groups, 0.25, torch.Generator().manual_seed(seed)), case)
                check_split(name, case, got, groups)
                drawn.add(tuple(sorted(set(groups[got[1]].tolist()))))
            if len(drawn) == 1:
                hint = "draw the held-out groups at random, from the generator"
                fail(name, case, "the same split from every seed", "another seed, another split", hint)
            two = [call(name, student, (groups, 0.25, torch.Generator().manual_seed(3)), case) for _ in range(2)]
            if not torch.equal(two[0][1], two[1][1]):
                hint = "give `generator=generator` to torch.randperm"
                fail(name, case, "two splits from one seed", "the same split from the same seed", hint)
    passed(name, "whole groups, disjoint, complete and random")


def check_split(name, case, got, groups):
    """The contract of exercise 2 for one split. groups: int64 [N]."""
    if not isinstance(got, tuple) or len(got) != 2 or not all(isinstance(x, torch.Tensor) for x in got):
        fail(name, case, describe(got), "(train, heldout), two int64 tensors", "return both sets of indices")
    train, heldout = got
    both = torch.cat([train, heldout])
    if both.dtype != torch.int64:
        fail(name, case, f"{both.dtype}", "torch.int64", "indices, not masks: `mask.nonzero().flatten()`")
    if not torch.equal(both.sort().values, torch.arange(len(groups))):
        hint = "every image is in exactly one set"
        fail(name, case, f"{len(both)} indices", f"each of 0 to {len(groups) - 1} once", hint)
    if not torch.equal(train, train.sort().values) or not torch.equal(heldout, heldout.sort().values):
        fail(name, case, "indices that do not rise", "rising indices", "sort both")
    shared = set(groups[train].tolist()) & set(groups[heldout].tolist())
    if shared:
        hint = "a leak: images of one group are nearly alike. Draw GROUPS, and take all images of each"
        fail(name, case, f"group {min(shared)} is in both sets", "each group in one set only", hint)
    count = len(groups.unique())
    wanted = max(1, round(0.25 * count))
    if len(groups[heldout].unique()) != wanted:
        hint = "the share is one of the groups: max(1, round(share * number of groups))"
        fail(name, case, f"{len(groups[heldout].unique())} of {count} groups held out", f"{wanted}", hint)


# --- 3: neighbours ----------------------------------------------------------------------------------------


def spec_knn(train, labels, queries, k):
    """Query by query: the k training features of largest cosine; the most frequent label, the smallest of equals.

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


NEIGHBOURS = [
    (torch.tensor([[1.0, 0.0], [0.0, 5.0], [0.0, 1.0]]), torch.tensor([2, 0, 0]), torch.tensor([[1.0, 0.2]]), 1),
    knn_case(30, 20, 5, 3, 5, 0),
    knn_case(24, 30, 4, 4, 1, 10),
    knn_case(20, 25, 3, 6, 4, 20),
]


def knn_predict(student):
    """Check exercise 3, `knn_predict(train, labels, queries, k)`. Raises CheckFailed."""

    def vote(scores, labels, k, largest=True):
        votes = labels[scores.topk(k, dim=1, largest=largest).indices]  # [M, k]
        return torch.nn.functional.one_hot(votes).sum(dim=1).argmax(dim=1)

    def cosines(x, q):
        return torch.nn.functional.normalize(q, dim=1) @ torch.nn.functional.normalize(x, dim=1).T

    mistakes = [
        (lambda x, y, q, k: vote(torch.cdist(q, x), y, k, False), "this is Euclidean distance: cosine ignores lengths"),
        (
            lambda x, y, q, k: vote(q @ x.T, y, k),
            "this is the inner product, long features win: normalise both to length 1",
        ),
        (lambda x, y, q, k: vote(cosines(x, q), y, k, False), "these are the k FARTHEST: a large cosine is near"),
        (lambda x, y, q, k: vote(cosines(x, q), y, 1), "only the nearest one votes: take k"),
        (
            lambda x, y, q, k: cosines(x, q).topk(k, dim=1).indices[:, 0],
            "these are indices of images, not their labels: labels[index]",
        ),
        (
            lambda x, y, q, k: y[cosines(x, q).topk(k, dim=1).indices].float().mean(dim=1).round().long(),
            "labels are names, their mean means nothing: count votes",
        ),
    ]
    advice = "cosines [M, N], the k largest of each row, their labels, the most frequent"
    compare("knn_predict", student, spec_knn, NEIGHBOURS, mistakes, advice)


# --- 4: choose --------------------------------------------------------------------------------------------


def choose(student):
    """Check exercise 4, `choose(settings, score)`, by what it looks at. Raises CheckFailed."""
    name = "choose"
    settings = [0.01, 0.1, 1.0, 10.0]
    validation = {0.01: 0.41, 0.1: 0.47, 1.0: 0.46, 10.0: 0.30}
    test = {0.01: 0.40, 0.1: 0.43, 1.0: 0.49, 10.0: 0.35}  # the best setting on the test set is another one
    case = "four settings; 0.1 is best on the validation set, 1.0 on the test set"
    asked = []

    def score(setting, on):
        if on not in ("validation", "test"):
            raise ValueError(f"on must be 'validation' or 'test', got {on!r}")
        asked.append((setting, on))
        return {"validation": validation, "test": test}[on][setting]

    got = call(name, student, (settings, score), case)
    looks = [setting for setting, on in asked if on == "test"]
    if got == (1.0, 0.49):
        hint = "the setting was chosen on the TEST set: choose on the validation set, then look at the test set once"
        fail(name, case, describe(got), "(0.1, 0.43)", hint)
    if got == (0.1, 0.47):
        hint = "this is the score on the validation set, on which you chose: it is too good. Report the test score"
        fail(name, case, describe(got), "(0.1, 0.43)", hint)
    if got == (10.0, 0.35):
        fail(name, case, describe(got), "(0.1, 0.43)", "this is the worst setting: a high score is good")
    if got != (0.1, 0.43):
        fail(name, case, describe(got), "(0.1, 0.43)", "return (setting, its test score)")
    if looks != [0.1]:
        hint = "each look at the test set is a chance to choose by it: ask for 'test' once, at the end"
        fail(name, case, f"{len(looks)} looks at the test set", "one", hint)
    passed(name, "chosen on validation, and one look at the test set")


# --- 5: a margin over seeds -------------------------------------------------------------------------------


def spec_paired_margin(ours, theirs):
    """Seed by seed the difference; its mean, and its standard error: deviation (n - 1) over the root of n. Floats."""
    gaps = [float(a) - float(b) for a, b in zip(ours, theirs, strict=True)]
    mean = sum(gaps) / len(gaps)
    variance = sum((gap - mean) ** 2 for gap in gaps) / (len(gaps) - 1)
    return mean, math.sqrt(variance / len(gaps))


MARGINS = [
    (torch.tensor([0.5, 0.6]), torch.tensor([0.4, 0.4])),
    (torch.tensor([0.41, 0.52, 0.45]), torch.tensor([0.38, 0.50, 0.44])),
    (0.1 * normal(5) + 0.6, 0.1 * normal(5, seed=1) + 0.4),
    (torch.tensor([0.3, 0.3, 0.3, 0.3]), torch.tensor([0.2, 0.4, 0.2, 0.4])),
]


def paired_margin(student):
    """Check exercise 5, `paired_margin(ours, theirs)`. Raises CheckFailed."""

    def gaps(a, b):
        return (a - b).double()

    mistakes = [
        (
            lambda a, b: (gaps(a, b).mean().item(), ((a.double().var() + b.double().var()) / len(a)).sqrt().item()),
            "the seeds are paired: take the deviation of the DIFFERENCES. Easy seeds are easy for both",
        ),
        (
            lambda a, b: (gaps(a, b).mean().item(), gaps(a, b).std().item()),
            "this is the deviation of one difference: the mean of n has it over sqrt(n)",
        ),
        (
            lambda a, b: (gaps(a, b).mean().item(), gaps(a, b).std().item() / len(a)),
            "divide by the ROOT of n",
        ),
        (
            lambda a, b: (gaps(a, b).mean().item(), gaps(a, b).std(correction=0).item() / len(a) ** 0.5),
            "with few seeds it matters: the variance divides by n - 1",
        ),
        (
            lambda a, b: (gaps(b, a).mean().item(), spec_paired_margin(a, b)[1]),
            "the sign: ours minus theirs",
        ),
        (
            lambda a, b: (gaps(a, b).max().item(), spec_paired_margin(a, b)[1]),
            "the mean over the seeds, not the best of them",
        ),
    ]
    advice = "differences seed by seed; their mean, and their standard deviation (n - 1) over sqrt(n)"
    compare("paired_margin", student, spec_paired_margin, MARGINS, mistakes, advice)
