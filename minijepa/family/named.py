"""Frozen encoders for three senses, in the place of the large pre-trained ones that M3-JEPA joins.

    image --> three convolutions --> linear --> vector      trained to name the factors, on objects of their own
    tone  --> three convolutions --> linear --> vector      likewise
    words --> sum of random vectors --> random layer, tanh --> vector      not trained

M3-JEPA freezes DINOv2, Llama or LanguageBind and learns the predictor between them. Those know what an image or a
sentence shows before M3-JEPA begins; small encoders that are trained without labels for some seconds do not. So these
are trained with labels, then frozen: the labels of the pairs that the predictor learns from are never used.
Substituted for: M3-JEPA (arXiv:2409.05929), which also adds LoRA to the last layers of its encoders.

    encoders = named.model()
    fit(encoders, senses(4000, seed=7), steps=300, **named.TRAINING)
    vectors = encoders.vectors(senses(4000, seed=0))  # [N, 3, 64]
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from minijepa.datasets.captions import VOCABULARY
from minijepa.datasets.senses import COUNTS, MODALITIES, contents
from minijepa.datasets.signals import SignalData
from minijepa.vit import eval_mode

NAME = "encoders that name factors"
TRAINING = {"lr": 3e-3, "batch_size": 64, "weight_decay": (0.01, 0.01)}
masks = None


@dataclass
class NamedOutput:
    """What one step made. loss: scalar, the mean cross-entropy; numbers: the accuracy of each modality."""

    loss: torch.Tensor
    numbers: dict


class Convolutions(nn.Sequential):
    """Three strided convolutions and a linear layer: [B, channels, 32, 32] -> [B, dim]."""

    def __init__(self, channels, dim):
        super().__init__(
            nn.Conv2d(channels, 16, 5, stride=2, padding=2),
            nn.BatchNorm2d(16),
            nn.GELU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.BatchNorm2d(32),
            nn.GELU(),
            nn.Conv2d(32, 32, 3, stride=2, padding=1),
            nn.BatchNorm2d(32),
            nn.GELU(),
            nn.Flatten(),
            nn.Linear(32 * 4 * 4, dim),
        )


class RandomWords(nn.Module):
    """A sentence as a vector that never learns: int64 [B, L] -> [B, dim], tanh of a random map of its summed words."""

    def __init__(self, words, dim):
        super().__init__()
        self.register_buffer("table", torch.randn(words, dim).index_fill_(0, torch.tensor([0]), 0.0))  # 0: padding
        self.register_buffer("layer", torch.randn(dim, dim) / dim**0.5)

    def forward(self, captions):
        return torch.tanh(0.5 * self.table[captions].sum(dim=1) @ self.layer)


class NamedEncoders(nn.Module):
    """An encoder for each of MODALITIES, and a linear head for each factor that an image or a tone tells.

    told: dict modality -> dict factor -> values that it tells apart, from `contents`. dim: width D of all vectors.
    """

    def __init__(self, told, dim=64):
        super().__init__()
        self.told = {name: told[name] for name in ("image", "tone")}
        self.image, self.tone = Convolutions(3, dim), Convolutions(1, dim)
        self.caption = RandomWords(len(VOCABULARY), dim)
        self.norms = nn.ModuleList(nn.BatchNorm1d(dim, affine=False) for _ in range(3))  # all numbers of one scale
        self.heads = nn.ModuleDict(
            {f"{sense} {name}": nn.Linear(dim, n) for sense, told in self.told.items() for name, n in told.items()}
        )

    def each(self, senses):
        """A vector from each encoder, of any scale: a batch of SensesData -> [B, 3, D], in the order of MODALITIES."""
        return torch.stack([self.image(senses.images), self.caption(senses.captions), self.tone(senses.tones)], dim=1)

    def encode(self, senses):
        """The vectors to keep, each number standardised by the statistics of the training: [B, 3, D]."""
        return torch.stack([norm(x) for norm, x in zip(self.norms, self.each(senses).unbind(1), strict=True)], dim=1)

    def forward(self, senses):
        """senses: a batch of SensesData. Returns NamedOutput."""
        each = self.each(senses)  # [B, 3, D]
        for norm, x in zip(self.norms, each.detach().unbind(1), strict=True):
            norm(x)  # it only learns the statistics
        vectors = dict(zip(MODALITIES, each.unbind(1), strict=True))  # [B, D] each
        losses, right = [], {}
        for sense, told in self.told.items():
            hits = []
            for name, n in told.items():
                logits = self.heads[f"{sense} {name}"](F.gelu(vectors[sense]))  # [B, n]
                truth = senses.factors[:, list(COUNTS).index(name)] % n  # [B]
                losses.append(F.cross_entropy(logits, truth))
                hits.append((logits.argmax(dim=1) == truth).float().mean())
            right[sense] = torch.stack(hits).mean()
        return NamedOutput(torch.stack(losses).mean(), right)

    @torch.no_grad()
    def vectors(self, data, batch_size=500):
        """All of a SensesData as frozen vectors: SignalData, values [N, 3, D], in the order of MODALITIES.

        Labels and factors are kept. batch_size: objects at a time; it changes memory, not the result.
        """
        with eval_mode(self):
            chunks = [self.encode(data.batch(rows)) for rows in torch.arange(len(data)).split(batch_size)]
        return SignalData(
            torch.cat(chunks), data.images.labels, data.images.classes, "frozen vectors", data.factors
        )  # [N, 3, D]


def model(**grammar):
    """Encoders for the senses of a grammar, given as in `contents`."""
    return NamedEncoders(contents(**grammar))
