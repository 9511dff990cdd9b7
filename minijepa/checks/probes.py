"""Assignment 06: a probe done right: no leak from the test set, a fair choice of settings, an honest margin."""

import torch

from minijepa.checks.pictures.probes import (  # noqa: F401 (notebooks find them here)
    show_choose,
    show_group_split,
    show_knn_predict,
    show_paired_margin,
    show_standardise,
)
from minijepa.checks.report import call, compare, fail, passed, patience
from minijepa.checks.specs.probes import FEATURES, MARGINS, NEIGHBOURS, spec_knn, spec_paired_margin, spec_standardise
from minijepa.checks.values import describe

# --- 1: standardise ---------------------------------------------------------------------------------------


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
