"""Assignment 03, exercise 5: how often each patch is context, and how often it is a target."""

import torch

from minijepa.checks.picture import target_and_yours
from minijepa.checks.report import compare
from minijepa.masking.sampling import Masks


def spec_coverage(masks, grid):
    """Image by image and patch by patch: in the context, in at least one target? Two float maps [rows, columns]."""
    n = grid[0] * grid[1]
    context, target = torch.zeros(n), torch.zeros(n)
    for i in range(len(masks.context)):
        for patch in range(n):
            context[patch] += bool((masks.context[i] == patch).any()) / len(masks.context)
            target[patch] += bool((masks.targets[i] == patch).any()) / len(masks.context)
    return context.view(grid), target.view(grid)


def some_masks(batch, grid, seed):
    """Masks with two random targets of 4 patches that may overlap; context [B, 3], targets [B, 2, 4]."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.rand(batch, 2, grid[0] * grid[1], generator=generator).argsort(dim=2)  # [B, 2, N]
    order[:, 1, :2] = order[:, 0, :2]  # two patches are always in both targets
    marks = torch.rand(batch, grid[0] * grid[1], generator=generator).scatter(1, order[:, :, :4].flatten(1), -1.0)
    return Masks(marks.topk(3, dim=1).indices.sort(dim=1).values, order[:, :, :4].sort(dim=2).values)


CASES = [(some_masks(1, (3, 4), 0), (3, 4)), (some_masks(7, (4, 4), 1), (4, 4)), (some_masks(20, (5, 3), 2), (5, 3))]


def counted(masks, grid, whole):
    """Coverage that counts a patch of targets [B, M, K_t] once per target, divided by `whole`."""
    n = grid[0] * grid[1]
    both = [torch.bincount(index.flatten(), minlength=n) for index in (masks.context, masks.targets)]
    return both[0].view(grid) / len(masks.context), both[1].view(grid) / whole


MISTAKES = [
    (
        lambda m, g: counted(m, g, len(m.context)),
        "a patch that lies in two targets of one image counts once: mark each image's patches before you add up",
    ),
    (
        lambda m, g: counted(m, g, m.targets.shape[0] * m.targets.shape[1]),
        "coverage is a fraction of the images: divide by their number B, not by the B * M target blocks",
    ),
    (
        lambda m, g: tuple(c * len(m.context) for c in spec_coverage(m, g)),
        "these are counts: divide by the number of images",
    ),
    (
        lambda m, g: tuple(c.flatten().view(g[1], g[0]).T.contiguous() for c in spec_coverage(m, g)),
        "patches are numbered along the rows: view(rows, columns)",
    ),
    (lambda m, g: spec_coverage(m, g)[::-1], "the two maps are swapped: the context comes first, then the targets"),
]

ADVICE = "count, for each patch, the fraction of images that have it in the context, and in at least one target"


def show_coverage(student):
    """Draw the coverage of some masks, context next to targets: target and answer."""
    cases = {"7 images on 4 by 4": CASES[1], "20 images on 5 by 3": CASES[2]}
    target_and_yours("coverage", student, spec_coverage, cases, lambda answer, *_: torch.cat(list(answer), dim=1))


def coverage(student):
    """Check exercise 5, `coverage(masks, grid)`. Raises CheckFailed."""
    compare("coverage", student, spec_coverage, CASES, MISTAKES, ADVICE)
