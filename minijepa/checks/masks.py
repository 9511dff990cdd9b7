"""Assignment 03: blocks of patches, and masks that always end, reach every patch and leak nothing."""

import torch

from minijepa.checks.picture import target_and_yours
from minijepa.checks.report import call, compare, fail, passed, patience
from minijepa.checks.values import describe
from minijepa.masking import Masks

# --- 1: one block -----------------------------------------------------------------------------------------


def spec_block_indices(top, left, height, width, grid):
    """Patch by patch: is it in the block? Its index is counted along the rows. Returns int64 [height * width]."""
    inside = []
    for row in range(grid[0]):
        for column in range(grid[1]):
            if top <= row < top + height and left <= column < left + width:
                inside.append(row * grid[1] + column)
    return torch.tensor(inside, dtype=torch.int64)


def patches(top, left, height, width, step, extra=0):
    """A block's indices by a stride `step` per row, `extra` patches too long on both sides: wrong where these are."""
    rows, columns = torch.arange(top, top + height + extra), torch.arange(left, left + width + extra)
    return (rows[:, None] * step + columns).flatten()


BLOCKS = [(1, 2, 3, 2, (4, 4)), (0, 0, 1, 1, (3, 5)), (2, 0, 2, 5, (4, 7)), (0, 3, 4, 2, (6, 5)), (5, 5, 3, 3, (8, 8))]


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


def show_block_indices(student):
    """Draw three blocks on their grids: target and answer."""

    def as_map(answer, top, left, height, width, grid):
        return torch.zeros(grid[0] * grid[1]).scatter(0, answer.flatten(), 1.0).view(grid)

    cases = {f"{h} by {w} on {g[0]} by {g[1]}": (t, le, h, w, g) for t, le, h, w, g in BLOCKS[::2]}
    target_and_yours("block_indices", student, spec_block_indices, cases, as_map)


# --- 2: its size ------------------------------------------------------------------------------------------


def spec_block_size(grid, scale, aspect):
    """(h, w): of all heights the one nearest to sqrt(area * aspect), then of all widths the nearest to area / h."""
    area = scale * grid[0] * grid[1]
    height = min(range(1, grid[0] + 1), key=lambda h: abs(h - (area * aspect) ** 0.5))
    width = min(range(1, grid[1] + 1), key=lambda w: abs(w - area / height))
    return height, width


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


SIZES = [
    ((8, 8), 0.2, 1.0),
    ((8, 8), 0.17, 1.5),
    ((8, 8), 0.17, 0.7),
    ((14, 14), 0.15, 0.75),
    ((14, 10), 0.19, 1.4),
    ((3, 12), 0.4, 1.5),
    ((4, 4), 0.02, 1.0),
    ((4, 4), 1.0, 1.2),
]


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


def show_block_size(student):
    """Draw four sizes as blocks in the corner of their grids: target and answer."""

    def as_map(answer, grid, scale, aspect):
        picture = torch.zeros(grid)
        picture[: answer[0], : answer[1]] = 1
        return picture

    cases = {f"scale {s}, aspect {a}": (g, s, a) for g, s, a in (SIZES[1], SIZES[2], SIZES[4], SIZES[5])}
    target_and_yours("block_size", student, spec_block_size, cases, as_map)


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


def in_words(setting):
    """One setting of exercise 4, as a call."""
    batch, grid, n_targets, size, context_keep = setting
    return f"block_masks({batch}, {grid}, n_targets={n_targets}, size={size}, context_keep={context_keep}, generator)"


