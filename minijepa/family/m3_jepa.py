"""M3-JEPA: predict what one sense knows from what another knows. Replaced: the predictor, by a mixture of experts.

    frozen vector of the source --> linear + direction --> gate --> k of E experts --> + --> linear --> prediction
    frozen vector of the target ------------------------------------------------------------------>  s_y
    loss = 1/2 smooth-L1 + 1/2 InfoNCE, in one direction per step (alternating), or in all of them (together)

A modality is a token and a direction a mask: the context is the source, the target the target, everything else of the
step is as in `minijepa.jepa`. With M modalities there are M (M - 1) directions, and one predictor for all of them.
Source: M3-JEPA (arXiv:2409.05929, section 3, and its released code, HongyangLL/M3-JEPA). As in that code: a linear map
for each source and for each target, the residual form, softmax before top-k without dividing by the sum again,
tau = .03, directions in a cycle. Substituted: small frozen encoders without LoRA (`minijepa.family.named`), 4 experts
of 64 hidden units of which 2 are taken (12 of 2,048, of which 4), and both losses on one prediction in the target's own
space, where the code makes a second pass and a learned space for InfoNCE.

    method = m3_jepa.model(m3_jepa.Mixture(gates=6))
    fit(method, vectors, m3_jepa.masks, steps=600, **m3_jepa.TRAINING)  # vectors: [N, 3, 64], see named
"""

from dataclasses import dataclass
from itertools import permutations

import torch
from torch import nn
from torch.nn import functional as F

from minijepa.family.clip import clip_loss
from minijepa.losses import smooth_l1
from minijepa.masking import Masks, MaskSets
from minijepa.training.distributed import whole_batch
from minijepa.vit import MLP, eval_mode

NAME = "M3-JEPA"
TRAINING = {"lr": 2e-3, "batch_size": 128, "weight_decay": (0.01, 0.01)}
DIRECTIONS = tuple(permutations(range(3), 2))  # (source, target): 0 1, 0 2, 1 0, 1 2, 2 0, 2 1
TEMPERATURE = 0.03


# --- which direction a step learns ---


def direction_masks(batch, direction):
    """A direction as Masks: context [B, 1] is its source, targets [B, 1, 1] its target. direction: of DIRECTIONS."""
    source, target = direction
    return Masks(torch.full((batch, 1), source), torch.full((batch, 1, 1), target))


class Alternating:
    """One direction per step, all of them in a cycle: give it to `fit` in the place of a sampler of masks.

    directions: (source, target) pairs.
    """

    def __init__(self, directions=DIRECTIONS):
        self.directions = directions

    def at(self, step):
        """The sampler of one step: a function (batch, generator) -> Masks; the generator has nothing to decide."""
        return lambda batch, generator=None: direction_masks(batch, self.directions[step % len(self.directions)])


masks = Alternating()  # the released code's; `together` is the alternative


def together(batch, generator=None):
    """All six directions in one step, as MaskSets: the loss is the mean of theirs."""
    return MaskSets(tuple(direction_masks(batch, direction) for direction in DIRECTIONS))


# --- trunks: what is shared between the directions ---


