"""Pictures of world models: an agent's modules, what a model imagines, energies over actions, plans in a room."""

import numpy as np
import torch

from minijepa.plots.diagrams import arrow, box, canvas
from minijepa.plots.figures import BLUE, GREEN, GREY, LINES, MARKERS, ORANGE, PALETTE, PINK, RED, plt


def agent_diagram():
    """LeCun's agent (2022, figure 2): six modules, each with the object that plays it here. Returns a Figure."""
    fig, ax = canvas(17.2, 8.2, (8.6, 4.1))
    box(ax, 6.2, 6.6, 4.6, 1.2, "configurator\nthe reader: sets the goal", GREY)
    box(ax, 0.4, 3.4, 3.6, 1.6, "perception\nencoder $f$", BLUE)
    box(ax, 5.2, 3.4, 4.2, 1.6, "world model\ndynamics $g(z, a)$", ORANGE)
    box(ax, 11.6, 3.4, 4.6, 1.6, "cost\ndistance to $z_{goal}$", RED)
    box(ax, 5.2, 0.5, 4.2, 1.6, "actor\nCEM: searches actions", GREEN)
    box(ax, 11.6, 0.5, 4.6, 1.6, "short-term memory\nthe last plan, $z_t$", PINK)
    arrow(ax, (4.1, 4.2), (5.1, 4.2))
    ax.text(4.6, 4.4, "$z_t$", ha="center")
    arrow(ax, (9.5, 4.2), (11.5, 4.2))
    ax.text(10.5, 4.4, r"$\hat z_{t+1} \ldots \hat z_{t+H}$", ha="center")
    arrow(ax, (6.6, 2.2), (6.6, 3.3))
    ax.text(6.4, 2.7, "actions tried", ha="right", va="center", fontsize=9)
    arrow(ax, (11.5, 3.3), (9.5, 2.1))
    ax.text(10.7, 2.55, "energy", ha="left", va="center", fontsize=9)
    arrow(ax, (11.5, 1.3), (9.5, 1.3))
    arrow(ax, (5.1, 1.3), (2.2, 1.3))
    ax.text(1.9, 1.3, "action $a_t$", ha="right", va="center")
    arrow(ax, (8.5, 6.5), (13.9, 5.1), "--")
    return fig


def as_picture(frames):
    """Frames of a room [..., 2, S, S] to RGB [..., S, S, 3]: white, with a blue dot and a grey wall."""
    dot, wall = frames[..., 0, :, :, None].clamp(0, 1), frames[..., 1, :, :, None].clamp(0, 1)
    blue, grey = torch.tensor([0.0, 0.447, 0.698]), torch.tensor([0.42, 0.42, 0.42])
    return (1 - wall * (1 - grey)) * (1 - dot) + dot * blue


def room_strips(rows, titles):
    """Rows of room frames: {label: frames [T, 2, S, S]}, a title per column. Returns a Figure."""
    fig, axes = plt.subplots(
        len(rows), len(titles), figsize=(1.15 * len(titles) + 1.1, 1.2 * len(rows) + 0.3), squeeze=False
    )
    for line, (label, frames) in zip(axes, rows.items(), strict=True):
        for ax, frame, title in zip(line, as_picture(frames), titles, strict=True):
            ax.imshow(frame.numpy(), interpolation="nearest")
            ax.set(xticks=[], yticks=[])
            if ax in axes[0]:
                ax.set_title(title, fontsize=9)
        line[0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=9)
    fig.tight_layout(pad=0.4)
    return fig


def draw_room(ax, wall, goal=None, start=None, reach=0.06):
    """The unit square with its wall [3], and where an episode begins and should end."""
    x, low, high = wall.tolist()
    ax.plot([x, x], [0, low], color="#333333", lw=4, solid_capstyle="butt")
    ax.plot([x, x], [high, 1], color="#333333", lw=4, solid_capstyle="butt")
    if start is not None:
        ax.plot(*start.tolist(), "s", color=BLUE, ms=7, label="start")
    if goal is not None:
        ax.add_patch(plt.Circle(goal.tolist(), reach, color=GREEN, alpha=0.35))
        ax.plot(*goal.tolist(), "*", color=GREEN, ms=12, label="goal")
    ax.set(xlim=(0, 1), ylim=(0, 1), xticks=[], yticks=[], aspect="equal")


