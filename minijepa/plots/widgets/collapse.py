"""CollapseExplorer: slide through the training of several runs, and see which of them collapse, and where it shows.

It trains nothing: `SnapshotDuring` keeps a few snapshots per run while `fit` trains it, and everything that is drawn
from them is computed when the explorer is made.
"""

from dataclasses import dataclass, field

import ipywidgets
import numpy as np
import torch

from minijepa.diagnosis import diagnose
from minijepa.plots.figures import BLUE, GREEN, PALETTE
from minijepa.plots.widgets import canvas
from minijepa.plots.widgets.explorer import Explorer
from minijepa.probes import features, knn_probe

SIZE = (176, 130)  # of one plot, in pixels; four runs fit on a laptop's screen


@dataclass
class Snapshot:
    """One moment of a run.

    step: of the training. embeddings: [N, D], of the same N images each time.
    monitors: numbers by name, such as position_std. probe: accuracy in [0, 1], or None.
    """

    step: int
    embeddings: torch.Tensor
    monitors: dict = field(default_factory=dict)
    probe: float | None = None


class SnapshotDuring:
    """A callback for `fit` that keeps a Snapshot of the context encoder at some steps, in the list `snapshots`.

    train, heldout: ImageData with images [N, 3, H, W], kept small: at each of these steps a kNN probe uses the labels
    of the one and is scored on the other. The first 256 held-out images give the embeddings (their pooled features) and
    the monitors: position std, and both versions of RankMe divided by the width.
    steps: where to keep one. `fit` calls it from step 1 on; for step 0 call it yourself, as in `keep(0, model, {})`.
    """

    def __init__(self, train, heldout, steps=(0, 10, 20, 30, 50, 100, 200, 300)):
        self.train, self.heldout, self.steps, self.snapshots = train, heldout, steps, []

    def __call__(self, step, model, row):
        if step in self.steps:
            f, g = features(model.encoder, self.train), features(model.encoder, self.heldout)  # [N, D] each
            d = diagnose(model.encoder, self.heldout.batch(slice(0, 256)), views=0)
            monitors = {
                "position std": d.position_std,
                "RankMe / D": d.rankme / g.shape[1],
                "centred / D": d.rankme_centred / g.shape[1],
            }
            probe = knn_probe(f, self.train.labels, g, self.heldout.labels)
            self.snapshots.append(Snapshot(step, g[:256], monitors, probe))


