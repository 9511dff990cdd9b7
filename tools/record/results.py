"""Make, list and draw the recorded results: the runs that are too long for a notebook.

    python tools/record/results.py list                                     every table, its arms, and what is recorded
    python tools/record/results.py run parts                                every arm and seed that is not recorded yet
    python tools/record/results.py run parts --arm "term alone" --seed 1    one row again
    python tools/record/results.py                                          the figures, from the files (make results)

A row is one training run on CIFAR-10 under one condition ("arm"), which changes the recipe in the one thing that it
names. Probes on frozen features evaluate the run: they are trained on 10,000 labels (40,000 in the tables named after
minutes) and scored on the 10,000 images of data_batch_5. Optimiser, batch and size were chosen on training images.
Masks, crop, momentum and the variance-covariance regulariser had been chosen on data_batch_5, with an older optimiser.
The tables that change one setting are therefore also scored on 5,000 training images: `choices.png` shows which setting
one would have chosen without data_batch_5, and how much that choice would have cost.
"""

import argparse
import copy
import json
import platform
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import save_file
from tables import ABLATIONS, BUDGETS, TABLES, TRIED, make

from minijepa import ViT, fit, plots
from minijepa.datasets import cifar10
from minijepa.family import salt
from minijepa.machine.hardware import hardware
from minijepa.plots.recorded import ablations, choices, curves, dots, layers, summary
from minijepa.probes import KNNDuring, fine_tune
from minijepa.probes.table import probe_table
from minijepa.training.fit import History

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "minijepa" / "plots" / "recorded_results"
SEEDS = (0, 1, 2)
LABELS = 10_000  # for the probes, unless a table says otherwise
PROBES = {"kNN": "knn", "linear": "linear", "linear, all layers": "linear_all"}


# --- running ---


