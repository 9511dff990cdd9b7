"""The optimisers of a run and their schedules: AdamW, or Muon inside the blocks; warm-up, then a cosine."""

import math

import torch

from minijepa.training.muon import Muon


def make_optimizers(model, lr, betas=(0.9, 0.95), optimizer="adamw"):
    """A list of one or two: with "muon", Muon for the matrices inside the transformer blocks and AdamW for the rest.

    Weight decay only on matrices: biases, norms and the mask token keep their size.
    """
    learned = {name: p for name, p in model.named_parameters() if p.requires_grad}
    inner = [p for name, p in learned.items() if optimizer == "muon" and "blocks." in name and p.ndim == 2]
    rest = [p for p in learned.values() if not any(p is q for q in inner)]
    groups = [
        {"params": [p for p in rest if p.ndim > 1], "decays": True},
        {"params": [p for p in rest if p.ndim <= 1], "decays": False, "weight_decay": 0.0},
    ]
    fused = rest[0].device.type in ("cpu", "cuda")
    optimizers = [torch.optim.AdamW([g for g in groups if g["params"]], lr=lr, betas=betas, fused=fused)]
    return [*optimizers, Muon([{"params": inner, "decays": True}], lr=lr)] if inner else optimizers


class Together:
    """Several optimisers as one, for the gradient scaler: it leaves a step out for all of them or for none."""

    def __init__(self, optimizers):
        self.optimizers = optimizers
        self.param_groups = [group for each in optimizers for group in each.param_groups]

    def step(self):
        """One step of each. Returns True, which tells it from a step that the scaler leaves out."""
        for each in self.optimizers:
            each.step()
        return True


def set_schedules(optimizers, step, steps, lr, warmup, weight_decay):
    """Write this step's learning rate and weight decay into the optimisers; returns the learning rate."""
    rate = warmup_cosine(step, steps, lr, warmup)
    start, end = weight_decay
    decay = end + (start - end) * 0.5 * (1 + math.cos(math.pi * step / steps))
    for group in (group for each in optimizers for group in each.param_groups):
        group["lr"] = rate
        if group["decays"]:
            group["weight_decay"] = decay
    return rate


def warmup_cosine(step, steps, peak, warmup):
    """Learning rate of a step: linear up over the share `warmup` of all steps, then cosine down to 0 at the end."""
    rising = max(1, round(warmup * steps))
    if step < rising:
        return peak * (step + 1) / rising
    return peak * 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))
