"""T-JEPA: I-JEPA on trips through a city. Replaced: patches by the cells of a map, which look at their neighbours.

    trip --> cells --> vectors + AdjFuse --> encoder (points seen) --> predictor --> prediction of s_y
    trip --> the same, all points, no gradient --> target encoder                --> s_y at 4 sets of points

A path is a series with two channels, and point t of it is a token. To compare two trips of which few points are known,
encode what is known and take the mean over the tokens, as the released code does, or let the predictor complete the
trip first. Substituted: node2vec by its closed form (`cell_vectors`); one context for all four sets, as in I-JEPA,
where the release draws one for each; hidden points are left out of the context, where the release sets their vectors
to 0; the loss is the mean over the hidden points, where the release averages over all points, with targets of 0 where
nothing is hidden; the targets get I-JEPA's LayerNorm; the predictor hears no turning angles.
Not to be mistaken for T-JEPA on tables (arXiv:2410.05016).
Source: T-JEPA (arXiv:2406.12913) and its released code.

    model = t_jepa.model(t_jepa.encoder())
    fit(model, city_trips(4_000), t_jepa.masks, steps=600, **t_jepa.TRAINING)
"""

import torch
from torch import nn
from torch.nn import functional as F

from minijepa.datasets.trajectories import POINTS
from minijepa.jepa import JEPA
from minijepa.masking import Masks, random_subset
from minijepa.masking.blocks import make_room
from minijepa.predictor import Predictor
from minijepa.vit import ViT

NAME = "T-JEPA"
GRID = (24, 24)  # cells of half a block: a city of 12 x 12 crossings
RATIOS = (0.1, 0.2, 0.3)  # of the points, hidden in each of the four sets
TRAINING = {
    "batch_size": 16,
    "optimizer": "muon",
    "lr": 8e-3,
    "weight_decay": (0.05, 0.05),
    "momentum": (0.93, 1.0),
}


def around(grid):
    """The 8 cells around each cell, int64 [N, 8], row-major; beyond the border it is the nearest cell inside."""
    rows, columns = grid
    cell = torch.arange(rows * columns)
    steps = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if (a, b) != (0, 0)]
    beside = [
        (cell // columns + a).clamp(0, rows - 1) * columns + (cell % columns + b).clamp(0, columns - 1)
        for a, b in steps
    ]
    return torch.stack(beside, dim=1)


def cell_vectors(grid, dim, window=5):
    """A vector for each cell, near cells alike: what random walks from cell to cell would teach node2vec.

    node2vec (with p = q = 1 and one negative sample) fits e_i . e_j to log(how much more often j comes within `window`
    steps of i than by chance). Here that matrix is computed, with A the neighbours (8 around a cell), d their number
    and P = A / d:

        M = log max(1, sum(d) / window * sum over r = 1..window of P^r / d),    E E^T ~ M with `dim` columns

    grid: (rows, columns), N cells; dim: at most N, or ValueError. Returns [N, dim] with standard deviation 1.
    Source: Qiu et al. (arXiv:1710.02971, theorem 2.1); in the place of node2vec (arXiv:1607.00653) of T-JEPA.
    """
    n = grid[0] * grid[1]
    if dim > n:
        raise ValueError(f"{n} cells give vectors of at most {n} numbers, got dim {dim}")
    touch = torch.zeros(n, n, dtype=torch.float64).scatter_(1, around(grid), 1).fill_diagonal_(0)
    degree = touch.sum(dim=1)
    step = touch / degree[:, None]
    walks = sum(torch.linalg.matrix_power(step, r) for r in range(1, window + 1)) / window
    values, directions = torch.linalg.eigh((degree.sum() * walks / degree).clamp(min=1).log())
    vectors = directions[:, -dim:] * values[-dim:].clamp(min=0).sqrt()  # [N, dim], the largest eigenvalues last
    return (vectors / vectors.std()).float()


class AdjFuse(nn.Module):
    """Each cell hears its 8 neighbours: e_i + W relu(sum over k of softmax(w)_k e_{n_k(i)} + b). [N, D] -> [N, D].

    One weight w_k per direction, the same for all cells. Source: T-JEPA (arXiv:2406.12913) and its released code.
    """

    def __init__(self, grid, dim):
        super().__init__()
        self.kernel = nn.Parameter(torch.zeros(8))  # at first all directions count equally
        self.bias = nn.Parameter(torch.zeros(dim))
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(dim, dim)))
        self.register_buffer("near", around(grid), persistent=False)

    def forward(self, cells):
        """cells: the vectors of all cells, [N, D] -> [N, D]."""
        weights = self.kernel.softmax(dim=0)[:, None]  # [8, 1]
        heard = (weights * cells[self.near]).sum(dim=1)  # [N, D]
        return cells + F.relu(heard + self.bias) @ self.weight.T


