"""The table that ends a run on clips: what do frozen features know of motion and looks, and who reads it out?

For each label of the clips (direction, speed, shape; of a folder of videos its classes) two probes: a linear one on the
mean over all tokens, and an attentive one on the tokens, which does part of the work by itself. So each stands next to
the same probe on a randomly initialised encoder.
"""

import torch

from minijepa.probes.attentive import attentive_probe
from minijepa.probes.features import features, token_features
from minijepa.probes.linear import linear_probe

ASKED = ("direction", "speed", "shape", "class")


def motion_reasons(clips):
    """{probe: why it cannot be asked of these clips}, empty where all can. clips: ClipData."""
    if askable(clips):
        return {}
    reason = "the clips carry no labels: sort them into one folder per class to have them probed"
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
    pixels = [shrunk(clips) for clips in (train, heldout)]
    vectors = {name: [features(encoder, clips) for clips in (train, heldout)] for name, encoder in encoders.items()}
    tokens = {
        name: [token_features(encoder, clips).tokens for clips in (train, heldout)]
        for name, encoder in encoders.items()
    }
    for label in labels:
        truth, asked = train.labels[label], heldout.labels[label]
        for name, (a, b) in {"raw pixels": pixels, **vectors}.items():  # [N, D]
            table[name][f"{label}, linear"] = linear_probe(a, truth, b, asked)
        for name, (a, b) in tokens.items():  # [N, L, D]
            table[name][f"{label}, attentive"] = attentive_probe(a, truth, b, asked, steps=steps)
    return table


def shrunk(clips, side=8):
    """Pixels as vectors, each frame made smaller: ClipData -> float32 [N, C T side^2]."""
    parts = [
        torch.nn.functional.adaptive_avg_pool3d(clips.batch(index), (None, side, side)).flatten(1)
        for index in torch.arange(len(clips)).split(500)
    ]
    return torch.cat(parts)
