"""The attentive probe: one learned query looks at all tokens of an image or clip and decides which ones to read.

A mean over tokens drowns what only a few tokens know; this probe can find them. It learns a small network of its own,
so it may also learn what the encoder does not know: always put the same probe on an untrained encoder beside it.
"""

import torch
from torch import nn
from torch.nn import functional as F

from minijepa.training.batches import BatchOrder
from minijepa.training.optimizers import decay_groups, warmup_cosine
from minijepa.vit import MLP, init_weights


class AttentiveProbe(nn.Module):
    """s = q + cross-attention(q, tokens);  s <- s + MLP(s);  output = W LayerNorm(s) + b, with a learned query q.

    Any tokens will do: [B, L, D] -> [B, out]; L may be the patches of an image or the tubelets of a clip.
    dim: D; out: numbers to predict; heads: of the attention, they must divide D (ValueError); hidden: of the MLP, in
    units of D. mean, std: of the tokens, per feature [D]; they are standardised with them first.
    Source: V-JEPA (arXiv:2404.08471), its attentive probe.
    """

    def __init__(self, dim, out, heads=4, hidden=2, mean=0.0, std=1.0):
        super().__init__()
        if dim % heads:
            raise ValueError(f"heads must divide the width of the tokens, got {heads} heads for width {dim}")
        self.heads = heads
        self.register_buffer("mean", torch.as_tensor(mean).expand(dim).clone())
        self.register_buffer("std", torch.as_tensor(std).expand(dim).clone())
        self.query = nn.Parameter(torch.randn(dim) * 0.02)
        self.to_q, self.to_v = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.to_k = nn.Parameter(torch.empty(dim, dim))  # no bias: it would shift all scores alike
        self.proj = nn.Linear(dim, dim)
        self.mlp = MLP(dim, hidden * dim)
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, out)
        self.apply(init_weights)
        nn.init.xavier_uniform_(self.to_k)

    def weights(self, tokens):
        """Where each head looks: [B, L, D] -> [B, L, heads], every head's weights sum to 1 over the L tokens.

        The query is the same for all images, so q . (W_k x) is computed as (W_k^T q) . x: no key is ever formed, and
        the probe costs about D / heads times less.
        """
        q = self.to_q(self.query).view(self.heads, -1)  # [h, D / h]
        keys = self.to_k.view(self.heads, -1, len(self.query))  # [h, D / h, D]
        asked = torch.einsum("he,hed->hd", q, keys) * q.shape[1] ** -0.5  # [h, D]
        return (self.standardise(tokens) @ asked.T).softmax(dim=1)  # [B, L, h]

    def standardise(self, tokens):
        """[B, L, D] of any float type -> float32, each feature with mean 0 and deviation 1 over the training tokens."""
        return (tokens.float() - self.mean) / self.std

    def forward(self, tokens):
        seen = self.weights(tokens).mT @ self.standardise(tokens)  # [B, h, D]: averages first, values afterwards
        values = self.to_v.weight.view(self.heads, -1, len(self.query))  # [h, D / h, D]
        read = torch.einsum("bhd,hed->bhe", seen, values).flatten(1) + self.to_v.bias  # [B, D]
        s = self.query + self.proj(read)  # [B, D]
        s = s + self.mlp(s)
        return self.head(self.norm(s))  # [B, out]


def fit_attentive(tokens, truth, *, steps=500, batch_size=128, lr=2e-3, weight_decay=0.1, heads=4, seed=0):
    """Train an AttentiveProbe on frozen tokens and return it, in eval mode, on the device of the tokens.

    tokens: [N, L, D], float32 or float16. truth: int64 [N] for classes 0..C-1 (cross-entropy), or float [N, K] for
    values (squared error; they are standardised, and the probe answers in the units of the truth).
    AdamW, `steps` batches, a tenth of them warm-up, then cosine. The same seed gives the same probe.
    Raises ValueError for truth of another shape.
    """
    classes = truth.dtype == torch.int64
    if len(truth) != len(tokens) or truth.ndim != (1 if classes else 2):
        raise ValueError(
            f"for {len(tokens)} images truth must be int64 [{len(tokens)}] or float [{len(tokens)}, K], "
            f"got {truth.dtype} {list(truth.shape)}"
        )
    truth, (mean, std) = truth.to(tokens.device), moments(tokens)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        out = int(truth.max()) + 1 if classes else truth.shape[1]
        probe = AttentiveProbe(tokens.shape[2], out, heads, mean=mean, std=std)
    probe.to(tokens.device)
    scale, shift = (1.0, 0.0) if classes else (truth.std(dim=0, correction=0).clamp(min=1e-6), truth.mean(dim=0))
    optimizer = torch.optim.AdamW(decay_groups(list(probe.parameters())), lr=lr, weight_decay=weight_decay)
    order = BatchOrder(len(tokens), min(batch_size, len(tokens)), seed)
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
    if not classes:  # the last layer learns to speak in the units of the truth
        with torch.no_grad():
            probe.head.weight.mul_(scale[:, None])
            probe.head.bias.mul_(scale).add_(shift)
    return probe.eval()


def attentive_probe(train, train_truth, test, test_truth, **settings):
    """Train on some images' tokens, score on others': accuracy in [0, 1] for classes, R^2 for values.

    train: [N, L, D], test: [M, L, D]; truth: int64 [N], [M], or float [N, K], [M, K]; settings: of `fit_attentive`,
    which says what it raises.
    """
    from sklearn.metrics import accuracy_score, r2_score

    answer = read(fit_attentive(train, train_truth, **settings), test)
    if train_truth.dtype == torch.int64:
        return float(accuracy_score(test_truth.cpu().numpy(), answer.argmax(dim=1).numpy()))
    return float(r2_score(test_truth.cpu().numpy(), answer.numpy()))


@torch.no_grad()
def read(probe, tokens, batch_size=500):
    """A trained probe's answers: tokens [N, L, D] -> float32 [N, out] on the CPU."""
    return torch.cat([probe(chunk).cpu() for chunk in tokens.split(batch_size)])


def moments(tokens, batch_size=500):
    """Mean and deviation of each feature over all tokens of all images: [N, L, D] -> two [D].

    In float64 and in pieces, so that large and half-precision tokens are summed exactly enough and never copied.
    A feature that never changes gets deviation 1.
    """
    count, total, squares = tokens.shape[0] * tokens.shape[1], 0.0, 0.0
    for chunk in tokens.split(batch_size):
        x = chunk.flatten(0, 1).double()  # [B L, D]
        total, squares = total + x.sum(dim=0), squares + x.square().sum(dim=0)
    mean = total / count
    std = (squares / count - mean.square()).clamp(min=0).sqrt()
    return mean.float(), torch.where(std > 1e-6, std, 1.0).float()
