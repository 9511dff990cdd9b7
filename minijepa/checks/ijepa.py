"""Assignment 04: I-JEPA from its parts: teacher, targets, loss, and where gradients may flow."""

import copy
import math

import torch

from minijepa.checks.picture import target_and_yours
from minijepa.checks.report import CheckFailed, call, compare, fail, passed, patience
from minijepa.checks.values import describe
from minijepa.masking import Masks
from minijepa.predictor import Predictor
from minijepa.vit import ViT


def normal(*shape, seed=0, dtype=torch.float32):
    """Standard normal numbers, always the same for one seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


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


def show_ema_update(student):
    """Draw a teacher after 40 updates towards a student that stays: target and answer."""

    def path(update):
        teacher, track = [torch.zeros(1)], []
        for _ in range(40):
            teacher = update(teacher, [torch.ones(1)], 0.9)
            track.append(float(teacher[0]))
        return torch.tensor(track)

    # the picture calls its function once per case; here a case is a whole path of updates
    target_and_yours(
        "ema_update", lambda steps: path(student), lambda steps: path(spec_ema_update), {"40 steps": (40,)}
    )


# --- 2: how slow? -----------------------------------------------------------------------------------------


def spec_momentum_for(steps):
    """After so many updates half of an old weight is left: tau^steps = 1/2. Found by halving an interval."""
    low, high = 0.0, 1.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if middle**steps < 0.5 else (low, middle)
    return (low + high) / 2


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


def show_normalise(student):
    """Draw tokens of three images after normalisation: target and answer."""
    cases = {"5 tokens of 4": (TOKENS[1][0][:1],), "small numbers": (TOKENS[2][0][:1],), "shifted": (TOKENS[3][0][:1],)}
    target_and_yours("normalise", student, spec_normalise, cases)


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
