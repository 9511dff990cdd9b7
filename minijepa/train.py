"""I-JEPA and its relatives from the command line: train, probe, keep all that is needed to look at a run or repeat it.

    python -m minijepa.train --data cifar10 --minutes 2
    python -m minijepa.train --method mae --data path/to/images --steps 3000 --out runs/mine
    python -m minijepa.train --method vjepa --data moving-shapes
    torchrun --standalone --local-addr=127.0.0.1 --nproc-per-node=2 -m minijepa.train --steps 3000    on two processes

Writes into --out: checkpoint.pt (for --resume); at the end of the training at once encoder.safetensors (the target
encoder, where there is one) and metrics.json (command, versions, seed, hardware, every figure), then the probes'
scores, curves.png and, of images, patches.png. Ctrl-C stops the training, not the rest; while the probes run it stops
them, and the encoder is kept.
"""

import copy
import sys
import time
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace

import torch

from minijepa import distributed
from minijepa.commands.arguments import parse_arguments, to_go_on
from minijepa.commands.report import describe, draw, metrics_of, write_json
from minijepa.commands.run_folder import claim
from minijepa.datasets import ClipData, DataCorrupt, DataUnavailable, load, load_clips
from minijepa.family import METHODS
from minijepa.machine import threads
from minijepa.machine.console import print_any_name
from minijepa.machine.files import CannotWrite
from minijepa.machine.progress import deferred_interrupt
from minijepa.pretrained.encoder_file import save_encoder
from minijepa.probes.motion import motion_reasons, motion_table
from minijepa.probes.table import not_applicable, print_table, probe_table
from minijepa.training import fit, fsdp, recipe
from minijepa.training.checkpoint import holds_run
from minijepa.training.fit import TrainingDiverged
from minijepa.vit import ViT, count_parameters


