"""Plans of two levels on the map of two rooms, and success rates with their errors."""

import torch

from minijepa.plots.figures import BLUE, GREEN, GREY, ORANGE, RED, plt


def waypoint_maps(wall, path, goal, plans):
    """One panel per moment: the path so far, and the states of level 2's plan, decoded to positions.

    wall: x and the door's lowest and highest y, [3]. path: positions [steps + 1, 2]. goal: [2].
    plans: dict time -> positions of the plan [J, 2], of which the first is the sub-goal; or None where level 1 goes
    straight to the goal.
    """
    fig, axes = plt.subplots(1, len(plans), figsize=(2.25 * len(plans), 2.7), squeeze=False, layout="constrained")
    x, low, high = wall.tolist()
    for ax, (time, plan) in zip(axes[0], plans.items(), strict=True):
        ax.plot([x, x], [0, low], color="black", lw=4, solid_capstyle="butt")
        ax.plot([x, x], [high, 1], color="black", lw=4, solid_capstyle="butt")
        ax.plot(*path[: time + 1].T, "-o", color=BLUE, ms=2.5, lw=1.2, label="path so far")
        ax.plot(*path[time], "o", color=BLUE, ms=8, mec="black", label="dot")
        if plan is not None:
            ax.plot(*torch.cat([path[time : time + 1], plan]).T, "--s", color=ORANGE, ms=4, lw=1, label="plan")
            ax.plot(*plan[0], "D", color=RED, ms=8, mec="black", label="sub-goal")
        ax.plot(*goal, "*", color=GREEN, ms=13, mec="black", label="goal")
        ax.set(xlim=(0, 1), ylim=(0, 1), xticks=[], yticks=[], aspect="equal")
        ax.set_title(f"step {time}" + ("" if plan is not None else ", straight"), fontsize=9)
    handles, names = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, names, loc="outside lower center", ncols=5, frameon=False, fontsize=8)
    return fig


def condition_bars(groups):
    """Horizontal bars of success rates with binomial standard errors, a block for each group.

    groups: dict title -> dict condition -> Episodes, or anything with `success`, `error` and `path` [E, ...].
    """
    count = sum(len(rows) for rows in groups.values())
    fig, ax = plt.subplots(figsize=(7.6, 0.32 * (count + len(groups)) + 0.7), layout="constrained")
    colours, y, ticks, names = (BLUE, ORANGE, GREEN), 0, [], []
    for colour, (title, rows) in zip(colours, groups.items(), strict=False):
        ax.text(0, y, title, fontsize=9, fontweight="bold", va="center")
        for name, run in rows.items():
            y += 1
            ax.barh(y, run.success, 0.75, color=colour, xerr=run.error, ecolor=GREY, capsize=2)
            ax.text(1.03, y, f"{run.success:.2f} of {len(run.path)}", fontsize=8, va="center")
            ticks.append(y)
            names.append(name)
        y += 1.3
    ax.set_yticks(ticks, names, fontsize=9)
    ax.set(xlim=(0, 1.2), ylim=(y - 0.6, -0.6), xlabel="success at the end of the episode")
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1])
    ax.spines[["top", "right"]].set_visible(False)
    return fig