def run_row(name, arm, seed, baselines=None, steps=None, train=None, heldout=None, labels=None, keep=None):
    """Train and evaluate one row; returns it as a dict.

    baselines: the scores of the random-init encoder and of raw pixels, if they are known.
    steps, train, heldout, labels: smaller ones for the tests.
    keep: a folder for the trained target encoder.
    """
    table = TABLES[name]
    labels = labels or table.get("labels", LABELS)
    train = cifar10("train") if train is None else train
    heldout = cifar10("heldout") if heldout is None else heldout
    changes = dict(table["arms"][arm])
    own = changes.pop("steps", table["steps"])  # the relatives get the same time, not the same number of steps
    first = changes.pop("teacher_steps", None)  # SALT's target encoder is trained first
    first, steps = first and (steps or first), steps or own
    model, masks, settings = make(seed, **changes)
    untrained = copy.deepcopy(encoder_of(model))
    chosen = train.subset(slice(len(train) - 3000, len(train)))  # for the curve: training images, never held-out ones
    half = len(chosen) * 2 // 3
    during = KNNDuring(
        chosen.subset(slice(0, half)), chosen.subset(slice(half, len(chosen))), every=max(1, steps // 10)
    )
    at_start = during.score(untrained)
    start, start_cpu = time.perf_counter(), time.process_time()
    if first:
        model = make(seed, **changes, teacher=frozen_teacher(train, first, seed))[0]
    if isinstance(model, ViT):  # supervised training
        trained, history = supervised(model, train, heldout, steps, seed, during, settings)
    else:
        history = fit(
            model, train, masks, **settings, steps=steps, seed=seed, precision="bfloat16", callbacks=[during],
            label=f"{name}: {arm}, seed {seed}",
        )  # fmt: skip
        frozen = settings["momentum"] == (1.0, 1.0)  # then the target encoder never learns; the context encoder may
        trained = model.encoder if frozen else model.target_encoder
    minutes, cpu_minutes = (time.perf_counter() - start) / 60, (time.process_time() - start_cpu) / 60
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
        save_file(trained.state_dict(), keep / f"{name}-{arm.replace(' ', '-')}-{seed}.safetensors")
    labelled = train.subset(slice(0, labels))
    if baselines is None:
        baselines = probe_table({"untrained": untrained}, labelled, heldout)
    judged = probe_table({"arm": trained}, labelled, heldout, raw=False)
    validation = validate(trained, train, labels) if name in (*ABLATIONS, *TRIED) else {}
    last = history.rows[-1]
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    return {
        "arm": arm,
        "seed": seed,
        "command": f'python tools/record/results.py run {name} --arm "{arm}" --seed {seed}',
        "steps": steps,
        "images": (steps + (first or 0)) * settings["batch_size"],
        "precision": "bfloat16",
        "settings": {"dim": trained.dim, "depth": len(trained.blocks), "weight": getattr(model, "weight", 0.0)}
        | ({"teacher_steps": first} if first else {})
        | {key: changes[key] for key in ("model", "masks") if isinstance(changes.get(key), dict)}
        | {key: value for key, value in settings.items() if not callable(value)},
        "labels": labels,
        "minutes": round(minutes, 2),
        "cpu_minutes": round(cpu_minutes, 2),
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit.strip(),
        "versions": {"torch": torch.__version__, "python": platform.python_version()},
        "hardware": hardware(torch.device("cpu")),
        "scores": {
            **{key: round(judged["arm"][probe], 4) for probe, key in PROBES.items()},
            **{f"untrained_{key}": round(baselines["untrained"][probe], 4) for probe, key in PROBES.items()},
            "raw_knn": round(baselines["raw pixels"]["kNN"], 4),
            "raw_linear": round(baselines["raw pixels"]["linear"], 4),
            **{key: round(last[key], 4) for key in ("position_std", "content_share", "loss") if key in last},
            **{f"validation_{PROBES[probe]}": round(value, 4) for probe, value in validation.items()},
        },
        "knn_curve": [[0, round(at_start, 3)]]
        + [[step, round(value, 3)] for step, value in zip(*history.curve("knn"), strict=True)],
    }


def frozen_teacher(train, steps, seed):
    """Stage 1 of SALT, from other initial weights than stage 2: the trained encoder."""
    torch.manual_seed(1000 + seed)
    pixels = salt.pixel_model(ViT.nano(img_size=32, patch_size=4))
    fit(pixels, train, salt.masks, **salt.TRAINING, steps=steps, seed=seed, precision="bfloat16", label="stage 1")
    return pixels.encoder


def validate(encoder, train, labels):
    """The three probes, scored on the last eighth of the training images, whose labels no training has used."""
    cut = len(train) * 7 // 8
    labelled = train.subset(slice(0, min(labels, cut)))
    return probe_table({"arm": encoder}, labelled, train.subset(slice(cut, len(train))), raw=False)["arm"]


def encoder_of(model):
    """The context encoder; supervised training has nothing else."""
    return getattr(model, "encoder", model)


def supervised(encoder, train, heldout, steps, seed, during, settings):
    """Train the same encoder on all labels, the upper reference of the table of peers: (encoder, History)."""
    some = heldout.subset(slice(0, 50))  # the accuracy of its own head is not needed
    # bfloat16 like the others; a context around many steps must not keep the weights that it has cast
    with torch.autocast("cpu", dtype=torch.bfloat16, cache_enabled=False):
        _, trained = fine_tune(encoder, train, some, steps=steps, seed=seed, **settings)
    return trained, History([{"step": steps, "knn": during.score(trained)}])


def read(name):
    """The recorded part of a table, {"rows": []} if there is none."""
    path = FOLDER / f"{name}.json"
    if path.exists():
        return json.loads(path.read_text(encoding="utf-8"))
    return {"rows": []}


def write(name, rows):
    """Write a table atomically, its rows in the order of arms and seeds."""
    table = TABLES[name]
    labels = table.get("labels", LABELS)
    order = list(table["arms"])
    rows = sorted((r for r in rows if r["arm"] in order), key=lambda r: (order.index(r["arm"]), r["seed"]))
    content = {
        "question": table["question"],
        "steps": table["steps"],
        "probe": f"frozen target encoder; {labels:,} labels; scored on the 10,000 images of data_batch_5",
        "minutes": "wall time of training alone, on a machine with other work; cpu_minutes: the processor's own",
        "reproduce": f"python tools/record/results.py run {name}",
        "rows": rows,
    }
    path = FOLDER / f"{name}.json"
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


def known_baselines(seed, labels, dim, depth):
    """The scores of the random-init encoder and of raw pixels, if a recorded row of that seed has them, else None.

    For one seed, all arms with an encoder of that width and depth start from the same weights. These are therefore
    evaluated once for each number of labels.
    """
    for row in (row for path in sorted(FOLDER.glob("*.json")) for row in read(path.stem)["rows"]):
        size = tuple(row["settings"][key] for key in ("dim", "depth"))
        if (row["seed"], row["labels"], size) == (seed, labels, (dim, depth)):
            scores = row["scores"]
            untrained = {probe: scores[f"untrained_{key}"] for probe, key in PROBES.items()}
            return {"untrained": untrained, "raw pixels": {"kNN": scores["raw_knn"], "linear": scores["raw_linear"]}}
    return None


def recorded_twin(changes, steps, labels, seed):
    """The row of any table whose arm makes the same changes, with these steps, labels and seed, or None.

    Its command remains the one that made it.
    """
    for name, table in TABLES.items():
        for row in read(name)["rows"]:
            same = (row["steps"], row["labels"], row["seed"]) == (steps, labels, seed)
            others = {key: value for key, value in table["arms"][row["arm"]].items() if key != "steps"}
            if same and others == changes:
                return row
    return None


def run(name, arm=None, seed=None):
    """Run a table; without an arm or a seed, all of its rows that are not recorded yet."""
    for s in TABLES[name].get("seeds", SEEDS) if seed is None else (seed,):
        for a in TABLES[name]["arms"] if arm is None else (arm,):
            known = {(row["arm"], row["seed"]) for row in read(name)["rows"]}
            if (a, s) in known and (arm is None or seed is None):
                continue
            table = TABLES[name]
            labels = table.get("labels", LABELS)
            changes = dict(table["arms"][a])
            twin = recorded_twin(changes, changes.pop("steps", table["steps"]), labels, s)
            fits = twin and (name not in (*ABLATIONS, *TRIED) or "validation_knn" in twin["scores"])
            if fits and arm is None:  # the same run is recorded in another table
                write(name, [*read(name)["rows"], {**twin, "arm": a}])
                continue
            changes.pop("teacher_steps", None)
            encoder = encoder_of(make(s, **changes)[0])
            baselines = known_baselines(s, labels, encoder.dim, len(encoder.blocks))
            row = run_row(name, a, s, baselines, keep=ROOT / "runs" / "recorded")
            rows = [r for r in read(name)["rows"] if (r["arm"], r["seed"]) != (a, s)]  # another run may have written
            write(name, [*rows, row])
            scores = row["scores"]
            print(f"{name} | {a} | seed {s} | " + " ".join(f"{k} {scores[k]:.3f}" for k in PROBES.values()), flush=True)


def listing():
    """Print every table with its recorded scores."""
    for name, table in TABLES.items():
        rows = read(name)
        print(f"{name}: {table['question']} ({table['steps']} steps)")
        lines = {key: summary(rows, key) for key in PROBES.values()}
        for arm in table["arms"]:
            if arm in lines["knn"]:
                text = "  ".join(f"{key} {v[arm][0]:.3f} ± {v[arm][1]:.3f}" for key, v in lines.items())
                print(f"    {arm:<32} {text}  ({lines['knn'][arm][2]} seeds)")
            else:
                print(f"    {arm:<32} not recorded")


def draw(out):
    """Draw a figure per recorded table, and those of curves, ablations, choices and layers, into the folder `out`."""
    out.mkdir(parents=True, exist_ok=True)
    there = {name: read(name) for name in TABLES if read(name)["rows"]}
    budgets = [there[name] for name in BUDGETS if name in there]
    changes = [there[name] for name in ABLATIONS if name in there]
    figures = {name: partial(dots, table) for name, table in there.items()} | {
        "parts_curves": partial(curves, there["parts"]),
        "budgets_curves": partial(curves, *budgets, title="What does more time buy?"),
        "ablations": partial(ablations, changes),
        "choices": partial(choices, changes),
        "levers_layers": partial(layers, there["levers"]),
    }
    for name, make_figure in figures.items():
        figure = make_figure()
        (out / f"{name}.png").write_bytes(plots.png(figure))
        plots.plt.close(figure)
        print(f"{out / name}.png")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(dest="action")
    actions.add_parser("list", help="print every table")
    one = actions.add_parser("run", help="train and evaluate")
    one.add_argument("table", choices=TABLES)
    one.add_argument("--arm")
    one.add_argument("--seed", type=int)
    pictures = actions.add_parser("draw", help="draw the figures from the files")
    pictures.add_argument("--out", type=Path, default=ROOT / "docs" / "results")
    arguments = parser.parse_args()
    if arguments.action in (None, "draw"):
        return draw(getattr(arguments, "out", ROOT / "docs" / "results"))
    if arguments.action == "list":
        return listing()
    if arguments.arm is not None and arguments.arm not in TABLES[arguments.table]["arms"]:
        arms = ", ".join(TABLES[arguments.table]["arms"])
        parser.error(f"the table {arguments.table} has no arm {arguments.arm!r}; its arms are {arms}")
    run(arguments.table, arguments.arm, arguments.seed)


if __name__ == "__main__":
    sys.exit(main())
