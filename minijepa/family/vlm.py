"""A vision-language model that writes its answer word by word: what VL-JEPA is compared with.

    picture, question --> the predictor of VL-JEPA --> tokens that know both
    tokens, <start> w_1 ... w_k --> one block, causal over the words --> which word comes next?
    cross-entropy over the words, the true ones given before each (teacher forcing)

The trunk is that of VL-JEPA; a decoder stands in the place of the answer encoder, with as many parameters. It attends
to all tokens of the trunk, more than the one vector that VL-JEPA keeps. Every wording is another right answer to it.
Source: the token baseline of VL-JEPA (arXiv:2512.10942), in the form of LLaVA (arXiv:2304.08485); all from scratch.

    model = vlm.model(seen=(2, image_encoder.dim))
    fit(model, scenes, steps=500, **vlm.TRAINING)
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from minijepa.datasets.wordings import ANSWER_WORDS, LONGEST
from minijepa.family import vl_jepa
from minijepa.positions import sincos_1d
from minijepa.vit import Block, init_weights

NAME = "token VLM"
TRAINING = vl_jepa.TRAINING
masks = None
EDGE = 0  # the word before the first one and after the last one


@dataclass
class VLMOutput:
    """What one step made. loss: scalar, nats per word; right: fraction of the words that were the likeliest."""

    loss: torch.Tensor
    right: torch.Tensor

    @property
    def numbers(self):
        """What `fit` records now and then."""
        return {"words_right": self.right}


class VLM(nn.Module):
    """A trunk, and a decoder of one block that writes.

    trunk: a module (x, question) -> [B, M, D] with its width as `dim`. heads: of the block.
    """

    def __init__(self, trunk, heads=2):
        super().__init__()
        self.trunk = trunk
        self.words = nn.Embedding(len(ANSWER_WORDS), trunk.dim)
        self.register_buffer("places", sincos_1d(torch.arange(LONGEST + 1), trunk.dim))  # [L + 1, D]
        self.block = Block(trunk.dim, heads)
        self.norm = nn.LayerNorm(trunk.dim)
        self.out = nn.Linear(trunk.dim, len(ANSWER_WORDS))
        for part in (self.block, self.out):
            part.apply(init_weights)

    def forward(self, asked):
        """asked: vectors [B, N, D_x], question int64 [B, Q] and answer int64 [B, L]. Returns VLMOutput."""
        before, word, counts = shifted(asked.answer)  # [B, L + 1] each
        scores = self.scores(self.trunk(asked.seen, asked.question), before)  # [B, L + 1, words]
        scores, word = scores[counts], word[counts]
        return VLMOutput(F.cross_entropy(scores, word), (scores.argmax(dim=-1) == word).float().mean().detach())

    def scores(self, tokens, before):
        """Scores of the next word. tokens: of the trunk, [B, M, D]; before: int64 [B, K] words -> [B, K, words]."""
        m, k = tokens.shape[1], before.shape[1]
        x = torch.cat([tokens, self.words(before) + self.places[:k]], dim=1)  # [B, M + K, D]
        mask = torch.ones(m + k, m + k, dtype=torch.bool, device=x.device).tril()
        mask[:m, :m] = True  # the tokens of the trunk see each other, a word sees them and the words before it
        return self.out(self.norm(self.block(x, mask=mask)[:, m:]))

    @torch.no_grad()
    def write(self, x, question):
        """The answer, always the likeliest next word. x: [B, N, D_x]; question: [B, Q]. Returns int64 [B, L]."""
        tokens = self.trunk(x, question)
        words = torch.full((len(x), 1), EDGE, device=x.device)
        for _ in range(LONGEST):
            words = torch.cat([words, self.scores(tokens, words)[:, -1].argmax(dim=1, keepdim=True)], dim=1)
        words = words[:, 1:]
        return words.masked_fill((words == EDGE).cumsum(dim=1) > 0, 0)

    @torch.no_grad()
    def log_likelihood(self, x, question, candidates):
        """log p(answer | picture, question) of every candidate. candidates: int64 [C, L]. Returns [B, C], all <= 0."""
        before, word, counts = shifted(candidates)  # [C, L + 1] each
        rows = []
        for tokens in self.trunk(x, question).split(1 + 2048 // len(candidates)):  # [b, M, D]: a few at a time
            b, c = len(tokens), len(candidates)
            scores = self.scores(tokens.repeat_interleave(c, dim=0), before.repeat(b, 1)).log_softmax(dim=-1)
            each = scores.gather(-1, word.repeat(b, 1).unsqueeze(-1)).squeeze(-1)  # [b C, L + 1]
            rows.append((each * counts.repeat(b, 1)).sum(dim=1).view(b, c))
        return torch.cat(rows)


def shifted(answer):
    """Teacher forcing: for every place the word before it, the word there, and whether it counts; [B, L + 1] each.

    answer: int64 [B, L], filled up with 0. The first place follows EDGE; the one after the last word holds EDGE.
    """
    word = F.pad(answer, (0, 1), value=EDGE)  # [B, L + 1]
    before = F.pad(answer, (1, 0), value=EDGE)  # [B, L + 1]
    counts = before != EDGE
    counts[:, 0] = True
    return before, word, counts


def model(seen):
    """A decoder on the trunk of VL-JEPA. seen: (N, D_x), how many vectors of which width a picture is."""
    return VLM(vl_jepa.QuestionPredictor(seen))
