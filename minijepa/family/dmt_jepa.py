"""DMT-JEPA: a patch is represented by its most similar neighbours. Replaced: the targets; a head joins the encoder.

    x --> context encoder --> head h --> predictor                                 --> prediction of LAT
    x --> target encoder --> of patch i's 3x3 neighbours the 4 most similar, then EMA copy of h --> LAT_i

So patches of one object, whose neighbours are alike, get targets that are alike. The released code differs in four
things: its neighbourhood wraps around the border (the left neighbour of a patch in the first column is in the last
one), its h has two blocks, the query that it gives a patch is the mean token of another image of the batch (`repeat` in
the place of `repeat_interleave`), and its masks and settings are I-JEPA's. Source: DMT-JEPA (arXiv:2405.17995,
section 3) and its code.

    model = dmt_jepa.model(ViT.nano(img_size=32, patch_size=4))
    fit(model, course_data()[0], dmt_jepa.masks, steps=1000, **dmt_jepa.TRAINING)
"""

import copy

import torch
from einops import rearrange
from torch import nn
from torch.nn import functional as F

from minijepa.ema import EMATeacher, follow
from minijepa.jepa import JEPA
from minijepa.predictor import Predictor
from minijepa.training import recipe
from minijepa.vit import MLP, init_weights

NAME = "DMT-JEPA"
TRAINING = recipe.TRAINING
masks = recipe.masks


def neighbourhood(grid):
    """Which patches touch which, corners included: bool [N, N], row i has True at the up to 8 neighbours of patch i.

    grid: (rows, columns), N = rows x columns. A patch is no neighbour of its own, and nothing wraps around the border:
    a corner has 3 neighbours, another patch at the border 5.
    """
    rows, columns = torch.meshgrid(*(torch.arange(side) for side in grid), indexing="ij")
    place = torch.stack([rows.flatten(), columns.flatten()], dim=1)  # [N, 2]
    steps = (place[:, None] - place[None]).abs().amax(dim=-1)  # [N, N]: a king's moves from patch to patch
    return steps == 1


def most_similar(tokens, near, k=4):
    """Of the neighbours of each patch the k whose tokens have the highest cosine with its own; all, if there are fewer.

    tokens: [B, N, D]. near: bool [N, N], from `neighbourhood`. Returns bool [B, N, N]: True where patch j is chosen
    for patch i. Source: DMT-JEPA (arXiv:2405.17995, section 3, "masked semantic neighboring").
    """
    z = F.normalize(tokens, dim=-1)
    return highest(z @ z.mT, near, k)  # cosines [B, N, N]


def at_random(tokens, near, k=4):
    """A control: k random neighbours of each patch, whatever the tokens [B, N, D]. Otherwise as `most_similar`.

    Each call draws the same for image 0, 1, ... of a batch, so that a resumed run needs no state; batches are shuffled.
    """
    b, n, _ = tokens.shape
    scores = torch.rand(b, n, n, generator=torch.Generator().manual_seed(0))
    return highest(scores.to(tokens.device), near, k)


def whole(tokens, near):
    """A control: all neighbours and the patch itself, a window of 3x3 patches, whatever the tokens [B, N, D].

    Returns bool [B, N, N] like `most_similar`; there is no choice.
    """
    return (near | torch.eye(len(near), dtype=torch.bool, device=near.device)).expand(len(tokens), -1, -1)


def highest(scores, near, k):
    """The k highest scores [B, N, N] of each row among the neighbours, as bool [B, N, N]."""
    scores = scores.masked_fill(~near, float("-inf"))
    index = scores.topk(k, dim=-1).indices  # [B, N, k]
    return torch.zeros_like(scores, dtype=torch.bool).scatter_(-1, index, True) & near  # a corner has only 3


