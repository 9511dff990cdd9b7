"""VL-JEPA: predict the meaning of the answer, not its words. Replaced: the target encoder, by one that reads answers.

    picture --> image encoder, frozen --> vectors --+
    question words -------------------------------- +--> predictor, all see all, mean --> unit vector u
    answer words --> answer encoder, trained -----------------------------------------> unit vector v
    cross-entropy over the B x B cosines times a learned scale, once per row and once per column

Words come last and only on demand: the nearest of the candidate answers. In a stream that is when u has moved.
Source: VL-JEPA (arXiv:2512.10942, section 3). Substituted: the encoder (there V-JEPA 2, frozen; here one of ours, also
frozen, whose vectors are computed once), the predictor (there the last 8 layers of Llama 3.2 1B; here two blocks from
scratch), the answer encoder (there EmbeddingGemma, with a learning rate 20 times smaller; here one layer from scratch
at the same rate as the rest), and text by retrieval (there a trained decoder). Attention without a causal mask, the
mean over the tokens, projections into a shared space and InfoNCE in both directions are as in the paper.

    scenes = question_scenes(8_000, paraphrases=8)
    scenes = scenes.seen_as(features(image_encoder, scenes.objects()))  # [N, 2, D]
    model = vl_jepa.model(seen=(2, image_encoder.dim))
    fit(model, scenes, steps=200, **vl_jepa.TRAINING)
"""

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from minijepa.datasets.wordings import ANSWER_WORDS, LONGEST, QUESTIONS
from minijepa.family.clip import LARGEST_SCALE, TextEncoder, clip_loss
from minijepa.losses import cosine
from minijepa.training.distributed import whole_batch
from minijepa.vit import Block, init_weights

NAME = "VL-JEPA"
# with a shorter warm-up at this rate, one run in ten of the token model that is compared with it never leaves the start
TRAINING = {"batch_size": 64, "lr": 4e-3, "warmup": 0.3, "optimizer": "adamw", "weight_decay": (0.05, 0.05)}
masks = None
QUESTION_WORDS = len(QUESTIONS[0].split())


class QuestionPredictor(nn.Module):
    """Vectors of a picture and the words of a question to tokens that know both. [B, N, D_x], [B, Q] -> [B, N + Q, D].

    seen: (N, D_x), how many vectors of which width a picture is. dim, depth, heads: width D, blocks, attention heads.
    Every token has a learned place, which starts as large as the words are.
    """

    def __init__(self, seen, dim=48, depth=2, heads=2):
        super().__init__()
        count, width = seen
        self.dim = dim
        self.see = nn.Linear(width, dim)
        self.words = nn.Embedding(len(ANSWER_WORDS), dim)
        self.places = nn.Parameter(torch.randn(count + QUESTION_WORDS, dim))
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)
        self.apply(init_weights)

    def forward(self, x, question):
        """x: [B, N, D_x]; question: int64 [B, Q]. Returns [B, N + Q, D]."""
        tokens = torch.cat([self.see(x), self.words(question)], dim=1) + self.places  # [B, N + Q, D]
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)


@dataclass
class VLJEPAOutput:
    """What one step made. loss: scalar; answers: unit vectors [B, width]; scale: one over the temperature."""

    loss: torch.Tensor
    answers: torch.Tensor
    scale: torch.Tensor

    @property
    def numbers(self):
        """What `fit` records now and then: are the answers still apart, and how sharp is the softmax?"""
        return {"answer_spread": spread(self.answers), "scale": self.scale}


def spread(v):
    """1 - |mean of unit vectors|: 0 if all are the same, near 1 if they point everywhere. v: [B, D], a scalar."""
    return 1 - v.detach().mean(dim=0).norm()


def cosine_loss(predictions, answers, scale):
    """1 - cos, averaged: the answer alone, without the others of the batch. Unit vectors [B, D] twice; scale unused."""
    return cosine(predictions, answers).mean()


class VLJEPA(nn.Module):
    """A predictor, an answer encoder, a linear map from each into a shared space, and the learned scale.

    predictor: QuestionPredictor. answers: a module int64 [B, L] -> [B, D] with its width as `dim`. width: of the shared
    space. loss: a function of predictions and answers, unit vectors [B, width] each, and the scale.
    """

    compares_examples = True  # the other answers of the batch are the negatives

    def __init__(self, predictor, answers, width=32, loss=clip_loss):
        super().__init__()
        self.predictor, self.answers, self.loss = predictor, answers, loss
        self.head = nn.Linear(predictor.dim, width, bias=False)
        self.answer_head = nn.Linear(answers.dim, width, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def forward(self, asked):
        """asked: vectors [B, N, D_x], question int64 [B, Q] and answer int64 [B, L]. Returns VLJEPAOutput."""
        with torch.no_grad():
            self.log_scale.clamp_(max=math.log(LARGEST_SCALE))
        u = whole_batch(self.predict(asked.seen, asked.question), self.training)  # [B, width]
        v = whole_batch(self.embed(asked.answer), self.training)  # [B, width]
        scale = self.log_scale.exp()
        return VLJEPAOutput(self.loss(u, v, scale), v, scale)

    def predict(self, x, question):
        """What the answer should mean: x [B, N, D_x], question int64 [B, Q] -> unit vectors [B, width]."""
        return F.normalize(self.head(self.predictor(x, question).mean(dim=1)).float(), dim=1)

    def embed(self, answer):
        """What an answer means: int64 [B, L] -> unit vectors [B, width]."""
        return F.normalize(self.answer_head(self.answers(answer)).float(), dim=1)


def model(seen, width=32, loss=clip_loss, learned_answers=True):
    """VL-JEPA with two small blocks and an answer encoder of one layer.

    seen: (N, D_x), how many vectors of which width a picture is. width: of the shared space. loss: `clip_loss`, or
    `cosine_loss` for none of the negatives. learned_answers: False freezes the answer encoder as it was drawn.
    """
    jepa = VLJEPA(QuestionPredictor(seen), TextEncoder(len(ANSWER_WORDS), 48, depth=1, length=LONGEST), width, loss)
    for part in (jepa.answers, jepa.answer_head):
        part.requires_grad_(learned_answers)
    return jepa


# --- words on demand ---


def when_moved(u, delta):
    """Selective decoding: decode the first frame, then each whose vector is more than delta from the last decoded one.

    u: unit vectors of streams, [S, T, D]. delta: a distance, 0 to 2. Returns bool [S, T]: decode here?
    Source of the idea: VL-JEPA (arXiv:2512.10942), which clusters a recorded stream into segments and decodes each
    once; this rule, which sees only the past, is ours.
    """
    decode = torch.ones(u.shape[:2], dtype=torch.bool)
    last = u[:, 0].clone()  # [S, D]
    for t in range(1, u.shape[1]):
        moved = (u[:, t] - last).norm(dim=-1) > delta  # [S]
        decode[:, t] = moved
        last = torch.where(moved[:, None], u[:, t], last)
    return decode


def at_intervals(streams, frames, count):
    """Uniform decoding: `count` frames of each stream, evenly spread, the first included. Returns bool [S, T]."""
    decode = torch.zeros(streams, frames, dtype=torch.bool)
    decode[:, torch.arange(count) * frames // count] = True
    return decode


def held(answers, decode):
    """What a listener knows: the answer of the last decoded frame. answers: [S, T]; decode: bool [S, T], first True."""
    time = torch.arange(answers.shape[1]).expand_as(answers)
    last = time.masked_fill(~decode, 0).cummax(dim=1).values  # [S, T]
    return answers.gather(1, last)