class Mixture(nn.Module):
    """E experts, two-layer networks, of which each input takes k: sum of p_e expert_e(x) over its k largest p.

    p = softmax of the gate over all experts; the k largest are taken as they are, so that they sum to less than 1.
    As in the released code all experts are computed and k of them used: the choice saves no time here.
    gates: 1, all directions share a gate (the direction is in x; the released code), or the number of directions, each
    has its own (multi-gate mixture of experts, Ma et al. 2018). dim: width D. inner: hidden units of an expert.
    Raises ValueError unless 1 <= k <= experts.
    """

    def __init__(self, gates=1, dim=64, experts=4, k=2, inner=64):
        super().__init__()
        if not 1 <= k <= experts:
            raise ValueError(f"each input takes k of the {experts} experts, 1 <= k <= {experts}, got {k}")
        self.k = k
        self.gates = nn.ModuleList(nn.Linear(dim, experts) for _ in range(gates))
        self.experts = nn.ModuleList(MLP(dim, inner) for _ in range(experts))

    def weights(self, x, direction):
        """How much each expert counts: x [B, D] -> [B, E], k numbers above 0 in each row. direction: its number."""
        p = self.gates[direction % len(self.gates)](x).softmax(dim=1)  # [B, E]
        best = p.topk(self.k, dim=1)
        return torch.zeros_like(p).scatter(1, best.indices, best.values)  # [B, E]

    def forward(self, x, direction):
        """x: [B, D] -> [B, D]. direction: the number of the direction in DIRECTIONS."""
        outputs = torch.stack([expert(x) for expert in self.experts], dim=1)  # [B, E, D]
        return (self.weights(x, direction).unsqueeze(-1) * outputs).sum(dim=1)  # [B, D]


class OneMLP(MLP):
    """One network for all directions, the control of a mixture. dim: width D; inner: its hidden units."""

    def __init__(self, inner=256, dim=64):
        super().__init__(dim, inner)

    def forward(self, x, direction):
        """x: [B, D] -> [B, D]. direction: not used; it is in x."""
        return super().forward(x)


class MLPPerDirection(nn.Module):
    """A small network for each direction: nothing of the trunk is shared. dim: width D; inner: hidden units of each."""

    def __init__(self, inner=43, dim=64):
        super().__init__()
        self.each = nn.ModuleList(MLP(dim, inner) for _ in DIRECTIONS)

    def forward(self, x, direction):
        """x: [B, D] -> [B, D]. direction: the number of the direction, which picks the network."""
        return self.each[direction](x)


# --- the predictor and the method ---


class Predictor(nn.Module):
    """From a vector of the source to one of the target: h = gelu(W_source x) + direction, h + gelu(norm(trunk(h))).

    trunk: a module (x [B, D], direction) -> [B, D], such as Mixture. dim: width D.
    maps: W_source and W_target, one for each of 3 modalities as in the released code, or 1 for all. told: whether the
    vector of the direction is added; with maps=1 and told=False only gates or networks of its own know the direction.
    """

    def __init__(self, trunk, dim=64, maps=3, told=True):
        super().__init__()
        self.trunk = trunk
        self.source = nn.ModuleList(nn.Linear(dim, dim) for _ in range(maps))
        self.target = nn.ModuleList(nn.Linear(dim, dim) for _ in range(maps))
        self.direction = nn.Parameter(torch.randn(len(DIRECTIONS), dim) if told else torch.zeros(len(DIRECTIONS), dim))
        self.direction.requires_grad_(told)
        self.norm = nn.LayerNorm(dim)

    def enter(self, x, direction):
        """What the trunk sees: x [B, D] of the source -> [B, D]. direction: (source, target)."""
        into = self.source[direction[0] % len(self.source)]
        return F.gelu(into(x)) + self.direction[DIRECTIONS.index(direction)]

    def forward(self, x, direction):
        """x: vectors of the source [B, D] -> expected vectors of the target [B, D]. direction: (source, target)."""
        h = self.enter(x, direction)
        h = h + F.gelu(self.norm(self.trunk(h, DIRECTIONS.index(direction))))
        return self.target[direction[1] % len(self.target)](h)


@dataclass
class M3Output:
    """What one step made. loss: scalar; l2, contrast: its two terms, the means over the step's directions."""

    loss: torch.Tensor
    l2: torch.Tensor
    contrast: torch.Tensor

    @property
    def numbers(self):
        """What `fit` records now and then: the two terms."""
        return {"l2": self.l2, "contrast": self.contrast}


