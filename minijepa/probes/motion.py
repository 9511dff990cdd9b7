"""The table that ends a run on clips: what do frozen features know of motion and looks, and who reads it out?

For each label of the clips (direction, speed, shape; of a folder of videos its classes) two probes: a linear one on the
mean over all tokens, and an attentive one on the tokens, which does part of the work by itself. So each stands next to
the same probe on a randomly initialised encoder.
"""

import torch

from minijepa.probes.attentive import attentive_probe
from minijepa.probes.features import token_features
from minijepa.probes.linear import linear_probe

ASKED = ("direction", "speed", "shape", "class")


def motion_reasons(clips):
    """{probe: why it cannot be asked of these clips}, empty where all can. clips: ClipData."""
    if askable(clips):
        return {}
    many = any(len(names) > 1 for names in clips.classes.values())
    reason = (
        f"all {len(clips)} clips to learn from are of one class: raise --labels, or add clips of other classes"
        if many
        else "the clips carry no labels: sort them into one folder per class to have them probed"
    )
    return {"class, linear": reason, "class, attentive": reason}


def askable(clips):
    """The labels that can be asked for: those of ASKED that these clips have with two values or more."""
    return [name for name in ASKED if name in clips.labels and len(clips.labels[name].unique()) > 1]


def motion_table(encoders, train, heldout, steps=300):
    """{row: {probe: accuracy}} for raw pixels and each encoder, two columns for each label that can be asked for.

    encoders: dict name -> ViT over tubelets. train, heldout: ClipData with clips [N, C, T, H, W], whose labels the
    probes use. steps: of the attentive probe.
    """
    labels = askable(train)
    table = {"raw pixels": {}, **{name: {} for name in encoders}}
    if not labels:
        return table
    truth = {label: (train.labels[label], heldout.labels[label]) for label in labels}
    pixels = [shrunk(clips) for clips in (train, heldout)]  # [N, C T 64]
    for label, (learn, asked) in truth.items():
        table["raw pixels"][f"{label}, linear"] = linear_probe(pixels[0], learn, pixels[1], asked)
    for name, encoder in encoders.items():  # one at a time: all tokens of many clips take hundreds of megabytes
        found = [token_features(encoder, clips) for clips in (train, heldout)]
        for label, (learn, asked) in truth.items():
            vectors = [each.pooled() for each in found]  # [N, D]
            table[name][f"{label}, linear"] = linear_probe(vectors[0], learn, vectors[1], asked)
            tokens = [each.tokens for each in found]  # [N, L, D]
            table[name][f"{label}, attentive"] = attentive_probe(tokens[0], learn, tokens[1], asked, steps=steps)
    return table


def shrunk(clips, side=8):
    """Pixels as vectors, each frame made smaller: ClipData -> float32 [N, C T side^2]."""
    parts = [
        torch.nn.functional.adaptive_avg_pool3d(clips.batch(index), (None, side, side)).flatten(1)
        for index in torch.arange(len(clips)).split(500)
    ]
    return torch.cat(parts)
