"""Assignment 24, exercise 6: R@1 in galleries, where targets that are equally near share the hit."""

import torch
from torch.nn import functional as F

from minijepa.checks.curves import line_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal

NEAR = 1e-6


def spec_shared_recall(prediction, target, gallery):
    """Example by example: 1 / (how many of its gallery are nearest) if its own target is among them, else 0; the mean.

    Nearest: the cosine is within 1e-6 of the largest. prediction, target: [N, D]. gallery: G; galleries follow each
    other, and a rest that fills none is left out. Returns a float in [0, 1].
    """
    counts = []
    for first in range(0, len(target) - gallery + 1, gallery):
        shown = target[first : first + gallery].double()
        for i in range(gallery):
            p = prediction[first + i].double()
            cosines = [float((p * y).sum() / (p.norm() * y.norm())) for y in shown]
            near = [cosine >= max(cosines) - NEAR for cosine in cosines]
            counts.append(near[i] / sum(near))
    return sum(counts) / len(counts)


CORNERS = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
NEARLY = torch.tensor(
    [[1.0, 0.0], [1.0, 1e-5], [0.0, 1.0]], dtype=torch.float64
)  # cosines of 1 and 1 - 5e-11 with (1, 0)


def told(labels, guesses):
    """Predictions and targets among a few sentences: the sentences' numbers -> [N, 3] twice, some of them longer."""
    words = normal(5, 3, seed=9)
    length = torch.tensor([1.0, 3.0, 2.0, 0.5])[torch.arange(len(labels)) % 4, None]  # [N, 1]
    return words[torch.tensor(guesses)], words[torch.tensor(labels)] * length


def noisy(n, d, seed, noise):
    """Targets [n, d] of several lengths, and predictions that are near to them."""
    target = normal(n, d, seed=seed) * (0.3 + 3 * normal(n, 1, seed=seed + 1).abs())
    return target + noise * normal(n, d, seed=seed + 2) * target.norm(dim=1, keepdim=True), target


CASES = [
    (CORNERS[[0, 0, 1, 0]], CORNERS[[0, 0, 1, 1]], 4),
    (*told([0, 1, 1, 2, 0, 0, 0, 3], [0, 1, 1, 0, 0, 4, 0, 3]), 4),
    (*told([1, 2, 2, 2, 1, 3, 0, 0, 4, 4, 2], [2, 2, 1, 2, 1, 3, 0, 4, 4, 4, 2]), 3),
    (*noisy(30, 4, 0, 0.5), 10),
    (*noisy(23, 4, 3, 0.4), 5),
    (NEARLY[[0, 2, 2]], NEARLY, 3),
]


def cosines(p, y, g, unit=True):
    """Predictions in rows, targets in columns: [galleries, G, G]."""
    n = len(y) // g * g
    p, y = (F.normalize(v[:n].double(), dim=1) if unit else v[:n].double() for v in (p, y))
    return p.unflatten(0, (-1, g)) @ y.unflatten(0, (-1, g)).mT


def near_and_own(c, near=NEAR):
    """Which targets are nearest [galleries, G, G], and whether the own one is among them [galleries, G]."""
    nearest = c >= c.amax(dim=2, keepdim=True) - near
    return nearest, nearest.diagonal(dim1=1, dim2=2)


def shared(c, near=NEAR):
    """The answer for similarities [galleries, G, G]."""
    nearest, mine = near_and_own(c, near)
    return (mine / nearest.sum(dim=2)).mean().item()


def interleaved(p, y, g):
    """Galleries of examples that are far apart: p and y [N, D] in another order."""
    n = len(y) // g * g
    return (v[:n].unflatten(0, (g, -1)).transpose(0, 1).flatten(0, 1) for v in (p, y))


def first_of_ties(c):
    """Of several nearest ones, the one that stands first. c: [galleries, G, G]."""
    nearest, _ = near_and_own(c)
    return (nearest.int().argmax(dim=2) == torch.arange(c.shape[1])).double().mean().item()


def only_alone(c):
    """A tie counts as a miss. c: [galleries, G, G]."""
    nearest, mine = near_and_own(c)
    return (mine & (nearest.sum(dim=2) == 1)).double().mean().item()


