"""Assignment 04, exercise 5: the loss of one training step, and where its gradient flows."""

import copy

import torch

from minijepa.checks.curves import line_and_yours
from minijepa.checks.ijepa.jepa_loss import spec_jepa_loss
from minijepa.checks.ijepa.normalise import spec_normalise
from minijepa.checks.report import CheckFailed, call, fail, passed, patience
from minijepa.checks.values import describe, normal
from minijepa.masking.sampling import Masks
from minijepa.predictor import Predictor
from minijepa.vit import ViT


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


def watch(module):
    """A list that grows by (arguments, named arguments) whenever the module is called."""
    calls = []
    module.register_forward_pre_hook(lambda m, args, kwargs: calls.append((args, kwargs)), with_kwargs=True)
    return calls


PARTS = ("encoder", "predictor", "teacher")


def show_step_loss(student):
    """Draw the loss of five batches, and the norm of the gradient in each component: target and answer."""

    def of_batch(step):
        return lambda seed: step(*small_parts(seed))

    def gradient_in(step):
        def length(part):
            parts = small_parts(0)
            step(*parts).backward()
            module = dict(zip(PARTS, parts, strict=False))[part]
            return sum(float(p.grad.square().sum()) for p in module.parameters() if p.grad is not None) ** 0.5

        return length

    def both(step):
        return lambda what: of_batch(step)(what) if isinstance(what, int) else gradient_in(step)(what)

    cases = {
        "loss of five batches": [(str(seed + 1), (seed,)) for seed in range(5)],
        "norm of the gradient": [(part, (part,)) for part in PARTS],
    }
    see = "the encoder and the predictor have a gradient, the teacher has none."
    labels = [("batch", "loss"), ("component", "norm")]
    line_and_yours("step_loss", both(student), both(spec_step_loss), cases, labels, see)


def check_views(name, case, seen, shown, masks):
    """Check the recorded calls of encoder and teacher. masks: context [B, K_c], targets [B, M, K_t]."""
    if not shown:
        hint = "the targets come from the target encoder, `teacher`, not from the encoder that is trained"
        fail(name, case, "the teacher was never called", "teacher(x)", hint)
    if any(kept(one) is not None for one in shown):
        hint = "the teacher sees the WHOLE image; the mask is applied to its output"
        fail(name, case, "the teacher was given `keep`", "teacher(x)", hint)
    if not seen or not all(kept(one) is not None and torch.equal(kept(one), masks.context) for one in seen):
        hint = "the context encoder sees masks.context alone, or it sees the answer: encoder(x, keep=masks.context)"
        fail(name, case, "the encoder saw other patches than the context", "masks.context", hint)


def check_loss(name, case, loss, right, encoder, teacher, wanted):
    """The value of the loss, where its gradient goes, and where it must not go."""
    if not isinstance(loss, torch.Tensor) or loss.ndim:
        fail(name, case, describe(loss), "a scalar tensor", "is there a `return`, and a mean over everything?")
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
        hint = "normalise the teacher's tokens, then take the mean of smooth L1 at the targets"
        fail(name, case, f"loss {loss.item():.4f}", f"loss {right.item():.4f}", hint)
    for p, grad in zip(encoder.parameters(), wanted, strict=True):
        if p.grad is None or not torch.allclose(p.grad, grad, rtol=1e-3, atol=1e-5):
            hint = "the loss is right but its gradient is not: is something between encoder and loss detached?"
            fail(name, case, "another gradient in the encoder", "that of the specification", hint)


def kept(one_call):
    """The `keep` of a recorded call of an encoder, None if it saw everything."""
    arguments, named = one_call
    return named.get("keep", arguments[1] if len(arguments) > 1 else None)


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
    passed(name, "the loss, its gradients, and what each component sees")
