"""PredictionExplorer: hide a block, predict its tokens, and look up which real patches come closest to them.

A prediction is a vector and cannot be looked at. But it can be compared with the target tokens of real patches: the
nearest ones show what the predictor considers possible at that position.
"""

from dataclasses import dataclass

import ipywidgets
import torch

from minijepa.masking.sampling import Masks
from minijepa.plots.figures import BLUE, GREEN, GREY, ORANGE, RED, patch_mask
from minijepa.plots.widgets import canvas
from minijepa.plots.widgets.explorer import Explorer
from minijepa.vit import eval_mode


class PredictionExplorer(Explorer):
    """Choose an image and a block in it; see the nearest real patches to what was predicted for the block.

    jepa: JEPA on images. shown: ImageData, the images to choose from (six are enough). album: ImageData, other
    images whose patches are searched, some hundreds. sizes: sides of the square blocks, in patches; k: how many
    nearest patches are shown for one patch of the block. The context is everything outside the block.
    All predictions and searches, for every place of every block, are made here, once: seconds for a small ViT.
    Distances are Euclidean, between predictions and target tokens, which the teacher gives (for I-JEPA: LayerNorm'ed).
    Raises ValueError for sizes or k below 1; a size that leaves no context is shown as a message.
    """

    alt = (
        "An image with a block marked, the context without it, the block filled with the real patches nearest to the "
        "predicted tokens and nearest to the target tokens, and the nearest patches of one position in their images."
    )

    def __init__(self, jepa, shown, album, sizes=(2, 3, 4), k=6):
        if not sizes or min(sizes) < 1 or k < 1:
            raise ValueError(f"sizes and k must be at least 1 patch, got {tuple(sizes)} and {k}")
        self.grid = jepa.encoder.grid
        self.images, self.album = shown.images, album.images
        device = next(jepa.encoder.parameters()).device
        x = shown.batch(device=device)
        with eval_mode(jepa):
            tokens = teacher_tokens(jepa, album, device)  # [A, N, D]
            targets = teacher_tokens(jepa, shown, device)  # [I, N, D]
            self.answers = {size: answer(jepa, x, targets, tokens, size, k) for size in sizes if size < min(self.grid)}
        self.best = search(targets.flatten(0, 1), tokens, 1)[0].view(len(x), -1)  # [I, N]

        middle, size = (min(self.grid) - 3) // 2, sizes[len(sizes) // 2]
        first = dict(image=0, size=size, top=middle, left=middle, patch=0)
        second = {**first, "image": len(x) // 2, "top": 1, "left": 1}
        third = {**first, "image": len(x) - 1, "size": sizes[0], "top": middle + 1}
        self.examples = [(f"Image {s['image']}, a block of {s['size']}x{s['size']}", s) for s in (first, second, third)]
        choose, least = ipywidgets.IntSlider, min(sizes)
        super().__init__(
            image=choose(0, min=0, max=len(x) - 1, description="image"),
            size=ipywidgets.SelectionSlider(options=sizes, value=size, description="block size"),
            top=choose(middle, min=0, max=self.grid[0] - least, description="block's row"),
            left=choose(middle, min=0, max=self.grid[1] - least, description="block's column"),
            patch=choose(0, min=0, max=max(self.answers, default=1) ** 2 - 1, description="patch in block"),
        )

    def draw(self, image, size, top, left, patch):
        """Picture and sentence of one block. Raises ValueError for a block that leaves nothing to predict from."""
        rows, columns = self.grid
        if size not in self.answers:
            what = "is larger than" if size > min(self.grid) else "reaches from edge to edge of"
            raise ValueError(
                f"a block of {size}x{size} {what} the {rows}x{columns} grid, and nothing would be left to predict "
                f"from: choose a block of at most {min(self.grid) - 1}x{min(self.grid) - 1} patches"
            )
        # a block pushed over the edge stays at the edge, so the sliders need not change when the size does
        top, left, patch = min(top, rows - size), min(left, columns - size), min(patch, size**2 - 1)
        found, place = self.answers[size], top * (columns - size + 1) + left
        block, near = found.blocks[place], found.nearest[image, place]  # [K], [K, k]
        box, real = (top, left, size, size), self.images[image]
        seen = ~patch_mask(block, self.grid, real.shape[1:])
        hidden = real.where(seen, torch.full_like(real, canvas.HIDDEN))
        collages = [collage(hidden, block, index, self.album, self.grid)
                    for index in (near[:, 0], self.best[image, block])]  # fmt: skip
        titles = ("image", "context", "nearest to the prediction", "nearest to the target")
        panels = []
        for picture, title, colour in zip((real, hidden, *collages), titles, (GREY, BLUE, RED, GREEN), strict=True):
            picture = canvas.outline(canvas.enlarge(picture, 172), box, self.grid, colour)
            panels.append(canvas.panel(picture, title, colour))
        one = (top + patch // size, left + patch % size, 1, 1)
        strip = [canvas.panel(canvas.outline(canvas.enlarge(real, 92), one, self.grid, RED), f"patch {patch}", RED)]
        for index, distance in zip(near[patch], found.distance[image, place, patch], strict=True):
            album_image, token = divmod(int(index), rows * columns)
            thumbnail = canvas.enlarge(self.album[album_image], 92)
            canvas.outline(thumbnail, (*divmod(token, columns), 1, 1), self.grid, ORANGE)
            strip.append(canvas.panel(thumbnail, f"distance {distance:.1f}", ORANGE))
        same = int((near[:, 0] % (rows * columns) == block).sum())
        nearer = 100 * (1 - found.beaten[image, place].mean())
        sentence = (
            f"Block of {size}x{size} at row {top}, column {left}. Of the album's patches from the same position "
            f"{nearer:.0f} % are nearer to the prediction than the real patch is (a guess that knows only the "
            f"position: about 50 %). Nearest patches that come from the same position: {same} of {len(block)}."
        )
        return canvas.stack([canvas.side_by_side(panels), canvas.side_by_side(strip)]), sentence


@dataclass
class Answers:
    """For one block size. blocks: [P, K] tokens of every place; nearest, distance: [I, P, K, k] album patches (image
    times N plus token); beaten: [I, P, K], the fraction of album patches at the same place that are farther from
    the prediction than the real patch is."""

    blocks: torch.Tensor
    nearest: torch.Tensor
    distance: torch.Tensor
    beaten: torch.Tensor


@torch.no_grad()
def answer(jepa, x, targets, tokens, size, k):
    """Predict every block of that size in every image and search the album.

    x: [I, 3, H, W]; targets: [I, N, D], their teacher tokens; tokens: [A, N, D], the album's. Returns Answers.
    """
    blocks = block_places(jepa.encoder.grid, size)  # [P, K]
    n = tokens.shape[1]
    outside = torch.ones(len(blocks), n, dtype=torch.bool).scatter_(1, blocks, False)
    context = outside.nonzero()[:, 1].view(len(blocks), -1)  # [P, N - K]
    masks = Masks(context, blocks.unsqueeze(1)).to(x.device)
    prediction = []
    for image in x:
        seen = jepa.encoder(image.expand(len(blocks), -1, -1, -1), keep=masks.context)  # [P, N - K, D]
        prediction.append(jepa.predictor(seen, masks).squeeze(1).float().cpu())  # [P, K, D]
    prediction = torch.stack(prediction)  # [I, P, K, D]
    shape = prediction.shape[:3]
    nearest, distance = search(prediction.flatten(0, 2), tokens, k)
    to_real = (prediction - targets[:, blocks]).norm(dim=-1)  # [I, P, K]
    beaten = torch.empty(shape)
    for j in range(n):  # the album's patches at place j only: what the place alone tells helps none of them
        here = blocks == j  # [P, K]
        if here.any():
            exact = "donot_use_mm_for_euclid_dist"  # the quick way rounds, and equal patches would not be ties
            others = torch.cdist(prediction[:, here], tokens[:, j], compute_mode=exact)  # [I, places, A]
            farther = (others - to_real[:, here].unsqueeze(-1)).sign()  # 1: farther, 0: a tie, which counts half
            beaten[:, here] = (1 + farther.mean(dim=-1)) / 2
    return Answers(blocks, nearest.view(*shape, k), distance.view(*shape, k), beaten)


def block_places(grid, size):
    """All places of a square block, row by row: token indices, int64 [P, size * size]."""
    index = torch.arange(grid[0] * grid[1]).view(grid)
    return index.unfold(0, size, 1).unfold(1, size, 1).reshape(-1, size * size)


@torch.no_grad()
def teacher_tokens(jepa, data, device):
    """The target tokens of each image: [B, N, D] on the CPU."""
    chunks = torch.arange(len(data)).split(100)
    return torch.cat([jepa.teacher(data.batch(chunk, device=device)).float().cpu() for chunk in chunks])


def search(queries, tokens, k):
    """The k nearest album patches. queries: [Q, D]; tokens: [A, N, D]. Returns index int64 [Q, k], distance [Q, k]."""
    album = tokens.flatten(0, 1)  # [A N, D]
    found = [torch.cdist(part, album).topk(k, dim=1, largest=False) for part in queries.split(512)]
    return torch.cat([f.indices for f in found]), torch.cat([f.values for f in found])


def collage(image, block, index, album, grid):
    """The image with its block filled by album patches.

    image: uint8 [3, H, W]; block: [K] tokens; index: [K] album patches; album: uint8 [A, 3, H, W].
    """
    h, w = image.shape[1] // grid[0], image.shape[2] // grid[1]
    image = image.clone()
    for token, found in zip(block.tolist(), index.tolist(), strict=True):
        source, place = divmod(found, grid[0] * grid[1])
        (r, c), (y, x) = divmod(token, grid[1]), divmod(place, grid[1])
        patch = album[source, :, y * h : (y + 1) * h, x * w : (x + 1) * w]
        image[:, r * h : (r + 1) * h, c * w : (c + 1) * w] = patch
    return image
