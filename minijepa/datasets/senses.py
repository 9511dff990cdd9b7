"""One state, three senses: an image, a caption and a tone of the same object, and what each can know of the others.

    state: shape, colour, size, row, column
      image    shows all five
      caption  says shape, colour, size and column; it leaves the row out
      tone     sounds of shape, size, row and pitch, the colour up to its opposite; it leaves the column out

Two senses share fewer factors than each of them has, so the best possible predictor of one from the other is not
perfect. How good it can be follows from the grammar alone: `recall_ceiling`.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch

from minijepa.datasets.captions import describe, to_tokens
from minijepa.datasets.images import ImageData
from minijepa.datasets.shapes.single import COLUMNS, HUES, ROWS, SHAPES, SIZES, single_shapes
from minijepa.datasets.signals import SignalData
from minijepa.datasets.tones import PITCHES, tones

MODALITIES = ("image", "caption", "tone")
COUNTS = {"shape": len(SHAPES), "colour": len(HUES), "size": len(SIZES), "row": len(ROWS), "column": len(COLUMNS)}
UNSAID = ("row",)  # in captions
UNHEARD = ("column",)  # in tones


class Senses(NamedTuple):
    """A batch: images float [B, 3, 32, 32], captions int64 [B, L] (words of VOCABULARY), tones float [B, 1, 32, 32].

    factors: int64 [B, 5], the truth in the order of COUNTS.
    """

    images: torch.Tensor
    captions: torch.Tensor
    tones: torch.Tensor
    factors: torch.Tensor


@dataclass(frozen=True, eq=False)
class SensesData:
    """N objects, each seen, described and heard. images: ImageData; captions: int64 [N, L]; tones: SignalData."""

    images: ImageData
    captions: torch.Tensor
    tones: SignalData

    def __len__(self):
        return len(self.images)

    def batch(self, index=None, device=None):
        """The Senses of some objects. index: as in `ImageData.batch`; device: where the result lives."""
        truth = torch.stack(list(self.factors.values()), dim=1)  # [N, 5]
        captions, truth = (part if index is None else part[index] for part in (self.captions, truth))
        images, tones = self.images.batch(index, device), self.tones.batch(index, device)
        return Senses(images, captions.to(device), tones, truth.to(device))

    @property
    def factors(self):
        """What is true of each object, int64 [N] each: shape, colour, size, row, column."""
        return {name: self.images.factors[name] for name in COUNTS}


def senses(n, *, seed=0, unsaid=UNSAID, pitches=PITCHES):
    """n objects as images, captions and tones. The same arguments give the same objects; fewer are the first of them.

    seed: of all that is random. unsaid: factors that captions leave out, as in `describe`. pitches: 3, opposite colours
    sound alike, or 6.
    Returns SensesData.
    """
    images = single_shapes(n, seed=seed)
    captions = to_tokens(describe(images.factors, unsaid))
    return SensesData(images, captions, tones(images.factors, seed=seed, pitches=pitches))


def contents(unsaid=UNSAID, pitches=PITCHES):
    """What each modality tells: dict modality -> dict factor -> how many of its values can be told apart there.

    unsaid, pitches: as in `senses`. A factor that a modality does not tell is not in its dict.
    """
    return {
        "image": dict(COUNTS),
        "caption": {name: count for name, count in COUNTS.items() if name not in unsaid},
        "tone": {name: pitches if name == "colour" else count for name, count in COUNTS.items() if name not in UNHEARD},
    }


def shared(one, other, **grammar):
    """What two modalities both tell: dict factor -> values that can be told apart in both.

    one, other: names of MODALITIES. grammar: as in `contents`. Three pitches are unions of six colours, so the
    smaller number counts.
    """
    told = contents(**grammar)
    return {name: min(count, told[other][name]) for name, count in told[one].items() if name in told[other]}


def shared_key(factors, one, other, **grammar):
    """One number for all that two modalities share: equal for two objects if nothing shared tells them apart.

    factors: as of SensesData, int64 [N] each. one, other, grammar: as in `shared`. Returns int64 [N].
    """
    key = torch.zeros_like(factors["shape"])
    for name, count in shared(one, other, **grammar).items():
        key = key * count + factors[name] % count  # red and cyan are 0 and 3, the same modulo 3
    return key


def recall_ceiling(source, target, gallery=100, **grammar):
    """The best R@1 that any predictor can expect: find an object's target among `gallery` random ones, from its source.

    All factors are uniform and independent, so the shared ones make S equally likely cases. The true target is in the
    case that the source names; of the other G - 1 each is there with probability 1/S, and nothing tells those apart:

        ceiling = E[1 / (1 + Binomial(G - 1, 1/S))] = S/G (1 - (1 - 1/S)^G)

    source, target: names of MODALITIES. gallery: G, at least 1. grammar: as in `contents`. Returns a float in (0, 1].
    Raises ValueError for an empty gallery.
    """
    if gallery < 1:
        raise ValueError(f"a gallery holds at least the true target, got {gallery}: use 1 or more")
    cases = 1
    for count in shared(source, target, **grammar).values():
        cases *= count
    return cases / gallery * (1 - (1 - 1 / cases) ** gallery)
