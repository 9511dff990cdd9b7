"""Where the time of `fit` goes: its step in eight named parts and a rest, and what of it is not the model's own work.

One run of `fit` is watched. Its data, crops and masks are timed where it asks for them. After each of its steps a twin
of the model makes the same step with bare hands, on the same crops and masks: teacher, context, predictor, backward,
optimiser, EMA, each timed. So both meet the same machine, step by step. What `fit` takes and no part explains is its
own: schedules, the finite-loss check, the collapse monitors, the record, the bar.

    overhead, all            (fit - teacher - context - predictor - backward) / fit
    overhead, loop alone     (fit - these - optimiser - EMA) / fit: an optimiser is needed by any loop
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
BLOCK = 10  # steps; the monitors come once in so many
RUNS = {  # name: (encoder, settings of fit that differ from the recipe's)
    "nano, AdamW": ("nano", {"optimizer": "adamw", "lr": 1e-3}),
    "nano, Muon": ("nano", {}),
    "nano, AdamW, large batch": ("nano", {"optimizer": "adamw", "lr": 1e-3, "batch_size": 128}),
    "tiny, AdamW": ("tiny", {"optimizer": "adamw", "lr": 1e-3}),
}


class Stopwatch:
    """Seconds on both clocks, added up under names; `block` hands them out and begins anew."""

    def __init__(self):
        self.spent = {}

    def add(self, name, since):
        """The time since the `now` called since goes to the name; returns now."""
        here = self.now()
        old = self.spent.get(name, (0.0, 0.0))
        self.spent[name] = tuple(o + h - s for o, h, s in zip(old, here, since, strict=True))
        return here

    def timed(self, name, function):
        """The function, its time added to the name."""

        def call(*arguments, **more):
            start = self.now()
            result = function(*arguments, **more)
            self.add(name, start)
            return result

        return call

    def block(self):
        """What was added since the last call."""
        spent, self.spent = self.spent, {}
        return spent

    @staticmethod
    def now():
        """(clock, processor) in seconds."""
        return time.perf_counter(), time.process_time()


class Watched:
    """Data that note how long `batch` takes."""

    def __init__(self, data, watch):
        self.data, self.batch = data, watch.timed("data", data.batch)

    def __len__(self):
        return len(self.data)


def bare_step(jepa, optimizers, x, masks, watch):
    """One step by hand, each part under its name. x: [B, C, H, W]; masks with one target block. Returns the loss."""
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
    """Seconds per step of `fit` and of each part: a list over blocks of {name: (clock, processor)}.

    size: of the encoder. settings: of fit, over the recipe's. steps: a multiple of BLOCK; one block more goes first,
    to warm up. data: ImageData of 32 x 32 pixels, default ShapeWorld.
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
    """The table of a run, for both clocks: seconds of each part, of fit, and the two overheads.

    blocks: from `watch_fit`. Medians over blocks, so that a moment when the machine was taken away does not count.
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
    """Time every run for so many blocks of steps; prints a JSON object, {run: table}."""
    tables = {}
    for name, (size, settings) in RUNS.items():
        table = {"batch": {**recipe.TRAINING, **settings}["batch_size"], "blocks": blocks}
        tables[name] = table | split(watch_fit(size, settings, blocks * BLOCK))
    print(json.dumps(tables))


if __name__ == "__main__":
    main(int(sys.argv[1]))
