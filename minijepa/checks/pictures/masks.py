"""Assignment 03: what is asked for beside what came, before the check."""

import torch

from minijepa.checks.picture import target_and_yours
from minijepa.checks.specs.masks import (
    BLOCKS,
    COVERAGE,
    SIZES,
    spec_block_indices,
    spec_block_size,
    spec_coverage,
    spec_shorten,
)
from minijepa.masking.sampling import Masks

# --- 1: one block -----------------------------------------------------------------------------------------


def show_block_indices(student):
    """Draw three blocks on their grids: target and answer."""

    def as_map(answer, top, left, height, width, grid):
        return torch.zeros(grid[0] * grid[1]).scatter(0, answer.flatten(), 1.0).view(grid)

    cases = {f"{h} by {w} on {g[0]} by {g[1]}": (t, le, h, w, g) for t, le, h, w, g in BLOCKS[::2]}
    target_and_yours("block_indices", student, spec_block_indices, cases, as_map)


# --- 2: its size ------------------------------------------------------------------------------------------


def show_block_size(student):
    """Draw four sizes as blocks in the corner of their grids: target and answer."""

    def as_map(answer, grid, scale, aspect):
        picture = torch.zeros(grid)
        picture[: answer[0], : answer[1]] = 1
        return picture

    cases = {f"scale {s}, aspect {a}": (g, s, a) for g, s, a in (SIZES[1], SIZES[2], SIZES[4], SIZES[5])}
    target_and_yours("block_size", student, spec_block_size, cases, as_map)


# --- 3: contexts of one length --------------------------------------------------------------------------


def show_shorten(student):
    """Draw 8 shortened contexts, and the mean of 400, for contexts of 20 patches cut to 10: target and answer."""
    contexts = [torch.arange(0, 20, 2)] + [torch.arange(20)] * 400

    def as_map(answer, contexts, generator):
        kept = torch.zeros(len(contexts), 20).scatter(1, answer, 1.0)[1:]  # [400, 20], without the shortest
        return kept[:8] if len(contexts) == 9 else kept.mean(dim=0)

    cases = {
        "8 images, a row each": (contexts[:9], torch.Generator().manual_seed(0)),
        "mean of 400 images": (contexts, torch.Generator().manual_seed(0)),
    }
    see = "left nothing shows, since the choice is random; right every patch should be kept about equally often."
    target_and_yours("shorten", student, spec_shorten, cases, as_map, see, limits=(0, 1))


# --- 4: the masks -----------------------------------------------------------------------------------------


def draw_masks(answer, batch, grid, *rest):
    """The first image as a map: 0 in neither, 1 in the context, 2 in one target, 3 in several."""
    times = torch.bincount(answer.targets[0].flatten(), minlength=grid[0] * grid[1])
    return torch.where(times > 0, times.clamp(max=2) + 1, 0).scatter(0, answer.context[0], 1).view(grid)


def show_block_masks(student):
    """Draw one mask of the package and one of the student's for two settings: alike in kind, not in place."""
    from minijepa.masking.blocks import place_blocks

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


def show_coverage(student):
    """Draw the coverage of some masks, context beside targets: target and answer."""
    cases = {"7 images on 4 by 4": COVERAGE[1], "20 images on 5 by 3": COVERAGE[2]}
    target_and_yours(
        "coverage", student, spec_coverage, cases, lambda answer, masks, grid: torch.cat(list(answer), dim=1)
    )