def with_rest(p, y, g):
    """The rest is a gallery, too, a smaller and easier one. p, y: [N, D]."""
    n = len(y) // g * g
    rest = shared(cosines(p[n:], y[n:], len(y) - n)) if n < len(y) else 0.0
    return (n * shared(cosines(p, y, g)) + (len(y) - n) * rest) / len(y)


def distances(p, y, g):
    """Minus the Euclidean distances of vectors p and y [N, D], as long as they are: [galleries, G, G]."""
    n = len(y) // g * g
    return -torch.cdist(p[:n].double().unflatten(0, (-1, g)), y[:n].double().unflatten(0, (-1, g)))


MISTAKES = [
    (
        lambda p, y, g: first_of_ties(cosines(p, y, g)),
        "`argmax` takes the first of several equally near targets, so that the place in the gallery decides: share "
        "the hit, 1 / (how many are nearest)",
    ),
    (
        lambda p, y, g: near_and_own(cosines(p, y, g))[1].double().mean().item(),
        "a tie counts fully for each of its members: with a gallery of equal targets everyone would be right. Share "
        "the hit",
    ),
    (
        lambda p, y, g: only_alone(cosines(p, y, g)),
        "a tie counts as a miss: a draw among k nearest targets is right with probability 1 / k",
    ),
    (
        lambda p, y, g: (1 / near_and_own(cosines(p, y, g))[0].sum(dim=2)).mean().item(),
        "an example counts 0 if its OWN target is not among the nearest",
    ),
    (
        lambda p, y, g: shared(cosines(p, y, len(y))),
        "you look for the target among all N: each example has only the G targets of its own gallery",
    ),
    (
        lambda p, y, g: shared(cosines(*interleaved(p, y, g), g)),
        "galleries are cut in the order of the examples: the first G are the first gallery, not every so many",
    ),
    (
        lambda p, y, g: shared(cosines(p, y, g, unit=False)),
        "these are inner products: divide each vector by its length, or a long target is near to everything",
    ),
    (
        lambda p, y, g: shared(distances(p, y, g)),
        "near means a large cosine here: a distance depends on the vectors' lengths as well",
    ),
    (
        lambda p, y, g: shared(cosines(y, p, g)),
        "you look for the prediction, given the target: predictions ask, targets stand in the gallery",
    ),
    (
        lambda p, y, g: shared(cosines(p, y, g)) * (len(y) // g * g) / len(y),
        "the rest that fills no gallery is left out: divide by the number of examples that were asked",
    ),
    (
        lambda p, y, g: with_rest(p, y, g),
        "the rest makes a smaller gallery, which is easier: leave it out",
    ),
    (
        lambda p, y, g: shared(cosines(p, y, g), near=0.0),
        "equal targets may differ in their last bits: nearest is whatever is within 1e-6 of the largest cosine",
    ),
    (
        lambda p, y, g: 100 * shared(cosines(p, y, g)),
        "return a fraction in [0, 1], not percent",
    ),
]

ADVICE = "cosines [G, G] per gallery; nearest: within 1e-6 of the row's largest; own / number of nearest; mean of all"


def show_shared_recall(student):
    """Draw R@1 of a perfect prediction as targets become equal, and of a noisy one in larger galleries."""
    words = torch.eye(16)
    equal = [(k, (words[torch.arange(32) % k], words[torch.arange(32) % k], 16)) for k in (1, 2, 4, 8, 16)]
    sizes = [(g, (*noisy(48, 6, 6, 0.6), g)) for g in (1, 2, 4, 8, 16, 24, 48)]
    cases = {"perfect predictions, 16 targets": equal, "the same noisy predictions": sizes}
    labels = [("different targets in a gallery", "R@1"), ("targets in a gallery", "R@1")]
    see = "who cannot tell targets apart is at chance, 1/16; a larger gallery is harder for the same predictions."
    line_and_yours("shared_recall", student, spec_shared_recall, cases, labels, see)


def shared_recall(student):
    """Check exercise 6, `shared_recall(prediction, target, gallery)`. Raises CheckFailed."""
    compare("shared_recall", student, spec_shared_recall, CASES, MISTAKES, ADVICE)
