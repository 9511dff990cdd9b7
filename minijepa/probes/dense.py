"""Dense probes: what does each patch token know about its own pixels? Linear maps from one token to its p x q pixels.

The encoder stays frozen and the map is the same for all patches. A pixel can therefore be predicted only as well as
its own token describes it: neighbouring patches contribute only what the encoder has mixed in.
"""

from dataclasses import dataclass

import torch
from einops import rearrange
from torch.nn import functional as F

PENALTY = 10.0  # Ridge's alpha


@dataclass(frozen=True, eq=False)
class Reading:
    """What a dense probe read: a score (higher is better) and its predicted maps [M, H, W], to look at."""

    score: float
    prediction: torch.Tensor


def segmentation_probe(train, train_maps, test, test_maps):
    """Which class does each pixel show? A Reading with the mean IoU over classes and the predicted class maps.

    Ridge regression on one-hot classes, for each pixel of a patch; the largest answer wins.

    train, test: TokenFeatures with tokens [N, L, D] and [M, L, D].
    train_maps, test_maps: int64 [N, H, W] and [M, H, W], classes 0..C-1; H and W are multiples of the grid's sides.
    """
    classes = int(train_maps.max()) + 1
    one_hot = F.one_hot(train_maps, classes).float()  # [N, H, W, C]
    answers = per_pixel(train, one_hot, test, test_maps.shape[1:])  # [M, H, W, C]
    prediction = answers.argmax(dim=-1)
    return Reading(mean_iou(prediction, test_maps), prediction)


def depth_probe(train, train_depth, test, test_depth):
    """How far away is what each pixel shows? A Reading with R^2 over all known pixels and the predicted depths.

    train, test: TokenFeatures with tokens [N, L, D] and [M, L, D].
    train_depth, test_depth: float [N, H, W] and [M, H, W]; nan where the depth is not known or does not count. Such
        pixels are neither learned from nor scored.
    R^2 is that of `ridge_probe`.
    """
    from sklearn.metrics import r2_score

    answers = per_pixel(train, train_depth.unsqueeze(-1), test, test_depth.shape[1:])
    prediction, known = answers.squeeze(-1), ~test_depth.isnan()  # [M, H, W] both
    return Reading(float(r2_score(test_depth[known].numpy(), prediction[known].numpy())), prediction)


def per_pixel(train, values, test, size):
    """A ridge regression for each pixel of a patch, shared by all patches. Returns its answers [M, H, W, C].

    train, test: TokenFeatures with tokens [N, L, D] and [M, L, D].
    values: float [N, H, W, C] to learn, nan where unknown.
    size: (H, W) of the test maps.
    """
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import StandardScaler

    rows, columns = train.grid
    p, q = size[0] // rows, size[1] // columns
    targets = rearrange(values, "n (r p) (s q) c -> (n r s) p q c", r=rows, s=columns)  # [N L, p, q, C]
    scaler = StandardScaler()
    x = scaler.fit_transform(train.tokens.flatten(0, 1).numpy())  # [N L, D]
    z = scaler.transform(test.tokens.flatten(0, 1).numpy())  # [M L, D]
    answers = torch.empty(len(z), p, q, values.shape[-1])
    for i in range(p):
        for j in range(q):
            y = targets[:, i, j]  # [N L, C]
            known = ~y.isnan().any(dim=1)  # [N L]
            ridge = Ridge(alpha=PENALTY).fit(x[known.numpy()], y[known].numpy())
            answers[:, i, j] = torch.from_numpy(ridge.predict(z)).view(len(z), -1)
    return rearrange(answers, "(m r s) p q c -> m (r p) (s q) c", r=rows, s=columns)


def mean_iou(prediction, truth):
    """Mean over classes of |both| / |either|, counted over all pixels: a float in [0, 1].

    A class that only one of the two names counts as 0; a class that neither names does not count.

    prediction, truth: int64 of one shape [M, H, W].
    """
    from sklearn.metrics import jaccard_score

    return float(jaccard_score(truth.flatten().numpy(), prediction.flatten().numpy(), average="macro"))
