"""Make, list and draw the recorded results: the runs that are too long for a notebook.

    python tools/results.py list                                     every table, its arms, and what is recorded
    python tools/results.py run parts                                every arm and seed that is not recorded yet
    python tools/results.py run parts --arm "term alone" --seed 1    one row again
    python tools/results.py                                          the figures, from the files (make results)

A row is one training run on CIFAR-10. It changes the recipe in the one thing that its arm names, and is judged by
frozen features: probes on 10,000 labels (40,000 in the tables named after minutes), scored on the 10,000 images of
data_batch_5. The optimiser was chosen on training images; the weight of the extra term and the momentum had been chosen
on data_batch_5, with an older optimiser.
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

from minijepa import (
    JEPA,
    EMATeacher,
    Masks,
    PixelTeacher,
    Predictor,
    ViT,
    block_masks,
    cosine,
    crop_flip,
    fit,
    l1,
    l2,
    plots,
    random_masks,
    recipe,
    smooth_l1,
)
from minijepa.datasets import cifar10
from minijepa.probes import KNNDuring
from minijepa.recorded import curves, dots, summary
from minijepa.train import hardware, probe_table

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "minijepa" / "recorded_results"
SEEDS = (0, 1, 2)
LABELS = 10_000  # for the probes, unless a table says otherwise
PROBES = {"kNN": "knn", "linear": "linear", "linear, all layers": "linear_all"}


# --- what an arm may change ---


def block(n_targets=1, scale=(0.4, 0.6), keep=28, context=20):
    """A mask function (batch, generator) like the recipe's, with one thing changed."""

    def masks(batch, generator=None):
        return block_masks(
            batch,
            recipe.GRID,
            n_targets=n_targets,
            target_scale=scale,
            target_keep=keep,
            context_scale=(1.0, 1.0),
            context_keep=context,
            generator=generator,
        )

    return masks


