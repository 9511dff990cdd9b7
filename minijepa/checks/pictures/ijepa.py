"""Assignment 04: what is asked for beside what came, before the check."""

import torch

from minijepa.checks.curves import line_and_yours
from minijepa.checks.picture import target_and_yours
from minijepa.checks.specs.ijepa import (
    TOKENS,
    loss_case,
    small_parts,
    spec_ema_update,
    spec_jepa_loss,
    spec_momentum_for,
    spec_normalise,
    spec_step_loss,
)

PARTS = ("encoder", "predictor", "teacher")

# --- 1: the slow copy -------------------------------------------------------------------------------------


def show_ema_update(student):
    """Draw a teacher after 40 updates towards a student that stays: target and answer."""

    def after(update):
        """So many updates in a row, as one function."""

        def run(steps, momentum):
            teacher = [torch.zeros(1)]
            for _ in range(steps):
                teacher = update(teacher, [torch.ones(1)], momentum)
            return teacher[0]

        return run

    cases = {f"momentum {tau}": [(n, (n, tau)) for n in range(0, 41, 4)] for tau in (0.9, 0.98)}
    see = "the teacher starts at 0 and comes closer to the student, which is 1; the higher the momentum, the slower."
    line_and_yours("ema_update", after(student), after(spec_ema_update), cases, ("updates", "teacher"), see)


# --- 2: how slow? ---------------------------------------------------------------------------------------


def show_momentum_for(student):
    """Draw what is left of an old weight after `steps` updates with the momentum for `steps`: target and answer."""

    def left(momentum):
        return lambda steps: momentum(steps) ** steps

    cases = {"what is left": [(n, (n,)) for n in (1, 2, 3, 5, 10, 20, 40)]}
    labels = ("steps, and as many updates", "share of the old weight")
    see = "one half, whatever the number of steps."
    line_and_yours("momentum_for", left(student), left(spec_momentum_for), cases, labels, see)


# --- 3: the targets ---------------------------------------------------------------------------------------


def show_normalise(student):
    """Draw tokens of three images after normalisation: target and answer."""
    cases = {"5 tokens of 4": (TOKENS[1][0][:1],), "small numbers": (TOKENS[2][0][:1],), "shifted": (TOKENS[3][0][:1],)}
    target_and_yours("normalise", student, spec_normalise, cases)


# --- 4: the loss ----------------------------------------------------------------------------------------


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
    see = "0 where predictions are right, a parabola near it, straight lines beyond 1; half for half the blocks."
    line_and_yours("jepa_loss", student, spec_jepa_loss, cases, ("d", "loss"), see)


# --- 5: one step ----------------------------------------------------------------------------------------


def show_step_loss(student):
    """Draw the loss of five batches, and how long the gradient is in each part: target and answer."""

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
        "length of the gradient": [(part, (part,)) for part in PARTS],
    }
    see = "the encoder and the predictor have a gradient, the teacher has none."
    labels = [("batch", "loss"), ("part", "length")]
    line_and_yours("step_loss", both(student), both(spec_step_loss), cases, labels, see)
