"""Assignment 07, exercise 2: shuffled pairs in which no image meets itself."""

import torch

from minijepa.checks.picture import target_and_yours
from minijepa.checks.report import call, fail, passed, patience
from minijepa.checks.values import describe


def spec_partners(count, generator):
    """Shuffle, and shuffle again as long as an image is its own partner. int64 [count]."""
    order = torch.randperm(count, generator=generator)
    while any(int(partner) == image for image, partner in enumerate(order)):
        order = torch.randperm(count, generator=generator)
    return order


def show_partners(student):
    """Draw the partner of each image, a row per image: target and answer."""

    def as_map(answer, count, generator):
        return torch.zeros(count, count).scatter(1, answer[:, None], 1.0)

    cases = {f"{count} images": (count, torch.Generator().manual_seed(0)) for count in (6, 12)}
    see = "each row and each column has one bright square, never on the diagonal; where is random, and may differ."
    target_and_yours("partners", student, spec_partners, cases, as_map, see, limits=(0, 1))


def check_partners(name, case, got, count):
    """The contract of exercise 2 for one answer."""
    if not isinstance(got, torch.Tensor) or got.dtype != torch.int64 or got.shape != (count,):
        fail(name, case, describe(got), f"an int64 tensor [{count}]", "return one partner per image")
    rows = got.tolist()
    if sorted(rows) != list(range(count)):
        hint = "each image must be the partner of exactly one other, or some targets count more than others"
        fail(name, case, describe(got), f"a permutation of 0 to {count - 1}", hint)
    alone = [i for i, j in enumerate(rows) if i == j]
    if alone:
        hint = "a plain permutation leaves some images in place: these pairs are compatible, yet count as shuffled"
        fail(name, case, f"image {alone[0]} is its own partner", "never", hint)


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
                hint = "every other image must have a chance to be the partner"
                fail(name, case, f"never the pairs {sorted(missing)[:3]}", "all pairs of different images", hint)
    passed(name, "no image meets itself, each is used once, and the pairs are random")
