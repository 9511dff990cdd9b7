"""V-JEPA: I-JEPA on clips. Replaced: patches by tubelets, blocks by tubes, the distance by L1; two masks a step.

    clip --> encoder (the tubelets seen) --> predictor, one mask token per set --> prediction of s_y
    clip --> target encoder (all tubelets, no gradient)                        --> s_y in the hidden tubes

Neighbouring frames are alike, so what is hidden must be hidden at all times. Sizes and settings are those of
notebook 08, for minutes on two cores. Source: V-JEPA (arXiv:2404.08471, section 3).

    clips = moving_shapes(4_000, seed=1, size=16, speed=(2.0, 4.0), noise=0.15)
    model = vjepa.model(ViT(img_size=(8, 16, 16), patch_size=vjepa.TUBELET, dim=64, depth=2, heads=2, in_chans=1))
    fit(model, clips, vjepa.masks, steps=320, **vjepa.TRAINING)
"""

from minijepa.jepa import JEPA
from minijepa.losses import l1
from minijepa.masking import MaskSets, tube_masks
from minijepa.predictor import Predictor

NAME = "V-JEPA"
TUBELET = (2, 4, 4)  # frames, rows, columns
GRID = (4, 4, 4)  # of a clip of 8 frames of 16x16 pixels
TRAINING = {
    "batch_size": 32,
    "optimizer": "muon",
    "lr": 8e-3,
    "weight_decay": (0.05, 0.05),
    "momentum": (0.93, 1.0),
}


def model(encoder):
    """A JEPA on clips, with L1 and a mask token for each of two sets of masks. encoder: a ViT over tubelets."""
    predictor = Predictor(encoder.dim, encoder.grid, width=32, depth=2, heads=2, mask_tokens=2)
    return JEPA(encoder, predictor, distance=l1)


def masks(batch, generator=None, grid=GRID):
    """Two sets for one step: four small tubes with 3/8 of the places seen, two large ones with 1/4 seen.

    grid: (times, rows, columns) of tubelets.
    """
    places = grid[1] * grid[2]
    short = {"n_blocks": 4, "scale": (0.15, 0.15), "context_keep": 3 * places // 8}
    long = {"n_blocks": 2, "scale": (0.4, 0.4), "context_keep": places // 4}
    return MaskSets(tuple(tube_masks(batch, grid, **each, generator=generator) for each in (short, long)))
