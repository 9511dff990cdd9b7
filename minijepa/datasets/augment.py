"""Random resized crop and flip, each image its own, the whole batch in one call on any device.

I-JEPA needs no colour changes and no second view; a crop is the one augmentation that it uses. torchvision's
transform draws one crop per call, so a batch would need a Python loop; here the crop is a sampling grid per image.
"""

import torch
from torch.nn import functional as F


def crop_flip(x, generator=None, scale=(0.3, 1.0), aspect=(0.75, 4 / 3), flip=True, rows_of=None):
    """Crop a random rectangle from each image, resize it back (bilinear), mirror it with probability 1/2.

    x: float [B, C, H, W]. scale: share of the area, (low, high) in (0, 1]; aspect: width / height, log-uniform.
    generator: a CPU generator; the few numbers are drawn there, the pixels move on the device of x.
    rows_of: (first, total) if x is the rows from `first` of a batch of `total` images: then each image gets the
    crop that it would get in the whole batch. Several processes that share a batch need that.
    Returns [B, C, H, W]. Raises ValueError for a scale outside (0, 1] or an aspect that is not positive and ordered.
    Source: I-JEPA's crop scale (.3, 1) (arXiv:2301.08243, appendix A); the flip is ours: it helps small data sets.
    """
    if not 0 < scale[0] <= scale[1] <= 1:
        raise ValueError(f"scale is a share of the image's area, 0 < low <= high <= 1, got {tuple(scale)}")
    if not 0 < aspect[0] <= aspect[1] < float("inf"):
        raise ValueError(f"aspect is width / height, 0 < low <= high < infinity, got {tuple(aspect)}")
    b = len(x)
    first, total = rows_of or (0, b)
    u = torch.rand(5, total, generator=generator)[:, first : first + b]  # [5, B]: area, aspect, two places, flip
    area = scale[0] + u[0] * (scale[1] - scale[0])
    ratio = aspect[0] * (aspect[1] / aspect[0]) ** u[1]
    width = (area * ratio).sqrt().clamp(max=1)  # [B], in shares of the side
    height = (area / ratio).sqrt().clamp(max=1)
    # affine_grid works on [-1, 1]: a crop of half the side is a scale of .5 and its centre may move by +-.5
    theta = torch.zeros(b, 2, 3)
    theta[:, 0, 0] = torch.where(u[4] < 0.5, -width, width) if flip else width
    theta[:, 1, 1] = height
    theta[:, 0, 2] = (2 * u[2] - 1) * (1 - width)
    theta[:, 1, 2] = (2 * u[3] - 1) * (1 - height)
    grid = F.affine_grid(theta.to(x.device), x.shape, align_corners=False)  # [B, H, W, 2]
    return F.grid_sample(x, grid, align_corners=False, padding_mode="reflection")
