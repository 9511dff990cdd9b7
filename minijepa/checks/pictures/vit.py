"""Assignment 02: what is asked for beside what came, before the check."""

import torch

from minijepa.checks.picture import target_and_yours
from minijepa.checks.specs.vit import (
    ATTENTION,
    HEADS,
    IMAGES,
    KEPT,
    POSITIONS,
    spec_attention,
    spec_embed_kept,
    spec_patchify,
    spec_positions_2d,
    spec_sincos,
    spec_split_heads,
)

# --- 1: patches -------------------------------------------------------------------------------------------


def show_patchify(student):
    """Draw two images cut into patches, a row per patch: target and answer."""
    target_and_yours("patchify", student, spec_patchify, {"4 by 4, p = 2": IMAGES[0], "3 channels": IMAGES[4]})


# --- 2: one axis of positions -----------------------------------------------------------------------------


def show_sincos(student):
    """Draw two tables of positions, a row per position: target and answer."""
    cases = {"8 positions, width 16": POSITIONS[1], "32 positions, width 32": (torch.arange(32), 32)}
    target_and_yours("sincos", student, spec_sincos, cases)


# --- 3: two axes ------------------------------------------------------------------------------------------


def show_positions_2d(student):
    """Draw the inner products of patch 27 of an 8 by 8 grid with all others: target and answer."""

    def nearness(answer, grid, dim):
        return (answer @ answer[grid[0] * grid[1] // 2 - 5]).view(grid)

    cases = {"8 by 8, width 16": ((8, 8), 16), "8 by 8, width 64": ((8, 8), 64), "5 by 9": ((5, 9), 64)}
    see = "how near each patch is to one of them, measured by the tables alone; both rows should be alike."
    target_and_yours("positions_2d", student, spec_positions_2d, cases, nearness, see)


# --- 4: attention -----------------------------------------------------------------------------------------


def show_attention(student):
    """Draw what attention makes of three sets of tokens: target and answer."""
    cases = {"4 tokens of 4": ATTENTION[0], "6 queries, 3 keys": ATTENTION[2], "width 8": ATTENTION[3]}
    target_and_yours("attention", student, spec_attention, cases)


# --- 5: heads ---------------------------------------------------------------------------------------------


def show_split_heads(student):
    """Draw the features of two inputs by head and token: target and answer."""
    cases = {"2 heads, 2 tokens": HEADS[0], "3 heads, 5 tokens": (torch.arange(60.0).view(1, 5, 12), 3)}
    target_and_yours("split_heads", student, spec_split_heads, cases)


# --- 6: only what is kept ---------------------------------------------------------------------------------


def show_embed_kept(student):
    """Draw kept tokens with their positions: target and answer."""
    target_and_yours("embed_kept", student, spec_embed_kept, {"2 of 4": KEPT[0], "4 of 9, three images": KEPT[1]})
