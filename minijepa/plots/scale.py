"""Figures about cost: where the time of a step goes, the roofline, what processes keep and what they send."""

from minijepa.plots.figures import BLUE, GREEN, GREY, MARKERS, ORANGE, PALETTE, RED, SKY, YELLOW, plt


def time_and_operations(time, operations):
    """Per part of a step two bars: its fraction of the time and of the operations.

    time: dict part -> fraction in [0, 1]; operations: the same, where a part may be missing (it has none).
    Returns a Figure.
    """
    fig, ax = plt.subplots(figsize=(8, 3.4), layout="constrained")
    for i, name in enumerate(time):
        ax.barh(i - 0.2, 100 * time[name], 0.38, color=BLUE, label=None if i else "of the time, measured here")
        more = {"color": ORANGE, "hatch": "//", "label": None if i else "of the operations, counted"}
        ax.barh(i + 0.2, 100 * operations.get(name, 0), 0.38, **more)
    ax.set(yticks=range(len(time)), yticklabels=list(time), xlabel="% of a step", ylim=(len(time) - 0.4, -0.6))
    ax.legend(frameon=False)
    return fig


def stacked_fractions(rows, xlabel):
    """A bar per row, cut into its parts. rows: dict name -> dict part -> fraction in [0, 1]. Returns a Figure."""
    fig, ax = plt.subplots(figsize=(8, 0.8 + 0.7 * len(rows)), layout="constrained")
    looks = ((BLUE, ""), (ORANGE, "//"), (YELLOW, ".."))
    for number, parts in enumerate(rows.values()):
        left = 0.0
        for (name, fraction), (colour, hatch) in zip(parts.items(), looks, strict=True):
            look = {"color": colour, "hatch": hatch, "edgecolor": "black", "label": None if number else name}
            ax.barh(number, 100 * fraction, 0.6, left=left, **look)
            left += 100 * fraction
    ax.set(yticks=range(len(rows)), yticklabels=list(rows), xlabel=xlabel, xlim=(0, 102))
    fig.legend(frameon=False, loc="outside upper center", ncols=3)
    return fig


def roofline(points, peak, bandwidth):
    """Speed against arithmetic intensity under the roof min(peak, bandwidth x intensity), both axes logarithmic.

    points: dict name -> (operations per byte, operations per second). peak: operations per second; bandwidth: bytes
    per second. Returns a Figure.
    """
    fig, ax = plt.subplots(figsize=(7, 3.8), layout="constrained")
    line = [0.05, peak / bandwidth, 400]
    ax.plot(line, [min(peak, bandwidth * v) / 1e9 for v in line], color=GREY, lw=2, label="roof")
    for (name, (intensity, speed)), colour, marker in zip(points.items(), PALETTE, MARKERS, strict=False):
        ax.plot(intensity, speed / 1e9, marker, ms=9, color=colour, mec="black", label=name)
    ax.set(xscale="log", yscale="log", xlabel="operations per byte, counted", ylabel="billion operations per second")
    ax.legend(frameon=False, fontsize=8, loc="lower right")
    return fig


def kept_by_two():
    """What each of two processes keeps with DDP and with FSDP2, and what a sharded checkpoint holds. A Figure."""
    fig, axes = plt.subplots(1, 3, figsize=(9.5, 3), layout="constrained")
    pieces = {"weights": BLUE, "gradients": ORANGE, "moments": GREEN, "target encoder": SKY}
    kinds = ("DDP: all of it, twice", "FSDP2: one half each", "sharded checkpoint: two files")
    for ax, title in zip(axes, kinds, strict=True):
        file, halves = title is kinds[2], title is not kinds[0]
        for process in range(2):
            for row, (name, colour) in enumerate(pieces.items()):
                ax.add_patch(plt.Rectangle((2.4 * process, -row), 2, 0.8, color="#EEEEEE"))
                left, wide = (process, 1) if halves else (0, 2)
                if not (file and name == "gradients"):
                    ax.add_patch(plt.Rectangle((2.4 * process + left, -row), wide, 0.8, color=colour))
                if process == 0:
                    ax.text(-0.1, 0.4 - row, name, ha="right", va="center", fontsize=8)
            label = f"file {process}" if file else f"process {process}"
            ax.text(2.4 * process + 1, 1.1, label, ha="center", fontsize=8)
        ax.set(xlim=(-2.4, 4.6), ylim=(-3.3, 1.6))
        ax.set_title(title, fontsize=10)
        ax.axis("off")
    return fig


def against_processes(counts, panels):
    """Bytes against the number of processes, a panel each; DDP solid with full markers, FSDP2 dashed with open ones.

    counts: numbers of processes. panels: dict title -> dict (model, "DDP" or "FSDP2") -> list of bytes, one per count;
    the first panel's axis is logarithmic. Returns a Figure.
    """
    fig, axes = plt.subplots(1, len(panels), figsize=(9, 3.2), layout="constrained")
    for ax, (title, lines) in zip(axes, panels.items(), strict=True):
        models = list(dict.fromkeys(model for model, _ in lines))
        for (model, way), values in lines.items():
            number = models.index(model)
            colour, shards = (BLUE, RED, GREEN)[number], way == "FSDP2"
            look = {"ls": "--" if shards else "-", "mfc": "white" if shards else colour, "marker": MARKERS[number]}
            label = f"{model}, {way}" if ax is axes[0] else None
            ax.plot(counts, [value / 1e9 for value in values], color=colour, label=label, **look)
        ax.set(xscale="log", xticks=counts, xticklabels=counts, xlabel="processes")
        ax.set_title(title, fontsize=10)
        ax.minorticks_off()
    axes[0].set_yscale("log")
    fig.legend(frameon=False, fontsize=8, loc="outside lower center", ncols=4, handlelength=4.5)
    return fig
