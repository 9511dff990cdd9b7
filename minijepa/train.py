"""I-JEPA from the command line: train, probe, and keep everything needed to look at the run or repeat it.

    python -m minijepa.train --data cifar10 --minutes 2
    python -m minijepa.train --data path/to/images --steps 3000 --out runs/mine
    torchrun --standalone --local-addr=127.0.0.1 --nproc-per-node=2 -m minijepa.train --steps 3000    on two processes

Writes into --out: checkpoint.pt (for --resume); at the end of the training at once encoder.safetensors (the target
encoder) and metrics.json (command, versions, seed, hardware, every figure), then the probes' scores, curves.png and
patches.png. Ctrl-C stops the training, not the rest; while the probes run it stops them, and the encoder is kept.
"""

import copy
import hashlib
import json
import platform
import sys
import time

import matplotlib

matplotlib.use("Agg")  # pictures go to files; no window is needed

import torch  # noqa: E402

import minijepa  # noqa: E402
from minijepa import plots  # noqa: E402
from minijepa.commands.arguments import command, parse_arguments, to_go_on  # noqa: E402
from minijepa.commands.run_folder import claim  # noqa: E402
from minijepa.datasets import DataCorrupt, DataUnavailable, load  # noqa: E402
from minijepa.family.encoder_file import save_encoder  # noqa: E402
from minijepa.machine import threads  # noqa: E402
from minijepa.machine.console import print_any_name  # noqa: E402
from minijepa.machine.files import CannotWrite, whole_file  # noqa: E402
from minijepa.machine.hardware import hardware  # noqa: E402
from minijepa.probes.table import not_applicable, print_table, probe_table  # noqa: E402
from minijepa.training import distributed, recipe  # noqa: E402
from minijepa.training import fsdp as shards
from minijepa.training.checkpoint import holds_run  # noqa: E402
from minijepa.training.fit import TrainingDiverged, fit  # noqa: E402
from minijepa.training.progress import deferred_interrupt  # noqa: E402
from minijepa.vit import count_parameters  # noqa: E402


