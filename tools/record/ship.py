"""Make a shipped encoder and its model card from a recorded run.

    python tools/record/results.py run ten_minutes --arm "longer recipe" --seed 0    keeps the encoder in runs/recorded
    python tools/record/ship.py ijepa-cifar10-micro --table ten_minutes --arm "longer recipe"

Writes NAME.safetensors (float16), NAME.json and README.md into pretrained/weights. The card's numbers are copied from
the recorded row, except those of the quick and the further probes. These are measured on the file as it is shipped,
rounded to float16, with few labels, so that you can check the quick ones in seconds and the others in minutes.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path

import results
import torch
from safetensors.torch import load_file, save

from minijepa import ViT, crop_flip, features, knn_probe, linear_probe
from minijepa.datasets import cifar10
from minijepa.datasets.shapes import shapeworld
from minijepa.datasets.shapes.scenes import shape_scenes
from minijepa.plots.recorded import load
from minijepa.pretrained.shipped import load_pretrained, pretrained_names
from minijepa.probes import (
    attentive_probe,
    depth_probe,
    detection_probe,
    fine_tune,
    low_shot,
    segmentation_probe,
    token_features,
)
from minijepa.training import recipe

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "minijepa" / "pretrained" / "weights"
LIMITS = [
    "It was trained on 40,000 photographs of 32 x 32 pixels: do not expect useful features of larger or other images.",
    "It was trained for minutes on a CPU and scores far below the published models, which saw over a thousand times as "
    "many images.",
    "Size, batch and momentum were chosen on training images, but masks, crop and the variance-covariance regulariser "
    "on data_batch_5, the images that the probes are scored on.",
    "CIFAR-10 was collected from the web; its classes and pictures carry the biases of that collection.",
]


QUICK = "5,000 labels, scored on 5,000 other images: held-out images of CIFAR-10; ShapeWorld in grey, seeds 0 and 1"


def quick_data():
    """{name: (train, heldout)} of the quick probes: the photographs of CIFAR-10, and images that ShapeWorld draws."""
    return {
        "cifar10": tuple(cifar10(split).subset(slice(0, 5000)) for split in ("train", "heldout")),
        "shapeworld": tuple(shapeworld(5000, seed=seed, colour="grey") for seed in (0, 1)),
    }


def quick_probe(encoder, train, heldout):
    """{"kNN", "linear"}: the accuracies of an encoder's pooled last layer."""
    f, g = features(encoder, train), features(encoder, heldout)
    return {
        "kNN": round(knn_probe(f, train.labels, g, heldout.labels), 4),
        "linear": round(linear_probe(f, train.labels, g, heldout.labels), 4),
    }


FURTHER = (
    "the same 5,000 photographs; fine-tuning: 200 steps of 32 images, crop and flip, accuracy of the tuned network; "
    "scenes: 1,000 for training and 600 for scoring, one to four shapes each (notebook 06)"
)


def further_probes(encoder, photographs, scenes):
    """{probe: score}: attentive, few labels and fine-tuning on photographs, then the dense probes on drawn scenes.

    photographs, scenes: (train, heldout) each.
    """
    train, test = photographs
    f, g = features(encoder, train), features(encoder, test)
    shots = low_shot(linear_probe, f, train.labels, g, test.labels)
    tokens = [token_features(encoder, data).tokens for data in photographs]
    found = {
        "attentive": attentive_probe(tokens[0], train.labels, tokens[1], test.labels),
        **{f"linear, {count:,} labels": score for count, score in shots.items()},
        "fine-tuned": fine_tune(encoder, train, test, steps=200, augment=crop_flip)[0],
    }
    del tokens
    train, test = scenes
    a, b = (token_features(encoder, data) for data in scenes)
    truth = [data.depth.masked_fill(data.class_maps == 0, float("nan")) for data in scenes]
    found |= {
        "scenes: class": linear_probe(a.pooled(), train.labels, b.pooled(), test.labels),
        "scenes: count": linear_probe(a.pooled(), train.counts - 1, b.pooled(), test.counts - 1),
        "scenes: segmentation, mIoU": segmentation_probe(a, train.class_maps, b, test.class_maps).score,
        "scenes: depth, R2": depth_probe(a, truth[0], b, truth[1]).score,
        "scenes: detection, AP@.5": detection_probe(a, train.boxes, b, test.boxes).score,
    }
    return {key: round(float(score), 3) for key, score in found.items()}


def further(encoder, config):
    """The further probes of an encoder and of a random-init one: {"how", "this encoder", "untrained"}."""
    photographs = quick_data()["cifar10"]
    kinds = dict(shapes=("disk", "ring", "square", "plus"), colour="grey", radius=10.0)
    scenes = tuple(shape_scenes(count, seed=seed, **kinds) for count, seed in ((1000, 1), (600, 2)))
    torch.manual_seed(0)
    pair = {"this encoder": encoder, "untrained": ViT(**config).eval()}
    return {"how": FURTHER, **{key: further_probes(each, photographs, scenes) for key, each in pair.items()}}


