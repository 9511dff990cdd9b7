"""The optimisers of a run and their schedules: AdamW, or Muon inside the blocks; warm-up, then a cosine."""

import math

import torch

from minijepa.training.muon import Muon
from minijepa.vit import transformer_blocks


def make_optimizers(model, lr, betas=(0.9, 0.95), optimizer="adamw"):
    """A list of one or two: with "muon", Muon for the matrices inside the transformer blocks and AdamW for the rest."""
    learned = [p for p in model.parameters() if p.requires_grad]
    inside = {id(p) for block in transformer_blocks(model) for p in block.parameters() if p.ndim == 2}
    inner = [p for p in learned if optimizer == "muon" and id(p) in inside]
    chosen = {id(p) for p in inner}
    rest = [p for p in learned if id(p) not in chosen]
    fused = rest[0].device.type in ("cpu", "cuda")
    optimizers = [torch.optim.AdamW(decay_groups(rest), lr=lr, betas=betas, fused=fused)]
    return [*optimizers, Muon([{"params": inner, "decays": True}], lr=lr)] if inner else optimizers


def decay_groups(parameters):
    """Parameter groups for an optimiser: weight decay on matrices; biases, norms and mask tokens keep their size.

    parameters: a list. Returns one or two groups, each with "decays", which `set_schedules` reads.
    """
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "decays": True},
        {"params": [p for p in parameters if p.ndim <= 1], "decays": False, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


class OptimizerGroup:
    """Several optimisers as one, for schedules and the gradient scaler, which leaves a step out for all or for none.

    each: the list of them.
    """

    def __init__(self, optimizers):
        self.each = optimizers

    @property
    def param_groups(self):
        """Those of all; asked anew each time, as an optimiser that is loaded from a checkpoint has new ones."""
        return [group for each in self.each for group in each.param_groups]

    def step(self):
        """One step of each. Returns True, which tells it from a step that the scaler leaves out."""
        for optimizer in self.each:
            optimizer.step()
        return True


def set_schedules(optimizers, step, steps, lr, warmup, weight_decay):
    """Write this step's learning rate and weight decay into the OptimizerGroup; returns the learning rate."""
    rate = warmup_cosine(step, steps, lr, warmup)
    start, end = weight_decay
    decay = end + (start - end) * 0.5 * (1 + math.cos(math.pi * step / steps))
    for group in optimizers.param_groups:
        group["lr"] = rate
        if group["decays"]:
            group["weight_decay"] = decay
    return rate


def warmup_cosine(step, steps, peak, warmup):
    """Learning rate of a step: linear up over the fraction `warmup` of all steps, then cosine down to 0 at the end."""
    rising = max(1, round(warmup * steps))
    if step < rising:
        return peak * (step + 1) / rising
    return peak * 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))
