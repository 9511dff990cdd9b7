"""MoCo: which of many remembered images is this one? Replaced: prediction, by telling images apart with a queue.

    x --> view 1 --> encoder, projector                              --> query q
    x --> view 2 --> their slow copies (no gradient)                 --> key k+
    cross-entropy over cosines / temperature: k+ against the K keys in the queue, which then takes in the new keys

SimCLR's negatives are the other images of the batch; the queue makes their number independent of it. The copies move
slowly so that old keys still resemble new ones. Here it is a ViT and a projector without BatchNorm (with one, query
and key would share the statistics of their batch, and the queue's keys would not); the optimiser and the distortions
are the course's. Source: MoCo (arXiv:1911.05722, section 3); the projector is that of its second version
(arXiv:2003.04297).

    model = moco.model(ViT.nano(img_size=32, patch_size=4))
    fit(model, course_data()[0], steps=400, **moco.TRAINING)
"""

import copy

import torch
from torch import nn
from torch.nn import functional as F

from minijepa.ema import follow
from minijepa.family.two_views import Branch, TwoViewsOutput, two_views
from minijepa.training import recipe

NAME = "MoCo"
TRAINING = {**recipe.TRAINING, "augment": two_views, "batch_size": 128, "momentum": (0.97, 1.0)}
masks = None


def moco_loss(query, key, queue, temperature=0.2):
    """Which of K + 1 keys belongs to the query? Cross-entropy over cosines / temperature; the answer is its own key.

    -log(exp(q . k+ / t) / (exp(q . k+ / t) + sum over the queue of exp(q . k_i / t))), averaged over the batch.
    query, key: unit vectors [B, D]; queue: unit vectors [K, D], keys of earlier images.
    Returns a scalar >= 0; log(K + 1) if all cosines are equal, as after a collapse.
    Raises ValueError for a temperature that is not positive. Source: MoCo (arXiv:1911.05722, equation 1).
    """
    if temperature <= 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    positive = (query * key).sum(dim=1, keepdim=True)  # [B, 1]
    negative = query @ queue.T  # [B, K]
    logits = torch.cat([positive, negative], dim=1) / temperature  # [B, 1 + K]
    answer = torch.zeros(len(query), dtype=torch.long, device=query.device)  # [B]: always the first
    return F.cross_entropy(logits, answer)


class MoCo(nn.Module):
    """A trained branch for queries, its slow copy for keys, and the queue of the last K keys.

    encoder: a ViT. size: K, keys in the queue; before the first step they are random. temperature: of `moco_loss`.
    width, hidden: of the projector, as in `Branch`.
    """

    compares_examples = True  # on several processes the queue takes in the keys of the whole batch

    def __init__(self, encoder, size=2048, temperature=0.2, width=128, hidden=512):
        super().__init__()
        self.online = Branch(encoder, width, hidden, norm=False)
        self.teacher = copy.deepcopy(self.online).requires_grad_(False)  # encoder and projector
        self.temperature = temperature
        self.register_buffer("queue", F.normalize(torch.randn(size, width), dim=1))  # [K, width], the newest first
        self.key = None

    def forward(self, x):
        """x: [2 B, C, H, W], the first views of B images and then their second ones. Returns TwoViewsOutput."""
        first, second = x.chunk(2)  # [B, C, H, W] each
        tokens, query = self.online.embed(first, views=1)  # [B, N, D], [B, width]
        with torch.no_grad():
            key = F.normalize(self.teacher.embed(second, views=1)[1].float(), dim=1)  # [B, width]
        loss = moco_loss(F.normalize(query.float(), dim=1), key, self.queue.float(), self.temperature)
        self.key = key  # only after the step: the backward pass needs the queue as it was
        return TwoViewsOutput(loss, tokens)

    @torch.no_grad()
    def after_step(self, momentum):
        """xi <- momentum * xi + (1 - momentum) * theta, and the queue's oldest keys make room for the new ones."""
        follow(self.teacher, self.online, momentum)
        self.queue = torch.cat([self.key.to(self.queue.dtype), self.queue])[: len(self.queue)]

    @property
    def encoder(self):
        """The trained encoder, that of the queries."""
        return self.online.encoder

    @property
    def target_encoder(self):
        """The encoder to keep: the paper's choice is that of the queries."""
        return self.encoder


def model(encoder):
    """MoCo with 2,048 keys at temperature .2. encoder: a ViT."""
    return MoCo(encoder)
