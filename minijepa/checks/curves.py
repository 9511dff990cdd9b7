"""The target next to the student's answer, for answers of one number: as lines over several inputs."""

import math

import matplotlib.pyplot as plt
import torch

from minijepa.checks.report import CheckFailed, call, copies, patience
from minijepa.plots.figures import BLUE, RED, show


def line_and_yours(name, student, spec, cases, axis_names, see=None, number=None):
    """One panel per case: the target as a line with rings, the student's answers as crosses.

    cases: dict title -> list of (place on the x axis, tuple of arguments); a place is a number or a word. axis_names:
    words for both axes, (x, y), or a list with a pair for each panel. number: what is drawn of an answer; default the
    answer itself. Words replace an answer that fails. Shows the figure; returns nothing.
    """
    names = axis_names if isinstance(axis_names, list) else [axis_names] * len(cases)
    fig, axes = plt.subplots(1, len(cases), figsize=(3.3 * len(cases) + 0.6, 3.0), squeeze=False, layout="constrained")
    for ax, (x, y), (title, points) in zip(axes[0], names, cases.items(), strict=True):
        places, arguments = zip(*points, strict=True)
        target = [as_float(spec(*copies(case)), number) for case in arguments]
        line = "o" if isinstance(places[0], str) else "-o"  # nothing lies between two words
        ax.plot(places, target, line, color=BLUE, mfc="none", ms=8, label="target")
        yours, words = answers(name, student, arguments, number)
        if yours:
            ax.plot(places, yours, "x", color=RED, ms=7, mew=2, label="yours")
        ax.set_xlabel(f"{x}\n(yours: {words})" if words else x, fontsize=9)
        ax.set_ylabel(y, fontsize=9)
        ax.set_title(title, fontsize=9)
        ax.tick_params(labelsize=8)
        ax.margins(y=0.15)
        if not isinstance(places[0], str):
            ax.locator_params(axis="x", nbins=6)
        low, high = ax.get_ylim()
        if high - low < 1e-3:  # do not magnify the rounding of a constant line
            ax.set_ylim(low - 0.5, high + 0.5)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0, 0].legend(fontsize=8, frameon=False)
    drawn = [f"{title} ({y} against {x})" for title, (x, y) in zip(cases, names, strict=True)]
    alt = f"Lines of {name}: {'; '.join(drawn)}. The target as rings, yours {words or 'as crosses'}."
    show(fig, alt, see or "every cross should be in its ring.")


def answers(name, student, cases, number):
    """The student's numbers for all cases and '', or None and a few words on why there are none."""
    try:
        with patience(name):
            found = [as_float(call(name, student, case), number) for case in cases]
    except CheckFailed as error:
        return None, "nothing yet" if "still empty" in str(error) else "an error, see the check"
    except Exception:
        return None, "not a number, see the check"
    return (found, "") if all(math.isfinite(value) for value in found) else (None, "NaN or infinite")


def as_float(answer, number=None):
    """An answer, or what `number` takes out of it, as a float. Any tensor with one element, or a number."""
    answer = number(answer) if number else answer
    return float(answer.detach() if isinstance(answer, torch.Tensor) else answer)
