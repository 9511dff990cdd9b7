"""One training loop for the whole course, and what it asks of a method, of data and of masks.

    data    `len(data)` and `data.batch(index, device)`: a tensor, or a named tuple of tensors with B rows each
    masks   optional: a function (batch, generator) -> Masks, what is hidden in this step; or a curriculum, whose
            `at(step)` is such a function
    model   `model(batch)` or `model(batch, masks)` returns an output with `loss`, a scalar, and `numbers`, a dict of
            floats to record; and, if it has a target encoder to move, `model.after_step(momentum)` moves it

That is all that the loop knows: images, clips, two views or transitions with actions, with a teacher or without.
All randomness of step t is drawn from a generator seeded with (seed, t). So a run that was killed and resumed meets
the same batches, crops and masks as one that was not, and on the CPU ends with the same parameters bit for bit.
Among several processes (`distributed`) each takes its rows of them, and together they make the same run.
"""

import math
from contextlib import nullcontext
from dataclasses import dataclass, field

import torch

from minijepa.ema import momentum_schedule
from minijepa.machine.progress import deferred_interrupt, progress_bar
from minijepa.training import distributed, fsdp
from minijepa.training.batches import Batches, reading_ahead
from minijepa.training.checkpoint import holds_run, load_checkpoint, save_checkpoint
from minijepa.training.memory import keep_freed_memory, recompute_blocks
from minijepa.training.optimizers import OptimizerGroup, make_optimizers, set_schedules
from minijepa.training.validate import check_compiler, check_method, check_parallel, check_settings

HALVES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


class TrainingDiverged(FloatingPointError):
    """The loss is no longer a number. The model still holds the parameters of the last good step."""


@dataclass
class History:
    """What a run recorded. rows: one dict per step with step, loss, lr, momentum, and now and then the numbers.

    interrupted: True if it was stopped by Ctrl-C before its last step.
    """

    rows: list = field(default_factory=list)
    interrupted: bool = False

    def curve(self, name):
        """(steps, values) of one column, over the rows that have it: two lists to plot."""
        pairs = [(row["step"], row[name]) for row in self.rows if name in row]
        return [step for step, _ in pairs], [value for _, value in pairs]


