"""Two objects, a question about one of them, and an answer in one of several wordings: pictures and words to join.

    [ red disk | blue plus ]   what shape is right   -->   it is cross

Pictures are drawn, so the meaning of each answer is known, and a model can be judged by meaning whatever its words. How
many wordings the answers use, `paraphrases`, is all that differs between two data sets of one seed. In a stream the
objects change now and then, one factor at a time.
"""

import math
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import NamedTuple

import torch

from minijepa.datasets.images import ImageData, map_tensors, normalise, rows_at
from minijepa.datasets.shapes import drawing
from minijepa.datasets.shapes.single import CHROMA, GROUND, HUES, JITTER, LIGHT, SHAPES, on_circle
from minijepa.datasets.wordings import LONGEST, QUESTIONS, WORDINGS, answers_of, check_paraphrases, number_words

SIDE, RADIUS = 16, (4.5, 6.5)  # pixels: each object has its half of the picture, SIDE x SIDE
NOISE = 0.03  # standard deviation on each pixel and channel, in the range [0, 1]
MEAN, STD = (0.280, 0.280, 0.280), (0.181, 0.181, 0.181)  # measured
CHANGE = 1 / 10  # how often a factor of a stream changes, per frame
DRIFT = 0.3  # pixels: standard deviation of a step of an object in a stream, along each axis


class Asked(NamedTuple):
    """A batch. seen: pictures [B, 3, 16, 32] or their vectors [B, N, D]; question, answer: int64 [B, Q] and [B, L]."""

    seen: torch.Tensor
    question: torch.Tensor
    answer: torch.Tensor


@dataclass(frozen=True, eq=False)
class QuestionData:
    """N pictures with a question and an answer each, for `fit`.

    images: uint8 [N, 3, 16, 32]. question, meaning, wording: int64 [N], indices into QUESTIONS, MEANINGS, OPENINGS.
    paraphrases: wordings in use. factors: of the left and the right object, [N, 2] each.
    vectors: what a frozen encoder makes of the pictures, float32 [N, K, D], given in their place; or None.
    """

    images: torch.Tensor
    question: torch.Tensor
    meaning: torch.Tensor
    wording: torch.Tensor
    paraphrases: int
    factors: dict[str, torch.Tensor] = field(default_factory=dict)
    vectors: torch.Tensor | None = None

    def __len__(self):
        return len(self.images)

    def batch(self, index=None, device=None):
        """Some examples as `Asked`. index: as in `ImageData.batch`; device: where the result lives."""
        rows = rows_at(slice(None) if index is None else index, self.images.device)
        seen = normalise(self.images[rows], MEAN, STD) if self.vectors is None else self.vectors[rows]
        questions, answers = word_tables()
        question = questions[self.question[rows]]  # [B, Q]
        answer = answers[self.meaning[rows], self.wording[rows]]  # [B, L]
        return Asked(seen.to(device), question.to(device), answer.to(device))

    def subset(self, index):
        """The same data reduced to some pictures. index: a slice, a list or tensor of indices [B] or a mask [N]."""
        rows = rows_at(index, self.images.device)
        return map_tensors(self, lambda part: part[rows])

    def objects(self):
        """Every object alone: ImageData of 2 N halves, all left ones first, with factors colour and shape."""
        return lone_objects(self.images, self.factors)

    def seen_as(self, vectors):
        """The same data with vectors of the 2 N objects, [2 N, D], in the place of pictures: [N, 2, D]."""
        return replace(self, vectors=paired(vectors))


@dataclass(frozen=True, eq=False)
class StreamData:
    """S streams of T pictures in which now and then something changes.

    images: uint8 [S, T, 3, 16, 32]. meaning: int64 [S, T, 4], of the right answer to each question.
    factors: of the left and the right object, [S, T, 2] each.
    """

    images: torch.Tensor
    meaning: torch.Tensor
    factors: dict[str, torch.Tensor]

    def objects(self):
        """Every object alone: ImageData of 2 S T halves, all left ones first."""
        return lone_objects(self.images.flatten(0, 1), {k: v.flatten(0, 1) for k, v in self.factors.items()})

    def asked(self, vectors):
        """All four questions about every picture. vectors: of the objects, [2 S T, D].

        Returns what is seen, [4 S T, 2, D], and the questions, int64 [4 S T, Q]: question by question.
        """
        pictures = paired(vectors)  # [S T, 2, D]
        questions = word_tables()[0]  # [4, Q]
        return pictures.repeat(len(questions), 1, 1), questions.repeat_interleave(len(pictures), dim=0)

    def truth(self):
        """The meaning of the right answers, question by question: int64 [4 S, T]."""
        return self.meaning.permute(2, 0, 1).flatten(0, 1)