class CellEmbed(nn.Module):
    """From points to tokens: the vector of the cell in which a point lies. For a ViT, see minijepa/patches.py.

    grid: (rows, columns) of square cells, whose first corner lies at (-.5, -.5); cell: their side in blocks. dim:
    width D. fuse: with AdjFuse. Points outside count to the nearest cell. The vectors of `cell_vectors` stay as they
    are.
    """

    leading = 2  # batch and the two coordinates

    def __init__(self, grid, dim, cell=0.5, fuse=True):
        super().__init__()
        self.grid, self.cell = grid, cell
        self.register_buffer("vectors", cell_vectors(grid, dim))
        self.fuse = AdjFuse(grid, dim) if fuse else nn.Identity()

    def cells(self, x):
        """The cell of each point, row-major: [B, 2, T], east and north -> int64 [B, T] in 0..N - 1."""
        column, row = ((x + 0.5) / self.cell).floor().long().unbind(dim=1)
        rows, columns = self.grid
        return row.clamp(0, rows - 1) * columns + column.clamp(0, columns - 1)

    def forward(self, x, keep=None):
        """x: [B, 2, T]; keep: int64 [B, K] or None -> [B, K or T, D]."""
        index = self.cells(x)
        return self.fuse(self.vectors)[index if keep is None else index.gather(1, keep)]


def encoder(fuse=True, dim=64, depth=1, heads=4, points=POINTS):
    """A ViT whose tokens are the points of a trip. fuse: with AdjFuse, or without, the ablation.

    One block where the release has three: in runs of seconds a deeper encoder learned less.
    """
    return ViT(
        img_size=(points,), patch_size=(1,), dim=dim, depth=depth, heads=heads, embed=CellEmbed(GRID, dim, fuse=fuse)
    )


def model(encoder):
    """A JEPA on trips. encoder: of this file."""
    return JEPA(encoder, Predictor(encoder.dim, encoder.grid, width=32, depth=1, heads=2))


def masks(batch, generator=None, length=POINTS, sets=4, ratios=RATIOS, context_scale=(0.85, 1.0), least=2):
    """Four sets of hidden points, half of them spans of neighbours, the others random; the context is drawn from all.

    batch: trips B; length: points T of each. One of `ratios` and the size of the context (a random subset, a fraction
    in `context_scale`, from which the hidden points are removed) are drawn once per batch, all else for each trip.
    Returns Masks, context [B, K_c] and targets [B, sets, K_t]. Where the four sets leave fewer than `least` points
    to see, the last sets move onto the first. Raises ValueError for fractions out of their range.
    Source: T-JEPA (arXiv:2406.12913), with the ratios of the paper; the released settings have .2, .3 and .4.
    """
    if not all(0 < part < 1 for part in ratios) or not 0 < context_scale[0] <= context_scale[1] <= 1:
        raise ValueError(
            f"ratios must lie in (0, 1) and context_scale be 0 < low <= high <= 1, got {ratios} and {context_scale}"
        )
    ratio = ratios[int(torch.randint(len(ratios), (), generator=generator))]
    k = max(1, round(ratio * length))
    everything = torch.ones(batch, sets, length, dtype=torch.bool)
    scattered = random_subset(everything, k, generator)  # [B, M, K_t]
    start = torch.randint(length - k + 1, (batch, sets, 1), generator=generator)
    span = torch.rand(batch, sets, 1, generator=generator) < 0.5
    targets = torch.where(span, start + torch.arange(k), scattered)  # [B, M, K_t]
    low, high = context_scale
    seen = round(length * (low + (high - low) * float(torch.rand((), generator=generator))))
    inside = torch.zeros(batch, length, dtype=torch.bool).scatter_(
        1, random_subset(everything[:, 0], seen, generator), True
    )
    free = inside.scatter(1, targets.flatten(1), False)  # [B, T]
    if free.sum(dim=1).min() < least:
        targets, free = make_room(targets, inside, free, least)
    return Masks(random_subset(free, None, generator), targets)


@torch.no_grad()
def completed(model, x, keep):
    """What the model expects of the target encoder along the whole trip, from the points that are known: [B, T, D].

    model: a JEPA of this file, in eval mode; x: [B, 2, T]; keep: int64 [B, K]. The predictor is asked for all T points.
    """
    everywhere = torch.arange(x.shape[2], device=x.device).expand(len(x), 1, -1)  # [B, 1, T]
    return model.predict(x, Masks(keep, everywhere))[1][:, 0]
