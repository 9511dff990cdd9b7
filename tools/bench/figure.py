"""The figure of tools/bench/run.py, drawn from its JSON alone."""

import matplotlib

matplotlib.use("Agg")  # a file is written; no window is needed

from minijepa import plots  # noqa: E402

COLOURS = {"textbook": plots.GREY, "torch_world": plots.ORANGE, "ours": plots.BLUE, "compiled": plots.GREEN}
PARTS = ("teacher", "context", "predictor", "backward", "optimiser", "EMA", "data", "masks")
LOOKS = (
    (plots.BLUE, ""), (plots.SKY, "//"), (plots.GREEN, ""), (plots.GREY, ".."), (plots.ORANGE, ""), (plots.RED, "xx"),
    (plots.YELLOW, ""), (plots.PINK, "\\\\"), ("white", ""),
)  # fmt: skip


def draw(result, path):
    """Draw four panels: images/s over the batch, fraction of the peak, parts of `fit`, processes. result: of run.py."""
    fig, axes = plots.plt.subplots(2, 2, figsize=(11, 7.5), layout="constrained")
    rates(axes[0, 0], result["steps"])
    shares(axes[0, 1], result["steps"] + result["models"])
    parts(axes[1, 0], result["fit"])
    processes(axes[1, 1], result["processes"])
    fig.suptitle(f"{result['threads']} threads · torch {result['versions']['torch']} · {result['date']}", fontsize=10)
    fig.savefig(path, dpi=110)
    plots.plt.close(fig)


def rates(ax, rows):
    """Images per second against the batch size, one line per loop and precision."""
    arms = {}
    for row in rows:
        if row["name"].isdigit():
            arms.setdefault(row["arm"], []).append((int(row["name"]), row["images_per_s"]))
    for arm, points in arms.items():
        loop, precision = arm.split("-")
        above = (
            {"zorder": 3, "ms": 4} if loop in ("textbook", "torch_world") else {}
        )  # their one point may lie on another
        style = ("--", "s") if precision == "bfloat16" else ("-", "o")
        ax.plot(
            *zip(*points, strict=True),
            style[0],
            marker=style[1],
            color=COLOURS[loop],
            label=f"{loop}, {precision}",
            **above,
        )
    ticks = sorted({batch for points in arms.values() for batch, _ in points})
    ax.set(xscale="log", xlabel="images per step", ylabel="images per second", title="one step, width 192, 6 blocks")
    ax.set_xticks(ticks, ticks)
    ax.minorticks_off()
    ax.set_ylim(bottom=0)
    ax.legend(frameon=False, fontsize=8)


def shares(ax, rows):
    """The fraction of the matrix-product peak, one bar per arm and batch."""
    rows = [row for row in rows if "share_of_peak" in row][::-1]
    for i, row in enumerate(rows):
        half = row["arm"].endswith("bfloat16")
        ax.barh(i, 100 * row["share_of_peak"], color=plots.ORANGE if half else plots.BLUE, hatch="//" if half else "")
    ax.set_yticks(range(len(rows)), [f"{row['arm'].split('-')[0]}, {row['name']}" for row in rows], fontsize=7)
    ax.axvline(50, color="black", ls=":", lw=1)
    ax.barh(0, 0, color=plots.BLUE, label="float32")
    ax.barh(0, 0, color=plots.ORANGE, hatch="//", label="bfloat16")
    ax.set(xlabel="% of the peak measured with the same precision", title="arithmetic of the model")
    ax.legend(frameon=False, fontsize=8, loc="lower right")


def parts(ax, tables):
    """The step of fit, one stacked bar per run: its parts and the rest, as percentages of the clock's time."""
    for i, table in enumerate(tables.values()):
        each, left = table["wall"], 0.0
        each = {**each, "rest": max(0.0, each["fit"] - sum(each[name] for name in PARTS))}
        for name, (colour, hatch) in zip((*PARTS, "rest"), LOOKS, strict=True):
            bar = {"color": colour, "hatch": hatch, "edgecolor": "black", "linewidth": 0.4}
            ax.barh(i, 100 * each[name] / each["fit"], left=left, label=name if i == 0 else None, **bar)
            left += 100 * each[name] / each["fit"]
    labels = [
        f"{name}\n{1e3 * table['wall']['fit']:.0f} ms; {table['wall']['overhead_all']:.1%} outside the model"
        for name, table in tables.items()
    ]
    ax.set_yticks(range(len(tables)), labels, fontsize=8)
    ax.set(xlabel="% of a step of fit", title="where the time goes", ylim=(-0.6, len(tables) + 0.6))
    ax.legend(frameon=False, fontsize=7.5, ncols=5, columnspacing=1, loc="upper center")


def processes(ax, rows):
    """Images per second of one process and of two."""
    for i, row in enumerate(rows):
        ax.bar(i, row["images_per_s"], 0.6, color=(plots.GREY, plots.BLUE, plots.ORANGE)[i % 3], edgecolor="black")
        ax.text(i, row["images_per_s"], f"{row['images_per_s']:.0f}", ha="center", va="bottom")
    ax.set_xticks(range(len(rows)), [row["arm"].replace(", ", ",\n") for row in rows])
    ax.margins(y=0.1)
    ax.set(ylabel="images per second", title="nano, 64 images per step in all")