def ship(name, table, arm, seed, weights, called):
    """Write NAME.safetensors and NAME.json from a recorded row and the encoder that its run kept."""
    recorded = load(table)
    rows = [row for row in recorded["rows"] if (row["arm"], row["seed"]) == (arm, seed)]
    if not rows:
        raise SystemExit(f"the table {table} has no row of {arm!r}, seed {seed}: run tools/record/results.py first")
    state = {key: value.half().contiguous() for key, value in load_file(weights).items()}
    content = save(state)
    changes = {key: value for key, value in results.TABLES[table]["arms"][arm].items() if key != "steps"}
    trained = results.make(seed, **changes)[0].encoder
    file = changes.get("method", recipe).__name__.replace(".", "/") + ".py"
    heads = trained.blocks[0].attn.heads
    config = {"img_size": 32, "patch_size": 4, "dim": trained.dim, "depth": len(trained.blocks), "heads": heads}
    encoder = ViT(**config).eval()
    encoder.load_state_dict({key: value.float() for key, value in state.items()})
    row = rows[0]
    card = {
        "name": name,
        "what": f"{called}: a ViT of width {config['dim']} and {config['depth']} blocks for "
        "images of 32 x 32 pixels, patches of 4 x 4",
        "parameters": sum(p.numel() for p in encoder.parameters()),
        "config": config,
        "sha256": hashlib.sha256(content).hexdigest(),
        "data": "CIFAR-10, training batches 1-4 (40,000 images), no labels",
        "recipe": f"{file}: its masks, crops and flips; "
        + ", ".join(f"{key} {value}" for key, value in row["settings"].items())
        + f"; {row['precision']}",
        **{key: row[key] for key in ("command", "commit", "date", "seed", "steps", "images", "minutes", "cpu_minutes",
                                     "hardware", "versions")},
        "probe": recorded["probe"],
        "scores": row["scores"],
        "seeds": {key: [r["scores"][key] for r in recorded["rows"] if r["arm"] == arm]
                  for key in ("knn", "linear", "linear_all")},
        "quick": {"how": QUICK, **{key: quick_probe(encoder, *pair) for key, pair in quick_data().items()}},
        "further": further(encoder, config),
        "limits": LIMITS,
    }  # fmt: skip
    (FOLDER / f"{name}.safetensors").write_bytes(content)
    (FOLDER / f"{name}.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


def readme():
    """Write all cards as one page."""
    lines = [
        "# The encoders that this project ships",
        "",
        "This project trained them itself, on CPUs and without labels. `tools/record/ship.py` writes this page.",
        "",
        "```python",
        "from minijepa import load_pretrained",
        "",
        'encoder = load_pretrained("ijepa-cifar10-micro").encoder  # a ViT, float32, eval mode; no network needed',
        "```",
    ]
    probes = ("knn", "linear", "linear_all")
    for name in pretrained_names():
        card = load_pretrained(name).card
        scores, seeds = card["scores"], card["seeds"]
        others = {key: ", ".join(f"{v:.3f}" for v in seeds[key] if v != scores[key]) or "none yet" for key in probes}
        lines += [
            "",
            f"## {name}",
            "",
            f"{card['what'][0].upper()}{card['what'][1:]}; {card['parameters']:,} parameters, float16 on disk.",
            "",
            "| | |",
            "|---|---|",
            f"| data | {card['data']} |",
            f"| recipe | {card['recipe']} |",
            f"| command | `{card['command']}` (commit {card['commit']}, {card['date']}) |",
            f"| length | {card['steps']:,} steps, {card['images']:,} images, "
            f"{card['cpu_minutes']:.1f} processor minutes |",
            f"| hardware | {card['hardware']['threads']} thread of {card['hardware']['processor']}, "
            f"torch {card['versions']['torch']}, seed {card['seed']} |",
            "",
            f"Probes: {card['probe']}. The numbers in brackets are those of the other seeds of the same command.",
            "",
            "| | kNN | linear | linear, all layers |",
            "|---|---|---|---|",
            "| **this encoder** | " + " | ".join(f"**{scores[key]:.3f}** ({others[key]})" for key in probes) + " |",
            "| random-init encoder | " + " | ".join(f"{scores[f'untrained_{key}']:.3f}" for key in probes) + " |",
            f"| raw pixels | {scores['raw_knn']:.3f} | {scores['raw_linear']:.3f} (8 x 8) | |",
            "",
            f"Probes that you can check in seconds ({card['quick']['how']}):",
            "",
            "| | kNN | linear |",
            "|---|---|---|",
            *(f"| {key} | {card['quick'][key]['kNN']:.3f} | {card['quick'][key]['linear']:.3f} |"
              for key in ("cifar10", "shapeworld")),
            "",
            f"Further probes ({card['further']['how']}):",
            "",
            "| | this encoder | random-init encoder |",
            "|---|---|---|",
            *(f"| {key} | {score:.3f} | {card['further']['untrained'][key]:.3f} |"
              for key, score in card["further"]["this encoder"].items()),
            "",
            "Known limits:",
            "",
            *(f"- {limit}" for limit in card["limits"]),
        ]  # fmt: skip
    (FOLDER / "README.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", help="of the encoder; without a name only README.md is written again")
    parser.add_argument("--table")
    parser.add_argument("--arm")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--called", default="the target encoder of I-JEPA", help="what the encoder is, for its card")
    arguments = parser.parse_args()
    if arguments.name:
        kept = f"{arguments.table}-{arguments.arm.replace(' ', '-')}-{arguments.seed}.safetensors"
        ship(
            arguments.name,
            arguments.table,
            arguments.arm,
            arguments.seed,
            ROOT / "runs" / "recorded" / kept,
            arguments.called,
        )
    readme()


if __name__ == "__main__":
    sys.exit(main())
