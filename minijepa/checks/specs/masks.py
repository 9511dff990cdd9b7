"""Assignment 03: what is asked for, by the slowest way that is obviously right, and the cases that are tried."""

import torch

from minijepa.masking.sampling import Masks

# --- 1: one block -----------------------------------------------------------------------------------------


def spec_block_indices(top, left, height, width, grid):
    """Patch by patch: is it in the block? Its index is counted along the rows. Returns int64 [height * width]."""
    inside = []
    for row in range(grid[0]):
        for column in range(grid[1]):
            if top <= row < top + height and left <= column < left + width:
                inside.append(row * grid[1] + column)
    return torch.tensor(inside, dtype=torch.int64)


BLOCKS = [(1, 2, 3, 2, (4, 4)), (0, 0, 1, 1, (3, 5)), (2, 0, 2, 5, (4, 7)), (0, 3, 4, 2, (6, 5)), (5, 5, 3, 3, (8, 8))]


# --- 2: its size ------------------------------------------------------------------------------------------


def spec_block_size(grid, scale, aspect):
    """(h, w): of all heights the one nearest to sqrt(area * aspect), then of all widths the nearest to area / h."""
    area = scale * grid[0] * grid[1]
    height = min(range(1, grid[0] + 1), key=lambda h: abs(h - (area * aspect) ** 0.5))
    width = min(range(1, grid[1] + 1), key=lambda w: abs(w - area / height))
    return height, width


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


# --- 3: contexts of one length --------------------------------------------------------------------------


def spec_shorten(contexts, generator):
    """Context by context: throw patches away, one at a time, until all are as long as the shortest. int64 [B, K]."""
    shortest, rows = min(len(context) for context in contexts), []
    for context in contexts:
        left = context.tolist()
        while len(left) > shortest:
            left.pop(int(torch.randint(len(left), (1,), generator=generator)))
        rows.append(left)
    return torch.tensor(rows)


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


def some_masks(batch, grid, seed):
    """Masks with two random targets of 4 patches that may overlap; context [B, 3], targets [B, 2, 4]."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.rand(batch, 2, grid[0] * grid[1], generator=generator).argsort(dim=2)  # [B, 2, N]
    order[:, 1, :2] = order[:, 0, :2]  # two patches are always in both targets
    marks = torch.rand(batch, grid[0] * grid[1], generator=generator).scatter(1, order[:, :, :4].flatten(1), -1.0)
    return Masks(marks.topk(3, dim=1).indices.sort(dim=1).values, order[:, :, :4].sort(dim=2).values)


COVERAGE = [(some_masks(1, (3, 4), 0), (3, 4)), (some_masks(7, (4, 4), 1), (4, 4)), (some_masks(20, (5, 3), 2), (5, 3))]