def steps_in(minutes, model, data, masks, settings, device):
    """How many steps fit into so many minutes: times a few steps on a copy of the model, which is thrown away.

    masks: function (batch, generator) -> Masks with context [B, K_c]; settings: further arguments of `fit`.
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
    """True if the images may live on that device: a GPU with four times as much free memory as they take."""
    return device.type == "cuda" and 4 * data.images.nbytes < torch.cuda.mem_get_info(device)[0]


def describe(data):
    """Name, number and a checksum of up to a thousand images: what a resumed run must find again."""
    sample = data.images[:: max(1, len(data) // 1000)]  # [up to 2,000, 3, H, W]
    found = hashlib.sha256(sample.contiguous().numpy().tobytes()).hexdigest()
    return f"{data.name}: {len(data):,} images, checksum {found[:12]}"


def draw(out, history, table, encoder, data):
    """curves.png: loss and monitors; patches.png: the first principal components of patch tokens."""
    fig, axes = plots.plt.subplots(1, 3, figsize=(13, 3.4), layout="constrained")
    plots.curves({"loss": history.curve("loss")}, "step", "loss", ax=axes[0], title="not a measure of quality")
    monitors = {name: history.curve(name) for name in ("position_std", "content_share")}
    plots.curves(monitors, "step", "monitor", ax=axes[1], title="0 would be collapse")
    for name, marker in zip(("kNN", "linear"), "os", strict=True):
        rows = {row: scores[name] for row, scores in table.items() if name in scores}
        axes[2].plot(list(rows), list(rows.values()), marker, ms=9, label=name if rows else f"{name}: not applicable")
    axes[2].set(ylabel="probe accuracy", title="what the features know")
    axes[2].legend(frameon=False)
    fig.savefig(out / "curves.png", dpi=110)
    sample = data.subset(slice(8))
    with torch.no_grad():
        tokens = encoder(sample.batch(device=next(encoder.parameters()).device)).cpu()  # [8, N, D]
    patches = plots.patch_pca(sample.images, {"I-JEPA": tokens}, encoder.grid)
    patches.savefig(out / "patches.png", dpi=110)
    for each in (fig, patches):
        plots.plt.close(each)


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
    say = print if team.rank == 0 else lambda *_, **__: None
    try:
        with claim(arguments.out, team):
            with distributed.first_here(team):
                train, heldout = load(arguments.data)
            learned = learn(arguments, team, train, heldout, say)
            return 0 if team.rank > 0 else keep_and_judge(arguments, team, words, train, heldout, *learned)
    except (DataUnavailable, DataCorrupt, TrainingDiverged, ValueError, OSError) as error:
        if team.rank == 0 or isinstance(error, (DataUnavailable, DataCorrupt)):  # the data may lack on one machine
            print(f"error: {error}", file=sys.stderr)
        return 1


def learn(arguments, team, train, heldout, say):
    """Train. train, heldout: ImageData with images [N, 3, H, W]. say: print, or on other ranks than 0 nothing.

    Returns (model, encoder before the training, history, recipe, steps, seconds); recipe: a dict for metrics.json.
    Raises KeyboardInterrupt, with what is kept, after a Ctrl-C that left no trained model, and what `fit` raises.
    """
    weight = 0.0 if arguments.published else arguments.weight
    settings = dict(arguments.settings)
    settings.update(batch_size=arguments.batch_size, accumulate=arguments.accumulate, seed=arguments.seed)
    settings.update(precision=arguments.precision, compile=arguments.compile)
    settings.update(recompute=arguments.recompute, shard=arguments.shard)
    settings["lr"] = arguments.lr or settings["lr"]
    masks = recipe.published_masks if arguments.published else recipe.masks
    model = {"size": arguments.size, "weight": weight, "published": arguments.published, "longer": arguments.longer}
    jepa = recipe.build(arguments.size, weight, arguments.seed)
    if not arguments.shard:  # else it may be too large, and `fit` brings to the device what remains of it there
        jepa.to(arguments.device)
    random_init = copy.deepcopy(jepa.encoder).eval()
    say(f"{train.name}: {len(train):,} images to learn from, {len(heldout):,} held out")
    say(
        f"ViT-{arguments.size}, {count_parameters(jepa.encoder):,} parameters, "
        f"{arguments.device}, seed {arguments.seed}" + (f", {team.size} processes" if team.size > 1 else "")
    )
    if team.size == 1 and threads.current:
        threads.current.fit()  # beside other programs fewer threads are faster; during a run their number stays
    near, steps = train.to(arguments.device) if fits(train, arguments.device) else train, arguments.steps
    checkpoint = arguments.out / "checkpoint.pt"
    try:
        steps = steps or steps_in(arguments.minutes, jepa, near, masks, settings, arguments.device)
        say(f"training for {steps} steps of {arguments.batch_size} images (Ctrl-C keeps what was learned)", flush=True)
        start = time.perf_counter()
        history = fit(jepa, near, masks, **settings, steps=steps, device=arguments.device, label="I-JEPA",
                      checkpoint=checkpoint, resume=arguments.resume,
                      identity={**model, "data": describe(train)})  # fmt: skip
    except KeyboardInterrupt as error:
        more = "no checkpoint was due yet, so nothing is lost but time"
        if holds_run(checkpoint):
            more = f"go on from the last checkpoint with: {to_go_on(arguments, steps, team)}"
        raise KeyboardInterrupt(more) from error
    except CannotWrite:
        if not arguments.shard and team.rank == 0:  # what was learned is still in memory, and needs less room
            save_encoder(arguments.out / "encoder.safetensors", jepa.target_encoder, arguments.size, train)
            say("the encoder as it is now was written: encoder.safetensors", file=sys.stderr)
        raise
    seconds = time.perf_counter() - start
    if arguments.shard:
        weights = shards.whole(jepa)  # sent by all processes
        jepa = recipe.build(arguments.size, weight, arguments.seed).eval()  # on the CPU, and there it stays
        jepa.load_state_dict(weights)
    if history.interrupted:
        say(f"stopped after {len(history.rows)} of {steps} steps; go on with: {to_go_on(arguments, steps, team)}")
    made_with = {**model, **{k: v for k, v in settings.items() if not callable(v)}}
    return jepa, random_init, history, made_with, steps, seconds


def keep_and_judge(arguments, team, words, train, heldout, jepa, random_init, history, made_with, steps, seconds):
    """Write the encoder and what is known of the run; then probe it and draw. Returns the exit code.

    train, heldout: ImageData with images [N, 3, H, W]; the rest is what `learn` returned.
    """
    out, encoder, again = arguments.out, jepa.target_encoder, to_go_on(arguments, steps, team)
    save_encoder(out / "encoder.safetensors", encoder, arguments.size, train)
    labelled = train.subset(slice(0, arguments.labels))
    reasons, done = not_applicable(labelled), len(history.rows)
    metrics = {
        "command": command(words, team),
        "date": time.strftime("%Y-%m-%d"),
        "versions": {"minijepa": minijepa.__version__, "torch": torch.__version__, "python": platform.python_version()},
        "hardware": hardware(arguments.device),
        "processes": team.size,
        "seed": arguments.seed,
        "data": {"name": train.name, "train": len(train), "heldout": len(heldout), "labels": len(labelled),
                 "classes": list(train.classes), "chance": 1 / len(train.classes)},
        "recipe": made_with,
        "steps": done, "interrupted": history.interrupted, "images": done * arguments.batch_size,
        "seconds": round(seconds + seconds_before(arguments), 1), "history": history.rows,
        "not_applicable": reasons,
    }  # fmt: skip
    write_json(out / "metrics.json", metrics)
    missing = "the probes' scores and the pictures"
    try:
        print("probing (frozen features, scored on held-out images) ...", flush=True)
        for each in (random_init, encoder):
            each.to(arguments.device)  # of a model in shards the encoder alone has room there
        table = probe_table({"random-init": random_init, "I-JEPA": encoder}, labelled, heldout)
        print_table(table, reasons)
        write_json(out / "metrics.json", {**metrics, "probes": table})
        missing = "the pictures"
        draw(out, history, table, encoder, heldout)
    except (KeyboardInterrupt, Exception) as error:  # whatever it is, it must not cost what was learned
        stopped = isinstance(error, KeyboardInterrupt)
        reason = "stopped" if stopped else f"error: {type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
        print(f"{reason}; encoder.safetensors and metrics.json are in {out}, what is missing are {missing}; to have "
              f"them: {again}", file=sys.stderr)  # fmt: skip
        return 130 if stopped else 1
    print(f"written to {out}: checkpoint.pt, encoder.safetensors, metrics.json, curves.png, patches.png")
    return 0


def seconds_before(arguments):
    """How long this run has been trained in earlier calls, as far as its metrics.json knows."""
    try:
        earlier = json.loads((arguments.out / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        earlier = {}
    return earlier.get("seconds", 0) if arguments.resume else 0


def write_json(path, content):
    """A dict as a JSON file, the whole file or nothing."""
    with whole_file(path) as file:
        file.write(json.dumps(content, indent=1).encode("utf-8"))


if __name__ == "__main__":
    sys.exit(main())
