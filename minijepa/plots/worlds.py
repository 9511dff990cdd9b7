"""Pictures of the small worlds: energies over the plane in which a road forks."""

import matplotlib.pyplot as plt

from minijepa.plots.figures import RED


def fork_landscapes(landscapes, extent, dots=True):
    """Energy F over the places around a fork, a panel per model, all on one colour scale from 0 to 1. Returns a Figure.

    landscapes: dict title -> (F [rows, columns], answers [K, 2]); rows lead forward, columns to the right.
    extent: (left, right, back, front) of F.
    dots: mark the predictor's answers (sideways, forward) with red crosses.
    White are the roads, and circles where the cars are at x = 1.
    """
    width = len(landscapes)
    fig, axes = plt.subplots(1, width, figsize=(2.75 * width + 0.7, 2.9), squeeze=False, layout="constrained")
    for ax, (title, (f, answers)) in zip(axes[0], landscapes.items(), strict=True):
        picture = ax.imshow(f.numpy(), origin="lower", extent=extent, vmin=0, vmax=1, cmap="viridis")
        for side in (-1, 1):
            ax.plot([0, 0, side], [-1, 0, 1], color="white", lw=1.2, alpha=0.8)
        ax.plot([-1, 1], [1, 1], "o", mfc="none", mec="white", ms=11, mew=1.8)
        if dots:
            ax.plot(*answers.T.numpy(), "x", color=RED, ms=6, mew=1.8)
        ax.set(xticks=[], yticks=[], xlim=extent[:2], ylim=extent[2:])
        ax.set_title(title, fontsize=10)
    fig.colorbar(picture, ax=axes[0].tolist(), label="energy F", shrink=0.85, extend="max")
    return fig
