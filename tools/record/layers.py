"""What does each layer know? Adds to the recorded rows of a table what their kept encoders know, layer by layer.

    python tools/record/results.py run levers --arm "MAE, both levers" --seed 0    keeps the encoder in runs/recorded
    python tools/record/layers.py levers                                           all of seed 0 whose encoders are kept

A row gets "layers", for the trained encoder and for the one that it started from:

    knn, linear      accuracy of each layer, the mean over its tokens; 10,000 labels, scored on data_batch_5
    few              accuracy of a linear probe of the last layer with 1, 5, 20 and 100 % of these labels
    colour, detail   R2 of a linear map from a token of each layer to its own patch: the mean colour (3 numbers), and
                     what is left of the 48 when it is taken away; 500 images each for the map and for the score
"""

import argparse
import sys

import results
import torch
from safetensors.torch import load_file
from tables import TABLES, make

from minijepa import features, knn_probe, linear_probe
from minijepa.datasets import cifar10
from minijepa.probes import low_shot, ridge_probe

LABELS, PATCHES = 10_000, 500  # images for the accuracies; images for the patches
SEED = 0  # of the rows that are looked into


def colour_and_detail(encoder, data):
    """The patches of all images: mean colours [N L, 3], and the rest [N L, values]."""
    patches = encoder.patch_embed.patches(data.batch(slice(0, len(data)))).flatten(0, 1)  # [N L, 3 p q]
    by_channel = patches.unflatten(1, (3, -1))  # [N L, 3, p q]
    mean = by_channel.mean(dim=2)  # [N L, 3]
    return mean, (by_channel - mean.unsqueeze(2)).flatten(1)


@torch.no_grad()
def layer_tokens(encoder, data):
    """The tokens of every layer: a list of [N L, D]."""
    return [tokens.flatten(0, 1) for tokens in encoder.layers(data.batch(slice(0, len(data))))]


def layers_of(encoder, train, heldout, patches=PATCHES):
    """What the layers of an encoder know: the dict described above. train, heldout: ImageData."""
    depth = len(encoder.blocks)
    f, g = (features(encoder, data, layers="all").chunk(depth, dim=1) for data in (train, heldout))  # [N, D] each
    found = {"knn": [], "linear": [], "colour": [], "detail": []}
    for a, b in zip(f, g, strict=True):
        for key, probe in (("knn", knn_probe), ("linear", linear_probe)):
            found[key].append(round(probe(a, train.labels, b, heldout.labels), 4))
    some = [data.subset(slice(0, patches)) for data in (train, heldout)]
    truth = [dict(zip(("colour", "detail"), colour_and_detail(encoder, data), strict=True)) for data in some]
    for a, b in zip(*(layer_tokens(encoder, data) for data in some), strict=True):
        for key in ("colour", "detail"):
            found[key].append(round(float(ridge_probe(a, truth[0][key], b, truth[1][key])), 4))
    shots = low_shot(linear_probe, f[-1], train.labels, g[-1], heldout.labels)
    return {**found, "few": {str(count): round(score, 4) for count, score in shots.items()}}


def kept_encoder(name, row):
    """The trained encoder of a row and a fresh one of its seed, or None if it is not kept."""
    path = results.ROOT / "runs" / "recorded" / f"{name}-{row['arm'].replace(' ', '-')}-{row['seed']}.safetensors"
    if not path.exists():
        return None
    changes = {key: value for key, value in TABLES[name]["arms"][row["arm"]].items() if key != "steps"}
    trained, fresh = (results.encoder_of(make(row["seed"], **changes)[0]).eval() for _ in range(2))
    trained.load_state_dict(load_file(path))
    return trained, fresh


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=TABLES)
    arguments = parser.parse_args()
    train, heldout, start = cifar10("train").subset(slice(0, LABELS)), cifar10("heldout"), None
    for row in results.read(arguments.table)["rows"]:
        pair = kept_encoder(arguments.table, row)
        if pair is None or "layers" in row or row["seed"] != SEED:
            continue
        trained, fresh = pair
        start = start or layers_of(fresh, train, heldout)  # all arms with an encoder of one size start from one
        found = {"trained": layers_of(trained, train, heldout), "untrained": start}
        others = [
            r for r in results.read(arguments.table)["rows"] if (r["arm"], r["seed"]) != (row["arm"], row["seed"])
        ]
        results.write(arguments.table, [*others, {**row, "layers": found}])
        print(row["arm"], row["seed"], found["trained"], flush=True)


if __name__ == "__main__":
    sys.exit(main())
