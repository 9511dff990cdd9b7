"""Recorded results: runs too long for a notebook, kept as small files with all that is needed to repeat them.

A table (`recorded_results/NAME.json`) holds one question and one row per run: condition (the key "arm"), seed, command,
steps, minutes, hardware, versions, date, scores and a curve of the kNN probe. Figures made of them are labelled
"recorded". `tools/record/results.py` makes the files.
"""

import json
import math
from importlib.resources import files
from statistics import mean, stdev

from minijepa.plots.figures import BLUE, GREEN, GREY, ORANGE, plt
from minijepa.plots.figures import curves as draw_curves

SCORES = {"knn": "kNN probe", "linear": "linear probe", "linear_all": "linear probe, all layers"}
KNOWN = {"knn": "kNN probe", "linear": "linear probe", "colour": "own colour, $R^2$", "detail": "own detail, $R^2$"}
LOOKS = {"knn": (BLUE, "o", "-"), "linear": (ORANGE, "D", "--"), "linear_all": (GREEN, "s", ":")}
WIDTH = 8.8  # inches: a figure as wide as a notebook, so that no reader sees it made smaller
PLAIN = {  # what figures and printed tables say in place of a key of the files
    "term alone": "regulariser alone",
    "longer, term alone": "longer, regulariser alone",
    "I-JEPA, no extra term": "I-JEPA, no regulariser",
    "What does I-JEPA cost and buy beside its relatives, in the same time?": "I-JEPA and relatives, in the same time",
    "What should stand on the target side?": "How should the targets be made?",
    "How fast should the teacher follow?": "How fast should the target encoder follow?",
    "How much of the variance/covariance term?": "How much variance–covariance regulariser?",
}


def load(name):
    """One recorded table as a dict: question, steps, probe, reproduce, rows. Raises ValueError for an unknown name."""
    folder = files("minijepa.plots") / "recorded_results"
    path = folder / f"{name}.json"
    if not path.is_file():
        names = sorted(p.name.removesuffix(".json") for p in folder.iterdir() if p.name.endswith(".json"))
        raise ValueError(f"no recorded table is called {name!r}; there are {', '.join(names)}")
    return json.loads(path.read_text(encoding="utf-8"))


# --- numbers ---


def summary(table, score):
    """{condition: (mean, standard deviation over seeds, number of seeds)} of one score, in the table's order.

    With a single seed the standard deviation is nan: one run has no spread.
    """
    conditions = {row["arm"]: seeds(table, row["arm"], score) for row in table["rows"]}
    return {arm: (mean(v), stdev(v) if len(v) > 1 else math.nan, len(v)) for arm, v in conditions.items()}


def seeds(table, condition, score):
    """The score of each seed of a condition, such as "recipe"; [] if there is none."""
    return [row["scores"][score] for row in table["rows"] if row["arm"] == condition]


def gains(table, condition, score):
    """What each seed of a condition gained over its own randomly initialised encoder."""
    starts = seeds(table, condition, f"untrained_{score}")
    return [trained - start for trained, start in zip(seeds(table, condition, score), starts, strict=True)]


def against_recipe(table, condition, score):
    """The mean score of a condition minus that of the table's condition named "(recipe)"."""
    means = {arm: value for arm, (value, _, _) in summary(table, score).items()}
    return means[condition] - next(value for arm, value in means.items() if "(recipe)" in arm)


def baseline(table, key):
    """Mean over the rows of a baseline such as "untrained_knn" or "raw_linear"; None if it was not recorded."""
    values = [row["scores"][key] for row in table["rows"] if key in row["scores"]]
    return mean(values) if values else None


def choose(table, score):
    """The condition with the best mean score on the validation images.

    table: from `load`, its rows with validation scores. score: "knn", "linear" or "linear_all".
    """
    means = summary(table, f"validation_{score}")
    return max(means, key=lambda arm: means[arm][0])


def as_text(table, number, form=".3f"):
    """The table as text: a line per condition, a column per probe.

    number: a function (table, condition, score) -> a number or a list of them, such as `seeds`, `gains` or
    `against_recipe`. form: how a number is written; "+.3f" for differences.
    """

    def written(values):
        values = values if isinstance(values, list) else [values]
        return " ".join(format(round(v, 3) + 0.0, form) for v in values)  # + 0.0: no "-0.000"

    lines = [[plain(table["question"]), "kNN", "linear", "all layers"]]
    for arm in summary(table, "knn"):
        lines.append([f"  {plain(arm)}", *(written(number(table, arm, score)) for score in SCORES)])
    first, *widths = (max(map(len, column)) for column in zip(*lines, strict=True))
    return "\n".join(
        name.ljust(max(first, 46)) + "".join(cell.rjust(w + 3) for cell, w in zip(cells, widths, strict=True))
        for name, *cells in lines
    )


