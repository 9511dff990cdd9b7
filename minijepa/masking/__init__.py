"""What is hidden and what is seen: `blocks` on images, `tubes` in clips, `spans` in series, times and bands of sounds.

Every sampler takes (batch, grid, ..., generator) and returns `Masks`, the token indices of a whole batch. `Curriculum`
goes over from one sampler to another during a run.
"""

from minijepa.masking.blocks import (
    block_masks,
    block_size,
    draw_block_size,
    largest_block,
    place_blocks,
    start_probabilities,
)
from minijepa.masking.curriculum import Curriculum
from minijepa.masking.published import (
    place_published,
    published_block_masks,
    published_block_size,
    published_tube_masks,
)
from minijepa.masking.sampling import Masks, MaskSets, random_masks, random_subset
from minijepa.masking.spans import span_masks
from minijepa.masking.time_frequency import time_frequency_masks
from minijepa.masking.tubes import LONG_RANGE, SHORT_RANGE, causal_masks, random_tubelets, random_tubes, tube_masks

__all__ = [
    "Masks",
    "MaskSets",
    "block_masks",
    "random_masks",
    "random_subset",
    "block_size",
    "draw_block_size",
    "largest_block",
    "place_blocks",
    "start_probabilities",
    "tube_masks",
    "SHORT_RANGE",
    "LONG_RANGE",
    "random_tubes",
    "random_tubelets",
    "causal_masks",
    "span_masks",
    "time_frequency_masks",
    "Curriculum",
    "published_block_masks",
    "published_block_size",
    "place_published",
    "published_tube_masks",
]
