"""Recorded results: runs too long for a notebook, kept as small files with all that is needed to repeat them.

A table (`recorded_results/NAME.json`) holds one question and one row per run: arm, seed, command, steps, minutes,
hardware, versions, date, scores and a curve of the kNN probe. Figures made of them are labelled "recorded".
`tools/results.py` makes the files.
"""

import json
from importlib.resources import files
from statistics import mean, stdev

from minijepa import plots

SCORES = {"knn": "kNN probe", "linear": "linear probe", "linear_all": "linear probe, all layers"}


def load(name):
    """One recorded table as a dict: question, steps, probe, reproduce, rows. Raises ValueError for an unknown name."""
    folder = files("minijepa") / "recorded_results"
    path = folder / f"{name}.json"
    if not path.is_file():
        names = sorted(p.name.removesuffix(".json") for p in folder.iterdir() if p.name.endswith(".json"))
        raise ValueError(f"no recorded table is called {name!r}; there are {', '.join(names)}")
    return json.loads(path.read_text(encoding="utf-8"))


def summary(table, score):
    """{arm: (mean, standard deviation over seeds, number of seeds)} of one score, arms in the table's order.

    With a single seed the deviation is nan: one run has no spread.
    """
    arms = {}
    for row in table["rows"]:
        arms.setdefault(row["arm"], []).append(row["scores"][score])
    return {arm: (mean(v), stdev(v) if len(v) > 1 else float("nan"), len(v)) for arm, v in arms.items()}


def note(table):
    """The line under every recorded figure: what was run, how often, and how to run it again."""
    counts = sorted({number for _, _, number in summary(table, "knn").values()})
    seeds = "-".join(str(count) for count in dict.fromkeys((counts[0], counts[-1])))
    return f"recorded: {table['steps']:,} steps, {seeds} seed{'s' * (seeds != '1')} · again: {table['reproduce']}"


def dots(table, scores=("knn", "linear")):
    """One row per arm: a dot for each seed, a bar at their mean; untrained encoder and raw pixels as level lines.

    table: from `load`. scores: which of "knn", "linear", "linear_all", one panel each.
    """
    arms = list(summary(table, scores[0]))
    fig, axes = plots.plt.subplots(
        1, len(scores), figsize=(4.2 * len(scores) + 1, 0.42 * len(arms) + 1.3), sharey=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for ax, score in zip(axes[0], scores, strict=True):
        means = summary(table, score)
        for row in table["rows"]:
            ax.plot(row["scores"][score], arms.index(row["arm"]), "o", color=plots.BLUE, ms=6, alpha=0.6, mew=0)
        for i, arm in enumerate(arms):
            ax.plot(means[arm][0], i, "|", color="black", ms=16, mew=1.5)
        raw, untrained = (baseline(table, f"{name}_{score}") for name in ("raw", "untrained"))
        ax.axvline(untrained, color=plots.GREY, ls=":", lw=1.8, label="untrained encoder")
        if raw is not None:
            ax.axvline(raw, color=plots.GREY, ls="--", lw=1.2, label="raw pixels")
        ax.set(xlabel=f"{SCORES[score]}, accuracy", yticks=range(len(arms)), yticklabels=arms)
        ax.grid(axis="x", alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0, 0].set_ylim(len(arms) - 0.5, -0.5)
    axes[0, 0].legend(frameon=False, fontsize=8)
    fig.suptitle(table["question"], fontsize=11)
    fig.supxlabel(note(table), fontsize=7.5, color=plots.GREY)
    return fig


def baseline(table, key):
    """Mean over the rows of a baseline such as "untrained_knn" or "raw_linear"; None if it was not recorded."""
    values = [row["scores"][key] for row in table["rows"] if key in row["scores"]]
    return mean(values) if values else None


def curves(table):
    """The kNN probe against the step, mean over seeds, one line per arm; scored on training images, fewer labels."""
    lines = {}
    for arm in summary(table, "knn"):
        runs = [row["knn_curve"] for row in table["rows"] if row["arm"] == arm]
        steps = [step for step, _ in runs[0]]
        lines[arm] = (steps, [mean(values) for values in zip(*([v for _, v in run] for run in runs), strict=True)])
    fig = plots.curves(lines, "steps (32 images each)", "kNN probe accuracy", title=table["question"])
    fig.supxlabel(note(table), fontsize=7.5, color=plots.GREY)
    return fig
