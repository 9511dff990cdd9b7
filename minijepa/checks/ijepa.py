"""Assignment 04: I-JEPA from its parts: teacher, targets, loss, and where gradients may flow."""

import math

import torch

from minijepa.checks.pictures.ijepa import (  # noqa: F401 (notebooks find them here)
    show_ema_update,
    show_jepa_loss,
    show_momentum_for,
    show_normalise,
    show_step_loss,
)
from minijepa.checks.report import CheckFailed, call, compare, fail, passed, patience
from minijepa.checks.specs.ijepa import (
    EMA,
    LOSSES,
    TOKENS,
    small_parts,
    spec_ema_update,
    spec_jepa_loss,
    spec_momentum_for,
    spec_normalise,
    spec_step_loss,
)
from minijepa.checks.values import describe

# --- 1: the slow copy -------------------------------------------------------------------------------------


def ema_update(student):
    """Check exercise 1, `ema_update(teacher, student, momentum)`. Raises CheckFailed."""
    mistakes = [
        (
            lambda t, s, m: spec_ema_update(s, t, m),
            "the momentum is swapped: tau weighs the OLD teacher, 1 - tau the student, so the teacher moves slowly",
        ),
        (
            lambda t, s, m: [m * a + b for a, b in zip(t, s, strict=True)],
            "the weights must add up to 1: the student's part is 1 - tau",
        ),
        (
            lambda t, s, m: [a + m * (b - a) for a, b in zip(t, s, strict=True)],
            "a + tau (b - a) goes the share tau towards the student: it should be 1 - tau",
        ),
        (lambda t, s, m: s, "this copies the student: a teacher that is the student at once makes collapse easy"),
    ]
    advice = "for every pair of tensors: momentum * teacher + (1 - momentum) * student"
    compare("ema_update", student, spec_ema_update, EMA, mistakes, advice)


# --- 2: how slow? -----------------------------------------------------------------------------------------


def momentum_for(student):
    """Check exercise 2, `momentum_for(steps)`. Raises CheckFailed."""
    mistakes = [
        (lambda n: 1 - 1 / n, "1 - 1/steps leaves 1/e, about 37 %, after `steps` updates: the half-life asks for 50 %"),
        (lambda n: math.log(2) / n, "this is nearly 1 - tau: the share lost in one step, not the share that stays"),
        (lambda n: math.exp(-1 / n), "exp(-1/steps) leaves 1/e after `steps` updates: the half-life asks for one half"),
        (lambda n: 1 - 0.5 / n, "the half is not lost evenly: each step takes its share of the rest, tau^steps = 1/2"),
    ]
    cases = [(1,), (2,), (10,), (40,), (173,), (2000,)]
    compare("momentum_for", student, spec_momentum_for, cases, mistakes, "solve tau^steps = 1/2 for tau")


# --- 3: the targets ---------------------------------------------------------------------------------------


def normalise(student):
    """Check exercise 3, `normalise(tokens)`. Raises CheckFailed."""

    def over(dims, correction=0, eps=1e-5):
        def wrong(x):
            deviation = (x.var(dim=dims, keepdim=True, correction=correction) + eps).sqrt()
            return (x - x.mean(dim=dims, keepdim=True)) / deviation

        return wrong

    mistakes = [
        (over(1), "you normalise over the tokens: that is over places. Each token is normalised over its own features"),
        (over(0), "you normalise over the batch: LayerNorm looks at one token alone, dim=-1"),
        (over((1, 2)), "one mean and variance per image: it should be one per token, dim=-1"),
        (over(-1, correction=1), "`var` and `std` divide by D - 1 unless told: correction=0"),
        (over(-1, eps=0.0), "add 1e-5 to the variance before the root, or a constant token becomes NaN"),
        (
            lambda x: (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, correction=0).sqrt() + 1e-5),
            "the 1e-5 goes under the root, to the variance",
        ),
    ]
    compare("normalise", student, spec_normalise, TOKENS, mistakes, "mean and variance over the last axis")


# --- 4: the loss ------------------------------------------------------------------------------------------


def gathered(tokens, index):
    """Tokens [B, N, D] at index [B, ...] -> [B, ..., D]."""
    flat = index.flatten(1)  # [B, K]
    return tokens.gather(1, flat.unsqueeze(-1).expand(-1, -1, tokens.shape[-1])).view(*index.shape, -1)


