"""Two targets: one predictor answers with latents and with pixels, and reads every layer of the context encoder.

    x --> context encoder (a quarter of the patches) --> [LN(h_1), ..., LN(h_L)] --> predictor --> prediction of s_y
    x --> target encoder (all patches, no gradient)  --> s_y = [LayerNorm(h_L), pixels normalised per patch]
    loss = smooth-L1 on latents + L2 on pixels + .03 (V + C)(pooled h_L)

Pixels are a target from the first step on, when a target encoder still knows nothing; latents leave out what nobody can
predict. A predictor that sees the last layer alone makes it carry whatever either target needs; this one finds details
in the early layers and leaves the last one free. `model(encoder, latents=False)` is MAE with these two levers, and
`pixels=False` is I-JEPA with MAE's masks and one of them: the table `levers` compares all, in equal time.
Sources: targets and masks I-JEPA (arXiv:2301.08243) and MAE (arXiv:2111.06377); several layers into the predictor
V-JEPA 2.1 (arXiv:2603.14482); the regulariser is the recipe's. The combination is ours.

    model = two_targets.model(ViT.nano(img_size=32, patch_size=4))
    fit(model, course_data()[0], two_targets.masks, steps=1000, **two_targets.TRAINING)
"""

import torch

from minijepa.ema import EMATeacher
from minijepa.family import mae
from minijepa.family.bootleg import several
from minijepa.family.mae import PixelTeacher
from minijepa.jepa import JEPA
from minijepa.losses import l2, smooth_l1
from minijepa.predictor import Predictor
from minijepa.training import recipe

NAME = "latents and pixels"
TRAINING = recipe.TRAINING
masks = mae.masks


class LatentsAndPixels(EMATeacher):
    """The target encoder's last layer and the pixels of each patch, one after the other.

    encoder: the context encoder, copied at once. `self.dim` is the width of the targets, D + values of a patch.
    """

    def __init__(self, encoder):
        super().__init__(encoder)
        self.pixels = PixelTeacher(encoder)
        self.dim = encoder.dim + self.pixels.dim

    @torch.no_grad()
    def forward(self, x):
        """x: [B, C, H, W] -> [B, N, D + values]."""
        return torch.cat([super().forward(x), self.pixels(x)], dim=-1)


class TwoTargets(JEPA):
    """A JEPA whose predictor reads every layer and answers with latents, pixels or both.

    encoder: a ViT. latents, pixels: which targets. weight: of the regulariser on the pooled last layer.
    every_layer: False gives the predictor the last layer alone, as in I-JEPA and MAE.
    Raises ValueError without any target.
    """

    def __init__(self, encoder, latents=True, pixels=True, every_layer=True, weight=recipe.WEIGHT):
        if not (latents or pixels):
            raise ValueError("there must be a target: latents=True, pixels=True or both")
        teacher = (LatentsAndPixels if latents and pixels else EMATeacher if latents else PixelTeacher)(encoder)
        width = encoder.dim * (len(encoder.blocks) if every_layer else 1)
        predictor = Predictor(width, encoder.grid, width=48, depth=2, heads=3, out_dim=teacher.dim)
        super().__init__(encoder, predictor, teacher, weight=weight)
        self.every_layer, self.latent_width = every_layer, encoder.dim if latents else 0

    def predict(self, x, masks, **which):
        """s_x [B, K_c, D], and what the model expects at the targets, [B, M, K_t, width of the targets]."""
        if not self.every_layer:
            return super().predict(x, masks, **which)
        layers = self.encoder.layers(x, keep=masks.context)  # each [B, K_c, D]
        return layers[-1], self.predictor(several(layers, len(layers)), masks, **which)

    def energy(self, prediction, target):
        """Smooth L1 on latents plus L2 on pixels, where there are such: two times [B, M, K_t, width] -> [B, M, K_t]."""
        prediction, target, cut = prediction.float(), target.float(), self.latent_width
        energy = 0.0
        if cut:
            energy = smooth_l1(prediction[..., :cut], target[..., :cut])
        if cut < target.shape[-1]:
            energy = energy + l2(prediction[..., cut:], target[..., cut:])
        return energy


def model(encoder, **choices):
    """Both targets, every layer read, the recipe's regulariser. encoder: a ViT; choices: as in TwoTargets."""
    return TwoTargets(encoder, **choices)
