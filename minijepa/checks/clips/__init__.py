"""Assignment 08: tubelets, masks of tubes, and the leak through time that random masks allow."""

from minijepa.checks.clips.clip_loss import clip_loss, show_clip_loss
from minijepa.checks.clips.leak import leak, show_leak, spec_leak
from minijepa.checks.clips.tube_indices import show_tube_indices, tube_indices
from minijepa.checks.clips.tube_masks import show_tube_masks, tube_masks
from minijepa.checks.clips.tubelets import show_tubelets, tubelets

__all__ = ["tubelets", "tube_indices", "tube_masks", "leak", "clip_loss", "spec_leak"]
__all__ += ["show_tubelets", "show_tube_indices", "show_tube_masks", "show_leak", "show_clip_loss"]
