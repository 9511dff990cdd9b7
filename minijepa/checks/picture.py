"""The target next to the student's answer, as heat maps; this also works for an empty answer."""

import matplotlib.pyplot as plt
import torch

from minijepa.checks.report import CheckFailed, call, copies, patience
from minijepa.plots.figures import show


def target_and_yours(name, student, spec, cases, as_map=None, see=None, limits=None):
    """Two rows of heat maps, the target above and the student's answer below, one column per case.

    cases: dict title -> tuple of arguments. as_map: function of (answer, *arguments) to the numbers that are drawn,
    [rows, columns] or [columns]; by default the answer itself. Words replace an answer that fails or has another shape.
    see: a sentence on what to look for. limits: the values of the darkest and the brightest colour; by default those of
    each target. Shows the figure; returns nothing.
    """
    as_map = as_map or (lambda answer, *arguments: answer)
    size = (2.1 * len(cases) + 0.9, 4.2)
    fig, axes = plt.subplots(2, len(cases), figsize=size, squeeze=False, layout="constrained")
    state = "your answer below"
    for column, (title, case) in zip(axes.T, cases.items(), strict=True):
        target = flat_map(as_map(spec(*copies(case)), *copies(case)))
        low, high = limits or (float(target.min()), float(target.max()))
        column[0].set_title(title, fontsize=9)
        draw(column[0], target, low, high)
        try:
            with patience(name):
                yours = flat_map(as_map(call(name, student, case), *copies(case)))
            words = "" if yours.shape == target.shape else f"shape {list(yours.shape)},\nnot {list(target.shape)}"
        except CheckFailed as error:
            words = "nothing yet" if "still empty" in str(error) else "an error:\nsee the check"
        except Exception:
            words = "no numbers:\nsee the check"
        if words:
            state = f"in place of your answer the words: {words}".replace("\n", " ")
            column[1].text(0.5, 0.5, words, ha="center", va="center", fontsize=9, transform=column[1].transAxes)
            column[1].set(xticks=[], yticks=[])
        else:
            draw(column[1], yours, low, high)
    axes[0, 0].set_ylabel("target", fontsize=10)
    axes[1, 0].set_ylabel("yours", fontsize=10)
    alt = f"Heat maps of {name}: the target above, {state}; {', '.join(cases)}."
    show(fig, alt, see or "both rows should be alike.")


def flat_map(values):
    """Numbers [rows, columns], [columns] or a single one as a float map [rows, columns]."""
    values = torch.as_tensor(values).detach().double()
    return values.reshape(1, -1) if values.ndim < 2 else values.flatten(0, -2)


def draw(ax, values, low, high):
    """One heat map, on the scale of the target."""
    ax.imshow(values.numpy(), vmin=low, vmax=high if high > low else low + 1, cmap="viridis", aspect="auto")
    ax.set(xticks=[], yticks=[])
    rows, columns = values.shape
    if max(rows, columns) <= 16:  # few enough to be counted
        for line in range(1, rows):
            ax.axhline(line - 0.5, color="white", lw=0.6)
        for line in range(1, columns):
            ax.axvline(line - 0.5, color="white", lw=0.6)