def check_masks(name, student, setting):
    """The contract of exercise 4 for one setting; fails with the first clause that is broken."""
    batch, grid, n_targets, size, context_keep = setting
    case, n = in_words(setting), grid[0] * grid[1]

    def run(seed):
        masks = call(name, student, (*setting, torch.Generator().manual_seed(seed)), case)
        if not isinstance(masks, Masks):
            fail(name, case, describe(masks), "Masks", "return Masks(context, targets)")
        return masks

    masks = run(0)
    check_index_tensor(name, case + ".context", masks.context, (batch, context_keep))
    check_index_tensor(name, case + ".targets", masks.targets, (batch, n_targets, size[0] * size[1]))
    for what, index in (("context", masks.context), ("targets", masks.targets)):
        if index.min() < 0 or index.max() >= n:
            shown = f"{what} from {int(index.min())} to {int(index.max())}"
            fail(name, case, shown, f"0 to {n - 1}", "a block hangs over the edge: where may it start?")
        if (index.diff(dim=-1) <= 0).any():
            fail(name, case, f"{what} that do not rise", "rising indices, none twice", "sort the last axis")
    places = {}
    for i, blocks in enumerate(masks.targets.tolist()):
        for block in blocks:
            top, left = divmod(block[0], grid[1])
            if block != spec_block_indices(top, left, *size, grid).tolist():
                hint = (
                    "row r of the block starts r * columns further; is the width smaller than what is left of the row?"
                )
                fail(name, case, f"image {i}: target {block}", f"a rectangle of {size[0]} by {size[1]} patches", hint)
            places[(top, left)] = places.get((top, left), 0) + 1
        seen, asked = set(masks.context[i].tolist()), {j for block in blocks for j in block}
        if seen & asked:
            hint = "the answer leaks: take ALL target blocks out of what the context is drawn from"
            fail(name, case, f"image {i}: context and targets share {sorted(seen & asked)}", "nothing shared", hint)
    check_spread(name, case, masks, setting, places)
    check_generator(name, case, run, lambda masks: torch.cat([masks.context.flatten(), masks.targets.flatten()]))


def check_spread(name, case, masks, setting, places):
    """Are the places of targets [B, M, K_t] and the patches of context [B, K_c] random, for each image?"""
    batch, grid, n_targets, size, context_keep = setting
    if batch < 100:
        return
    if (masks.targets == masks.targets[:1]).all():
        fail(name, case, "the same targets in every image", "places drawn for each image", "draw `batch` places")
    crowded = n_targets * size[0] * size[1] > grid[0] * grid[1] - context_keep
    if n_targets > 1 and (masks.targets == masks.targets[:, :1]).all() and not crowded:
        fail(name, case, "the same place for all targets of an image", "a place per target", "draw n_targets places")
    legal = {(r, c) for r in range(grid[0] - size[0] + 1) for c in range(grid[1] - size[1] + 1)}
    missing = legal - set(places)
    if missing and not crowded:
        last = all(r == grid[0] - size[0] or c == grid[1] - size[1] for r, c in missing)
        hint = "`torch.randint` leaves out its upper end: there are rows - height + 1 places along an axis"
        hint = hint if last else "every legal place must have its chance"
        fail(name, case, f"no block of {batch * n_targets} starts at {sorted(missing)[:3]}", "all legal places", hint)
    free_rank = []
    for context, blocks in zip(masks.context.tolist(), masks.targets.tolist(), strict=True):
        free = sorted(set(range(grid[0] * grid[1])) - {j for block in blocks for j in block})
        if len(free) >= context_keep + 4:
            chosen = set(context)
            free_rank += [free[0] in chosen, free[-1] in chosen]
    if free_rank:
        first, last = sum(free_rank[::2]) / len(free_rank[::2]), sum(free_rank[1::2]) / len(free_rank[1::2])
        if abs(first - last) > 0.3:
            hint = "shorten contexts at random: cutting a sorted list takes away one end of the image"
            shown = f"the first free patch is kept in {first:.0%} of the images, the last in {last:.0%}"
            fail(name, case, shown, "about equally often", hint)


def draw_masks(answer, batch, grid, *rest):
    """The first image as a map: 0 in neither, 1 in the context, 2 in one target, 3 in several."""
    times = torch.bincount(answer.targets[0].flatten(), minlength=grid[0] * grid[1])
    return torch.where(times > 0, times.clamp(max=2) + 1, 0).scatter(0, answer.context[0], 1).view(grid)


