"""MaskExplorer: what the block sampler draws, and what the released code would draw instead."""

import ipywidgets
import torch

from minijepa.masking.blocks import block_masks
from minijepa.plots.figures import BLUE, GREY, RED, patch_mask
from minijepa.plots.widgets import canvas
from minijepa.plots.widgets.explorer import Explorer


class MaskExplorer(Explorer):
    """Size, shape, number and seed of the target blocks; the image, its context, its targets, all counted.

    images: uint8 [B, 3, H, W]; masks are drawn for all B at once (contexts are truncated to the shortest of them),
    the first `rows` are shown. grid: (rows, columns) of patches. scale: fraction of the patches in one target block;
    aspect: its rows / columns; count: blocks per image; seed: of the generator; published: the released sampler.
    Raises ValueError for images of another form. Masks as in `block_masks` (arXiv:2301.08243, appendix A.1).
    """

    alt = "Per image a row: the image, the patches that the context encoder sees, and each target block to predict."

    def __init__(self, images, grid=(8, 8), *, scale=0.15, aspect=1.0, count=4, seed=0, published=False, rows=2):
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"images must be uint8 [B, 3, H, W], got {images.dtype} {list(images.shape)}")
        self.images, self.grid, self.rows = images, grid, rows
        start = dict(scale=scale, aspect=aspect, count=count, seed=seed, sampler="ours")
        released = {**start, "sampler": "published"}
        states = {
            "Ours": start,
            "The released code, the same": released,
            "The released code, larger targets": {**released, "scale": 0.25},
            "Ours, wide targets": {**start, "aspect": 0.5},
            "Ours, one large target": {**start, "scale": 0.5, "count": 1},
        }
        settings = "target scale {scale:.2f}, rows / columns {aspect:.1f}, number {count}"
        self.examples = [(f"{name}: {settings.format(**state)}", state) for name, state in states.items()]
        super().__init__(
            scale=ipywidgets.FloatSlider(scale, min=0.05, max=1.0, step=0.05, description="target scale"),
            aspect=ipywidgets.FloatSlider(aspect, min=0.3, max=3.0, step=0.1, description="rows / columns"),
            count=ipywidgets.IntSlider(count, min=1, max=6, description="number of targets"),
            seed=ipywidgets.IntSlider(seed, min=0, max=99, description="seed"),
            sampler=ipywidgets.ToggleButtons(
                options=["ours", "published"],
                value="published" if published else "ours",
                description="sampler",
                style={"button_width": "90px"},
            ),
        )  # fmt: skip

    def draw(self, scale, aspect, count, seed, sampler):
        """Picture and sentence of a batch under these settings. Raises ValueError where no such masks exist."""
        masks = block_masks(
            len(self.images),
            self.grid,
            n_targets=count,
            target_scale=(scale, scale),
            target_aspect=(aspect, aspect),
            published=sampler == "published",
            generator=torch.Generator().manual_seed(seed),
        )
        shown = [mask_row(image, masks.context[i], masks.targets[i], self.grid)
                 for i, image in enumerate(self.images[: self.rows])]  # fmt: skip
        return canvas.stack(shown), count_tokens(masks, self.grid)


def mask_row(image, context, targets, grid, side=104):
    """One image as a row of panels. image: uint8 [3, H, W]; context: [K_c]; targets: [M, K_t]."""
    parts = [("image", None, GREY), (f"context: {len(context)}", context, BLUE)]
    parts += [(f"target {j}: {len(t)}", t, RED) for j, t in enumerate(targets, start=1)]
    panels = []
    for title, index, colour in parts:
        if index is not None:
            seen = patch_mask(index, grid, image.shape[1:])  # [H, W]
            index = image.where(seen, torch.full_like(image, canvas.HIDDEN))
        panels.append(canvas.panel(canvas.enlarge(image if index is None else index, side), title, colour))
    return canvas.side_by_side(panels)


def count_tokens(masks, grid):
    """The masks of a batch in one sentence. masks: Masks with context [B, K_c], targets [B, M, K_t]."""
    n = grid[0] * grid[1]
    b, m, k = masks.targets.shape
    asked = torch.zeros(b, n, dtype=torch.bool).scatter_(1, masks.targets.flatten(1), True)  # [B, N]
    hidden, leaked = asked.sum(dim=1), asked.gather(1, masks.context).sum(dim=1)  # [B]
    spread = f"{hidden.min()}" if hidden.min() == hidden.max() else f"{hidden.min()} to {hidden.max()}"
    leak = f"up to {leaked.max()} context patches lie in a target: the answer leaks"
    leak = leak if leaked.any() else "no context patch lies in a target"
    return (
        f"In a batch of {b}, the context encoder sees {masks.context.shape[1]} of {n} patches; "
        f"{m} target{'s' * (m > 1)} of {k} patches cover{'s' * (m == 1)} {spread} different ones; {leak}."
    )
