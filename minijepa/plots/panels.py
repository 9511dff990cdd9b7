"""Curves in several panels next to each other, for what has more than one thing to compare."""

import matplotlib.pyplot as plt

from minijepa.plots.figures import curves


def curve_panels(panels, xlabel, ylabel="", baselines=None, log=False, sharey=True, ylim=None):
    """`curves`, one panel per title; one legend on the right where all panels have the same lines. Returns a Figure.

    panels: dict title -> dict name -> (x, y); an x of strings makes categories.
    xlabel, ylabel: of all panels; the second stands at the first one only.
    baselines: dict title -> dict name -> y, level lines, or None.
    log: draw y logarithmically. sharey: one y axis for all panels. ylim: (lowest, highest) y, or None.
    """
    size = (3.2 * len(panels) + 1.2, 3.3)
    fig, axes = plt.subplots(1, len(panels), figsize=size, squeeze=False, layout="constrained", sharey=sharey)
    for ax, (title, lines) in zip(axes[0], panels.items(), strict=True):
        curves(lines, xlabel, "", (baselines or {}).get(title), title, ax=ax)
        if isinstance(next(iter(lines.values()))[0][0], str):
            ax.margins(x=0.2)  # room for the names of the outer categories
        if log:
            ax.set_yscale("log")
        if ylim:
            ax.set_ylim(ylim)
    axes[0, 0].set_ylabel(ylabel)
    handles, names = axes[0, 0].get_legend_handles_labels()
    if all(ax.get_legend_handles_labels()[1] == names for ax in axes[0, 1:]):
        for ax in axes[0]:
            ax.get_legend().remove()
        if len(names) > 1:
            fig.legend(handles, names, loc="outside right upper", fontsize=8, frameon=False)
    return fig