def fit(
    model,
    data,
    masks=None,
    *,
    steps,
    batch_size=64,
    augment=None,
    seed=0,
    lr=1.5e-3,
    warmup=0.1,
    weight_decay=(0.05, 0.05),
    momentum=(0.97, 1.0),
    betas=(0.9, 0.95),
    optimizer="adamw",
    device=None,
    precision="float32",
    compile=False,
    accumulate=1,
    recompute=False,
    shard=False,
    monitor_every=10,
    callbacks=(),
    checkpoint=None,
    save_every=200,
    resume=False,
    identity=None,
    label="training",
):
    """Train `model` for `steps` optimiser steps of `batch_size` examples; changes it in place, returns a History.

    What is learned from. model, data, masks: as at the top of this file; masks=None for a method without.
    augment: function (batch, generator) -> batch, or None. seed: of batches, crops and masks.

    The optimiser. lr: its peak; linear warm-up over the fraction `warmup` of the steps, then cosine to 0.
    weight_decay: (start, end), cosine between them, on matrices only. momentum: of the target encoder's EMA, tau,
    (start, end), linear. betas: AdamW's. optimizer: "adamw", or "muon" for the matrices inside the transformer blocks
    and AdamW for the rest (muon.py).

    The machine. device: default, where the model is. precision: "float32", or for autocast (parameters stay float32)
    "bfloat16" or, on a GPU, "float16" with scaled gradients. compile: let torch.compile fuse the passes; a minute to
    start, and a C++ compiler. accumulate: split each batch into that many microbatches, one optimiser step for all;
    crops and masks are those of the whole batch, but a term over the batch sees one microbatch at a time.
    recompute: keep only the inputs of the blocks, which run again in the backward pass (memory.py). shard: cut the
    model over the processes (fsdp.py). Inside `distributed.session` the processes share each batch and make the same
    step; rank 0 alone calls the callbacks (with shard, all do), draws the bar and writes the checkpoint. There, and
    with accumulate, `augment` must take `rows_of`, as crop_flip does.

    The record. monitor_every: steps between two looks at the output's `numbers`, which are those of rank 0's examples
    and, with accumulate, of the last microbatch. callbacks: functions (step, model,
    row), called after each step; what they put into `row` is recorded. checkpoint: a file to write every `save_every`
    steps, at the end and on Ctrl-C; with resume=True a run found there goes on where it stopped. identity: {name:
    plain value} of what else must be the same then. label: of the progress bar.
    Ctrl-C ends the run after the step in hand, of several processes perhaps after the next; a second one at once.

    Raises ValueError for impossible settings or a checkpoint of other settings, FileExistsError when `checkpoint`
    exists and resume is False, CannotWrite when its disk is full, TrainingDiverged when the loss is NaN
    or infinite (before it touches the model).
    Source: I-JEPA (arXiv:2301.08243, appendix A.1) for the form of the schedules.
    """
    settings = dict(
        **(identity or {}), steps=steps, batch_size=batch_size, lr=lr, warmup=warmup, weight_decay=tuple(weight_decay),
        momentum=tuple(momentum), betas=tuple(betas), optimizer=optimizer, accumulate=accumulate, precision=precision,
        seed=seed, images=len(data),
    )  # fmt: skip
    team = distributed.Team.current()
    device = torch.device(device or next(model.parameters()).device)
    check_method(model, masks)
    check_settings(settings, checkpoint, resume, device)
    check_parallel(settings, team, shard, model, augment)
    if compile:
        check_compiler(device)
    if monitor_every < 1 or save_every < 1:
        raise ValueError(f"monitor_every and save_every must be at least 1, got {monitor_every} and {save_every}")
    keep_freed_memory()
    if shard and not fsdp.is_sharded(model):
        fsdp.shard(model, device)
    model.to(device).train()
    optimizers = OptimizerGroup(make_optimizers(model, lr, betas, optimizer))
    scaler = torch.amp.GradScaler(device.type, enabled=precision == "float16")
    history = History()
    if resume and holds_run(checkpoint):
        history.rows = load_checkpoint(checkpoint, model, optimizers.each, settings, scaler)
    start = saved = len(history.rows)
    distributed.same_everywhere(team, start=start, images=len(data))
    autocast = torch.autocast(device.type, dtype=HALVES.get(precision), enabled=precision in HALVES)
    batches = Batches(data, masks, augment, batch_size, accumulate, seed, team, device)
    parallel = distributed.parallel(model, team, device)
    forward = torch.compile(parallel) if compile else parallel  # the same parameters, another program
    after_step = getattr(model, "after_step", None)

    def save():
        nonlocal saved
        if checkpoint and len(history.rows) > saved:  # the last step may have been saved as one of every save_every
            save_checkpoint(checkpoint, model, optimizers.each, settings, history.rows, scaler)
            saved = len(history.rows)

    with (
        deferred_interrupt() as interrupt,
        progress_bar(label, steps, start, hidden=team.rank > 0) as bar,
        reading_ahead(data, batches.requests(range(start, steps))),
        recompute_blocks(model) if recompute else nullcontext(),
    ):
        for step in range(start, steps):
            rate = set_schedules(optimizers, step, steps, lr, warmup, weight_decay)
            model.zero_grad(set_to_none=True)
            losses = []
            for inputs, last in batches.microbatches(step):  # one, unless accumulate asks for more
                with distributed.exchange(parallel, last):  # between processes; alone it does nothing
                    with autocast:
                        output = forward(*inputs)
                    losses.append(output.loss / accumulate)
                    scaler.scale(losses[-1]).backward()
            # in one message; a Ctrl-C that comes after it is in the next step's
            loss, stop = team.means(sum(each.item() for each in losses), interrupt.is_set())
            if not math.isfinite(loss):
                raise TrainingDiverged(diverged(loss, step, steps, rate, lr))
            row = {"step": step + 1, "loss": loss, "lr": rate}
            stepped = scaler.step(optimizers)  # None where a float16 gradient overflowed: then nothing moves
            if after_step:
                row["momentum"] = momentum_schedule(step / steps, *momentum)
                if stepped:
                    after_step(row["momentum"])
            scaler.update()
            if step % monitor_every == 0 or step + 1 == steps:
                numbers = {name: float(torch.as_tensor(value).detach()) for name, value in output.numbers.items()}
                row = {**numbers, **row}
                bar.set_postfix(shown(row), refresh=False)
            history.rows.append(row)
            for callback in callbacks if team.rank == 0 or shard else ():
                callback(step + 1, model, row)
            bar.update()
            if checkpoint and (step + 1) % save_every == 0:
                save()
            if stop or (team.size == 1 and interrupt.is_set()):
                history.interrupted = step + 1 < steps
                break
    save()
    team.wait()  # for the checkpoint to be there
    model.eval()
    return history


def shown(row):
    """What the progress bar shows of a row: the loss and the method's own numbers."""
    return {name: f"{value:.3f}" for name, value in row.items() if name not in ("step", "lr", "momentum")}


def diverged(loss, step, steps, rate, lr):
    """What to say, and what to do, about a loss that is no number."""
    return (
        f"the loss became {loss} at step {step + 1} of {steps} (lr {rate:.2e}); the parameters are those after step "
        f"{step}. Lower lr (now {lr:.1e}), lengthen warmup, or use precision='float32'"
    )
