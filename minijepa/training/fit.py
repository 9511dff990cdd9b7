"""One training loop for the whole course: schedules, autocast, accumulation, monitors, exact resume.

It knows nothing of a method beyond `model(x, masks).loss` and `model.after_step(momentum)`.
All randomness of step t is drawn from a generator seeded with (seed, t). So a run that was killed and resumed meets
the same batches, crops and masks as one that was not, and on the CPU ends with the same parameters bit for bit.
Among several processes (`distributed`) each takes its rows of them, and together they make the same run.
"""

import math
from contextlib import nullcontext
from dataclasses import dataclass, field

import torch

from minijepa.collapse import content_share, position_std
from minijepa.ema import momentum_schedule
from minijepa.training import distributed
from minijepa.training import fsdp as shards
from minijepa.training.batches import BatchOrder, reading_ahead
from minijepa.training.checkpoint import holds_run, load_checkpoint, save_checkpoint
from minijepa.training.memory import keep_freed_memory, recompute_blocks
from minijepa.training.optimizers import Together, make_optimizers, set_schedules
from minijepa.training.progress import deferred_interrupt, progress_bar
from minijepa.training.validate import check_compiler, check_parallel, check_settings

HALVES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


class TrainingDiverged(FloatingPointError):
    """The loss is no longer a number. The model still holds the parameters of the last good step."""


