"""Object detection from patch tokens: each cell of the grid says whether it holds an object's centre, and which box.

Both answers are linear in the cell's own token: a logistic regression says whether a centre is there, and a ridge
regression gives the four sides of the bounding box, measured from the centre of the cell. A cell reports at most one
object. Where neighbouring cells report the same object, non-maximum suppression keeps the most confident box.
"""

from dataclasses import dataclass

import torch

MOST = 8  # boxes kept per image
OVERLAP = 0.5  # the IoU above which two boxes show the same object, and from which on a detection is right
PENALTY = 10.0  # Ridge's alpha


@dataclass(frozen=True, eq=False)
class Detections:
    """What the detection probe found.

    score: AP@.5 in [0, 1].
    boxes: float32 [M, K, 4], (x0, y0, x1, y1) in pixels, the most confident first; all zero where there are fewer.
    confidence: float32 [M, K] in [0, 1]; 0 where there is no box.
    """

    score: float
    boxes: torch.Tensor
    confidence: torch.Tensor


def detection_probe(train, train_boxes, test, test_boxes, *, size=32):
    """Which objects are where? Detections (at most 8 per image) with AP@.5 on the test images.

    train, test: TokenFeatures with tokens [N, L, D] and [M, L, D].
    train_boxes, test_boxes: float [N, K, 4] and [M, K, 4], (x0, y0, x1, y1) in pixels, all zero where an image has
        fewer than K objects.
    size: side of the images in pixels.
    """
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    present, sides = to_grid(train_boxes, train.grid, size)  # [N, L], [N, L, 4]
    x = train.tokens.flatten(0, 1).numpy()  # [N L, D]
    objectness = make_pipeline(StandardScaler(), LogisticRegression(tol=1e-3, max_iter=1000))
    objectness.fit(x, present.flatten().numpy())
    chosen = present.flatten().numpy()
    regression = make_pipeline(StandardScaler(), Ridge(alpha=PENALTY))
    regression.fit(x[chosen], sides.flatten(0, 1)[present.flatten()].numpy())
    z = test.tokens.flatten(0, 1).numpy()  # [M L, D]
    confidence = torch.from_numpy(objectness.predict_proba(z)[:, 1]).float().view(len(test), -1)  # [M, L]
    answers = torch.from_numpy(regression.predict(z)).float().view(len(test), -1, 4)  # [M, L, 4]
    boxes, confidence = thin_out(from_grid(answers, test.grid, size), confidence, MOST)
    return Detections(average_precision(boxes, confidence, test_boxes), boxes, confidence)


def cell_centres(grid, size):
    """The centres (x, y) of the grid's cells in pixels: [L, 2], row-major."""
    rows, columns = (torch.arange(n) for n in grid)
    y, x = torch.meshgrid((rows + 0.5) * size / grid[0], (columns + 0.5) * size / grid[1], indexing="ij")
    return torch.stack([x, y], dim=-1).flatten(0, 1)


def to_grid(boxes, grid, size):
    """What each cell should answer: (does it hold the centre of a box, bool [N, L]; the sides of that box, [N, L, 4]).

    The sides are in units of a cell's width and height, measured from its centre. Of two boxes in one cell the later
    one of the list stays.

    boxes: [N, K, 4]; empty boxes are ignored.
    grid: (rows, columns); size: side of the images in pixels.
    """
    n, k, _ = boxes.shape
    real = (boxes[..., 2:] > boxes[..., :2]).all(dim=-1)  # [N, K]
    step = torch.tensor([size / grid[1], size / grid[0]])  # width and height of a cell
    column, row = ((boxes[..., :2] + boxes[..., 2:]) / 2 / step).long().unbind(-1)  # [N, K] each
    cell = row.clamp(max=grid[0] - 1) * grid[1] + column.clamp(max=grid[1] - 1)  # [N, K]
    present = torch.zeros(n, grid[0] * grid[1], dtype=torch.bool)
    sides = torch.zeros(n, grid[0] * grid[1], 4)
    centres = cell_centres(grid, size)  # [L, 2]
    for i in range(k):
        images = real[:, i].nonzero().squeeze(1)  # [J]
        at = cell[images, i]  # [J]
        present[images, at] = True
        sides[images, at] = (boxes[images, i] - centres[at].repeat(1, 2)) / step.repeat(2)  # [J, 4]
    return present, sides


def from_grid(sides, grid, size):
    """The inverse of `to_grid`: sides [N, L, 4] -> boxes [N, L, 4] in pixels, cut at the borders of the image."""
    step = torch.tensor([size / grid[1], size / grid[0]])
    boxes = sides * step.repeat(2) + cell_centres(grid, size).repeat(1, 2)
    return boxes.clamp(0, size)


def thin_out(boxes, confidence, most):
    """Non-maximum suppression: of boxes with an IoU above 0.5 only the most confident stays, at most `most` per image.

    boxes: [M, L, 4]; confidence: [M, L].
    Returns boxes [M, most, 4] and confidence [M, most], the most confident first; 0 where there are fewer.
    """
    from torchvision.ops import nms

    kept, sure = torch.zeros(len(boxes), most, 4), torch.zeros(len(boxes), most)
    for i in range(len(boxes)):
        index = nms(boxes[i], confidence[i], OVERLAP)[:most]  # sorted, the most confident first
        kept[i, : len(index)], sure[i, : len(index)] = boxes[i, index], confidence[i, index]
    return kept, sure


def average_precision(boxes, confidence, truth):
    """AP@.5: the area under the precision-recall curve of all detections, the most confident first, in [0, 1].

    In each image the detections, in order of confidence, are matched with the free true box that they overlap most. A
    detection is right if that IoU is at least 0.5; the true box is then no longer free. The precision at a recall is
    the best one at that recall or a higher one. AP is 0 if there is nothing to find.

    boxes: [M, K, 4], (x0, y0, x1, y1).
    confidence: [M, K], 0 where there is no box.
    truth: [M, G, 4], empty boxes (all zero) where an image has fewer than G.
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
            if best is not None and confidence[i, k] > 0 and iou[k, best] >= OVERLAP:
                right[i, k], free[i, best] = True, False
    made = confidence > 0  # [M, K]
    ranked = right[made][confidence[made].argsort(descending=True, stable=True)].double()  # [detections]
    if not len(ranked) or not real.any():
        return 0.0
    hits = ranked.cumsum(0)
    precision = hits / torch.arange(1, len(ranked) + 1)
    best_from_here = precision.flip(0).cummax(0).values.flip(0)
    return float((best_from_here * ranked).sum() / real.sum())  # each hit moves recall by 1 / (true boxes)