def looked_into(table):
    """{condition: what each layer of its encoder knows}: the rows, of one seed, that `tools/record/layers.py` has seen.

    The last entry, "random-init", is the encoder that they started from.
    """
    rows = [row for row in table["rows"] if "layers" in row]
    found = {row["arm"]: row["layers"]["trained"] for row in rows}
    return found | {"random-init": rows[0]["layers"]["untrained"]}


# --- words ---


def plain(words):
    """The name of a condition, or a question, as a figure shows it; see PLAIN."""
    return PLAIN.get(words, words)


def note(*tables):
    """The line under every recorded figure: what was run, how often, and the command that runs it again."""
    steps = sorted({row["steps"] for table in tables for row in table["rows"]})
    same_time = len(tables) == 1 and len(steps) > 1
    length = "equal time" if same_time else " / ".join(f"{n:,}" for n in steps) + " steps"
    counts = sorted({count for table in tables for _, _, count in summary(table, "knn").values()})
    number = "-".join(str(count) for count in dict.fromkeys((counts[0], counts[-1])))
    command, name = tables[0]["reproduce"].rsplit(" ", 1)
    again = f"{command} {name if len(tables) == 1 else 'NAME'}"
    return f"recorded: {length}, {number} seed{'s' * (number != '1')} · again: {again}"


# --- figures ---


def dots(table, scores=tuple(SCORES)):
    """One line per condition: a dot for each seed, a bar at their mean; the baselines are vertical lines.

    table: from `load`. scores: which of "knn", "linear", "linear_all", one panel each.
    """
    conditions = list(summary(table, scores[0]))
    fig, axes = plt.subplots(
        1, len(scores), figsize=(WIDTH, 0.34 * len(conditions) + 1.7), sharey=True, squeeze=False, layout="constrained"
    )
    for ax, score in zip(axes[0], scores, strict=True):
        for i, arm in enumerate(conditions):
            values = seeds(table, arm, score)
            ax.plot(values, [i] * len(values), "o", color=BLUE, ms=7, alpha=0.6, mew=0, label="one seed")
            ax.plot(mean(values), i, "|", color="black", ms=17, mew=1.8, label="mean")
        raw, start = (baseline(table, f"{name}_{score}") for name in ("raw", "untrained"))
        ax.axvline(start, color=GREY, ls=":", lw=2, label="random-init encoder")
        if raw is not None:
            ax.axvline(raw, color=GREY, ls="--", lw=1.3, label="raw pixels")
        ax.set_title(SCORES[score], fontsize=10)
        ax.set_yticks(range(len(conditions)), [plain(arm) for arm in conditions], fontsize=10)
    axes[0, 0].set_ylim(len(conditions) - 0.5, -0.5)
    finish(fig, axes, f"accuracy; {note(table)}", ncols=4, title=plain(table["question"]))
    return fig


