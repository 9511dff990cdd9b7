"""What a run leaves behind: metrics.json, and the pictures of its curves and of what its tokens see."""

import hashlib
import json
import platform
import time

import matplotlib

matplotlib.use("Agg")  # pictures go to files; no window is needed

import torch  # noqa: E402

import minijepa  # noqa: E402
from minijepa import plots  # noqa: E402
from minijepa.commands.arguments import command  # noqa: E402
from minijepa.datasets import ClipData  # noqa: E402
from minijepa.machine.files import whole_file  # noqa: E402
from minijepa.machine.hardware import hardware  # noqa: E402


def describe(data):
    """Name, number and a checksum of up to a thousand examples: what a resumed run must find again."""
    clips = isinstance(data, ClipData)
    tensor = data.clips if clips else data.images
    sample = tensor[:: max(1, len(data) // 1000)]  # [up to 2,000, ...]
    found = hashlib.sha256(sample.contiguous().numpy().tobytes()).hexdigest()
    return f"{data.name}: {len(data):,} {'clips' if clips else 'images'}, checksum {found[:12]}"


def metrics_of(task, result, labelled, reasons):
    """What is known of a run before it is probed, for metrics.json. labelled: the data that the probes learn from."""
    arguments, done = task.arguments, len(result.history.rows)
    classes = task.train.classes
    chance = {n: 1 / len(c) for n, c in classes.items()} if isinstance(classes, dict) else 1 / len(classes)
    return {
        "command": command(task.words, task.team),
        "date": time.strftime("%Y-%m-%d"),
        "versions": {"minijepa": minijepa.__version__, "torch": torch.__version__, "python": platform.python_version()},
        "hardware": hardware(arguments.device),
        "processes": task.team.size,
        "seed": arguments.seed,
        "data": {"name": task.train.name, "train": len(task.train), "heldout": len(task.heldout),
                 "labels": len(labelled), "classes": classes, "chance": chance},
        "method": task.method.NAME,
        "recipe": {**task.choices, **{k: v for k, v in task.settings.items() if not callable(v)}},
        "steps": done, "interrupted": result.history.interrupted, "images": done * arguments.batch_size,
        "seconds": round(result.seconds + seconds_before(arguments), 1), "history": result.history.rows,
        "not_applicable": reasons,
    }  # fmt: skip


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


def draw(out, history, table, encoders, data):
    """curves.png: loss, monitors, probes; of images also patches.png, the principal components of patch tokens.

    table: {row: {probe: score}}; encoders: {name: ViT}. Returns the names of the files.
    """
    fig, axes = plots.plt.subplots(1, 3, figsize=(13, 3.4), layout="constrained")
    plots.curves({"loss": history.curve("loss")}, "step", "loss", ax=axes[0], title="not a measure of quality")
    monitors = {name: history.curve(name) for name in ("position_std", "content_share")}
    plots.curves(monitors, "step", "monitor", ax=axes[1], title="0 would be collapse")
    names = list(dict.fromkeys(name for scores in table.values() for name in scores))
    for name, marker, colour in zip(names or ["probes"], "os^vDP", plots.PALETTE, strict=False):
        rows = {row: scores[name] for row, scores in table.items() if name in scores}
        label = name if rows else f"{name}: not applicable"
        axes[2].plot(list(rows), list(rows.values()), marker, color=colour, ms=9, label=label)
    axes[2].set(ylabel="probe accuracy", title="what the features know")
    axes[2].legend(frameon=False)
    figures = {"curves.png": fig}
    if not isinstance(data, ClipData):
        sample = data.subset(slice(8))
        with torch.no_grad():
            tokens = {
                name: encoder(sample.batch(device=next(encoder.parameters()).device)).cpu()  # [8, N, D]
                for name, encoder in encoders.items()
            }
        figures["patches.png"] = plots.patch_pca(sample.images, tokens, next(iter(encoders.values())).grid)
    for name, each in figures.items():
        each.savefig(out / name, dpi=110)
        plots.plt.close(each)
    return list(figures)
