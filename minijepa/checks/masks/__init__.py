"""Assignment 03: blocks of patches, and a mask sampler that always ends, reaches every patch and leaks nothing."""

from minijepa.checks.masks.block_indices import block_indices, show_block_indices
from minijepa.checks.masks.block_masks import block_masks, show_block_masks
from minijepa.checks.masks.block_size import block_size, show_block_size
from minijepa.checks.masks.coverage import coverage, show_coverage
from minijepa.checks.masks.shorten import shorten, show_shorten

__all__ = ["block_indices", "block_size", "shorten", "block_masks", "coverage"]
__all__ += ["show_block_indices", "show_block_size", "show_shorten", "show_block_masks", "show_coverage"]
