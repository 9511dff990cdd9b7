"""Recorded results: runs too long for a notebook, kept as small files with all that is needed to repeat them.

A table (`recorded_results/NAME.json`) holds one question and one row per run: arm, seed, command, steps, minutes,
hardware, versions, date, scores and a curve of the kNN probe. Figures made of them are labelled "recorded".
`tools/record/results.py` makes the files.
"""

import json
import math
from importlib.resources import files
from statistics import mean, stdev

from minijepa import plots

SCORES = {"knn": "kNN probe", "linear": "linear probe", "linear_all": "linear probe, all layers"}


def load(name):
    """One recorded table as a dict: question, steps, probe, reproduce, rows. Raises ValueError for an unknown name."""
    folder = files("minijepa.plots") / "recorded_results"
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
    length = f"{table['steps']:,} steps" if len({row.get("steps") for row in table["rows"]}) == 1 else "equal time"
    return f"recorded: {length}, {seeds} seed{'s' * (seeds != '1')} · again: {table['reproduce']}"


def note_of_all(tables):
    """The same line for a figure of many tables of equal steps."""
    return f"accuracy · recorded: {tables[0]['steps']:,} steps each · again: python tools/record/results.py run NAME"


def dots(table, scores=tuple(SCORES)):
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


def curves(*tables, title=None):
    """The kNN probe against the images seen, mean over seeds, one line per arm; scored on training images, few labels.

    tables: from `load`; title: by default the first one's question. An arm of several tables is drawn for each.
    """
    lines = {}
    for table in tables:
        for arm in summary(table, "knn"):
            rows = [row for row in table["rows"] if row["arm"] == arm]
            runs = [row["knn_curve"] for row in rows]
            seen = [step * rows[0]["images"] / rows[0]["steps"] / 1000 for step, _ in runs[0]]
            name = arm if len(tables) == 1 else f"{arm}, {table['steps']:,} steps"
            lines[name] = (seen, [mean(values) for values in zip(*([v for _, v in run] for run in runs), strict=True)])
    fig = plots.curves(lines, "images seen, thousands", "kNN probe accuracy", title=title or tables[0]["question"])
    if len(lines) > 5:  # beside the axes, where no line runs
        ax = fig.axes[0]
        ax.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
        fig.set_figwidth(8.4)
    fig.supxlabel("\n".join(dict.fromkeys(note(table) for table in tables)), fontsize=7.5, color=plots.GREY)
    return fig


def ablations(tables, columns=3):
    """A panel per table: its arms against accuracy, kNN in blue, linear probe in orange, one dot per seed.

    tables: from `load`. The level lines are the recipe's own two scores, means over its seeds.
    """
    rows = math.ceil(len(tables) / columns)
    heights = [
        max(len(summary(t, "knn")) for t in tables[i : i + columns]) + 2.2 for i in range(0, len(tables), columns)
    ]
    fig, axes = plots.plt.subplots(
        rows, columns, figsize=(4.1 * columns, 0.3 * sum(heights)), layout="constrained", squeeze=False,
        height_ratios=heights, sharex=True,
    )  # fmt: skip
    for ax, table in zip(axes.flat, tables, strict=False):
        arms = list(summary(table, "knn"))
        for score, colour, marker in (("knn", plots.BLUE, "o"), ("linear", plots.ORANGE, "D")):
            for row in table["rows"]:
                ax.plot(row["scores"][score], arms.index(row["arm"]), marker, color=colour, ms=6, mew=0, alpha=0.8)
            recipe = [row["scores"][score] for row in table["rows"] if "(recipe)" in row["arm"]]
            if recipe:
                ax.axvline(mean(recipe), color=colour, lw=0.9, ls=":")
        ax.set_yticks(range(len(arms)), arms, fontsize=8)
        ax.set_ylim(len(arms) - 0.5, -0.5)
        ax.set_title(table["question"], fontsize=8.5, loc="left")
        ax.tick_params(axis="x", labelsize=8, labelbottom=True)
        ax.grid(axis="x", alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
    for ax in axes.flat[len(tables) :]:
        ax.set_axis_off()
    marks = [plots.plt.Line2D([], [], ls="", marker=m, color=c) for m, c in (("o", plots.BLUE), ("D", plots.ORANGE))]
    fig.legend(marks, ["kNN probe", "linear probe"], loc="outside upper right", ncols=2, frameon=False, fontsize=9)
    fig.supxlabel(note_of_all(tables), fontsize=8, color=plots.GREY)
    return fig


def choose(table, score):
    """The arm with the best mean score on the validation images.

    table: from `load`, its rows with validation scores. score: "knn", "linear" or "linear_all".
    """
    means = summary(table, f"validation_{score}")
    return max(means, key=lambda arm: means[arm][0])


def choices(tables):
    """Was the recipe tuned to the images that score it? A panel per probe: every arm's two scores, the chosen marked.

    tables: from `load`, all with validation scores. An arm above the slanted line scores better on the held-out images
    than on the validation images.
    """
    fig, axes = plots.plt.subplots(1, len(SCORES), figsize=(4.3 * len(SCORES), 4.4), layout="constrained")
    for ax, (score, name) in zip(axes, SCORES.items(), strict=True):
        for table in tables:
            seen, heldout = (summary(table, by + score) for by in ("validation_", ""))
            best = choose(table, score)
            for arm in sorted(seen, key=lambda arm: (arm == best, "(recipe)" in arm)):
                ours, chosen = "(recipe)" in arm, arm == best
                ax.plot(
                    seen[arm][0], heldout[arm][0], "D" if ours else "o", ms=8, alpha=0.8,
                    mfc=plots.ORANGE if ours else plots.GREY, mec="black" if chosen else "none", mew=1.5,
                )  # fmt: skip
        ax.axline((0.45, 0.45), slope=1, color=plots.GREY, lw=0.9, ls=":")
        ax.set(xlabel="validation: training images, no label of theirs used", ylabel="held-out", title=name)
        ax.grid(alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
    marks = [
        plots.plt.Line2D([], [], ls="", marker=m, mfc=c, mec=e, mew=1.5, ms=8)
        for m, c, e in (("D", plots.ORANGE, "none"), ("o", plots.GREY, "none"), ("o", "none", "black"))
    ]
    texts = ["the recipe", "one setting changed", "best of its table on validation images"]
    fig.legend(marks, texts, loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    fig.supxlabel(note_of_all(tables), fontsize=8, color=plots.GREY)
    return fig