def show_block_masks(student):
    """Draw one mask of the package and one of the student's for two settings: alike in kind, not in place."""
    from minijepa.masking import place_blocks

    def one_target(batch, grid, n_targets, size, context_keep, generator):
        targets = place_blocks(batch * n_targets, grid, size, generator).view(batch, n_targets, -1)  # [B, M, h w]
        marks = torch.rand(batch, grid[0] * grid[1], generator=generator).scatter(1, targets.flatten(1), -1.0)
        return Masks(marks.topk(context_keep, dim=1).indices.sort(dim=1).values, targets)

    def case(*setting):
        return (*setting, torch.Generator().manual_seed(3))

    cases = {
        "one target of 4 by 4": case(1, (8, 8), 1, (4, 4), 20),
        "three targets of 2 by 3": case(1, (8, 8), 3, (2, 3), 20),
    }
    see = "dark: in neither; blue: context; green: a target; yellow: in two targets. Places are random, so they differ."
    target_and_yours("block_masks", student, one_target, cases, draw_masks, see, limits=(0, 3))


# --- 5: how even is it? -----------------------------------------------------------------------------------


def spec_coverage(masks, grid):
    """Image by image and patch by patch: in the context, in at least one target? Two float maps [rows, columns]."""
    n = grid[0] * grid[1]
    context, target = torch.zeros(n), torch.zeros(n)
    for i in range(len(masks.context)):
        for patch in range(n):
            context[patch] += bool((masks.context[i] == patch).any()) / len(masks.context)
            target[patch] += bool((masks.targets[i] == patch).any()) / len(masks.context)
    return context.view(grid), target.view(grid)


def counted(masks, grid, whole):
    """Coverage that counts a patch of targets [B, M, K_t] once per target, divided by `whole`."""
    n = grid[0] * grid[1]
    both = [torch.bincount(index.flatten(), minlength=n) for index in (masks.context, masks.targets)]
    return both[0].view(grid) / len(masks.context), both[1].view(grid) / whole


def some_masks(batch, grid, seed):
    """Masks with two random targets of 4 patches that may overlap; context [B, 3], targets [B, 2, 4]."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.rand(batch, 2, grid[0] * grid[1], generator=generator).argsort(dim=2)  # [B, 2, N]
    order[:, 1, :2] = order[:, 0, :2]  # two patches are always in both targets
    marks = torch.rand(batch, grid[0] * grid[1], generator=generator).scatter(1, order[:, :, :4].flatten(1), -1.0)
    return Masks(marks.topk(3, dim=1).indices.sort(dim=1).values, order[:, :, :4].sort(dim=2).values)


COVERAGE = [(some_masks(1, (3, 4), 0), (3, 4)), (some_masks(7, (4, 4), 1), (4, 4)), (some_masks(20, (5, 3), 2), (5, 3))]


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


def show_coverage(student):
    """Draw the coverage of some masks, context beside targets: target and answer."""
    cases = {"7 images on 4 by 4": COVERAGE[1], "20 images on 5 by 3": COVERAGE[2]}
    target_and_yours(
        "coverage", student, spec_coverage, cases, lambda answer, masks, grid: torch.cat(list(answer), dim=1)
    )


# --- shared -----------------------------------------------------------------------------------------------


def check_index_tensor(name, case, index, shape):
    """`index` must be an int64 tensor [B, ...] of this shape; fails with CheckFailed if not."""
    if not isinstance(index, torch.Tensor):
        fail(name, case, describe(index), f"an int64 tensor {list(shape)}", "lists of one length: `torch.stack` them")
    if index.dtype != torch.int64:
        fail(name, case, f"{index.dtype}", "torch.int64", "indices are whole numbers: dtype=torch.int64")
    if index.shape != shape:
        fail(name, case, f"shape {list(index.shape)}", f"shape {list(shape)}", "how many are to be kept, and of what?")


def check_generator(name, case, run, numbers=lambda answer: answer):
    """All randomness of `run(seed)` must come from the generator, and must come from it."""
    before = torch.get_rng_state()
    first, again, other = (numbers(run(seed)) for seed in (0, 0, 1))
    if not torch.equal(torch.get_rng_state(), before) or not torch.equal(first, again):
        hint = "give `generator=generator` to every torch.rand, randint and randperm"
        fail(name, case, "two answers from one seed", "the same answer from the same seed", hint)
    if torch.equal(first, other):
        fail(name, case, "one answer from two seeds", "another seed, other places", "use the generator you were given")