class CollapseExplorer(Explorer):
    """One row per run: the embeddings in two dimensions, their spectrum, the monitors, the probe.

    runs: dict name -> list of Snapshot, equally many for each run, at the same steps. labels: int64 [N], the classes
    of the embedded images, for their colours, or None. monitors: names of what to draw, by default all of the first
    snapshot. Two dimensions: the first principal components of the run's last snapshot; both axes and the spectra
    have one scale for all runs, so that a collapse is visible as shrinking. Spectrum: standard deviations along the
    principal axes, base-10 logarithms. Raises ValueError where runs and steps do not fit together.
    """

    alt = (
        "One row per run: embeddings projected to two dimensions, the logarithm of their spectrum, and the monitors "
        "and the probe against the training step, with a vertical line at the chosen step."
    )

    def __init__(self, runs, labels=None, monitors=None):
        self.steps = [snapshot.step for snapshot in next(iter(runs.values()))]
        for name, snapshots in runs.items():
            if [s.step for s in snapshots] != self.steps or not self.steps:
                raise ValueError(f"run {name!r} has snapshots at {[s.step for s in snapshots]}, expected {self.steps}")
        self.runs, self.labels = runs, labels
        self.monitors = list(next(iter(runs.values()))[0].monitors) if monitors is None else list(monitors)
        self.points = {name: project(snapshots) for name, snapshots in runs.items()}  # [snapshots, N, 2]
        self.spectra = {name: [spectrum(s.embeddings) for s in snapshots] for name, snapshots in runs.items()}
        self.reach = max(float(np.abs(p).max()) for p in self.points.values()) or 1.0
        every = np.concatenate([values for lines in self.spectra.values() for values in lines])
        self.levels = (max(float(every.min()), float(every.max()) - 4), float(every.max()))
        self.pictures = [self.paint(i) for i in range(len(self.steps))]
        last = len(self.steps) - 1
        self.examples = [(f"Step {self.steps[i]}", {"moment": i}) for i in dict.fromkeys((last // 2, last))]
        super().__init__(
            moment=ipywidgets.SelectionSlider(
                options=[(str(step), i) for i, step in enumerate(self.steps)], value=last, description="step"
            )
        )

    def draw(self, moment):
        """Picture and sentence of one snapshot of every run; moment: its number."""
        said = []
        for name, snapshots in self.runs.items():
            now = snapshots[moment]
            known = [f"{key} {now.monitors[key]:.3f}" for key in self.monitors if key in now.monitors]
            known += [] if now.probe is None else [f"probe {now.probe:.3f}"]
            said.append(f"{name}: {', '.join(known)}")
        return self.pictures[moment], f"Step {self.steps[moment]}. " + "; ".join(said) + "."

    def paint(self, moment):
        """The picture of one snapshot of every run."""
        rows, axes = [], (-self.reach, self.reach)
        for name, snapshots in self.runs.items():
            points, levels = self.points[name][moment], self.spectra[name][moment]
            dots = [(*points[which].T, colour, "dots") for which, colour in self.colours()]
            line = [(np.arange(1, len(levels) + 1), levels, BLUE, "line")]
            plots = [
                canvas.plot(dots, SIZE, axes, axes, "embeddings in 2-D"),
                canvas.plot(line, SIZE, (1, len(levels)), self.levels, "log10 std per axis"),
                self.curves(snapshots, self.steps[moment]),
                self.probes(snapshots, self.steps[moment]),
            ]
            row = canvas.side_by_side(plots)
            rows.append(canvas.stack([canvas.words(name, row.width, 13), row], gap=0))
        return canvas.stack(rows)

    def colours(self):
        """(which of the N images, colour), one pair per class."""
        if self.labels is None:
            return [(slice(None), BLUE)]
        labels = self.labels.numpy()
        return [(labels == c, PALETTE[i % len(PALETTE)]) for i, c in enumerate(np.unique(labels))]

    def curves(self, snapshots, step):
        """The monitors of a run against the step."""
        lines, names = [], []
        for i, name in enumerate(self.monitors):
            colour, values = PALETTE[(4 + i) % len(PALETTE)], [s.monitors.get(name, np.nan) for s in snapshots]
            lines.append((self.steps, values, colour, ("line", "both")[i % 2]))
            names.append((name, colour))
        top = max([v for snaps in self.runs.values() for s in snaps for v in s.monitors.values()], default=1.0)
        ends = self.steps[0], self.steps[-1]
        return canvas.plot(lines, (284, SIZE[1]), ends, (0, top), names or "no monitors", cursor=step)

    def probes(self, snapshots, step):
        """The probe of a run against the step."""
        line = [(self.steps, [np.nan if s.probe is None else s.probe for s in snapshots], GREEN, "line")]
        known = [s.probe for snaps in self.runs.values() for s in snaps if s.probe is not None]
        ends, title = (self.steps[0], self.steps[-1]), "probe" if known else "no probe"
        return canvas.plot(line, SIZE, ends, (0, max(known, default=1.0)), title, cursor=step)


def project(snapshots):
    """Embeddings [N, D] of each snapshot on the first two principal axes of the last one: array [snapshots, N, 2]."""
    last = snapshots[-1].embeddings.float()
    _, _, axes = torch.linalg.svd(last - last.mean(dim=0), full_matrices=False)  # rows: principal axes
    centred = [s.embeddings.float() - s.embeddings.float().mean(dim=0) for s in snapshots]
    return torch.stack([c @ axes[:2].T for c in centred]).numpy()


def spectrum(embeddings):
    """Base-10 logarithm of the standard deviation along each principal axis, largest first. [N, D] -> [min(N, D)]."""
    x = embeddings.float()
    values = torch.linalg.svdvals(x - x.mean(dim=0)) / max(len(x) - 1, 1) ** 0.5
    return values.clamp_min(1e-8).log10().numpy()