def half_masks(batch, generator=None):
    """One half of the image asked for (left, right, upper or lower; 28 patches), 20 patches of the other half seen."""
    rows, columns = (torch.arange(64) // 8, torch.arange(64) % 8)
    sides = torch.stack([rows < 4, rows > 3, columns < 4, columns > 3])
    hidden = sides[torch.randint(4, (batch,), generator=generator)]  # [B, 64]
    order = torch.rand(batch, 64, generator=generator)
    return Masks(
        (order + hidden).argsort(dim=1)[:, :20].sort(dim=1).values,
        (order + ~hidden).argsort(dim=1)[:, :28].sort(dim=1).values[:, None],
    )


def scattered(batch, generator=None):
    """Random patches on both sides: 20 seen, 28 asked for."""
    return random_masks(batch, recipe.GRID, context_keep=20, target_keep=28, generator=generator)


def nothing(prediction, target):
    """No prediction at all: only the extra term is left to learn from."""
    return 0.0 * l2(prediction, target)


def make(
    seed,
    size="nano",
    teacher="ema",
    distance=smooth_l1,
    weight=recipe.WEIGHT,
    masks=recipe.masks,
    normalise=True,
    top=1,
    width=48,
    depth=2,
    **training,
):
    """(model, masks, settings for fit): the recipe with an arm's changes."""
    torch.manual_seed(seed)
    encoder = ViT.size(size, img_size=32, patch_size=4)
    pixels = PixelTeacher(encoder) if teacher == "pixels" else None
    predictor = Predictor(encoder.dim, encoder.grid, width, depth, heads=3, out_dim=pixels.dim if pixels else None)
    teacher = pixels or EMATeacher(encoder, normalise=normalise, top=top)
    model = JEPA(encoder, predictor, teacher, l2 if pixels else distance, weight=weight)
    return model, masks, {**recipe.TRAINING, **training}


ADAMW = dict(optimizer="adamw", lr=2e-3, weight_decay=(0.05, 0.05))
LONGER = {"size": "micro", **recipe.LONGER}
TABLES = {
    "parts": {
        "question": "Which part of the recipe does the work?",
        "steps": 1200,
        "arms": {
            "recipe": {},
            "prediction alone": dict(weight=0.0),
            "term alone": dict(distance=nothing),
            "pixel targets": dict(teacher="pixels", weight=0.0),
            "published settings": dict(masks=recipe.published_masks, weight=0.0, **recipe.PUBLISHED),
        },
    },
    "two_minutes": {
        "question": "What do two minutes of two cores reach?",
        "steps": 2000,
        "labels": 40_000,
        "arms": {
            "recipe": {},
            "prediction alone": dict(weight=0.0),
            "term alone": dict(distance=nothing),
        },
    },
    "ten_minutes": {
        "question": "What do ten minutes of two cores reach?",
        "steps": 1700,
        "labels": 40_000,
        "arms": {
            "longer recipe": LONGER,
            "longer, prediction alone": {**LONGER, "weight": 0.0},
            "longer, term alone": {**LONGER, "distance": nothing},
        },
    },
    "ten_minutes_nano": {
        "question": "What if the recipe of short runs is given ten minutes?",
        "steps": 10_000,
        "labels": 40_000,
        "arms": {"recipe": {}},
    },
    "target_scale": {
        "question": "How large should the target block be?",
        "steps": 1000,
        "arms": {
            "5-10 %": dict(masks=block(scale=(0.05, 0.1), keep=None)),
            "15-20 %": dict(masks=block(scale=(0.15, 0.2), keep=None)),
            "25-35 %": dict(masks=block(scale=(0.25, 0.35), keep=None)),
            "40-60 % (recipe)": {},
        },
    },
    "n_targets": {
        "question": "One large target block or several small ones?",
        "steps": 1000,
        "arms": {
            "1 of 40-60 % (recipe)": {},
            "2 of 20-30 %": dict(masks=block(2, (0.2, 0.3), keep=14)),
            "4 of 15-20 %": dict(masks=block(4, (0.15, 0.2), keep=7)),
        },
    },
    "context": {
        "question": "How much of the image should the context show?",
        "steps": 1000,
        "arms": {
            "5 patches": dict(masks=block(context=5)),
            "10 patches": dict(masks=block(context=10)),
            "15 patches": dict(masks=block(context=15)),
            "20 patches (recipe)": {},
        },
    },
    "mask_shape": {
        "question": "Does the shape of the mask matter?",
        "steps": 1000,
        "arms": {"block (recipe)": {}, "half": dict(masks=half_masks), "random patches": dict(masks=scattered)},
    },
    "predictor": {
        "question": "How large should the predictor be?",
        "steps": 1000,
        "arms": {
            "width 24, depth 2": dict(width=24),
            "width 48, depth 1": dict(depth=1),
            "width 48, depth 2 (recipe)": {},
            "width 48, depth 4": dict(depth=4),
            "width 96, depth 2": dict(width=96),
        },
    },
    "momentum": {
        "question": "How fast should the teacher follow?",
        "steps": 1000,
        "arms": {
            "0 (no lag)": dict(momentum=(0.0, 0.0)),
            "0.9 to 1 (recipe)": {},
            "0.97 to 1": dict(momentum=(0.97, 1.0)),
            "0.996 to 1": dict(momentum=(0.996, 1.0)),
            "1 (frozen, random)": dict(momentum=(1.0, 1.0)),
        },
    },
    "targets": {
        "question": "What should stand on the target side?",
        "steps": 1000,
        "arms": {
            "last layer, LayerNorm (recipe)": {},
            "no LayerNorm": dict(normalise=False),
            "mean of the top 2 layers": dict(top=2),
            "mean of all 4 layers": dict(top=4),
        },
    },
    "distance": {
        "question": "Which distance?",
        "steps": 1000,
        "arms": {
            "smooth L1 (recipe)": {},
            "L2": dict(distance=l2),
            "L1": dict(distance=l1),
            "cosine": dict(distance=cosine),
        },
    },
    "augmentation": {
        "question": "Does I-JEPA need augmentation?",
        "steps": 1000,
        "arms": {
            "none": dict(augment=None),
            "crop": dict(augment=partial(crop_flip, flip=False)),
            "crop + flip (recipe)": {},
        },
    },
    "regulariser": {
        "question": "How much of the variance/covariance term?",
        "steps": 1000,
        "arms": {
            "none": dict(weight=0.0),
            "0.01": dict(weight=0.01),
            "0.03 (recipe)": {},
            "0.1": dict(weight=0.1),
            "0.3": dict(weight=0.3),
        },
    },
    "optimiser": {
        "question": "What do the optimiser and its weight decay do?",
        "steps": 1000,
        "arms": {
            "AdamW, decay 0.05": dict(ADAMW),
            "AdamW, decay 0.5": {**ADAMW, "weight_decay": (0.5, 0.5)},
            "Muon, decay 0.05": dict(weight_decay=(0.05, 0.05)),
            "Muon (recipe)": {},
        },
    },
}


# --- running ---


def run_row(name, arm, seed, baselines=None, steps=None, train=None, heldout=None, labels=None, keep=None):
    """Train and judge one row; returns it as a dict. baselines: the judged untrained encoder and raw pixels, if known.

    steps, train, heldout, labels: smaller ones for the tests. keep: a folder for the trained target encoder.
    """
    table = TABLES[name]
    labels = labels or table.get("labels", LABELS)
    train = cifar10("train") if train is None else train
    heldout = cifar10("heldout") if heldout is None else heldout
    model, masks, settings = make(seed, **table["arms"][arm])
    steps = steps or table["steps"]
    untrained = copy.deepcopy(model.encoder)
    chosen = train.subset(slice(len(train) - 3000, len(train)))  # for the curve: training images, never the held-out
    half = len(chosen) * 2 // 3
    during = KNNDuring(
        chosen.subset(slice(0, half)), chosen.subset(slice(half, len(chosen))), every=max(1, steps // 10)
    )
    at_start = during.score(untrained)
    start, start_cpu = time.perf_counter(), time.process_time()
    history = fit(
        model, train, masks, **settings, steps=steps, seed=seed, precision="bfloat16", callbacks=[during],
        label=f"{name}: {arm}, seed {seed}",
    )  # fmt: skip
    minutes, cpu_minutes = (time.perf_counter() - start) / 60, (time.process_time() - start_cpu) / 60
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
        save_file(model.target_encoder.state_dict(), keep / f"{name}-{arm.replace(' ', '-')}-{seed}.safetensors")
    labelled = train.subset(slice(0, labels))
    if baselines is None:
        baselines = probe_table({"untrained": untrained}, labelled, heldout)
    judged = probe_table({"arm": model.target_encoder}, labelled, heldout, raw=False)
    last = history.rows[-1]
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    return {
        "arm": arm,
        "seed": seed,
        "command": f'python tools/results.py run {name} --arm "{arm}" --seed {seed}',
        "steps": steps,
        "images": steps * settings["batch_size"],
        "precision": "bfloat16",
        "settings": {"dim": model.encoder.dim, "depth": len(model.encoder.blocks), "weight": model.weight}
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
            "target_std": round(last["target_std"], 3),
            "content_share": round(last["content_share"], 3),
            "loss": round(last["loss"], 4),
        },
        "knn_curve": [[0, round(at_start, 3)]]
        + [[step, round(value, 3)] for step, value in zip(*history.curve("knn"), strict=True)],
    }


def read(name):
    """What is recorded of a table so far."""
    path = FOLDER / f"{name}.json"
    if path.exists():
        return json.loads(path.read_text(encoding="utf-8"))
    return {"rows": []}


def write(name, rows):
    """Write a table, its rows in the order of arms and seeds, in one atomic step."""
    table = TABLES[name]
    labels = table.get("labels", LABELS)
    order = list(table["arms"])
    rows = sorted((r for r in rows if r["arm"] in order), key=lambda r: (order.index(r["arm"]), r["seed"]))
    content = {
        "question": table["question"],
        "steps": table["steps"],
        "probe": f"frozen target encoder; {labels:,} labels; scored on the 10,000 images of data_batch_5",
        "minutes": "wall time of the training alone, on one core of a shared machine: no measure of speed",
        "reproduce": f"python tools/results.py run {name}",
        "rows": rows,
    }
    path = FOLDER / f"{name}.json"
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


def known_baselines(seed, labels):
    """The untrained encoder's scores and those of raw pixels, if a recorded row of that seed has them, else None.

    Every arm of every table starts from the same weights for one seed, so they need to be judged once for each
    number of labels.
    """
    for path in sorted(FOLDER.glob("*.json")):
        rows = [row for row in read(path.stem)["rows"] if row["seed"] == seed and row.get("labels", LABELS) == labels]
        for scores in (row["scores"] for row in rows):
            untrained = {probe: scores[f"untrained_{key}"] for probe, key in PROBES.items()}
            return {"untrained": untrained, "raw pixels": {"kNN": scores["raw_knn"], "linear": scores["raw_linear"]}}
    return None


def recorded_recipe(steps, labels, seed):
    """The row of any table whose arm changes nothing, for so many steps, labels and that seed; None if there is none.

    Its command stays the one that made it.
    """
    for name, table in TABLES.items():
        if (table["steps"], table.get("labels", LABELS)) == (steps, labels):
            for row in read(name)["rows"]:
                if row["seed"] == seed and not table["arms"][row["arm"]]:
                    return row
    return None


def run(name, arm=None, seed=None):
    """Run what is asked for; without an arm or seed, all that is not recorded yet."""
    for s in SEEDS if seed is None else (seed,):
        for a in TABLES[name]["arms"] if arm is None else (arm,):
            known = {(row["arm"], row["seed"]) for row in read(name)["rows"]}
            if (a, s) in known and (arm is None or seed is None):
                continue
            table = TABLES[name]
            labels = table.get("labels", LABELS)
            twin = None if table["arms"][a] else recorded_recipe(table["steps"], labels, s)
            if twin and arm is None:  # the recipe itself, recorded for another table: the same run
                write(name, [*read(name)["rows"], {**twin, "arm": a}])
                continue
            baselines = None if "size" in table["arms"][a] else known_baselines(s, labels)
            row = run_row(name, a, s, baselines, keep=ROOT / "runs" / "recorded")
            rows = [r for r in read(name)["rows"] if (r["arm"], r["seed"]) != (a, s)]  # others may have written since
            write(name, [*rows, row])
            scores = row["scores"]
            print(f"{name} | {a} | seed {s} | " + " ".join(f"{k} {scores[k]:.3f}" for k in PROBES.values()), flush=True)


def listing():
    """Every table with what is recorded."""
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
    """A figure per recorded table, and the curves of the first question, into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    figures = {name: dots(read(name)) for name in TABLES if read(name)["rows"]}
    if "parts" in figures:
        figures["parts_curves"] = curves(read("parts"))
    for name, figure in figures.items():
        (out / f"{name}.png").write_bytes(plots.png(figure))
        plots.plt.close(figure)
        print(f"{out / name}.png")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(dest="action")
    actions.add_parser("list", help="what there is")
    one = actions.add_parser("run", help="train and judge")
    one.add_argument("table", choices=TABLES)
    one.add_argument("--arm")
    one.add_argument("--seed", type=int)
    pictures = actions.add_parser("draw", help="the figures, from the files")
    pictures.add_argument("--out", type=Path, default=ROOT / "docs" / "results")
    arguments = parser.parse_args()
    if arguments.action in (None, "draw"):
        draw(getattr(arguments, "out", ROOT / "docs" / "results"))
        return
    if arguments.action == "list":
        listing()
        return
    if arguments.arm is not None and arguments.arm not in TABLES[arguments.table]["arms"]:
        parser.error(f"no arm {arguments.arm!r} in {arguments.table}: {', '.join(TABLES[arguments.table]['arms'])}")
    run(arguments.table, arguments.arm, arguments.seed)


if __name__ == "__main__":
    sys.exit(main())