def jepa_loss(student):
    """Check exercise 4, `jepa_loss(prediction, all_targets, masks)`. Raises CheckFailed."""
    huber = torch.nn.functional.smooth_l1_loss
    mistakes = [
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
            "one number for the batch: take the mean over the images too",
        ),
    ]
    compare("jepa_loss", student, spec_jepa_loss, LOSSES, mistakes, "pick the targets' tokens, smooth L1, mean of all")


# --- 5: one step ------------------------------------------------------------------------------------------


def watch(module):
    """A list that grows by (arguments, named arguments) whenever the module is called."""
    calls = []
    module.register_forward_pre_hook(lambda m, args, kwargs: calls.append((args, kwargs)), with_kwargs=True)
    return calls


def step_loss(student):
    """Check exercise 5, `step_loss(encoder, predictor, teacher, x, masks)`. Raises CheckFailed."""
    name, case = "step_loss", "a small encoder, predictor and teacher, 3 images, 2 targets of 3 patches"
    with patience(name):
        for seed in (0, 1):
            encoder, predictor, teacher, x, masks = small_parts(seed)
            right = spec_step_loss(encoder, predictor, teacher, x, masks)
            right.backward()
            wanted = [p.grad.clone() for p in encoder.parameters()]
            for module in (encoder, predictor, teacher):
                module.zero_grad(set_to_none=True)
            seen, shown = watch(encoder), watch(teacher)
            try:
                loss = call(name, student, (encoder, predictor, teacher, x, masks), case)
            except CheckFailed:
                if seen:
                    check_views(name, case, seen, shown or [((), {})], masks)  # often the cause of the error
                raise
            check_views(name, case, seen, shown, masks)
            check_loss(name, case, loss, right, encoder, teacher, wanted)
    passed(name, "loss, gradients and what each part is shown")


def check_views(name, case, seen, shown, masks):
    """Who saw what: calls of the encoder and of the teacher. masks: context [B, K_c], targets [B, M, K_t]."""
    if not shown:
        hint = "the targets come from the teacher, the slow copy, not from the encoder that is trained"
        fail(name, case, "the teacher was never called", "teacher(x)", hint)
    if any(kept(one) is not None for one in shown):
        hint = "the teacher sees the WHOLE image; the mask is applied to its output"
        fail(name, case, "the teacher was given `keep`", "teacher(x)", hint)
    if not seen or not all(kept(one) is not None and torch.equal(kept(one), masks.context) for one in seen):
        hint = "the context encoder sees masks.context alone, or it is shown the answer: encoder(x, keep=masks.context)"
        fail(name, case, "the encoder saw other patches than the context", "masks.context", hint)


def check_loss(name, case, loss, right, encoder, teacher, wanted):
    """The value of the loss, where its gradient goes, and where it must not go."""
    if not isinstance(loss, torch.Tensor) or loss.ndim:
        fail(
            name, case, describe(loss), "the loss, a scalar tensor", "is there a `return`, and a mean over everything?"
        )
    if not loss.requires_grad:
        hint = "the loss has no gradient at all: only the teacher belongs under torch.no_grad()"
        fail(name, case, "loss.requires_grad is False", "True", hint)
    loss.backward()
    if any(p.grad is not None for p in teacher.parameters()):
        hint = "the stop-gradient is missing: compute the targets under torch.no_grad(), or detach them"
        fail(name, case, "a gradient flows into the teacher", "none", hint)
    if not any(p.grad is not None for p in encoder.parameters()):
        hint = "the context was detached: the gradient must reach the encoder through the predictor"
        fail(name, case, "no gradient reaches the encoder", "one does", hint)
    if (loss - right).abs() > 1e-4 * (1 + right.abs()):
        hint = "normalise the teacher's tokens, then smooth L1 at the targets, then the mean of all"
        fail(name, case, f"loss {loss.item():.4f}", f"loss {right.item():.4f}", hint)
    for p, grad in zip(encoder.parameters(), wanted, strict=True):
        if p.grad is None or not torch.allclose(p.grad, grad, rtol=1e-3, atol=1e-5):
            hint = "the loss is right and its gradient is not: is something detached on the encoder's way?"
            fail(name, case, "another gradient in the encoder", "that of the specification", hint)


def kept(one_call):
    """The `keep` of a recorded call of an encoder, None if it saw everything."""
    arguments, named = one_call
    return named.get("keep", arguments[1] if len(arguments) > 1 else None)
