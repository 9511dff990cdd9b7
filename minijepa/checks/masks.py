"""Assignment 03: blocks of patches, and masks that always end, reach every patch and leak nothing."""

import torch

from minijepa.checks.contract import check_generator, check_index_tensor, check_masks, in_words
from minijepa.checks.pictures.masks import (  # noqa: F401 (notebooks find them here)
    show_block_indices,
    show_block_masks,
    show_block_size,
    show_coverage,
    show_shorten,
)
from minijepa.checks.report import call, compare, fail, passed, patience
from minijepa.checks.specs.masks import BLOCKS, COVERAGE, SIZES, spec_block_indices, spec_block_size, spec_coverage

# --- 1: one block -----------------------------------------------------------------------------------------


def patches(top, left, height, width, step, extra=0):
    """A block's indices by a stride `step` per row, `extra` patches too long on both sides: wrong where these are."""
    rows, columns = torch.arange(top, top + height + extra), torch.arange(left, left + width + extra)
    return (rows[:, None] * step + columns).flatten()


def block_indices(student):
    """Check exercise 1, `block_indices(top, left, height, width, grid)`. Raises CheckFailed."""
    mistakes = [
        (
            lambda t, le, h, w, g: patches(t, le, h, w, g[0]),
            "one row further means `columns` patches further, not `rows`: the two differ where the grid is no square",
        ),
        (
            lambda t, le, h, w, g: patches(t, le, h, w, g[1], extra=1),
            "one row and column too many: `range` and `arange` leave out their end, so it is top + height",
        ),
        (
            lambda t, le, h, w, g: patches(t, le, h, w, g[1]).view(h, w).T.flatten(),
            "the right patches in the order of the columns: the order is row by row, so the indices rise",
        ),
        (
            lambda t, le, h, w, g: patches(t, le, h, w, g[1]).view(h, w),
            "one index after the other, [height * width]: flatten the block",
        ),
        (
            lambda t, le, h, w, g: patches(le, t, h, w, g[1]),
            "`top` counts rows and `left` columns: you have them the other way round",
        ),
    ]
    advice = "patch (row, column) has the index row * columns + column"
    compare("block_indices", student, spec_block_indices, BLOCKS, mistakes, advice)


# --- 2: its size ------------------------------------------------------------------------------------------


def split_size(grid, scale, aspect):
    """Each side on its own, so that neither makes up for what the grid cuts from the other."""
    area = scale * grid[0] * grid[1]
    height, width = round((area * aspect) ** 0.5), round((area / aspect) ** 0.5)
    return max(1, min(grid[0], height)), max(1, min(grid[1], width))


def unfitted_size(grid, scale, aspect):
    """The size without a thought for the grid."""
    height = round((scale * grid[0] * grid[1] * aspect) ** 0.5)
    return height, round(scale * grid[0] * grid[1] / height)


def floored_size(grid, scale, aspect):
    """The size by cutting off in place of rounding."""
    area = scale * grid[0] * grid[1]
    height = max(1, min(grid[0], int((area * aspect) ** 0.5)))
    return height, max(1, min(grid[1], int(area / height)))


def block_size(student):
    """Check exercise 2, `block_size(grid, scale, aspect)`. Raises CheckFailed."""
    mistakes = [
        (
            lambda g, s, a: spec_block_size(g, s, 1 / a),
            "the aspect is height / width: your blocks are wide where they should be tall",
        ),
        (
            split_size,
            "take the width from the area and the height that you really got: where the grid cuts one side, the other "
            "grows, and the share of the patches stays",
        ),
        (
            floored_size,
            "`int` cuts off: 3.9 becomes 3 and blocks get too small; use `round`",
        ),
        (
            lambda g, s, a: spec_block_size(g, s / g[1], a),
            "`scale` is a share of all patches, not of a side: the area is scale * rows * columns",
        ),
        (
            unfitted_size,
            "a block may not be larger than the grid, nor have a side of 0",
        ),
    ]
    advice = "h is sqrt(area * aspect), rounded and kept within 1..rows; then w is area / h, rounded and kept as well"
    compare("block_size", student, spec_block_size, SIZES, mistakes, advice)


# --- 3: contexts of one length ----------------------------------------------------------------------------


