"""Similarity search: at which place of a sorted database does the right answer stand?

Query i is a part of trip i, the database holds other parts of all trips. Rank 1 is perfect; the middle of the database
is what guessing gives. It tests whether two recordings of one trip are found to be near duplicates, and nothing
else: that two *different* trips with similar routes are near, no rank can show.
"""

import torch


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
