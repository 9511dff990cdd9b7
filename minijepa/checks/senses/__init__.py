"""Assignment 24: an embedder, masks and a contrast for another sense, and a fair count of its hits."""

from minijepa.checks.senses.embed_pieces import embed_pieces, show_embed_pieces
from minijepa.checks.senses.hard_batches import hard_batches, show_hard_batches
from minijepa.checks.senses.mel_bands import mel_bands, show_mel_bands
from minijepa.checks.senses.pair_loss import pair_loss, show_pair_loss
from minijepa.checks.senses.shared_recall import shared_recall, show_shared_recall
from minijepa.checks.senses.span_masks import show_span_masks, span_masks

__all__ = ["embed_pieces", "mel_bands", "span_masks", "hard_batches", "pair_loss", "shared_recall"]
__all__ += ["show_embed_pieces", "show_mel_bands", "show_span_masks"]
__all__ += ["show_hard_batches", "show_pair_loss", "show_shared_recall"]