def shorten(student):
    """Check exercise 3, `shorten(contexts, generator)`, by what it must satisfy. Raises CheckFailed."""
    name, short, long = "shorten", torch.arange(0, 40, 4), torch.arange(1, 21)
    contexts = [short] + [long] * 399  # 10 of the 20 are to be kept in each of 399
    case = "contexts of 10, 20, 20, ... patches (400 images)"

    def run(seed):
        return call(name, student, (contexts, torch.Generator().manual_seed(seed)), case)

    with patience(name):
        got = run(0)
        check_index_tensor(name, case, got, (400, 10))
        for i in (0, 1):
            have, allowed = got[i].tolist(), contexts[i].tolist()
            if not set(have) <= set(allowed):
                hint = (
                    "keep patches of the image's own context; are these positions in the list, not the patches there?"
                )
                fail(name, case, f"image {i}: {have}", f"some of {allowed}", hint)
        for i, row in enumerate(got.tolist()):
            if len(set(row)) < len(row):
                fail(name, case, f"image {i}: {row}", "no patch twice", "draw without replacement: `torch.randperm`")
            if row != sorted(row):
                fail(name, case, f"image {i}: {row}", "rising indices", "sort each row after the choice")
        if (got[1:] == long[:10]).all():
            hint = "you keep the beginning of each list, which is the top of the image: contexts get top-heavy"
            fail(name, case, "the first 10 of 20, for every image", "10 random ones", hint)
        if (got[1:] == got[1]).all():
            hint = "the same choice for every image: draw one permutation per image"
            fail(name, case, "one choice for 399 images", "a choice per image", hint)
        share = torch.bincount(got[1:].flatten(), minlength=21)[1:] / 399  # each is kept in half of the images
        if (share - 0.5).abs().max() > 0.12:
            hint = "every patch of a context must have the same chance: permute the whole list, then keep the first K"
            shown = f"kept in a share of {share.min():.2f} to {share.max():.2f} of the images"
            fail(name, case, shown, "each of 20 patches in about half of them", hint)
        check_generator(name, case, run)
    passed(name, "400 contexts are of one length, level and random")


# --- 4: the masks -----------------------------------------------------------------------------------------


def block_masks(student):
    """Check exercise 4, `block_masks(batch, grid, n_targets, size, context_keep, generator)`. Raises CheckFailed."""
    name, hint = "block_masks", "does every loop end? An image whose targets spread too far needs another way out"
    settings = [
        (250, (8, 8), 4, (3, 4), 12),
        (250, (5, 9), 2, (2, 3), 20),
        (150, (8, 8), 4, (4, 4), 40),  # four targets apart leave 0 to 48 patches: most images need room made
        (2, (2, 2), 1, (1, 1), 3),
    ]
    with patience(name, hint):
        for setting in settings:
            check_masks(name, student, setting)
        case = (3, (4, 4), 1, (3, 3), 8)
        try:
            student(*case, torch.Generator().manual_seed(0))
        except ValueError:
            pass
        except Exception as error:
            fail(name, in_words(case), f"{type(error).__name__}: {error}", "a ValueError", "say what cannot be met")
        else:
            hint = "a block of 9 leaves 7 of 16 patches, 8 are wanted: raise a ValueError before you draw anything"
            fail(name, in_words(case), "an answer", "a ValueError", hint)
    passed(name, f"the contract holds in {len(settings)} settings, and the impossible is refused")


# --- 5: how even is it? -----------------------------------------------------------------------------------


def counted(masks, grid, whole):
    """Coverage that counts a patch of targets [B, M, K_t] once per target, divided by `whole`."""
    n = grid[0] * grid[1]
    both = [torch.bincount(index.flatten(), minlength=n) for index in (masks.context, masks.targets)]
    return both[0].view(grid) / len(masks.context), both[1].view(grid) / whole


def coverage(student):
    """Check exercise 5, `coverage(masks, grid)`. Raises CheckFailed."""
    mistakes = [
        (
            lambda m, g: counted(m, g, len(m.context)),
            "a patch that lies in two targets of one image counts once: mark each image's patches before you add up",
        ),
        (
            lambda m, g: counted(m, g, m.targets.shape[0] * m.targets.shape[1]),
            "a share of the images, so divide by their number B, not by the B * M target blocks",
        ),
        (
            lambda m, g: tuple(c * len(m.context) for c in spec_coverage(m, g)),
            "these are counts: divide by the number of images to get shares",
        ),
        (
            lambda m, g: tuple(c.flatten().view(g[1], g[0]).T.contiguous() for c in spec_coverage(m, g)),
            "patches are numbered along the rows: view(rows, columns)",
        ),
        (lambda m, g: spec_coverage(m, g)[::-1], "the context comes first, then the targets"),
    ]
    advice = "of all images, which share has this patch in its context, and which in at least one target?"
    compare("coverage", student, spec_coverage, COVERAGE, mistakes, advice)
