"""The table at the end of a run: raw pixels and the encoder before and after training, under the probes that apply."""

from minijepa.probes.features import features, raw_pixels
from minijepa.probes.linear import knn_probe, linear_probe

COLUMNS = ("kNN", "linear", "linear, all layers")
NEIGHBOURS = 20  # of the kNN probe


def not_applicable(train):
    """{probe: why it cannot score these images}, empty where every probe can.

    A folder of images without class folders has a single class, so its images carry no labels.

    train: ImageData with images [N, 3, H, W].
    """
    if len(train.labels.unique()) < 2:
        many = len(train.classes) > 1
        reason = (
            f"all {len(train)} training images of the probes are of one class: raise --labels, or add other classes"
            if many
            else "the images carry no labels: sort them into one folder per class"
        )
        return dict.fromkeys(COLUMNS, reason)
    if len(train) < NEIGHBOURS:
        return {"kNN": f"{NEIGHBOURS} neighbours are to vote, and there are only {len(train)} labelled images"}
    return {}


def probe_table(encoders, train, heldout, raw=True):
    """{row: {probe: accuracy}} for raw pixels and each encoder. A probe that does not apply has no entry.

    The probe "linear, all layers" reads the concatenated means of all layers.

    encoders: dict name -> ViT.
    train, heldout: ImageData with images [N, 3, H, W] and labels: probes are trained on one and scored on the other.
    raw: evaluate raw pixels too (averaged to 8 x 8 for the linear probe).
    """
    labels, table = (train.labels, heldout.labels), {}
    asked = [column for column in COLUMNS if column not in not_applicable(train)]
    if not asked:
        return {name: {} for name in (["raw pixels"] if raw else []) + list(encoders)}

    def scores(vectors):
        """{probe: accuracy}. vectors: for each probe, those of training and held-out images, [N, D] each."""
        probes = {"kNN": knn_probe, "linear": linear_probe, "linear, all layers": linear_probe}
        return {
            name: probes[name](vectors[name][0], labels[0], vectors[name][1], labels[1])
            for name in asked
            if name in vectors
        }

    if raw:
        full, small = ([raw_pixels(d, size=size) for d in (train, heldout)] for size in (None, 8))
        table["raw pixels"] = scores({"kNN": full, "linear": small})
    for name, encoder in encoders.items():
        every = [features(encoder, d, layers="all") for d in (train, heldout)]  # [N, L D]
        last = [f[:, -encoder.dim :] for f in every]  # [N, D]: the last layer
        table[name] = scores({"kNN": last, "linear": last, "linear, all layers": every})
    return table


def print_table(table, reasons=None):
    """The table as aligned text, a column for each probe. reasons: of `not_applicable`, a line each below."""
    reasons = reasons or {}
    columns = list(dict.fromkeys([*(name for row in table.values() for name in row), *reasons]))
    columns = [c for c in COLUMNS if c in columns] + [c for c in columns if c not in COLUMNS]
    print(f"{'':<22}" + "".join(f"{column:>20}" for column in columns))
    for name, row in table.items():
        cells = (f"{row[c]:.3f}" if c in row else "not applicable" if c in reasons else "-" for c in columns)
        print(f"{name:<22}" + "".join(f"{cell:>20}" for cell in cells))
    for reason in dict.fromkeys(reasons.values()):
        names = [name for name, each in reasons.items() if each == reason]
        print(f"not applicable ({'; '.join(names)}): {reason}")
