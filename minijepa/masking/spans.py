"""Which piece of a series is hidden: spans of neighbouring tokens, the blocks of one axis.

A series is a grid with a single row, so all guarantees of `block_masks` hold: the sampler ends, no target is in the
context, every token is reached about equally often.
"""

from minijepa.masking.blocks import block_masks


def span_masks(
    batch,
    length,
    *,
    n_targets=4,
    target_scale=(0.15, 0.2),
    context_scale=(0.85, 1.0),
    target_keep=None,
    context_keep=None,
    generator=None,
):
    """Sample M spans to predict and a span to see, from which they are removed: multi-block masks of one axis.

    batch: series B.
    length: tokens N of each, at least 2.
    n_targets, target_scale, context_scale, target_keep, context_keep: as in `block_masks`, with spans for blocks.
    Returns Masks, context [B, K_c] and targets [B, M, K_t], on the CPU.
    Raises ValueError if the request cannot be met for some size that may be drawn.
    """
    return block_masks(
        batch,
        (1, length),
        n_targets=n_targets,
        target_scale=target_scale,
        target_aspect=(1.0, 1.0),
        context_scale=context_scale,
        target_keep=target_keep,
        context_keep=context_keep,
        generator=generator,
    )
