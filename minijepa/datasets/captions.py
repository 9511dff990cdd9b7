"""Captions of drawn images from a small grammar, as indices of words: what a text encoder reads.

    a large red disk at the top left   <-->   [1, 6, 7, 13, 2, 3, 17, 20]

A word for each factor of `single_shapes`, in one sentence. A caption may leave factors out; and a list of indices can
be read again as words. Another sentence is one more template.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch

from minijepa.datasets.images import ImageData
from minijepa.datasets.shapes.single import COLUMNS, HUES, ROWS, SHAPES, SIZES

WORDS = {"size": SIZES, "colour": HUES, "shape": SHAPES, "row": ROWS, "column": COLUMNS}  # of each factor
PADDING = "<pad>"  # fills short sentences up; number 0
VOCABULARY = (PADDING, "a", "at", "the", "shape", *(word for words in WORDS.values() for word in words))
NUMBERS = {word: number for number, word in enumerate(VOCABULARY)}


class Pair(NamedTuple):
    """A batch: images float [B, 3, H, W] and captions int64 [B, L], words as indices into VOCABULARY."""

    images: torch.Tensor
    captions: torch.Tensor


@dataclass(frozen=True, eq=False)
class CaptionedImages:
    """Images with a caption each, for `fit`. images: ImageData of N images; captions: int64 [N, L]."""

    images: ImageData
    captions: torch.Tensor

    def __len__(self):
        return len(self.images)

    def batch(self, index=None, device=None):
        """The Pair of some examples. index: as in `ImageData.batch`; device: where the result lives."""
        captions = self.captions if index is None else self.captions[index]  # [B, L]
        return Pair(self.images.batch(index, device), captions.to(device))


def describe(factors, leave_out=()):
    """A sentence for each image. factors: as of `single_shapes`, int64 [N] each. leave_out: names of WORDS.

    Without its shape the object is called "shape"; without row and column no place is given.
    Returns N strings. Raises ValueError for a name that is not in WORDS.
    """
    unknown = [name for name in leave_out if name not in WORDS]
    if unknown:
        raise ValueError(f"a caption can leave out {', '.join(WORDS)}, got {', '.join(unknown)}: use those names")
    slots = {name: "" if name in leave_out else f"{{{name}}}" for name in WORDS}
    place = "at the {row} {column}" if slots["row"] or slots["column"] else ""
    template = f"a {{size}} {{colour}} {slots['shape'] or 'shape'} {place}".format(**slots)
    named = [name for name in WORDS if name not in leave_out]
    rows = zip(*(factors[name].tolist() for name in named), strict=True)
    words = [{name: WORDS[name][number] for name, number in zip(named, row, strict=True)} for row in rows]
    return [" ".join(template.format(**each).split()) for each in words]


def to_tokens(sentences):
    """Sentences as word indices: N strings -> int64 [N, L], L the length of the longest, the others padded with 0.

    Raises ValueError for a word that is not in VOCABULARY.
    """
    rows = [sentence.split() for sentence in sentences]
    unknown = sorted({word for row in rows for word in row if word not in NUMBERS})
    if unknown:
        raise ValueError(f"the vocabulary has no word {', '.join(unknown)}: use those of minijepa.datasets.VOCABULARY")
    length = max(map(len, rows))
    return torch.tensor([[NUMBERS[word] for word in row] + [0] * (length - len(row)) for row in rows])


def to_words(captions):
    """Word indices as sentences, the padding left out: int64 [N, L] -> N strings."""
    return [" ".join(VOCABULARY[number] for number in row if number) for row in captions.tolist()]


def captioned(data, leave_out=()):
    """Drawn images with captions: ImageData of `single_shapes` -> CaptionedImages. leave_out: as in `describe`."""
    return CaptionedImages(data, to_tokens(describe(data.factors, leave_out)))