class AggregationHead(nn.Module):
    """h: the mean token looks at some tokens, and what it has read is added. One block of cross-attention.

    dim: width D. heads: must divide it; ValueError otherwise. m is the mean token; it looks at itself as well.
    With `chosen` (targets): LAT_i = m + what m reads in the tokens chosen for i; without (context): each token_j + what
    m reads in all. An MLP with a residual connection and a LayerNorm follow.
    Source: DMT-JEPA (arXiv:2405.17995, section 3, "local aggregation target").
    """

    def __init__(self, dim, heads=2):
        super().__init__()
        if dim % heads:
            raise ValueError(f"the width must be a multiple of the number of heads, got width {dim} and {heads} heads")
        self.heads = heads
        self.norm1, self.norm2, self.norm = (nn.LayerNorm(dim, eps=1e-6) for _ in range(3))
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.mlp = MLP(dim, 4 * dim)
        self.apply(init_weights)

    def forward(self, tokens, chosen=None):
        """tokens: [B, N, D]; chosen: bool [B, N, N], which are read for each patch, or None. Returns [B, N, D]."""
        mean = tokens.mean(dim=1, keepdim=True)  # [B, 1, D]
        seen = self.norm1(torch.cat([mean, tokens], dim=1))  # [B, 1 + N, D]
        q, k, v = rearrange(self.qkv(seen), "b n (three h d) -> three b h n d", three=3, h=self.heads)
        scores = q[:, :, :1] @ k.mT / q.shape[-1] ** 0.5  # [B, heads, 1, 1 + N]: only the mean asks
        start = tokens
        if chosen is not None:
            allowed = F.pad(chosen, (1, 0), value=True).unsqueeze(1)  # [B, 1, N, 1 + N]
            scores = scores.masked_fill(~allowed, float("-inf"))  # [B, heads, N, 1 + N]
            start = mean
        read = rearrange(scores.softmax(dim=-1) @ v, "b h n d -> b n (h d)")  # [B, N or 1, D]
        x = start + self.proj(read)  # [B, N, D]
        return self.norm(x + self.mlp(self.norm2(x)))


class NeighbourTeacher(EMATeacher):
    """Targets from neighbours: tokens of the target encoder, a choice among each patch's neighbours, the copy of h.

    encoder: the context encoder, copied. head: an AggregationHead, copied. choose: `most_similar`, or a control, a
    function (tokens [B, N, D], near [N, N]) -> bool [B, N, N].
    """

    def __init__(self, encoder, head, choose=most_similar):
        super().__init__(encoder)
        self.head = copy.deepcopy(head).requires_grad_(False)
        self.choose = choose
        self.register_buffer("near", neighbourhood(encoder.grid), persistent=False)

    @torch.no_grad()
    def forward(self, x):
        """x: [B, C, H, W] -> targets [B, N, D]."""
        tokens = super().forward(x)  # [B, N, D], the whole image, LayerNorm'ed
        return self.head(tokens, self.choose(tokens, self.near))


class DMTJEPA(JEPA):
    """A JEPA whose targets are made of neighbours; h reads the context tokens before the predictor does.

    encoder: a ViT for images. predictor: Predictor. choose: as in NeighbourTeacher. others: of JEPA, such as `weight`;
    the regulariser is asked of the encoder's tokens, not of what h made of them.
    """

    def __init__(self, encoder, predictor, choose=most_similar, **others):
        head = AggregationHead(encoder.dim)
        super().__init__(encoder, predictor, NeighbourTeacher(encoder, head, choose), **others)
        self.head = head

    def predict(self, x, masks, **which):
        """s_x [B, K_c, D], and what the model expects at the targets, [B, M, K_t, D]. x: [B, C, H, W]."""
        context = self.encoder(x, keep=masks.context)
        return context, self.predictor(self.head(context), masks, **which)

    @torch.no_grad()
    def after_step(self, momentum):
        """The target encoder follows the encoder, and its head the head, by the same momentum."""
        super().after_step(momentum)
        follow(self.teacher.head, self.head, momentum)


def model(encoder, choose=most_similar):
    """DMT-JEPA around the recipe's predictor and regulariser. encoder: a ViT; choose: `most_similar` or a control."""
    predictor = Predictor(encoder.dim, encoder.grid, width=48, depth=2, heads=3)
    return DMTJEPA(encoder, predictor, choose, weight=recipe.WEIGHT)
