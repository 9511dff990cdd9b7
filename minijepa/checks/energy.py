"""Assignment 07: an energy, fair pairs to try it on, its AUROC, and the free energy of a latent variable."""

import torch

from minijepa.checks.pictures.energy import (  # noqa: F401 (notebooks find them here)
    show_auroc,
    show_free_energy,
    show_pair_energy,
    show_partners,
    show_surprise_map,
)
from minijepa.checks.report import call, compare, fail, passed, patience
from minijepa.checks.specs.energy import (
    FORKS,
    PAIRS,
    SCORES,
    SURPRISES,
    spec_auroc,
    spec_free_energy,
    spec_pair_energy,
    spec_surprise_map,
)
from minijepa.checks.values import describe

# --- 1: the energy ----------------------------------------------------------------------------------------


def pair_energy(student):
    """Check exercise 1, `pair_energy(prediction, target)`. Raises CheckFailed."""
    huber = torch.nn.functional.smooth_l1_loss

    def each(p, t):
        return huber(p, t, reduction="none")

    mistakes = [
        (
            lambda p, t: huber(p, t),
            "one energy per IMAGE: averaged over the batch it is the loss, and ranks nothing",
        ),
        (lambda p, t: each(p, t).mean(dim=-1), "one number per image: average over blocks and patches too"),
        (
            lambda p, t: each(p, t).flatten(1).sum(dim=1),
            "this is the sum: take the mean, so that it does not grow with the number of targets",
        ),
        (
            lambda p, t: (p - t).square().flatten(1).mean(dim=1),
            "this is the squared error: d^2 / 2 below 1, and |d| - 1/2 from there on",
        ),
        (
            lambda p, t: (p - t).abs().flatten(1).mean(dim=1),
            "this is |d|: d^2 / 2 below 1, and |d| - 1/2 from there on",
        ),
        (lambda p, t: -each(p, t).flatten(1).mean(dim=1), "an energy is LOW where both fit: drop the minus"),
        (
            lambda p, t: huber(p.flatten(1).mean(dim=1), t.flatten(1).mean(dim=1), reduction="none"),
            "first the cost of each difference, then the mean: errors of opposite sign must not cancel",
        ),
    ]
    advice = "smooth L1 of each number, mean over all but the batch"
    compare("pair_energy", student, spec_pair_energy, PAIRS, mistakes, advice)


# --- 2: fair pairs ----------------------------------------------------------------------------------------


def partners(student):
    """Check exercise 2, `partners(count, generator)`, by what it must satisfy. Raises CheckFailed."""
    name = "partners"
    with patience(name, "does every loop end? With 2 images only one answer is allowed"):
        for count in (2, 3, 7, 100):
            case, drawn = f"partners({count}, generator)", []
            for seed in range(60):
                got = call(name, student, (count, torch.Generator().manual_seed(seed)), case)
                check_partners(name, case, got, count)
                drawn.append(got.tolist())
            if count > 2 and all(row == drawn[0] for row in drawn):
                hint = "a fixed shift pairs neighbours only: draw at random, from the generator"
                fail(name, case, f"always {drawn[0][:7]}", "another pairing from another seed", hint)
            again = call(name, student, (count, torch.Generator().manual_seed(0)), case).tolist()
            if again != drawn[0]:
                hint = "give `generator=generator` to every torch.randperm"
                fail(name, case, "two answers from one seed", "the same answer from the same seed", hint)
            missing = {(i, j) for i in range(count) for j in range(count) if i != j} if count <= 3 else set()
            missing -= {(i, j) for row in drawn for i, j in enumerate(row)}
            if missing:
                hint = "every other image must have its chance to be the partner"
                fail(name, case, f"never the pairs {sorted(missing)[:3]}", "all pairs of different images", hint)
    passed(name, "no image meets itself, each is used once, and all is random")


def check_partners(name, case, got, count):
    """The contract of exercise 2 for one answer."""
    if not isinstance(got, torch.Tensor) or got.dtype != torch.int64 or got.shape != (count,):
        fail(
            name, case, describe(got), f"an int64 tensor [{count}]", "one partner per image: torch.randperm is a start"
        )
    rows = got.tolist()
    if sorted(rows) != list(range(count)):
        hint = "each image must be the partner of exactly one other, or some targets count more than others"
        fail(name, case, describe(got), f"a permutation of 0 to {count - 1}", hint)
    alone = [i for i, j in enumerate(rows) if i == j]
    if alone:
        hint = "a plain permutation leaves some at their place: these are compatible pairs that count as shuffled"
        fail(name, case, f"image {alone[0]} is its own partner", "never", hint)


# --- 3: AUROC ---------------------------------------------------------------------------------------------