class M3JEPA(nn.Module):
    """A predictor between frozen vectors. predictor: a Predictor.

    weights: of smooth-L1 and InfoNCE; the paper's are (1/2, 1/2), (0, 1) and (1, 0) are its ablations.
    """

    compares_examples = True  # the other targets of the batch are InfoNCE's negatives

    def __init__(self, predictor, weights=(0.5, 0.5)):
        super().__init__()
        self.predictor, self.weights = predictor, weights

    def forward(self, vectors, masks):
        """vectors: frozen, one for each modality, [B, M, D]. masks: a direction as Masks [B, 1], or MaskSets of them.

        Returns M3Output.
        """
        each = masks.sets if isinstance(masks, MaskSets) else (masks,)
        terms = torch.stack([self.compare(vectors, one) for one in each]).mean(dim=0)  # [2]
        return M3Output(self.weights[0] * terms[0] + self.weights[1] * terms[1], *terms)

    def compare(self, vectors, masks):
        """Smooth-L1 and InfoNCE of one direction: a tensor [2]. vectors: [B, M, D]; masks: Masks [B, 1]."""
        direction = int(masks.context[0, 0]), int(masks.targets[0, 0, 0])
        prediction, target = self.predictor(vectors[:, direction[0]], direction), vectors[:, direction[1]]  # [B, D]
        p, y = (whole_batch(F.normalize(v.float(), dim=1), self.training) for v in (prediction, target))
        return torch.stack([smooth_l1(prediction.float(), target).mean(), clip_loss(p, y, 1 / TEMPERATURE)])

    @torch.no_grad()
    def predictions(self, vectors):
        """What it expects of each target: vectors [N, M, D] -> [6, N, D], in the order of DIRECTIONS."""
        with eval_mode(self):
            return torch.stack([self.predictor(vectors[:, d[0]], d) for d in DIRECTIONS])

    @torch.no_grad()
    def routes(self, vectors):
        """How much each expert of a Mixture counts: vectors [N, M, D] -> [6, N, E], in the order of DIRECTIONS."""
        with eval_mode(self):
            trunk, enter = self.predictor.trunk, self.predictor.enter
            return torch.stack([trunk.weights(enter(vectors[:, d[0]], d), i) for i, d in enumerate(DIRECTIONS)])


def model(trunk=None, weights=(0.5, 0.5), **predictor):
    """M3-JEPA around a trunk, by default a Mixture with a gate for each direction.

    weights: as in M3JEPA. predictor: `maps` and `told`, as in Predictor.
    """
    return M3JEPA(Predictor(Mixture(gates=len(DIRECTIONS)) if trunk is None else trunk, **predictor), weights)


def ridge(train, test, penalty=10.0):
    """The closed form: a linear map for each direction, ridge regression. train, test: vectors [N, M, D], [K, M, D].

    Returns what it expects of the targets, [6, K, D]. penalty: strength of the L2 penalty, above 0.
    """
    x, y = (torch.cat([v, torch.ones_like(v[..., :1])], dim=2) for v in (train, test))  # [., M, D + 1]
    eye = penalty * torch.eye(x.shape[2])
    maps = [torch.linalg.solve(x[:, s].T @ x[:, s] + eye, x[:, s].T @ train[:, t]) for s, t in DIRECTIONS]
    return torch.stack([y[:, s] @ w for (s, _), w in zip(DIRECTIONS, maps, strict=True)])


def gradient_cosines(method, vectors):
    """Do the directions pull the trunk the same way? Cosines between the gradients of their losses, [6, 6].

    method: M3JEPA, whose trunk's parameters are meant. vectors: one batch [B, M, D]. -1: they cancel, 0: they have
    nothing to do with each other, 1: they agree.
    """
    parameters = list(method.predictor.trunk.parameters())
    rows = []
    for direction in DIRECTIONS:
        loss = method(vectors, direction_masks(len(vectors), direction)).loss
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
        rows.append(torch.cat([g.flatten() for g in gradients]))
    unit = F.normalize(torch.stack(rows), dim=1)  # [6, parameters]
    return unit @ unit.T