@dataclass
class History:
    """What a run recorded. rows: one dict per step with step, loss, lr, momentum, and now and then the monitors.

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
    masks,
    *,
    steps,
    batch_size=64,
    lr=1.5e-3,
    warmup=0.1,
    weight_decay=(0.05, 0.05),
    momentum=(0.97, 1.0),
    betas=(0.9, 0.95),
    optimizer="adamw",
    augment=None,
    accumulate=1,
    precision="float32",
    compile=False,
    recompute=False,
    shard=False,
    device=None,
    seed=0,
    monitor_every=10,
    callbacks=(),
    checkpoint=None,
    save_every=200,
    resume=False,
    identity=None,
    label="training",
):
    """Train `model` for `steps` optimiser steps of `batch_size` images; changes it in place, returns a History.

    model: a JEPA. data: anything with `len` and `batch(index, device) -> [B, C, H, W]`, such as ImageData, or
    LoaderData (minijepa.datasets.loader) for images that stay on the disk.
    masks: function (batch, generator) -> Masks. augment: function (x, generator) -> x, or None.
    lr: peak; linear warm-up over the share `warmup` of the steps, then cosine to 0. weight_decay: (start, end),
    cosine between them, on matrices only: no biases, norms, mask token. momentum: EMA tau (start, end), linear.
    optimizer: "adamw", or "muon" for the matrices inside the blocks and AdamW for the rest (minijepa.training.muon).
    accumulate: split each batch into that many parts, one optimiser step for all. They get the crops and masks of the
    whole batch, so the step is the same; only a term over the batch, such as the regulariser, sees one part at a time.
    precision: "float32", or for autocast (parameters stay float32) "bfloat16" or, on a GPU, "float16", whose gradients
    are scaled to stay above the smallest float16. compile: let torch.compile fuse the forward and backward pass; the
    first step takes a minute longer and needs a C++ compiler, the others 4 to 16 % less (recorded on two CPU cores:
    docs/results/bench.json). recompute: keep only the inputs of the blocks, which run again in the backward pass
    (process.recompute_blocks). callbacks: functions (step, model, row), called after each step; what they put into
    `row` is recorded. monitor_every: steps between collapse monitors (position_std, content_share; see
    minijepa.collapse).
    checkpoint: a file to write every `save_every` steps, at the end and on Ctrl-C; with resume=True a run found there
    goes on where it stopped. identity: {name: plain value} of what else must be the same then, kept with the settings;
    the command line gives its data, model and masks.
    Ctrl-C ends the run after the step in hand, of several processes perhaps after the next; a second one at once.
    Inside `distributed.session` the processes share each batch (batch_size is that of all) and make the same step;
    rank 0 alone calls the callbacks, draws the bar and writes the checkpoint, and its monitors are of its own images.
    There, and with accumulate, `augment` must take `part`, as crop_flip does. shard: cut the model itself over the
    processes (minijepa.training.fsdp); then all of them call the callbacks.
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
    check_settings(settings, checkpoint, resume, device)
    check_parallel(settings, team, shard, model, augment)
    if compile:
        check_compiler(device)
    if monitor_every < 1 or save_every < 1:
        raise ValueError(f"monitor_every and save_every must be at least 1, got {monitor_every} and {save_every}")
    keep_freed_memory()
    if shard and not shards.is_sharded(model):
        shards.shard(model, device)
    model.to(device).train()
    optimizers = make_optimizers(model, lr, betas, optimizer)
    scaler = torch.amp.GradScaler(device.type, enabled=precision == "float16")
    history = History()
    if resume and holds_run(checkpoint):
        history.rows = load_checkpoint(checkpoint, model, optimizers, settings, scaler)
    start, together = len(history.rows), Together(optimizers)
    saved = start
    distributed.same_everywhere(team, start=start, images=len(data))
    autocast = torch.autocast(device.type, dtype=HALVES.get(precision), enabled=precision in HALVES)
    order, in_parts = BatchOrder(len(data), batch_size, seed), accumulate * team.size > 1
    requests = order.requests(range(start, steps), accumulate, team)
    parallel = distributed.parallel(model, team, device)
    forward = torch.compile(parallel) if compile else parallel  # the same parameters, another program

    def save():
        nonlocal saved
        if checkpoint and len(history.rows) > saved:  # the last step may have been saved as one of every save_every
            save_checkpoint(checkpoint, model, optimizers, settings, history.rows, scaler)
            saved = len(history.rows)

    with (
        deferred_interrupt() as interrupt,
        progress_bar(label, steps, start, hidden=team.rank > 0) as bar,
        reading_ahead(data, requests),
        distributed.over_the_whole_batch(model, team),
        recompute_blocks(model.encoder, model.predictor) if recompute else nullcontext(),
    ):
        for step in range(start, steps):
            rate = set_schedules(optimizers, step, steps, lr, warmup, weight_decay)
            tau = momentum_schedule(step / steps, *momentum)
            model.zero_grad(set_to_none=True)
            index, drawn, losses = order.batch(step), None, []  # index: [batch_size]
            for piece in range(accumulate):
                rows = team.part(batch_size, piece, accumulate)  # all of them when alone and in one piece
                generator = torch.Generator().manual_seed(seed * 1_000_003 + step)  # each part draws for the batch
                with distributed.exchange(parallel, last=piece + 1 == accumulate):
                    x = data.batch(index[rows], device)  # [B, C, H, W], B = batch_size / accumulate / processes
                    if augment is not None:
                        x = augment(x, generator, **({"part": (rows.start, batch_size)} if in_parts else {}))
                    drawn = masks(batch_size, generator) if drawn is None else drawn
                    with autocast:
                        out = forward(x, (distributed.take(drawn, rows) if in_parts else drawn).to(device))
                    losses.append(out.loss / accumulate)
                    scaler.scale(losses[-1]).backward()
            # in one message; a Ctrl-C that comes after it is in the next step's
            loss, stop = team.means(sum(each.item() for each in losses), interrupt.is_set())
            if not math.isfinite(loss):
                raise TrainingDiverged(
                    f"the loss became {loss} at step {step + 1} of {steps} (lr {rate:.2e}); the parameters are "
                    f"those after step {step}. Lower lr (now {lr:.1e}), lengthen warmup, or use precision='float32'"
                )
            if scaler.step(together):  # None where a float16 gradient overflowed: then nothing moves in this step
                model.after_step(tau)
            scaler.update()
            row = {"step": step + 1, "loss": loss, "lr": rate, "momentum": tau}
            if step % monitor_every == 0 or step + 1 == steps:
                row["position_std"] = position_std(out.all_targets)
                row["content_share"] = content_share(out.all_targets)
                bar.set_postfix(loss=f"{loss:.3f}", std=f"{row['position_std']:.2f}", refresh=False)
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
