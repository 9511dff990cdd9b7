"""A-JEPA: I-JEPA on spectrograms. Replaced: the masks, which go over from random blocks to whole times or bands.

    sound --> log-mel picture --> encoder (what is seen) --> predictor --> prediction of s_y
    sound --> log-mel picture --> target encoder (all of it, no gradient) --> s_y in the hidden blocks, times or bands

With probability f(step), which grows during the run, a batch gets the harder masks. Sizes and settings are for sounds
of one second and minutes on two cores: 4 x 8 patches where the paper has 8 x 64, two targets where it has three or
four, the course's optimiser and its light variance-covariance regulariser. The paper fine-tunes with masked attention;
that is left out. Not to be confused with Audio-JEPA (arXiv:2507.02915), which hides random patches.
Source: A-JEPA (arXiv:2311.15830, section 3).

    sounds = log_mel_data(at_random_times(course_sound()))
    model = a_jepa.model(ViT(img_size=(32, 64), patch_size=8, dim=64, depth=3, heads=4, in_chans=1))
    fit(model, sounds, a_jepa.curriculum(300), steps=300, **a_jepa.TRAINING)
"""

import torch

from minijepa.masking import Curriculum, block_masks, time_frequency_masks
from minijepa.training import recipe

NAME = "A-JEPA"
GRID = (4, 8)  # 32 bands x 64 frames in patches of 8x8
SEEN = 10  # patches of the context, of 32
model = recipe.model


def random_blocks(batch, generator=None):
    """The easy masks: two blocks of 2 bands x 4 times each, a quarter of the picture, 10 patches outside them seen."""
    return block_masks(
        batch,
        GRID,
        n_targets=2,
        target_scale=(0.25, 0.25),
        target_aspect=(0.5, 0.5),
        context_scale=(1.0, 1.0),
        context_keep=SEEN,
        generator=generator,
    )


def time_frequency(batch, generator=None):
    """The hard masks: two moments, or two bands, of a quarter of the picture each, 10 patches outside them seen."""
    return time_frequency_masks(
        batch, GRID, n_targets=2, target_scale=(0.25, 0.25), context_keep=SEEN, generator=generator
    )


masks = time_frequency


def curriculum(steps, inverse=False):
    """From random blocks to whole times and bands in so many steps, or with inverse=True the other way round."""
    easy, hard = (time_frequency, random_blocks) if inverse else (random_blocks, time_frequency)
    return Curriculum(easy, hard, steps)


def any_time(x, generator=None):
    """Turn each picture of a batch round in time, as a ring: the sound begins anywhere. x: [B, 1, mel, T], the same."""
    shift = torch.randint(x.shape[-1], (len(x), 1, 1, 1), generator=generator)  # [B, 1, 1, 1]
    source = (torch.arange(x.shape[-1]) + shift) % x.shape[-1]  # [B, 1, 1, T]
    return x.gather(3, source.to(x.device).expand(x.shape))


TRAINING = {
    "batch_size": 64,
    "optimizer": "muon",
    "lr": 3e-3,
    "weight_decay": (0.1, 0.1),
    "momentum": (0.95, 1.0),
    "augment": any_time,
}
