"""Retrieval: is the right answer found first among a gallery, or at which place of a sorted database does it stand?

Ties decide more than one expects. In a gallery equal captions share the hit, or all of them would count as found; in a
database ties count against the answer, or a representation that makes everything equal would be perfect. A rank tests
whether two recordings of one thing are found to be near duplicates. That two *different* things are alike, no rank can
show.
"""

import torch
from torch.nn import functional as F


def recall_at_1(prediction, target, gallery=100, each=False):
    """How often the target nearest to a prediction, by cosine, is its own: R@1 in [0, 1]; chance is 1 / gallery.

    The examples are cut into galleries in their order; a rest that fills none is left out. Where several targets are
    equally near, as equal captions are, one of them is drawn: an example then counts 1 / (how many are nearest), or 0
    if its own is not among them.

    prediction, target: [N, D], row i of both from one example. gallery: targets to choose from, 1..N.
    each: True returns what each example counts, float [N'], instead of the mean.
    Raises ValueError if there are fewer examples than one gallery holds.
    """
    if not 1 <= gallery <= len(target):
        raise ValueError(f"a gallery holds 1 to {len(target)} targets, all there are, got {gallery}")
    n = len(target) // gallery * gallery
    p, y = (F.normalize(v[:n].double(), dim=1).unflatten(0, (-1, gallery)) for v in (prediction, target))  # [G, g, D]
    cosines = p @ y.mT  # [G, g, g]: predictions in rows, targets in columns
    # equal targets differ in the last bits of a sum, so near means nearer than any two different ones
    nearest = cosines >= cosines.amax(dim=2, keepdim=True) - 1e-9  # [G, g, g]
    own = nearest.diagonal(dim1=1, dim2=2)  # [G, g]
    hits = (own / nearest.sum(dim=2)).flatten()  # [N']
    return hits if each else hits.mean().item()


def ranks(distances):
    """The rank of the right answer for each query: how many entries are at most as far away as it, itself included.

    distances: [Q, N], N >= Q; entry i is the answer to query i. Returns int64 [Q], each in 1..N; ties count against the
    answer, so a representation that makes all paths equal gets the worst rank, N. As in T-JEPA's released code.
    """
    return (distances <= distances.diagonal().unsqueeze(1)).sum(dim=1)


def nearest(distances, k, itself=False):
    """The k nearest entries: distances [Q, N] -> int64 [Q, k]. itself=False: entry i is no answer to query i."""
    if not itself:
        distances = distances.clone().fill_diagonal_(torch.inf)
    return distances.topk(k, largest=False).indices


def overlap(found, wanted):
    """Which fraction of the wanted entries was found? int64 [Q, k] twice, without repeats -> a float in [0, 1].

    With `wanted` the k nearest of another distance this is the hit rate HR@k.
    """
    return (found.unsqueeze(2) == wanted.unsqueeze(1)).any(dim=1).float().mean().item()
