"""Pictures of series: what is measured over what is meant, and which pieces a mask hides."""

import matplotlib.pyplot as plt

from minijepa.plots.figures import BLUE, GREY, ORANGE


def series_panels(panels, columns=2, hidden=None, piece=None):
    """Series in panels, what is measured in grey, what is meant in colour. Returns a Figure.

    panels: dict title -> (measured [T], meant [T] or None).
    columns: panels in a row.
    hidden: token indices [K] that are shaded in every panel, or None; piece: values of a token, needed with hidden.
    """
    rows = -(-len(panels) // columns)
    size = (4.4 * columns, 1.7 * rows + 0.5)
    fig, axes = plt.subplots(rows, columns, figsize=size, sharex=True, sharey=True, squeeze=False, layout="constrained")
    for number, (ax, (title, (measured, meant))) in enumerate(zip(axes.flat, panels.items(), strict=False)):
        ax.plot(measured, color=GREY, lw=1, label="measured")
        if meant is not None:
            ax.plot(meant, color=BLUE, lw=1.8, label="without confounders")
        for k, token in enumerate([] if hidden is None else sorted(int(each) for each in hidden)):
            name = {"label": "hidden"} if k == 0 else {}
            ax.axvspan(token * piece - 0.5, (token + 1) * piece - 0.5, color=ORANGE, alpha=0.3, lw=0, **name)
        ax.set_title(title, fontsize=9)
        if number % columns == 0:
            ax.set_ylabel("value")
        ax.set_xlim(-0.5, len(measured) - 0.5)
        if number >= len(panels) - columns:
            ax.set_xlabel("time (values)")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return fig
