"""Pictures for comparing measures of collapse: where each raises an alarm, and how each orders a set of runs."""

import matplotlib.pyplot as plt

from minijepa.plots.figures import BLUE, GREY, RED


def alarm_table(values, alarms):
    """A table of numbers; a cell whose measure raises an alarm is orange and has an exclamation mark. A Figure.

    values: dict row -> dict measure -> number.
    alarms: dict measure -> function number -> bool; one column each, in this order.
    """
    fig, ax = plt.subplots(figsize=(1.5 * len(alarms) + 2, 0.42 * len(values) + 0.8))
    ax.axis("off")
    rings = [[alarm(row[measure]) for measure, alarm in alarms.items()] for row in values.values()]
    numbers = [[row[measure] for measure in alarms] for row in values.values()]
    drawn = ax.table(
        [
            [f"{v:.3f}{'  !' if r else ''}" for v, r in zip(*row, strict=True)]
            for row in zip(numbers, rings, strict=True)
        ],
        rowLabels=list(values),
        colLabels=[measure.replace("_", " ") for measure in alarms],
        cellColours=[["#F6C66A" if r else "white" for r in row] for row in rings],
        cellLoc="center",
        loc="center",
    )
    drawn.scale(1, 1.5)
    return fig


def measures_of_runs(groups, vertical, level, log=(), upright=None):
    """Scatter plots of runs, one panel per measure, with another measure on the vertical axis of all. A Figure.

    groups: dict group -> dict measure -> numbers, one per run; at most three groups, each with its own marker.
    vertical: the measure on the vertical axis; the others get a panel each.
    level: a value of it to draw as a dotted line, such as chance.
    log: names of the measures whose axis is logarithmic.
    upright: dict measure -> a value of it to draw as an upright line in its panel, such as chance.
    """
    measures = [measure for measure in next(iter(groups.values())) if measure != vertical]
    size = (3.2 * len(measures), 3.4)
    fig, axes = plt.subplots(1, len(measures), figsize=size, squeeze=False, layout="constrained", sharey=True)
    for (group, numbers), colour, marker in zip(groups.items(), (BLUE, RED, GREY), "oXD", strict=False):
        for ax, measure in zip(axes[0], measures, strict=True):
            ax.scatter(numbers[measure], numbers[vertical], c=colour, marker=marker, s=55, label=group)
    for ax, measure in zip(axes[0], measures, strict=True):
        ax.axhline(level, color="black", ls=":", lw=1)
        ax.set(xlabel=measure, xscale="log" if measure in log else "linear")
        ax.grid(alpha=0.25)
        if measure in (upright or {}):
            ax.axvline(upright[measure], color="black", ls="--", lw=1)
    axes[0, 0].set_ylabel(vertical)
    axes[0, 0].legend(fontsize=8, frameon=False)
    return fig
