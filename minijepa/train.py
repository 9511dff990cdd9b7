"""I-JEPA from the command line: train, probe, and keep everything needed to look at the run or repeat it.

    python -m minijepa.train --data cifar10 --minutes 2
    python -m minijepa.train --data path/to/images --steps 3000 --out runs/mine
    torchrun --nproc-per-node=2 -m minijepa.train --data cifar10 --steps 3000       the same run, on two processes

Writes into --out: checkpoint.pt (for --resume), encoder.safetensors (the target encoder), metrics.json (command,
versions, seed, hardware, every figure), curves.png and patches.png. Ctrl-C stops the training, not the rest.
"""

import argparse
import copy
import json
import platform
import sys
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # pictures go to files; no window is needed

import torch  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

import minijepa  # noqa: E402
from minijepa import distributed, plots, probes, recipe, shards  # noqa: E402
from minijepa.checkpoint import holds_run  # noqa: E402
from minijepa.datasets import DataCorrupt, DataUnavailable, load  # noqa: E402
from minijepa.hardware import hardware  # noqa: E402
from minijepa.training import TrainingDiverged, fit  # noqa: E402
from minijepa.vit import SIZES, count_parameters  # noqa: E402


def positive(kind):
    """An argparse type: a number above zero."""

    def parse(text):
        value = kind(text)
        if not value > 0:
            raise argparse.ArgumentTypeError(f"must be above 0, got {text}")
        return value

    parse.__name__ = kind.__name__
    return parse


