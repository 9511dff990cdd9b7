"""Assignment 04, exercise 4: smooth L1 between predictions and the targets' tokens."""

import torch

from minijepa.checks.curves import line_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal
from minijepa.masking.sampling import Masks


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


CASES = [loss_case(1, 0), loss_case(3, 10, 3.0), loss_case(2, 20, 0.1)]


def gathered(tokens, index):
    """Tokens [B, N, D] at index [B, ...] -> [B, ..., D]."""
    flat = index.flatten(1)  # [B, K]
    return tokens.gather(1, flat.unsqueeze(-1).expand(-1, -1, tokens.shape[-1])).view(*index.shape, -1)


huber = torch.nn.functional.smooth_l1_loss

MISTAKES = [
    (
        lambda p, t, m: huber(p[:, 0], gathered(t, m.context)),
        "these are the VISIBLE tokens: the loss compares at masks.targets, where the encoder saw nothing",
    ),
    (
        lambda p, t, m: huber(p, gathered(t, m.context).unsqueeze(1).expand(p.shape)),
        "these are the VISIBLE tokens: the loss compares at masks.targets, where the encoder saw nothing",
    ),
    (
        lambda p, t, m: huber(p.flatten(1, 2), t[:, : p.shape[1] * p.shape[2]]),
        "you compare with the first tokens of the image: pick those that masks.targets names",
    ),
    (
        lambda p, t, m: torch.nn.functional.mse_loss(p, gathered(t, m.targets)),
        "this is the squared error: smooth L1 is d^2 / 2 for |d| < 1 and |d| - 1/2 beyond",
    ),
    (
        lambda p, t, m: torch.nn.functional.l1_loss(p, gathered(t, m.targets)),
        "this is |d|: smooth L1 is d^2 / 2 for |d| < 1 and |d| - 1/2 beyond",
    ),
    (
        lambda p, t, m: huber(p, gathered(t, m.targets), reduction="sum"),
        "this is the sum: take the mean, so that the loss does not grow with batch, blocks and width",
    ),
    (
        lambda p, t, m: huber(p, gathered(t, m.targets), reduction="none").mean(dim=(1, 2, 3)),
        "the loss is one number for the batch: take the mean over the images too",
    ),
]

ADVICE = "pick the targets' tokens, then take the mean of smooth L1"


def show_jepa_loss(student):
    """Draw the loss of predictions that are off by d everywhere, and in one block of two: target and answer."""

    def case(offset):
        _, tokens, masks = loss_case(2, 0)
        right = torch.stack([tokens[b, masks.targets[b]] for b in range(2)])  # [B, M, K_t, D]
        return right + offset, tokens, masks

    first = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)  # the first of two blocks
    offsets = [i / 2 for i in range(-6, 7)]
    cases = {
        "every number off by d": [(d, case(d)) for d in offsets],
        "the first block off by d": [(d, case(d * first)) for d in offsets],
    }
    see = "the loss is 0 at d = 0, a parabola up to 1 and straight beyond; one block of two gives half of it."
    line_and_yours("jepa_loss", student, spec_jepa_loss, cases, ("d", "loss"), see)


def jepa_loss(student):
    """Check exercise 4, `jepa_loss(prediction, all_targets, masks)`. Raises CheckFailed."""
    compare("jepa_loss", student, spec_jepa_loss, CASES, MISTAKES, ADVICE)