def question_scenes(n, paraphrases=WORDINGS, *, seed=0):
    """Draw n pictures with a question and an answer each.

    The same arguments give the same data on each run, a smaller n the first of them, and another number of paraphrases
    the same pictures, questions and meanings. Colours and shapes are drawn independently and uniformly.
    n: at least 1. paraphrases: 1 to 8; each answer has one of the first so many wordings, at random.
    seed: 0 to 2^31 - 1. Raises ValueError for an argument out of its range.
    """
    drawing.check_request(n, seed)
    check_paraphrases(paraphrases)
    images, parts = [], []
    generator = torch.Generator().manual_seed(seed)
    with drawing.one_thread():
        for _ in range(0, n, drawing.CHUNK):
            u = torch.rand(drawing.CHUNK, 2, 6, generator=generator)
            chosen = torch.rand(drawing.CHUNK, 2, generator=generator)
            radius = between(u[..., 0], *RADIUS)
            factors = {
                "colour": drawing.pick(u[..., 1], len(HUES)), "shape": drawing.pick(u[..., 2], len(SHAPES)),
                "radius": radius, "x": between(u[..., 3], radius, SIDE - radius),
                "y": between(u[..., 4], radius, SIDE - radius), "tint": JITTER * (2 * u[..., 5] - 1),
            }  # fmt: skip
            images.append(draw(factors, generator))
            question = drawing.pick(chosen[:, 0], len(QUESTIONS))
            parts.append({**factors, "question": question, "wording": drawing.pick(chosen[:, 1], paraphrases)})
    whole = {name: torch.cat([part[name] for part in parts])[:n] for name in parts[0]}
    question, wording = whole.pop("question"), whole.pop("wording")
    meaning = meanings(whole).gather(1, question[:, None])[:, 0]  # [n]
    return QuestionData(torch.cat(images)[:n], question, meaning, wording, paraphrases, whole)


def scene_streams(streams, frames=64, *, seed=0):
    """Draw streams in which the objects drift and, in one frame of ten, one colour or shape changes.

    streams: their number S. frames: T of each. seed: 0 to 2^31 - 1. Returns StreamData.
    Raises ValueError for an argument out of its range.
    """
    drawing.check_request(streams, seed)
    drawing.check_argument("frames", frames, isinstance(frames, int) and frames >= 1, "a whole number, at least 1")
    generator = torch.Generator().manual_seed(seed)
    u = torch.rand(streams, 2, 5, generator=generator)
    colour, shape = drawing.pick(u[..., 0], len(HUES)), drawing.pick(u[..., 1], len(SHAPES))  # [S, 2]
    radius, tint = between(u[..., 2], *RADIUS), torch.zeros(streams, 2)
    place = [between(u[..., axis], radius, SIDE - radius) for axis in (3, 4)]
    rows = []
    for _ in range(frames):
        factors = {"colour": colour, "shape": shape, "radius": radius, "x": place[0], "y": place[1], "tint": tint}
        rows.append(factors)
        v = torch.rand(streams, 3, generator=generator)
        here = torch.arange(4) == torch.where(v[:, 0] < CHANGE, drawing.pick(v[:, 1], 4), -1)[:, None]  # [S, 4]
        # a change is a step to one of the others, so that it is always a change
        colour = (colour + here[:, :2] * (1 + drawing.pick(v[:, 2:], len(HUES) - 1))) % len(HUES)
        shape = (shape + here[:, 2:] * (1 + drawing.pick(v[:, 2:], len(SHAPES) - 1))) % len(SHAPES)
        steps = DRIFT * torch.randn(2, streams, 2, generator=generator)
        place = [(old + step).clamp(min=radius, max=SIDE - radius) for old, step in zip(place, steps, strict=True)]
    whole = {name: torch.stack([row[name] for row in rows], dim=1) for name in rows[0]}  # [S, T, 2]
    flat = {name: values.flatten(0, 1) for name, values in whole.items()}  # [S T, 2]
    with drawing.one_thread():
        images = draw(flat, generator).unflatten(0, (streams, frames))
    return StreamData(images, meanings(flat).unflatten(0, (streams, frames)), whole)


# --- the pieces ---


@lru_cache(maxsize=1)
def word_tables():
    """The words of all questions, int64 [4, Q], and of all answers, [meanings, wordings, L]; to be read only."""
    answers = number_words(answers_of()[0], LONGEST)
    return number_words(QUESTIONS), answers.unflatten(0, (-1, WORDINGS))


def paired(vectors):
    """Vectors of all left and then all right objects, [2 n, D], next to each other: [n, 2, D]."""
    return vectors.unflatten(0, (2, -1)).transpose(0, 1).contiguous()


def between(u, low, high):
    """Uniform numbers on [0, 1) stretched to [low, high)."""
    return low + (high - low) * u


def meanings(factors):
    """The meaning of the answer to each question: factors [n, 2] -> int64 [n, 4]."""
    return torch.cat([factors["colour"], len(HUES) + factors["shape"]], dim=1)


def draw(factors, generator):
    """Pictures of pairs of objects: factors [n, 2] each -> uint8 [n, 3, SIDE, 2 SIDE]."""
    n = len(factors["shape"])
    one = {name: values.flatten()[:, None] for name, values in factors.items()}  # [2 n, 1]
    scene = {**one, "size": one["radius"], "rotation": torch.zeros(2 * n, 1)}
    cover = drawing.cover_image(scene, SHAPES, SIDE)  # [2 n, 1, S, S]
    hue = one["colour"][:, 0] * (2 * math.pi / len(HUES)) + one["tint"][:, 0]
    colour = LIGHT + CHROMA * on_circle(hue)  # [2 n, 3]
    halves = drawing.paint(torch.full_like(colour, GROUND), colour[:, None], cover).unflatten(0, (n, 2))
    picture = torch.cat(halves.unbind(1), dim=-1)  # [n, 3, S, 2 S]
    return drawing.to_bytes(picture.add_(torch.randn(picture.shape, generator=generator), alpha=NOISE))


def lone_objects(images, factors):
    """Left halves, then right halves, as ImageData. images: uint8 [n, 3, S, 2 S]; factors: [n, 2] each."""
    halves = torch.cat(images.split(SIDE, dim=-1))  # [2 n, 3, S, S]
    own = {name: torch.cat(values.unbind(1)) for name, values in factors.items()}  # [2 n]
    return ImageData(halves, own["shape"].clone(), SHAPES, "one object", MEAN, STD, own)