def parse_arguments(argv=None):
    """Read the command line; a wrong argument ends the program with a usage message."""
    parser = argparse.ArgumentParser(prog="python -m minijepa.train", description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", default="cifar10", help="cifar10, shapeworld, or a folder of images")
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--minutes", type=positive(float), help="length of training on this machine (default 2)")
    budget.add_argument("--steps", type=positive(int), help="length of training in optimiser steps")
    parser.add_argument("--size", choices=SIZES, help="encoder size (default nano, with --longer micro)")
    parser.add_argument("--weight", type=float, default=recipe.WEIGHT, help="of the variance/covariance term; 0: plain")
    parser.add_argument("--published", action="store_true", help="the published masks, crop, schedules; weight 0")
    parser.add_argument("--longer", action="store_true", help="the recipe for ten minutes and more, with --size micro")
    parser.add_argument("--batch-size", type=positive(int), help="images per step, over all processes")
    parser.add_argument("--accumulate", type=positive(int), default=1, help="parts of a batch, one after the other")
    parser.add_argument("--lr", type=positive(float), help=f"peak learning rate (default {recipe.TRAINING['lr']})")
    parser.add_argument("--optimizer", choices=["adamw", "muon"], help="default muon, with --published adamw")
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--compile", action="store_true", help="torch.compile: a minute to start, then faster")
    parser.add_argument("--recompute", action="store_true", help="less memory, an eighth more arithmetic")
    parser.add_argument("--shard", action="store_true", help="cut the model over the processes (--optimizer adamw)")
    parser.add_argument("--device", default=None, help="cpu, cuda or mps (default: the best there is)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--labels", type=positive(int), default=10_000, help="labelled images for the probes")
    parser.add_argument("--out", type=Path, default=None, help="folder for the results (default runs/DATA-seedN)")
    parser.add_argument("--resume", action="store_true", help="go on with the checkpoint in --out")
    arguments = parser.parse_args(argv)
    if arguments.minutes is None and arguments.steps is None:
        arguments.minutes = 2.0
    if arguments.published and arguments.longer:
        parser.error("argument --longer: not allowed with --published, which has settings of its own")
    chosen = recipe.PUBLISHED if arguments.published else recipe.LONGER if arguments.longer else recipe.TRAINING
    arguments.settings = {**chosen, "optimizer": arguments.optimizer or chosen["optimizer"]}
    arguments.batch_size = arguments.batch_size or chosen["batch_size"]
    arguments.size = arguments.size or ("micro" if arguments.longer else "nano")
    if arguments.weight < 0:
        parser.error(f"argument --weight: must be 0 or more, got {arguments.weight}")
    if arguments.resume and arguments.steps is None:
        parser.error("argument --resume: also give --steps, the number that the first run printed")
    if arguments.out is None:
        arguments.out = Path("runs") / f"{Path(arguments.data).name}-seed{arguments.seed}"
    if arguments.resume != holds_run(arguments.out / "checkpoint.pt"):
        parser.error(
            f"argument --resume: there is no run in {arguments.out} to go on with; check --out, or leave out --resume"
            if arguments.resume
            else f"argument --out: {arguments.out} holds an earlier run; give another folder, or --resume --steps N"
        )
    try:
        arguments.device = distributed.own_device(arguments.device or best_device())
        torch.zeros(1, device=arguments.device)
    except (RuntimeError, AssertionError) as error:
        parser.error(f"argument --device: {arguments.device} cannot be used here ({str(error).splitlines()[0]})")
    return arguments


def best_device():
    """cuda, else mps, else cpu; several processes cannot share what mps is."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() and not distributed.launched() else "cpu"


def steps_in(minutes, model, data, masks, settings, device):
    """How many steps fit into so many minutes: times a few steps on a copy of the model, which is thrown away.

    masks: function (batch, generator) -> Masks with context [B, K_c]; settings: further arguments of `fit`.
    """
    twin = copy.deepcopy(model)
    fit(twin, data, masks, **settings, steps=8, device=device)  # the first steps are slower: memory, caches
    start, steps = time.perf_counter(), 24
    fit(twin, data, masks, **settings, steps=steps, device=device)
    seconds = distributed.Team.current().mean(time.perf_counter() - start)
    return max(10, int(minutes * 60 * steps / seconds))


def fits(data, device):
    """True if the images may live on that device: a GPU with four times as much free memory as they take."""
    return device.type == "cuda" and 4 * data.images.nbytes < torch.cuda.mem_get_info(device)[0]


def probe_table(encoders, train, heldout, raw=True):
    """{arm: {probe: accuracy}} for raw pixels and each encoder; `linear, all layers` joins the means of every layer.

    encoders: dict arm -> ViT. train, heldout: ImageData with images [N, 3, H, W], whose labels the probes use.
    raw: judge raw pixels too (for the linear probe shrunk to 8 x 8).
    """
    labels, table = (train.labels, heldout.labels), {}
    if raw:
        full, small = ([probes.raw_pixels(d, size=size) for d in (train, heldout)] for size in (None, 8))
        table["raw pixels"] = {
            "kNN": probes.knn_probe(full[0], labels[0], full[1], labels[1]),
            "linear": probes.linear_probe(small[0], labels[0], small[1], labels[1]),
        }
    for name, encoder in encoders.items():
        every = [probes.features(encoder, d, layers="all") for d in (train, heldout)]  # [N, L D]
        last = [f[:, -encoder.dim :] for f in every]  # [N, D]: the last layer
        table[name] = {
            "kNN": probes.knn_probe(last[0], labels[0], last[1], labels[1]),
            "linear": probes.linear_probe(last[0], labels[0], last[1], labels[1]),
            "linear, all layers": probes.linear_probe(every[0], labels[0], every[1], labels[1]),
        }
    return table


def print_table(table):
    """The table as aligned text."""
    columns = ["kNN", "linear", "linear, all layers"]
    print(f"{'':<22}" + "".join(f"{column:>20}" for column in columns))
    for name, row in table.items():
        print(f"{name:<22}" + "".join(f"{row[c]:>20.3f}" if c in row else f"{'-':>20}" for c in columns))


def draw(out, history, table, encoder, data):
    """curves.png: loss and monitors; patches.png: the first principal components of patch tokens."""
    fig, axes = plots.plt.subplots(1, 3, figsize=(13, 3.4), layout="constrained")
    plots.curves({"loss": history.curve("loss")}, "step", "loss", ax=axes[0], title="not a measure of quality")
    monitors = {name: history.curve(name) for name in ("target_std", "content_share")}
    plots.curves(monitors, "step", "monitor", ax=axes[1], title="0 would be collapse")
    for name, marker in zip(("kNN", "linear"), "os", strict=True):
        axes[2].plot(list(table), [row[name] for row in table.values()], marker, ms=9, label=name)
    axes[2].set(ylabel="probe accuracy", title="what the features know")
    axes[2].legend(frameon=False)
    fig.savefig(out / "curves.png", dpi=110)
    sample = data.subset(torch.arange(8))
    with torch.no_grad():
        tokens = encoder(sample.floats(device=next(encoder.parameters()).device)).cpu()  # [8, N, D]
    plots.patch_pca(sample.images, {"I-JEPA": tokens}, encoder.grid).savefig(out / "patches.png", dpi=110)


def main(argv=None):
    """Run the command line; argv: its words, default those of the process. Returns the exit code, 0 or 1."""
    arguments = parse_arguments(argv)
    with distributed.session(arguments.device) as team:
        return learn(arguments, team, sys.argv[1:] if argv is None else argv)


def learn(arguments, team, words):
    """Train on all processes of the team, judge and write on rank 0. words: the command line. Returns the exit code."""
    say = print if team.rank == 0 else lambda *_, **__: None
    try:
        with distributed.first_here(team):
            train, heldout = load(arguments.data)
    except (DataUnavailable, DataCorrupt, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    weight = 0.0 if arguments.published else arguments.weight
    settings = dict(arguments.settings)
    settings.update(batch_size=arguments.batch_size, accumulate=arguments.accumulate, seed=arguments.seed)
    settings.update(precision=arguments.precision, compile=arguments.compile)
    settings.update(recompute=arguments.recompute, shard=arguments.shard)
    settings["lr"] = arguments.lr or settings["lr"]
    masks = recipe.published_masks if arguments.published else recipe.masks
    jepa = recipe.build(arguments.size, weight, arguments.seed)
    if not arguments.shard:  # else it may be too large, and `fit` brings to the device what remains of it there
        jepa.to(arguments.device)
    random_init = copy.deepcopy(jepa.encoder).eval()
    say(f"{train.name}: {len(train):,} images to learn from, {len(heldout):,} held out")
    say(
        f"ViT-{arguments.size}, {count_parameters(jepa.encoder):,} parameters, "
        f"{arguments.device}, seed {arguments.seed}" + (f", {team.size} processes" if team.size > 1 else "")
    )

    near = train.to(arguments.device) if fits(train, arguments.device) else train
    try:
        steps = arguments.steps or steps_in(arguments.minutes, jepa, near, masks, settings, arguments.device)
        say(f"training for {steps} steps of {arguments.batch_size} images (Ctrl-C keeps what was learned)")
        start = time.perf_counter()
        history = fit(jepa, near, masks, **settings, steps=steps, device=arguments.device, label="I-JEPA",
                      checkpoint=arguments.out / "checkpoint.pt", resume=arguments.resume)  # fmt: skip
    except (TrainingDiverged, ValueError) as error:
        say(f"error: {error}", file=sys.stderr)
        return 1
    seconds = time.perf_counter() - start
    weights = shards.whole(jepa) if arguments.shard else None  # sent by all processes
    if team.rank > 0:
        return 0
    if arguments.shard:
        jepa = recipe.build(arguments.size, weight, arguments.seed).eval()  # on the CPU, and there it stays
        jepa.load_state_dict(weights)
    done = len(history.rows)
    if history.interrupted:
        print(f"stopped after {done} of {steps} steps; go on with --resume --steps {steps} --out {arguments.out}")

    print("probing (frozen features, scored on held-out images) ...")
    encoders = {"random-init": random_init, "I-JEPA": jepa.target_encoder}
    for each in encoders.values():
        each.to(arguments.device)  # of a model in shards the encoder alone has room there
    table = probe_table(encoders, train.subset(slice(0, arguments.labels)), heldout)
    print_table(table)
    metrics = {
        "command": "python -m minijepa.train " + " ".join(words),
        "date": time.strftime("%Y-%m-%d"),
        "versions": {"minijepa": minijepa.__version__, "torch": torch.__version__, "python": platform.python_version()},
        "hardware": hardware(arguments.device),
        "processes": team.size,
        "seed": arguments.seed,
        "data": {"name": train.name, "train": len(train), "heldout": len(heldout),
                 "labels": min(arguments.labels, len(train)), "chance": 1 / len(train.classes)},
        "recipe": {"size": arguments.size, "weight": weight, "published": arguments.published,
                   **{k: v for k, v in settings.items() if not callable(v)}},
        "steps": done, "interrupted": history.interrupted, "images": done * arguments.batch_size,
        "seconds": round(seconds, 1), "probes": table, "history": history.rows,
    }  # fmt: skip
    (arguments.out / "metrics.json").write_text(json.dumps(metrics, indent=1), encoding="utf-8")
    encoder = jepa.target_encoder
    save_file(
        {k: v.contiguous().cpu() for k, v in encoder.state_dict().items()},
        arguments.out / "encoder.safetensors",
        metadata={"size": arguments.size, "img_size": "32", "patch_size": "4"},
    )
    draw(arguments.out, history, table, encoder, heldout)
    print(f"written to {arguments.out}: checkpoint.pt, encoder.safetensors, metrics.json, curves.png, patches.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