def room_paths(panels, wall, legend=True):
    """Paths in one room, a panel each: {title: (paths [n, T, 2], start or None, goal or None)}. Returns a Figure."""
    fig, axes = plt.subplots(1, len(panels), figsize=(2.5 * len(panels), 2.7), squeeze=False)
    for ax, (title, (paths, start, goal)) in zip(axes[0], panels.items(), strict=True):
        draw_room(ax, wall, goal, start)
        for i, path in enumerate(paths):
            ax.plot(*path.T.tolist(), color=PALETTE[i % len(PALETTE)], marker=".", ms=3, lw=1, ls=LINES[i % len(LINES)])
        ax.set_title(title, fontsize=9)
    if legend and next(iter(panels.values()))[2] is not None:
        axes[0][0].legend(fontsize=7, loc="upper left")
    fig.tight_layout(pad=0.4)
    return fig


def plan_clouds(ends, costs, wall, start, goal, titles):
    """One panel per round of a search: where each tried plan ends, coloured by its cost.

    ends: list of [S, 2]. costs: list of [S]. Returns a Figure.
    """
    fig, axes = plt.subplots(1, len(ends), figsize=(2.5 * len(ends) + 0.5, 2.8), layout="constrained")
    low, high = min(c.min() for c in costs).item(), max(c.max() for c in costs).item()
    for ax, points, cost, title in zip(axes, ends, costs, titles, strict=True):
        draw_room(ax, wall, goal, start)
        seen = ax.scatter(*points.T.numpy(), c=cost.numpy(), s=12, cmap="viridis", vmin=low, vmax=high, zorder=3)
        ax.set_title(title, fontsize=9)
    fig.colorbar(seen, ax=list(axes), label="cost", shrink=0.85)
    axes[0].legend(fontsize=7, loc="upper left")
    return fig


def action_energies(maps, longest, marks):
    """Energies over actions: {title: [n, n]}, rows a_y upwards, columns a_x, both from -longest to longest.

    marks: {title: {word: action [2]}}; the first is a star, further ones take other markers. Returns a Figure.
    """
    fig, axes = plt.subplots(1, len(maps), figsize=(3.0 * len(maps) + 0.4, 2.9), layout="constrained", squeeze=False)
    for ax, (title, energy) in zip(axes[0], maps.items(), strict=True):
        seen = ax.imshow(energy.numpy(), origin="lower", extent=(-longest, longest, -longest, longest), cmap="viridis")
        for (word, action), marker in zip(marks[title].items(), "*ovP", strict=False):
            ax.plot(
                *action.tolist(), marker, color=ORANGE, mec="black", ms=13 if marker == "*" else 8, label=word, ls=""
            )
        ax.set(xlabel="$a_x$", title=title)
        ax.title.set_fontsize(9)
        ax.legend(fontsize=7, loc="upper left")
        fig.colorbar(seen, ax=ax, shrink=0.85)
    axes[0][0].set_ylabel("$a_y$")
    return fig


def success_curves(lines, xlabel, levels=None):
    """Success with error bars: {label: (x, rate, standard error)}; levels: {label: rate}. Returns a Figure."""
    fig, ax = plt.subplots(figsize=(6.2, 3.4))
    for i, (label, (x, rate, error)) in enumerate(lines.items()):
        ax.errorbar(
            x,
            rate,
            error,
            color=PALETTE[(0, 4, 2, 5, 6)[i % 5]],
            ls=LINES[i % 9],
            marker=MARKERS[i % 8],
            ms=5,
            capsize=3,
            label=label,
        )
    for i, (label, rate) in enumerate((levels or {}).items()):
        ax.axhline(rate, color=GREY, ls=LINES[(i + 2) % 9], lw=1.2, label=label)
    ax.set(xlabel=xlabel, ylabel="success at the end", ylim=(-0.03, 1.03))
    ax.grid(alpha=0.3)
    ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
    fig.tight_layout()
    return fig


def success_bars(rates, errors):
    """Success at the end and at any moment: {label: (end, ever)}, {label: standard error of end}. Returns a Figure."""
    fig, ax = plt.subplots(figsize=(6.6, 0.42 * len(rates) + 0.9))
    y = np.arange(len(rates))[::-1]
    ends, evers = zip(*rates.values(), strict=True)
    ax.barh(y, evers, color="#DDDDDD", edgecolor=GREY, label="at any moment")
    ax.barh(y, ends, 0.5, xerr=list(errors.values()), color=BLUE, ecolor="black", capsize=2, label="at the end")
    ax.set_yticks(y, list(rates))
    ax.set(xlabel="fraction of episodes within reach of the goal", xlim=(0, 1.03))
    ax.legend(fontsize=8, loc="lower right")
    fig.tight_layout()
    return fig
