"""The attentive probe: one learned query attends to all tokens of an image or clip and reads the relevant ones.

A mean over tokens hides what only a few tokens know; this probe can find them. It trains a small network of its own,
so it may also learn what the encoder does not know: always train the same probe on a randomly initialised encoder too.
"""

import torch
from torch import nn
from torch.nn import functional as F

from minijepa.training.batches import BatchOrder
from minijepa.training.optimizers import decay_groups, warmup_cosine
from minijepa.vit import MLP, init_weights

CHUNK = 500  # images at a time where nothing is trained


class AttentiveProbe(nn.Module):
    """s = q + cross-attention(q, tokens);  s <- s + MLP(s);  output = W LayerNorm(s) + b, with a learned query q.

    It maps any tokens [B, L, D] to [B, out]; L may be the patches of an image or the tubelets of a clip.

    dim: D.
    out: how many numbers to predict.
    heads: of the attention; they must divide D (ValueError).
    mean, std: of each feature over the training tokens, [D] or a number; the tokens are standardised with them first.
    Source: V-JEPA (arXiv:2404.08471), its attentive probe.
    """

    def __init__(self, dim, out, heads=4, mean=0.0, std=1.0):
        super().__init__()
        if dim % heads:
            raise ValueError(
                f"the number of heads must divide the width of the tokens, got {heads} heads for width {dim}: "
                "take another number of heads"
            )
        self.heads = heads
        self.register_buffer("mean", torch.as_tensor(mean).expand(dim).clone())
        self.register_buffer("std", torch.as_tensor(std).expand(dim).clone())
        self.query = nn.Parameter(torch.randn(dim) * 0.02)
        self.to_q, self.to_v = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.to_k = nn.Parameter(torch.empty(dim, dim))  # no bias: it would add the same to all attention scores
        self.proj = nn.Linear(dim, dim)
        self.mlp = MLP(dim, 2 * dim)
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, out)
        self.apply(init_weights)
        nn.init.xavier_uniform_(self.to_k)

    def weights(self, tokens):
        """The attention weights of each head: [B, L, D] -> [B, L, heads]; those of a head sum to 1 over the L tokens.

        The query is the same for all images, so q . (W_k x) is computed as (W_k^T q) . x. No key is ever computed, and
        the probe costs about D / heads times less.
        """
        q = self.to_q(self.query).view(self.heads, -1)  # [h, D / h]
        keys = self.to_k.view(self.heads, -1, len(self.query))  # [h, D / h, D]
        asked = torch.einsum("he,hed->hd", q, keys) * q.shape[1] ** -0.5  # [h, D]
        return (self.standardise(tokens) @ asked.T).softmax(dim=1)  # [B, L, h]

    def standardise(self, tokens):
        """Tokens [B, L, D] of any float type -> float32, each feature with mean 0 and standard deviation 1."""
        return (tokens.float() - self.mean) / self.std

    def forward(self, tokens):
        seen = self.weights(tokens).mT @ self.standardise(tokens)  # [B, h, D]: averages first, values afterwards
        values = self.to_v.weight.view(self.heads, -1, len(self.query))  # [h, D / h, D]
        read = torch.einsum("bhd,hed->bhe", seen, values).flatten(1) + self.to_v.bias  # [B, D]
        s = self.query + self.proj(read)  # [B, D]
        s = s + self.mlp(s)
        return self.head(self.norm(s))  # [B, out]


def fit_attentive(tokens, truth, *, steps=500, seed=0):
    """Train an AttentiveProbe on frozen tokens and return it, in eval mode, on the device of the tokens.

    AdamW with weight decay 0.1 and batches of 128; a tenth of the steps is warm-up, then the learning rate follows a
    cosine. The same seed gives the same probe.

    tokens: [N, L, D].
    truth: int64 [N] for classes 0..C-1 (cross-entropy), or float [N, K] for values (squared error of the standardised
        values; the probe answers in the units of the truth).
    Raises ValueError for a truth of another shape.
    """
    classes = truth.dtype == torch.int64
    if len(truth) != len(tokens) or truth.ndim != (1 if classes else 2):
        raise ValueError(
            f"for {len(tokens)} images the truth must be int64 [{len(tokens)}] (classes) or float [{len(tokens)}, K] "
            f"(values), got {truth.dtype} {list(truth.shape)}"
        )
    truth, (mean, std) = truth.to(tokens.device), moments(tokens)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        out = int(truth.max()) + 1 if classes else truth.shape[1]
        probe = AttentiveProbe(tokens.shape[2], out, mean=mean, std=std)
    probe.to(tokens.device)
    scale, shift = (1.0, 0.0) if classes else (truth.std(dim=0, correction=0).clamp(min=1e-6), truth.mean(dim=0))
    lr = 2e-3
    optimizer = torch.optim.AdamW(decay_groups(list(probe.parameters())), lr=lr, weight_decay=0.1)
    order = BatchOrder(len(tokens), min(128, len(tokens)), seed)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = warmup_cosine(step, steps, lr, 0.1)
        index = order.batch(step).to(tokens.device)
        answer = probe(tokens[index])
        if classes:
            loss = F.cross_entropy(answer, truth[index])
        else:
            loss = F.mse_loss(answer, (truth[index] - shift) / scale)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    if not classes:  # from here on the last layer answers in the units of the truth
        with torch.no_grad():
            probe.head.weight.mul_(scale[:, None])
            probe.head.bias.mul_(scale).add_(shift)
    return probe.eval()


def attentive_probe(train, train_truth, test, test_truth, *, steps=500, seed=0):
    """The score of an attentive probe: accuracy in [0, 1] for classes, R^2 for values.

    train: tokens [N, L, D] that the probe is trained on; test: tokens [M, L, D] that it is scored on.
    train_truth, test_truth: int64 [N] and [M] for classes, or float [N, K] and [M, K] for values.
    steps, seed: of `fit_attentive`, which says what it raises.
    """
    from sklearn.metrics import accuracy_score, r2_score

    answer = read(fit_attentive(train, train_truth, steps=steps, seed=seed), test)
    if train_truth.dtype == torch.int64:
        return float(accuracy_score(test_truth.cpu().numpy(), answer.argmax(dim=1).numpy()))
    return float(r2_score(test_truth.cpu().numpy(), answer.numpy()))


@torch.no_grad()
def read(probe, tokens):
    """The answers of a trained probe: tokens [N, L, D] -> float32 [N, out] on the CPU."""
    return torch.cat([probe(chunk).cpu() for chunk in tokens.split(CHUNK)])


def moments(tokens):
    """Mean and standard deviation of each feature over all tokens of all images: [N, L, D] -> two [D].

    The sums are in float64 and chunk by chunk, so that large and half-precision tokens are summed accurately and never
    copied as a whole. A feature that never changes gets the standard deviation 1.
    """
    count, total, squares = tokens.shape[0] * tokens.shape[1], 0.0, 0.0
    for chunk in tokens.split(CHUNK):
        x = chunk.flatten(0, 1).double()  # [B L, D]
        total, squares = total + x.sum(dim=0), squares + x.square().sum(dim=0)
    mean = total / count
    std = (squares / count - mean.square()).clamp(min=0).sqrt()
    return mean.float(), torch.where(std > 1e-6, std, 1.0).float()
