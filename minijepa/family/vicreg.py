"""VICReg: equal views, features that vary, features that differ. Replaced: prediction, and telling images apart.

    loss = 25 |z_1 - z_2|^2 + 25 (each feature keeps a standard deviation of 1) + (no two features are correlated)

No negatives and no target encoder: two terms over the batch keep it from collapsing. The loss is
minijepa.losses.vicreg, as the regulariser of JEPA uses its terms too. Source: VICReg (arXiv:2105.04906).

    model = vicreg.model(ViT.nano(img_size=32, patch_size=4))
    fit(model, course_data()[0], steps=400, **vicreg.TRAINING)
"""

from minijepa import losses
from minijepa.family.two_views import TwoViews, two_views
from minijepa.training import recipe

NAME = "VICReg"
TRAINING = {**recipe.TRAINING, "augment": two_views, "batch_size": 128}
masks = None


def model(encoder):
    """Two views and VICReg's three terms on a projector 256 wide. encoder: a ViT."""
    return TwoViews(encoder, losses.vicreg, width=256)
