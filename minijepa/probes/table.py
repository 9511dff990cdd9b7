"""The table that ends a run: raw pixels, an encoder before and after training, each under the probes that apply."""

from minijepa.probes.features import features, raw_pixels
from minijepa.probes.linear import knn_probe, linear_probe

COLUMNS = ("kNN", "linear", "linear, all layers")
NEIGHBOURS = 20  # of the kNN probe


def not_applicable(train, k=NEIGHBOURS):
    """{probe: why it cannot be asked of these images}, empty where all can. train: ImageData with images [N, 3, H, W].

    A folder without class folders has one class, so its images carry no labels.
    """
    if len(train.labels.unique()) < 2:
        many = len(train.classes) > 1
        reason = (
            f"all {len(train)} images to learn from are of one class: raise --labels, or add images of other classes"
            if many
            else "the images carry no labels: sort them into one folder per class to have them probed"
        )
        return dict.fromkeys(COLUMNS, reason)
    if len(train) < k:
        return {"kNN": f"it asks {k} neighbours, and there are {len(train)} labelled images to learn from"}
    return {}


def probe_table(encoders, train, heldout, raw=True):
    """{row: {probe: accuracy}} for raw pixels and each encoder; `linear, all layers` joins the means of every layer.

    encoders: dict name -> ViT. train, heldout: ImageData with images [N, 3, H, W], whose labels the probes use.
    raw: evaluate raw pixels too (for the linear probe shrunk to 8 x 8). A probe that does not apply has no entry.
    """
    labels, table = (train.labels, heldout.labels), {}
    asked = [column for column in COLUMNS if column not in not_applicable(train)]
    if not asked:
        return {name: {} for name in (["raw pixels"] if raw else []) + list(encoders)}

    def scores(vectors):
        """{probe: accuracy}. vectors: of each probe, for the images to learn from and the held-out ones, [N, D]."""
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
    """The table as aligned text, a column for each probe. reasons: what `not_applicable` gave, a line each below it."""
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
