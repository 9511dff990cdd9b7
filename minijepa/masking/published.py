"""The published mask samplers, as they behave: I-JEPA's with three biases and an endless loop, V-JEPA's with one bias.

A notebook compares them with `block_masks` and `tube_masks`; nothing trains on them by default. They are written from a
description of the released code (github.com/facebookresearch/ijepa, src/masks/multiblock.py, and jepa,
src/masks/multiblock3d.py), not from its lines. I-JEPA, on images:

1. The first bias: a block never touches the last row or column (starts are drawn from an exclusive range, and a
   side as long as the grid is reduced by one), and a context block of .85-1 is always the same one, at the top left.
2. The second: contexts and targets are truncated to the shortest of the batch by keeping the *first* patches of a
   row-major list, so contexts lie at the top of the image, the more so the larger the batch.
3. The third: one random number decides scale and aspect together, so larger blocks are always taller.
And a block with `min_keep` patches or fewer is rejected and drawn again forever: on an 8x8 grid with the published
settings about every second batch hangs. Here that is a ValueError.
V-JEPA, on clips: contexts and targets are truncated to the shortest of the batch at the *end* of lists sorted by (time,
row, column), so the latest frames are lost, the more the larger the batch. Scale and aspect are drawn independently
there, and blocks reach the borders.
"""

import torch


def published_block_masks(
    batch,
    grid,
    n_targets=4,
    target_scale=(0.15, 0.2),
    target_aspect=(0.75, 1.5),
    context_scale=(0.85, 1.0),
    min_keep=10,
    generator=None,
):
    """Sample masks of images as the released code does. Arguments as in `block_masks`; min_keep: patches, exclusive.

    Returns (context [B, K_c], targets [B, M, K_t]), int64. When an image finds no context in 20 tries, one target
    after the other is no longer kept out of it, as published, so a context can then overlap a target.
    Raises ValueError where the released code would loop forever.
    """
    size = published_block_size(grid, target_scale, target_aspect, generator)
    context_size = published_block_size(grid, context_scale, (1.0, 1.0), generator)
    for name, (h, w) in (("target", size), ("context", context_size)):
        if h * w <= min_keep:
            raise ValueError(
                f"the published sampler would loop forever: a {name} block of {h}x{w} = {h * w} patches was drawn on "
                f"a {grid[0]}x{grid[1]} grid and more than min_keep = {min_keep} are required. "
                f"Use a larger grid, a smaller min_keep, or published=False"
            )
    contexts, targets = [], []
    for _ in range(batch):
        blocks = [place_published(grid, size, generator) for _ in range(n_targets)]
        contexts.append(place_context(grid, context_size, blocks, min_keep, generator))
        targets.append(blocks)
    targets = torch.tensor([[sorted(block) for block in blocks] for blocks in targets])  # [B, M, K_t]
    return first_of_each(contexts), targets  # the patches that stay are those of the upper rows


def published_block_size(grid, scale, aspect, generator=None):
    """(h, w) of a block: one random number for area and aspect, sides strictly shorter than the grid's."""
    u = torch.rand(1, generator=generator).item()
    h, w = published_sides(grid, scale, aspect, u, u)
    return min(h, grid[0] - 1), min(w, grid[1] - 1)


def published_sides(grid, scale, aspect, u, v):
    """(h, w) of a block before it is fitted to the grid, from uniform numbers u (area) and v (aspect)."""
    area = int(grid[0] * grid[1] * (scale[0] + u * (scale[1] - scale[0])))
    ratio = aspect[0] + v * (aspect[1] - aspect[0])
    return round((area * ratio) ** 0.5), round((area / ratio) ** 0.5)


def place_published(grid, size, generator=None):
    """The patches of a block at a random place, as a set; the last possible place is never drawn."""
    top = torch.randint(0, grid[0] - size[0], (1,), generator=generator).item()
    left = torch.randint(0, grid[1] - size[1], (1,), generator=generator).item()
    return {row * grid[1] + column for row in range(top, top + size[0]) for column in range(left, left + size[1])}


def place_context(grid, size, blocks, min_keep, generator=None):
    """A context block without the targets; after every 20 failures one more target is allowed to stay in it."""
    tries = 0
    while True:
        forbidden = set().union(*blocks[: max(len(blocks) - tries // 20, 0)])
        context = place_published(grid, size, generator) - forbidden
        if len(context) > min_keep:
            return context
        tries += 1


def first_of_each(lists):
    """Sorted lists of token indices, truncated at the end to the length of the shortest: int64 [B, K]."""
    shortest = min(map(len, lists))
    return torch.tensor([sorted(one)[:shortest] for one in lists])


# --- clips ---


def published_tube_masks(batch, grid, n_blocks, scale, aspect, generator=None):
    """Sample masks of clips as the released code does. Arguments as in `tube_masks`.

    Returns (context [B, K_c], targets [B, 1, K_t]), int64, sorted, the first K of each clip's list.
    Raises ValueError when a clip finds no non-empty context in 100 tries (the released code tries forever).
    """
    times, rows, columns = grid
    h, w = published_sides((rows, columns), scale, aspect, *torch.rand(2, generator=generator).tolist())
    h, w = min(max(1, h), rows), min(max(1, w), columns)
    contexts, targets = [], []
    for _ in range(batch):
        for _ in range(100):
            hidden = torch.zeros(grid, dtype=torch.bool)
            for _ in range(n_blocks):
                # a start is drawn along the time axis too, where a block as long as the clip has only one
                ends = 1, rows - h + 1, columns - w + 1
                _, r, c = (torch.randint(0, end, (1,), generator=generator).item() for end in ends)
                hidden[:, r : r + h, c : c + w] = True
            if not hidden.all():
                break
        else:
            raise ValueError(
                f"the published sampler would loop forever: {n_blocks} blocks of {times}x{h}x{w} tubelets cover the "
                f"whole {times}x{rows}x{columns} grid. Use a larger grid, a smaller scale, or published=False"
            )
        contexts.append((~hidden).flatten().nonzero()[:, 0].tolist())
        targets.append(hidden.flatten().nonzero()[:, 0].tolist())
    # the tokens that stay are those of the first frames
    return first_of_each(contexts), first_of_each(targets).unsqueeze(1)
