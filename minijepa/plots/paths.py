"""Trips on the map of a city, and how well they are found again."""

import torch

from minijepa.plots.figures import BLUE, GREEN, GREY, LINES, MARKERS, ORANGE, PINK, RED, SKY, plt

STYLES = {  # of the points in `city_map`, in order
    BLUE: {"marker": "o", "ms": 4},
    ORANGE: {"marker": "s", "ms": 4},
    GREEN: {"marker": "^", "ms": 5},
    RED: {"marker": "D", "ms": 4},
}


def city_map(city, panels, zoom=True, width=2.9):
    """One map per title: the streets, faster ones darker, and on them points or lines.

    city: City. panels: dict title -> dict name -> points [2, K]; a name that ends in "line" is drawn as a line, all
    others as points, in the order of blue, orange, green and red. zoom: show only the streets near the points.
    width: inches of a panel. Returns a Figure.
    """
    fig, axes = plt.subplots(
        1, len(panels), figsize=(width * len(panels), width + 0.75), squeeze=False, layout="constrained"
    )
    n = city.side**2
    a, b = torch.triu_indices(n, n, offset=1)
    street = torch.isfinite(city.times[a, b])
    a, b = a[street], b[street]
    ends, slow = city.places(torch.stack([a, b])), city.times[a, b]  # [2, streets, 2], [streets]
    shade = 0.55 + 0.4 * (slow - slow.min()) / (slow.max() - slow.min()).clamp(min=1e-9)
    for ax, (title, groups) in zip(axes[0], panels.items(), strict=True):
        for (x0, y0), (x1, y1), grey in zip(ends[0].tolist(), ends[1].tolist(), shade.tolist(), strict=True):
            ax.plot([x0, x1], [y0, y1], color=str(grey), lw=1.6, zorder=1)
        for (name, points), (colour, style) in zip(groups.items(), STYLES.items(), strict=False):
            how = {"ls": "-", "lw": 1.6} if name.endswith("line") else {"ls": "", "mec": "black", "mew": 0.4, **style}
            ax.plot(points[0], points[1], color=colour, label=name, zorder=2, **how)
        ax.set(xticks=[], yticks=[], aspect="equal")
        if zoom:
            every = torch.cat([torch.as_tensor(points) for points in groups.values()], dim=1)
            for set_limits, values in ((ax.set_xlim, every[0]), (ax.set_ylim, every[1])):
                middle, half = (values.max() + values.min()) / 2, (every.amax(1) - every.amin(1)).max() / 2 + 0.8
                set_limits(float(middle - half), float(middle + half))
        ax.set_title(title, fontsize=9)
        ax.legend(
            loc="upper center",
            bbox_to_anchor=(0.5, 0),
            fontsize=8,
            frameon=False,
            ncols=3,
            handletextpad=0.1,
            columnspacing=1,
        )
    return fig


def rank_curves(panels, xlabel, ylabel="mean rank (1 is perfect)", guess=None):
    """Mean ranks on a logarithmic axis: the mean of the seeds as a line, their range as a band.

    panels: dict title -> dict name -> (x, [one list of values per seed]); a name keeps its colour over the panels.
    guess: the mean rank of guessing, drawn as a dotted line, or None. Returns a Figure.
    """
    fig, axes = plt.subplots(
        1, len(panels), figsize=(4.3 * len(panels) + 1.9, 3.9), squeeze=False, sharey=True, layout="constrained"
    )
    names = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    colours = (BLUE, RED, GREEN, GREY, ORANGE, SKY, PINK, "black")
    look = {name: (colours[i % 8], LINES[i % 8], MARKERS[i % 8]) for i, name in enumerate(names)}
    for ax, (title, lines) in zip(axes[0], panels.items(), strict=True):
        for name, (x, seeds) in lines.items():
            colour, ls, marker = look[name]
            values = torch.tensor(seeds, dtype=torch.float32)  # [seeds, points]
            ax.plot(x, values.mean(dim=0), color=colour, ls=ls, marker=marker, ms=5, label=name)
            ax.fill_between(x, values.amin(dim=0), values.amax(dim=0), color=colour, alpha=0.2, lw=0)
        if guess is not None:
            ax.axhline(guess, color="black", ls=":", lw=1)
            ax.text(ax.get_xlim()[0], guess * 0.93, " guessing", fontsize=8, va="top")
        ax.set(xlabel=xlabel, yscale="log", title=title)
        ax.grid(alpha=0.25, which="both")
    axes[0, 0].set_ylabel(ylabel)
    axes[0, 0].yaxis.set_major_formatter("{x:g}")
    handles = {name: handle for ax in axes[0] for handle, name in zip(*ax.get_legend_handles_labels(), strict=True)}
    fig.legend(handles.values(), handles.keys(), loc="outside right center", fontsize=8, frameon=False)
    return fig
