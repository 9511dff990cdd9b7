"""Retrieval: is the true one found first among a gallery? Ties share the hit, or equal captions would all be found."""

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