def main(argv=None):
    """Run the command line; argv: its words, default those of the process.

    Returns the exit code: 0, 1 after an error, 130 after a Ctrl-C that left something undone.
    """
    print_any_name()
    arguments = parse_arguments(argv, description=__doc__.split("\n\n")[0])
    try:
        with distributed.session(arguments.device) as team:
            return run(arguments, team, sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt as error:
        print(": ".join(["stopped", *map(str, error.args)]), file=sys.stderr)
        return 130


def run(arguments, team, words):
    """All of it, on all processes of the team; rank 0 alone writes. words: the command line. Returns the exit code."""
    try:
        with claim(arguments.out, team):
            with distributed.first_here(team):
                train, heldout = (load_clips if arguments.clips else load)(arguments.data)
            task = Task(arguments, team, words, train, heldout)
            result = learn(task)
            return 0 if team.rank > 0 else keep(task, result)
    except (DataUnavailable, DataCorrupt, TrainingDiverged, ValueError, OSError, ImportError) as error:
        if team.rank == 0 or isinstance(
            error, (DataUnavailable, DataCorrupt, ImportError)
        ):  # the data may lack on one machine
            print(f"error: {error}", file=sys.stderr)
        return 1


@dataclass
class Task:
    """What a run is asked to do. train, heldout: ImageData or ClipData; words: of the command line."""

    arguments: object
    team: distributed.Team
    words: list
    train: object
    heldout: object

    @property
    def method(self):
        """The file of the family that is trained, or the recipe."""
        return METHODS[self.arguments.method]

    @property
    def choices(self):
        """What decides which model is trained: a dict of plain values, for the checkpoint and metrics.json."""
        a = self.arguments
        of_the_recipe = {"weight": a.weight, "published": a.published, "longer": a.longer}
        return {"method": a.method, "size": a.size, **(of_the_recipe if a.method == "ijepa" else {})}

    @property
    def settings(self):
        """For `fit`, all but the length of the run."""
        a = self.arguments
        own = {"batch_size": a.batch_size, "accumulate": a.accumulate, "seed": a.seed, "precision": a.precision,
               "compile": a.compile, "recompute": a.recompute, "shard": a.shard}  # fmt: skip
        return {**a.settings, **own, "lr": a.lr or a.settings["lr"]}

    @property
    def masks(self):
        """The function that draws them; None for a method without."""
        if self.arguments.published:
            return recipe.published_masks
        if isinstance(self.train, ClipData):
            _, _, *size = self.train.clips.shape  # frames, rows, columns
            grid = tuple(length // tubelet for length, tubelet in zip(size, self.method.TUBELET, strict=True))
            return partial(self.method.masks, grid=grid)
        return self.method.masks

    def model(self):
        """The method around an encoder for these data, randomly initialised. Same seed, same weights."""
        shape = {"img_size": 32, "patch_size": 4}
        if isinstance(self.train, ClipData):
            _, channels, *size = self.train.clips.shape
            shape = {"img_size": size, "patch_size": self.method.TUBELET, "in_chans": channels}
        weight = {"weight": self.arguments.weight} if self.arguments.method == "ijepa" else {}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.arguments.seed)
            return self.method.model(ViT.size(self.arguments.size, **shape), **weight)


def learn(task):
    """Train. Returns model, random_init (the encoder before), history, steps and seconds, by these names.

    Raises KeyboardInterrupt, with what is kept, after a Ctrl-C that left no trained model, and what `fit` raises.
    """
    arguments, team, train, settings = task.arguments, task.team, task.train, task.settings
    say = print if team.rank == 0 else lambda *_, **__: None
    model, kind = task.model(), "clips" if arguments.clips else "images"
    if not arguments.shard:  # else it may be too large, and `fit` brings to the device what remains of it there
        model.to(arguments.device)
    random_init = copy.deepcopy(model.encoder).eval()
    say(f"{train.name}: {len(train):,} {kind} to learn from, {len(task.heldout):,} held out")
    say(
        f"{task.method.NAME}, ViT-{arguments.size}, {count_parameters(model.encoder):,} parameters, "
        f"{arguments.device}, seed {arguments.seed}" + (f", {team.size} processes" if team.size > 1 else "")
    )
    if team.size == 1 and threads.current:
        threads.current.fit()  # next to other programs fewer threads are faster; during a run their number stays
    near, steps = train.to(arguments.device) if fits(train, arguments.device) else train, arguments.steps
    checkpoint = arguments.out / "checkpoint.pt"
    try:
        steps = steps or steps_in(arguments.minutes, model, near, task.masks, settings, arguments.device)
        say(f"training for {steps} steps of {arguments.batch_size} {kind} (Ctrl-C keeps what was learned)", flush=True)
        start = time.perf_counter()
        history = fit(model, near, task.masks, **settings, steps=steps, device=arguments.device,
                      label=task.method.NAME, checkpoint=checkpoint, resume=arguments.resume,
                      identity={**task.choices, "data": describe(train)})  # fmt: skip
    except KeyboardInterrupt as error:
        more = "no checkpoint was due yet, so nothing is lost but time"
        if holds_run(checkpoint):
            more = f"go on from the last checkpoint with: {to_go_on(arguments, steps, team)}"
        raise KeyboardInterrupt(more) from error
    except CannotWrite:
        if not arguments.shard and team.rank == 0:  # what was learned is still in memory, and needs less room
            save_encoder(arguments.out / "encoder.safetensors", model.target_encoder, arguments.size, train)
            say("the encoder as it is now was written: encoder.safetensors", file=sys.stderr)
        raise
    seconds = time.perf_counter() - start
    if arguments.shard:
        weights = fsdp.whole(model)  # sent by all processes
        model = task.model().eval()  # on the CPU, and there it stays
        model.load_state_dict(weights)
    if history.interrupted:
        say(f"stopped after {len(history.rows)} of {steps} steps; go on with: {to_go_on(arguments, steps, team)}")
    return SimpleNamespace(model=model, random_init=random_init, history=history, steps=steps, seconds=seconds)


def keep(task, result):
    """Write the encoder and what is known of the run; then probe it and draw. Returns the exit code."""
    arguments, out, encoder = task.arguments, task.arguments.out, result.model.target_encoder
    save_encoder(out / "encoder.safetensors", encoder, arguments.size, task.train)
    labelled = task.train.subset(slice(0, arguments.labels))
    reasons = (motion_reasons if arguments.clips else not_applicable)(labelled)
    metrics = metrics_of(task, result, labelled, reasons)
    write_json(out / "metrics.json", metrics)
    missing = "the probes' scores and the pictures"
    try:
        print("probing (frozen features, scored on held-out data) ...", flush=True)
        encoders = {"random-init": result.random_init, task.method.NAME: encoder}
        for each in encoders.values():
            each.to(arguments.device)  # of a model in shards the encoder alone has room there
        table = (motion_table if arguments.clips else probe_table)(encoders, labelled, task.heldout)
        print_table(table, reasons)
        write_json(out / "metrics.json", {**metrics, "probes": table})
        missing = "the pictures"
        drawn = draw(out, result.history, table, {task.method.NAME: encoder}, task.heldout)
    except (KeyboardInterrupt, Exception) as error:  # whatever it is, it must not cost what was learned
        stopped = isinstance(error, KeyboardInterrupt)
        reason = "stopped" if stopped else f"error: {type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
        print(f"{reason}; encoder.safetensors and metrics.json are in {out}, what is missing are {missing}; to have "
              f"them: {to_go_on(arguments, result.steps, task.team)}", file=sys.stderr)  # fmt: skip
        return 130 if stopped else 1
    print(f"written to {out}: {', '.join(['checkpoint.pt', 'encoder.safetensors', 'metrics.json', *drawn])}")
    return 0


def steps_in(minutes, model, data, masks, settings, device):
    """How many steps fit into so many minutes: times a few steps on a copy of the model, which is thrown away.

    masks: function (batch, generator) -> Masks with context [B, K_c], or None; settings: further arguments of `fit`.
    Raises KeyboardInterrupt after a Ctrl-C, whenever it came: a time that was cut short would mislead.
    """
    twin, team = copy.deepcopy(model), distributed.Team.current()
    with deferred_interrupt() as interrupt:
        for steps in (8, 24):  # the first steps are slower: memory, caches
            start = time.perf_counter()
            history = fit(twin, data, masks, **settings, steps=steps, device=device)
            seconds = team.mean(time.perf_counter() - start)
            if team.any(interrupt.is_set() or history.interrupted):
                raise KeyboardInterrupt
    return max(10, int(minutes * 60 * steps / seconds))


def fits(data, device):
    """True if images may live on that device: a GPU with four times as much free memory as they take."""
    return (
        device.type == "cuda"
        and not isinstance(data, ClipData)
        and 4 * data.images.nbytes < torch.cuda.mem_get_info(device)[0]
    )


if __name__ == "__main__":
    sys.exit(main())
