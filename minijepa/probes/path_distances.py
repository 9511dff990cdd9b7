"""How far apart are two paths? Distances that nobody has to train: Euclid, DTW, discrete Fréchet, Hausdorff.

All take queries [Q, 2, K] and a database [N, 2, L], points in order, and return all distances [Q, N]. Euclid needs
K = L. The others begin with the K x L distances between the points of two paths:

    Hausdorff  the worst point: how far is it from the nearest point of the other path? The order plays no role
    DTW        align the points in order, one with several if need be; the sum over all aligned pairs, at its lowest
    Fréchet    the same alignments; the largest aligned pair, at its lowest

Cost: Q N K L point distances, against Q N D for vectors of width D that were computed before.
Source: DTW, Sakoe and Chiba 1978; discrete Fréchet, Eiter and Mannila 1994.
"""

import torch

PAIRS = 1_000_000  # point distances at a time: few enough for the cache of the processor


def euclid(queries, database):
    """The root of the summed squares over all points. [Q, 2, K], [N, 2, K] -> [Q, N].

    Raises ValueError for paths of different lengths: resample them first.
    """
    if queries.shape[1:] != database.shape[1:]:
        found = f"{list(queries.shape)} and {list(database.shape)}"
        raise ValueError(f"euclid compares point by point and needs paths of one length, got {found}: resample them")
    return torch.cdist(queries.flatten(1), database.flatten(1), compute_mode="donot_use_mm_for_euclid_dist")


def hausdorff(queries, database):
    """max over the points of both paths of the distance to the nearest point of the other. -> [Q, N], >= 0."""
    return in_parts(queries, database, lambda d: torch.maximum(d.amin(1).amax(0), d.amin(0).amax(0)))


def dtw(queries, database):
    """Dynamic time warping: the lowest sum of distances over all alignments. -> [Q, N], >= 0.

    D_ij = |p_i - q_j| + min(D_{i-1,j}, D_{i,j-1}, D_{i-1,j-1}); the result is D_KL. No metric: the triangle inequality
    fails.
    """
    return in_parts(queries, database, lambda d: aligned(d, torch.add))


def frechet(queries, database):
    """The discrete Fréchet distance: the lowest maximum over all alignments; the recursion of `dtw` with max for +."""
    return in_parts(queries, database, lambda d: aligned(d, torch.maximum))


def aligned(d, join):
    """The recursion of dtw and frechet, for all pairs of paths at once. d: point distances [K, L, P] -> [P]."""
    above = None  # the row D_{i-1}: L tensors [P]
    for i in range(len(d)):
        row = []
        for j in range(d.shape[1]):
            before = ([above[j]] if i else []) + ([row[j - 1]] if j else []) + ([above[j - 1]] if i and j else [])
            best = before[0] if before else None
            for other in before[1:]:
                best = torch.minimum(best, other)
            row.append(d[i, j] if best is None else join(d[i, j], best))
        above = row
    return above[-1]


def in_parts(queries, database, distance):
    """All pairs, some queries at a time: `distance` maps point distances [K, L, P] of P pairs to [P]. -> [Q, N]."""
    _, _, k = queries.shape
    n, _, length = database.shape
    some = max(1, PAIRS // (n * k * length))
    rows = []
    for part in queries.split(some):
        east, north = ((part[:, c].T[:, None, :, None] - database[:, c].T[None, :, None, :]) for c in (0, 1))
        d = (east.square() + north.square()).sqrt()  # [K, L, q, N]: the pairs last, so that each step is one sweep
        rows.append(distance(d.flatten(2)).view(len(part), n))
    return torch.cat(rows)