def auroc(student):
    """Check exercise 3, `auroc(compatible, shuffled)`. Raises CheckFailed."""

    def pairs(c, s):
        return c[:, None], s[None, :]

    def strict(c, s):
        low, high = pairs(c, s)
        return (high > low).double().mean().item()

    def or_equal(c, s):
        low, high = pairs(c, s)
        return (high >= low).double().mean().item()

    def threshold(c, s):
        middle = (c.mean() + s.mean()) / 2
        return ((c < middle).double().mean().item() + (s > middle).double().mean().item()) / 2

    mistakes = [
        (lambda c, s: 1 - spec_auroc(c, s), "the other way round: a shuffled pair should have the HIGHER energy"),
        (strict, "a tie counts one half: an energy that is always 0 knows nothing, and must score .5"),
        (or_equal, "a tie counts one half, not one: an energy that is always 0 must score .5"),
        (threshold, "this is the accuracy at one threshold: AUROC needs none, it compares every pair"),
        (
            lambda c, s: float((s[: min(len(c), len(s))] > c[: min(len(c), len(s))]).double().mean()),
            "compare every compatible one with EVERY shuffled one, not only with its neighbour in the list",
        ),
        (
            lambda c, s: (s.mean() - c.mean()).item(),
            "this is a difference of means, it has a scale: AUROC looks at ranks alone",
        ),
        (
            lambda c, s: spec_auroc(c, s) * len(c) * len(s),
            "this counts the pairs: divide by their number",
        ),
    ]
    advice = "the share of all (compatible, shuffled) pairs in which the shuffled energy is higher; ties count half"
    compare("auroc", student, spec_auroc, SCORES, mistakes, advice)


# --- 4: a latent variable ---------------------------------------------------------------------------------


def free_energy(student):
    """Check exercise 4, `free_energy(answers, y)`. Raises CheckFailed."""

    def distances(a, y):
        return (a - y[:, None]).square().sum(dim=2)

    def after(table, dim=1):
        return tuple(table.min(dim=dim))

    mistakes = [
        (
            lambda a, y: (distances(a, y).mean(dim=1), distances(a, y).argmin(dim=1)),
            "this is the mean over z: then the best answer to a fork is the ditch between the roads. Take the minimum",
        ),
        (lambda a, y: after(distances(a, y).neg()), "this is the worst z: the free energy is the MINIMUM over z"),
        (lambda a, y: tuple(distances(a, y).max(dim=1)), "this is the worst z: the free energy is the MINIMUM over z"),
        (lambda a, y: after(distances(a, y).sqrt()), "the squared distance: drop the root"),
        (
            lambda a, y: after((a - y[:, None]).square().mean(dim=2)),
            "the sum over the coordinates, not their mean",
        ),
        (lambda a, y: tuple(distances(a, y).min(dim=1))[::-1], "the energy comes first, then the z"),
        (
            lambda a, y: ((a.mean(dim=1) - y).square().sum(dim=1), distances(a, y).argmin(dim=1)),
            "this is the energy of the mean answer, the ditch between the roads: choose one answer, by its z",
        ),
    ]
    compare(
        "free_energy", student, spec_free_energy, FORKS, mistakes, "squared distance to each answer, minimum over z"
    )


# --- 5: surprise ------------------------------------------------------------------------------------------


def surprise_map(student):
    """Check exercise 5, `surprise_map(energies, targets, n)`. Raises CheckFailed."""

    def sums(e, t, n):
        return torch.zeros(n).scatter_add(0, t.flatten(), e.flatten())

    def counts(t, n):
        return torch.bincount(t.flatten(), minlength=n).float()

    mistakes = [
        (sums, "this is the sum: patches that were asked for often look surprising. Divide by how often"),
        (
            lambda e, t, n: sums(e, t, n) / len(e),
            "divide by how often THIS patch was a target, not by the number of draws",
        ),
        (
            lambda e, t, n: sums(e, t, n) / counts(t, n).clamp(min=1),
            "a patch that was never asked for is unknown, not unsurprising: NaN, not 0",
        ),
        (
            lambda e, t, n: torch.zeros(n).scatter(0, t.flatten(), e.flatten()),
            "the last draw overwrites the others: add up with scatter_add or index_add, then divide",
        ),
        (
            lambda e, t, n: torch.full((n,), float("nan")).scatter(0, t.flatten(), e.flatten()),
            "the last draw overwrites the others: add up with scatter_add or index_add, then divide",
        ),
    ]
    advice = "for each patch the mean over the draws in which it was a target"
    compare("surprise_map", student, spec_surprise_map, SURPRISES, mistakes, advice)