def finish(fig, axes, words, **legend):
    """What all figures of panels share: a grid, one legend above from the first panel's labels, the note below."""
    for ax in axes.flat:
        ax.grid(axis="x", alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(axis="x", labelsize=9, labelbottom=True)
    names = dict(zip(*reversed(axes.flat[0].get_legend_handles_labels()), strict=True))  # each label once
    fig.legend(names.values(), names, loc="outside upper center", frameon=False, fontsize=9, **legend)
    fig.supxlabel(words, fontsize=9, color=GREY)


def curves(*tables, title=None):
    """The kNN probe against the images seen, mean over seeds, one line per condition; scored on training images.

    tables: from `load`; title: by default the first one's question. A condition of several tables is drawn for each.
    """
    lines = {}
    for table in tables:
        for arm in summary(table, "knn"):
            rows = [row for row in table["rows"] if row["arm"] == arm]
            runs = [row["knn_curve"] for row in rows]
            seen = [step * rows[0]["images"] / rows[0]["steps"] / 1000 for step, _ in runs[0]]
            name = plain(arm) if len(tables) == 1 else f"{plain(arm)}, {table['steps']:,} steps"
            lines[name] = (seen, [mean(values) for values in zip(*([v for _, v in run] for run in runs), strict=True)])
    title = title or plain(tables[0]["question"])
    fig = draw_curves(lines, "images seen, thousands", "kNN probe accuracy", title=title)
    if len(lines) > 5:  # next to the axes, where no line runs
        fig.axes[0].legend(fontsize=9, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
        fig.set_figwidth(WIDTH)
    fig.supxlabel(note(*tables), fontsize=9, color=GREY)
    return fig


def ablations(tables, columns=2):
    """A panel per table: its conditions against accuracy, a colour and a marker for each probe, one mark per seed.

    tables: from `load`. The vertical lines are the recipe's own scores, means over its seeds.
    """
    counts = [len(summary(table, "knn")) + 2 for table in tables]
    heights = [max(counts[i : i + columns]) for i in range(0, len(tables), columns)]
    fig, axes = plt.subplots(
        len(heights), columns, figsize=(WIDTH, 0.27 * sum(heights) + 0.7), layout="constrained", squeeze=False,
        height_ratios=heights, sharex=True,
    )  # fmt: skip
    for ax, table in zip(axes.flat, tables, strict=False):
        conditions = list(summary(table, "knn"))
        for score, (colour, marker, style) in LOOKS.items():
            for i, arm in enumerate(conditions):
                values = seeds(table, arm, score)
                ax.plot(values, [i] * len(values), marker, color=colour, ms=6, mew=0, alpha=0.8, label=SCORES[score])
                if "(recipe)" in arm:
                    ax.axvline(mean(values), color=colour, lw=1, ls=style)
        ax.set_yticks(range(len(conditions)), [plain(arm) for arm in conditions], fontsize=9)
        ax.set_ylim(len(conditions) - 0.5, -0.5)
        ax.set_title(plain(table["question"]), fontsize=10, loc="right")
    for ax in axes.flat[len(tables) :]:
        ax.set_axis_off()
    finish(fig, axes, f"accuracy; {note(*tables)}", ncols=3)
    return fig


def choices(tables):
    """Was the recipe tuned to the images that score it? A panel per probe: both scores of every condition.

    tables: from `load`, all with validation scores. A condition above the diagonal scores better on the held-out images
    than on the validation images; the best of each table on the validation images has a black rim.
    """
    fig, axes = plt.subplots(1, len(SCORES), figsize=(WIDTH, 3.7), layout="constrained")
    for ax, (score, name) in zip(axes, SCORES.items(), strict=True):
        ax.plot([], [], "D", color=ORANGE, mew=0, ms=8, label="the recipe")
        ax.plot([], [], "o", color=GREY, mew=0, ms=8, label="one setting changed")
        ax.plot([], [], "o", mfc="none", mec="black", mew=1.5, ms=8, label="best of its table on validation images")
        for table in tables:
            seen, heldout = (summary(table, by + score) for by in ("validation_", ""))
            best = choose(table, score)
            for arm in sorted(seen, key=lambda arm: (arm == best, "(recipe)" in arm)):
                marker, colour = ("D", ORANGE) if "(recipe)" in arm else ("o", GREY)
                rim = "black" if arm == best else "none"
                ax.plot(seen[arm][0], heldout[arm][0], marker, mfc=colour, mec=rim, mew=1.5, ms=8, alpha=0.8)
        ax.axline((0.45, 0.45), slope=1, color=GREY, lw=1, ls=":")
        ax.set_title(name, fontsize=10)
        ax.set_xlabel("validation accuracy", fontsize=9)
        ax.tick_params(axis="y", labelsize=9)
    axes[0].set_ylabel("held-out accuracy", fontsize=9)
    finish(fig, axes, note(*tables), ncols=3)
    return fig


def layers(table, known=("knn", "linear", "detail")):
    """What each layer knows, a panel per question, a line per condition whose encoder was looked into.

    table: from `load`. known: keys of KNOWN. One seed.
    """
    found = looked_into(table)
    fig, axes = plt.subplots(1, len(known), figsize=(WIDTH, 3.9), layout="constrained")
    for ax, key in zip(axes, known, strict=True):
        lines = {plain(arm): (range(1, len(row[key]) + 1), row[key]) for arm, row in found.items()}
        draw_curves(lines, "layer", "", ax=ax)
        ax.get_legend().remove()
        ax.set_title(KNOWN[key], fontsize=10)
        ax.set_xticks(range(1, len(next(iter(found.values()))[key]) + 1))
        ax.spines[["top", "right"]].set_visible(False)
    handles, names = axes[0].get_legend_handles_labels()
    fig.legend(handles, names, loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    again = table["reproduce"].replace("results.py run", "layers.py")
    fig.supxlabel(f"recorded: 10,000 labels, one seed · again: {again}", fontsize=9, color=GREY)
    return fig
