"""Where the time of `fit` goes: its step in eight named parts and a rest, and how much of it is not the model's work.

One run of `fit` is timed. Its data, crops and masks are timed where it asks for them. After each of its steps a copy of
the model makes the same step written out, on the same crops and masks, and times target encoder ("teacher"), context
encoder, predictor, backward pass, optimiser and EMA. Both steps thus run on the same machine, one after the other. The
time of `fit` that no part explains is its own: schedules, the check for a finite loss, the collapse monitors, the
history, the progress bar.

    overhead, all            (fit - teacher - context - predictor - backward) / fit
    overhead, loop alone     (fit - these - optimiser - EMA) / fit, since every loop needs an optimiser
"""

import copy
import json
import statistics
import sys
import time

from minijepa import crop_flip, fit, gather_tokens, pool, shapeworld
from minijepa.training import recipe
from minijepa.training.optimizers import make_optimizers

PARTS = ("data", "masks", "teacher", "context", "predictor", "backward", "optimiser", "EMA")
MODEL = ("teacher", "context", "predictor", "backward")
BLOCK = 10  # steps; the monitors run once in each block
RUNS = {  # name: (encoder, settings of fit that differ from the recipe's)
    "nano, AdamW": ("nano", {"optimizer": "adamw", "lr": 1e-3}),
    "nano, Muon": ("nano", {}),
    "nano, AdamW, large batch": ("nano", {"optimizer": "adamw", "lr": 1e-3, "batch_size": 128}),
    "tiny, AdamW": ("tiny", {"optimizer": "adamw", "lr": 1e-3}),
}


class Stopwatch:
    """Seconds on both clocks, summed by name; `block` returns the sums and starts again from 0."""

    def __init__(self):
        self.spent = {}

    def add(self, name, since):
        """Add the time since `since` (a result of `now`) to the name; returns `now`."""
        here = self.now()
        old = self.spent.get(name, (0.0, 0.0))
        self.spent[name] = tuple(o + h - s for o, h, s in zip(old, here, since, strict=True))
        return here

    def timed(self, name, function):
        """The function, but each call adds its time to the name."""

        def call(*arguments, **more):
            start = self.now()
            result = function(*arguments, **more)
            self.add(name, start)
            return result

        return call

    def block(self):
        """The sums since the last call of `block`."""
        spent, self.spent = self.spent, {}
        return spent

    @staticmethod
    def now():
        """(clock, processor) in seconds."""
        return time.perf_counter(), time.process_time()


class Watched:
    """Data whose `batch` is timed."""

    def __init__(self, data, watch):
        self.data, self.batch = data, watch.timed("data", data.batch)

    def __len__(self):
        return len(self.data)


def bare_step(jepa, optimizers, x, masks, watch):
    """One training step written out, each part timed. x: [B, C, H, W]; masks: one target block. Returns the loss."""
    jepa.zero_grad(set_to_none=True)
    at = watch.now()
    everything = jepa.teacher(x)  # [B, N, D]
    at = watch.add("teacher", at)
    context = jepa.encoder(x, keep=masks.context)  # [B, K_c, D]
    at = watch.add("context", at)
    prediction = jepa.predictor(context, masks)[:, 0]  # [B, K_t, D]
    loss = jepa.distance(prediction, gather_tokens(everything, masks.targets[:, 0])).mean()
    loss = loss + jepa.weight * jepa.regulariser(pool(context))
    at = watch.add("predictor", at)
    loss.backward()
    at = watch.add("backward", at)
    for each in optimizers:
        each.step()
    at = watch.add("optimiser", at)
    jepa.after_step(0.996)
    watch.add("EMA", at)
    return loss.detach()


def watch_fit(size, settings, steps, data=None):
    """Seconds per step of `fit` and of each part: a list, over blocks of steps, of {name: (clock, processor)}.

    size: of the encoder.
    settings: of fit, where they differ from the recipe's.
    steps: a multiple of BLOCK; one more block runs first, as warm-up.
    data: ImageData of 32 x 32 pixels; None takes ShapeWorld.
    """
    data = shapeworld(512, seed=0) if data is None else data
    jepa = recipe.build(size)
    twin, watch, blocks, seen = copy.deepcopy(jepa), Stopwatch(), [], {}
    settings = {**recipe.TRAINING, **settings, "steps": steps + BLOCK, "monitor_every": BLOCK}
    optimizers = make_optimizers(twin, settings["lr"], optimizer=settings["optimizer"])

    def masks(batch, generator):
        seen["masks"] = recipe.masks(batch, generator)
        return seen["masks"]

    def augment(x, generator):
        seen["x"] = crop_flip(x, generator)
        return seen["x"]

    def after_step(step, model, row):
        watch.add("fit", seen["begin"])
        bare_step(twin, optimizers, seen["x"], seen["masks"], watch)
        if step % BLOCK == 0:
            blocks.append({name: tuple(t / BLOCK for t in spent) for name, spent in watch.block().items()})
        seen["begin"] = watch.now()

    settings["augment"] = watch.timed("data", augment)
    seen["begin"] = watch.now()
    fit(jepa, Watched(data, watch), watch.timed("masks", masks), **settings, callbacks=[after_step])
    return blocks[1:]


def split(blocks):
    """The table of a run, for both clocks: seconds of each part and of fit, and the overheads, each a median of blocks.

    A median ignores blocks during which another program took the processor.

    blocks: from `watch_fit`.
    """
    table = {}
    for clock, which in enumerate(("wall", "cpu")):
        rows = [{name: block[name][clock] for name in ("fit", *PARTS)} for block in blocks]
        table[which] = {name: statistics.median(row[name] for row in rows) for name in ("fit", *PARTS)}
        overhead = {"overhead_all": MODEL, "overhead_loop": (*MODEL, "optimiser", "EMA"), "overhead_rest": PARTS}
        for name, without in overhead.items():
            table[which][name] = statistics.median(1 - sum(row[part] for part in without) / row["fit"] for row in rows)
    return table


def main(blocks):
    """Time every run and print a JSON object, {run: table}. blocks: how many blocks of steps for each."""
    tables = {}
    for name, (size, settings) in RUNS.items():
        table = {"batch": {**recipe.TRAINING, **settings}["batch_size"], "blocks": blocks}
        tables[name] = table | split(watch_fit(size, settings, blocks * BLOCK))
    print(json.dumps(tables))


if __name__ == "__main__":
    main(int(sys.argv[1]))
