"""Object detection from patch tokens: each cell of the grid says whether an object's middle is in it, and its box.

Both answers are linear in the cell's own token: a logistic regression for "is there one" and a ridge regression for
the four sides of the box, measured from the middle of the cell. One object per cell; doubles of one object that
neighbouring cells report are thinned out (non-maximum suppression).
"""

from dataclasses import dataclass

import torch


@dataclass(frozen=True, eq=False)
class Detections:
    """What the detection probe found. score: AP@.5 in [0, 1].

    boxes: float32 [M, K, 4], (x0, y0, x1, y1) in pixels, the surest first; confidence: float32 [M, K] in [0, 1], 0 and
    an empty box where an image has fewer than K.
    """

    score: float
    boxes: torch.Tensor
    confidence: torch.Tensor


def detection_probe(train, train_boxes, test, test_boxes, *, size=32, most=8, penalty=10.0):
    """Find the objects: Detections with AP@.5 on the test images.

    train, test: TokenFeatures with tokens [N, L, D] and [M, L, D]. boxes: float [N, K, 4] and [M, K, 4], (x0, y0, x1,
    y1) in pixels, empty (all zero) where an image has fewer than K objects. size: side of the images in pixels;
    most: boxes kept per image; penalty: of the regression of the sides (Ridge's alpha).
    """
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    present, sides = to_grid(train_boxes, train.grid, size)  # [N, L], [N, L, 4]
    x = train.tokens.float().flatten(0, 1).numpy()  # [N L, D]
    objectness = make_pipeline(StandardScaler(), LogisticRegression(tol=1e-3, max_iter=1000))
    objectness.fit(x, present.flatten().numpy())
    chosen = present.flatten().numpy()
    regression = make_pipeline(StandardScaler(), Ridge(alpha=penalty))
    regression.fit(x[chosen], sides.flatten(0, 1)[present.flatten()].numpy())
    z = test.tokens.float().flatten(0, 1).numpy()  # [M L, D]
    confidence = torch.from_numpy(objectness.predict_proba(z)[:, 1]).float().view(len(test), -1)  # [M, L]
    answers = torch.from_numpy(regression.predict(z)).float().view(len(test), -1, 4)  # [M, L, 4]
    boxes, confidence = thin_out(from_grid(answers, test.grid, size), confidence, most)
    return Detections(average_precision(boxes, confidence, test_boxes), boxes, confidence)


def cell_middles(grid, size):
    """Middles (x, y) of the grid's cells in pixels: [L, 2], row-major."""
    rows, columns = (torch.arange(n) for n in grid)
    y, x = torch.meshgrid((rows + 0.5) * size / grid[0], (columns + 0.5) * size / grid[1], indexing="ij")
    return torch.stack([x, y], dim=-1).flatten(0, 1)


def to_grid(boxes, grid, size):
    """What each cell should say: (is the middle of a box in it, bool [N, L]; the sides of that box, [N, L, 4]).

    boxes: [N, K, 4], empty ones ignored; of two in one cell the larger number k stays. Sides: in units of a cell's
    width and height, from its middle.
    """
    n, k, _ = boxes.shape
    real = (boxes[..., 2:] > boxes[..., :2]).all(dim=-1)  # [N, K]
    step = torch.tensor([size / grid[1], size / grid[0]])  # width and height of a cell
    column, row = ((boxes[..., :2] + boxes[..., 2:]) / 2 / step).long().unbind(-1)  # [N, K] each
    cell = row.clamp(max=grid[0] - 1) * grid[1] + column.clamp(max=grid[1] - 1)  # [N, K]
    present = torch.zeros(n, grid[0] * grid[1], dtype=torch.bool)
    sides = torch.zeros(n, grid[0] * grid[1], 4)
    middles = cell_middles(grid, size)  # [L, 2]
    for i in range(k):
        images = real[:, i].nonzero().squeeze(1)  # [J]
        at = cell[images, i]  # [J]
        present[images, at] = True
        sides[images, at] = (boxes[images, i] - middles[at].repeat(1, 2)) / step.repeat(2)  # [J, 4]
    return present, sides


def from_grid(sides, grid, size):
    """The inverse: sides [N, L, 4] -> boxes [N, L, 4] in pixels, cut at the borders of the image."""
    step = torch.tensor([size / grid[1], size / grid[0]])
    boxes = sides * step.repeat(2) + cell_middles(grid, size).repeat(1, 2)
    return boxes.clamp(0, size)


def thin_out(boxes, confidence, most, overlap=0.5):
    """Of boxes that overlap by an IoU above `overlap` only the surest stays, and of those the `most` surest.

    boxes: [M, L, 4]; confidence: [M, L]. Returns boxes [M, most, 4] and confidence [M, most], sorted; 0 where none.
    """
    from torchvision.ops import nms

    kept, sure = torch.zeros(len(boxes), most, 4), torch.zeros(len(boxes), most)
    for i in range(len(boxes)):
        index = nms(boxes[i], confidence[i], overlap)[:most]  # sorted, the surest first
        kept[i, : len(index)], sure[i, : len(index)] = boxes[i, index], confidence[i, index]
    return kept, sure


def average_precision(boxes, confidence, truth, threshold=0.5):
    """Area under the precision-recall curve of all detections, the surest first: AP in [0, 1].

    In each image a detection, in order of confidence, takes the free true box that it overlaps most; it is right if
    that IoU is at least `threshold`, and the box is then taken. Precision at a recall is the best one at that recall
    or a higher one. 0 if there is nothing to find.
    boxes: [M, K, 4]; confidence: [M, K], 0 for none; truth: [M, G, 4], empty boxes for none; (x0, y0, x1, y1).
    Source: Everingham et al. 2010, the PASCAL VOC challenge; matching as in COCO (arXiv:1405.0312).
    """
    from torchvision.ops import box_iou

    real = (truth[..., 2:] > truth[..., :2]).all(dim=-1)  # [M, G]
    order = confidence.argsort(dim=1, descending=True, stable=True)  # [M, K]
    boxes, confidence = boxes.gather(1, order.unsqueeze(-1).expand_as(boxes)), confidence.gather(1, order)
    right = torch.zeros_like(confidence, dtype=torch.bool)  # [M, K]
    free = real.clone()
    for i in range(len(boxes)):
        iou = box_iou(boxes[i], truth[i])  # [K, G]
        for k in range(len(iou)):
            best = iou[k].masked_fill(~free[i], -1).argmax() if free[i].any() else None
            if best is not None and confidence[i, k] > 0 and iou[k, best] >= threshold:
                right[i, k], free[i, best] = True, False
    made = confidence > 0  # [M, K]
    ranked = right[made][confidence[made].argsort(descending=True, stable=True)].double()  # [detections]
    if not len(ranked) or not real.any():
        return 0.0
    hits = ranked.cumsum(0)
    precision = hits / torch.arange(1, len(ranked) + 1)
    best_from_here = precision.flip(0).cummax(0).values.flip(0)
    return float((best_from_here * ranked).sum() / real.sum())  # each hit moves recall by 1 / (true boxes)
