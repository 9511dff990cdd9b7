"""Assignment 04: what is asked for, by the slowest way that is obviously right, and the cases that are tried."""

import copy

import torch

from minijepa.checks.specs import normal
from minijepa.masking.sampling import Masks
from minijepa.predictor import Predictor
from minijepa.vit import ViT

# --- 1: the slow copy -------------------------------------------------------------------------------------


def spec_ema_update(teacher, student, momentum):
    """Number by number: so much of the old teacher, the rest of the student. Returns a list of new tensors."""
    news = []
    for old, new in zip(teacher, student, strict=True):
        numbers = [momentum * a + (1 - momentum) * b for a, b in zip(old.flatten(), new.flatten(), strict=True)]
        news.append(torch.stack(numbers).view(old.shape))
    return news


def weights(seed, dtype=torch.float32):
    """Weights of a very small network: a list of tensors."""
    return [normal(2, 3, seed=seed, dtype=dtype), normal(3, seed=seed + 1, dtype=dtype)]


EMA = [
    ([torch.tensor([1.0, 0.0])], [torch.tensor([0.0, 1.0])], 0.9),
    (weights(0), weights(5), 0.996),
    (weights(1), weights(6), 0.5),
    (weights(2, torch.float64), weights(7, torch.float64), 0.99),
    (weights(3), weights(8), 1.0),
    (weights(3), weights(8), 0.0),
]


# --- 2: how slow? -----------------------------------------------------------------------------------------


def spec_momentum_for(steps):
    """After so many updates half of an old weight is left: tau^steps = 1/2. Found by halving an interval."""
    low, high = 0.0, 1.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if middle**steps < 0.5 else (low, middle)
    return (low + high) / 2


# --- 3: the targets ---------------------------------------------------------------------------------------


def spec_normalise(tokens):
    """Token by token: subtract its mean, divide by the root of its variance plus 1e-5. [B, N, D] -> [B, N, D]."""
    result = tokens.clone()
    for b in range(tokens.shape[0]):
        for n in range(tokens.shape[1]):
            token = tokens[b, n]
            mean = token.sum() / len(token)
            variance = ((token - mean) ** 2).sum() / len(token)
            result[b, n] = (token - mean) / (variance + 1e-5).sqrt()
    return result


TOKENS = [
    (torch.tensor([[[1.0, 3.0], [4.0, 4.0]]]),),
    (3 * normal(2, 5, 4) + 1,),
    (0.01 * normal(3, 4, 6, seed=1),),
    (normal(2, 3, 8, seed=2, dtype=torch.float64) + torch.arange(3).view(1, 3, 1),),
]


# --- 4: the loss ------------------------------------------------------------------------------------------


def spec_jepa_loss(prediction, all_targets, masks):
    """Target patch by target patch, feature by feature: smooth L1, and the mean of all.

    prediction: [B, M, K_t, D]; all_targets: [B, N, D]; masks: Masks with targets [B, M, K_t]. Returns a scalar.
    """
    total, count = 0.0, 0
    for b in range(prediction.shape[0]):
        for m in range(prediction.shape[1]):
            for k in range(prediction.shape[2]):
                target = all_targets[b, masks.targets[b, m, k]]
                for d in (prediction[b, m, k] - target).abs():
                    total = total + (d**2 / 2 if d < 1 else d - 0.5)
                    count += 1
    return total / count


def loss_case(batch, seed, scale=1.0):
    """(prediction [B, 2, 3, D], all targets [B, 9, D], masks) for a 3 by 3 grid."""
    order = torch.rand(batch, 9, generator=torch.Generator().manual_seed(seed)).argsort(dim=1)  # [B, 9]
    masks = Masks(order[:, 6:].sort(dim=1).values, order[:, :6].view(batch, 2, 3).sort(dim=2).values)
    return scale * normal(batch, 2, 3, 4, seed=seed + 1), scale * normal(batch, 9, 4, seed=seed + 2), masks


LOSSES = [loss_case(1, 0), loss_case(3, 10, 3.0), loss_case(2, 20, 0.1)]


# --- 5: one step ------------------------------------------------------------------------------------------


def small_parts(seed):
    """A very small encoder, predictor and teacher, images [3, 3, 8, 8] and masks on a grid of 4 by 4."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = ViT(img_size=8, patch_size=2, dim=16, depth=1, heads=2)
        predictor = Predictor(16, (4, 4), width=8, depth=1, heads=2)
    teacher = copy.deepcopy(encoder)
    with torch.no_grad():
        for number, p in enumerate(teacher.parameters()):
            p.add_(0.3 * normal(*p.shape, seed=100 * seed + number))
    order = torch.rand(3, 16, generator=torch.Generator().manual_seed(seed)).argsort(dim=1)  # [B, N]
    masks = Masks(order[:, :5].sort(dim=1).values, order[:, 5:11].view(3, 2, 3).sort(dim=2).values)
    return encoder, predictor, teacher, 2 * normal(3, 3, 8, 8, seed=seed), masks


def spec_step_loss(encoder, predictor, teacher, x, masks):
    """The step in the paper's order: targets without gradient, context, prediction, loss. A scalar. x: [B, C, H, W]."""
    with torch.no_grad():
        targets = spec_normalise(teacher(x))  # [B, N, D]
    prediction = predictor(encoder(x, keep=masks.context), masks)  # [B, M, K_t, D]
    return spec_jepa_loss(prediction, targets, masks)
