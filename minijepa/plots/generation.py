"""Pictures that a model draws, put together from its patches, in rows under the images that it saw."""

from einops import rearrange

from minijepa.plots.figures import to_numpy
from minijepa.plots.probes import map_rows


def from_patches(patches, grid, patch_size):
    """Images from patches, the inverse of `PatchEmbed.patches`: [B, N, C p q] -> [B, C, H, W].

    patches: [B, N, values], row by row; a patch lists C, then its rows and columns.
    grid: the patches in (rows, columns), N of them. patch_size: (p, q) in pixels.
    """
    (h, w), (p, q) = grid, patch_size
    return rearrange(patches, "b (h w) (c p q) -> b c (h p) (w q)", h=h, w=w, p=p, q=q)


def picture_rows(rows, width=1.1):
    """Images in titled rows, one column per image. Returns a Figure.

    rows: dict name -> uint8 [n, 3, H, W]. width: of one picture, in inches.
    """
    return map_rows({name: ([to_numpy(image) for image in images], {}) for name, images in rows.items()}, width)
