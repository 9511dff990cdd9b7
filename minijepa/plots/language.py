"""Pictures with questions, scores over seeds, distances between sentences, and when a stream is put into words."""

import numpy as np

from minijepa.plots.figures import BLUE, GREY, LINES, MARKERS, ORANGE, PALETTE, RED, plt, to_numpy


def question_gallery(images, titles, columns=4):
    """Pictures with a few lines of text above each.

    images: uint8 [N, 3, H, W]. titles: N strings. columns: pictures per row.
    """
    rows = -(-len(images) // columns)
    fig, axes = plt.subplots(rows, columns, figsize=(2.45 * columns, 1.75 * rows), squeeze=False, layout="constrained")
    for ax in axes.flat:
        ax.axis("off")
    for ax, image, title in zip(axes.flat, images, titles, strict=False):
        ax.imshow(to_numpy(image))
        ax.set_title(title, fontsize=9)
    return fig


def score_ranges(lines, xlabel, ylabel="accuracy", chance=None):
    """Scores of several seeds over a few settings: a line through the means, every seed a marker.

    lines: dict name -> dict setting -> scores of the seeds. Settings stand at equal distances. chance: of guessing.
    """
    fig, ax = plt.subplots(figsize=(6.6, 3.6), layout="constrained")
    settings = list(dict.fromkeys(setting for line in lines.values() for setting in line))
    for i, (name, line) in enumerate(lines.items()):
        at = [settings.index(setting) + 0.06 * (i - (len(lines) - 1) / 2) for setting in line]
        colour = PALETTE[(4 + i) % 8]
        ax.plot(at, [np.mean(scores) for scores in line.values()], color=colour, ls=LINES[i], lw=1.5)
        for x, scores in zip(at, line.values(), strict=True):
            ax.plot([x] * len(scores), scores, MARKERS[i], color=colour, ms=6, mec="white", mew=0.6)
        ax.plot([], [], color=colour, ls=LINES[i], marker=MARKERS[i], label=name)
    if chance is not None:
        ax.axhline(chance, color=GREY, ls=":", lw=1.2, label="chance")
    ax.set_xticks(range(len(settings)), settings)
    ax.set(xlabel=xlabel, ylabel=ylabel, ylim=(0, 1.05))
    ax.grid(alpha=0.25)
    fig.legend(loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    return fig


def sentence_distances(maps, names):
    """Distances between all pairs of sentences, each map on a colour scale of its own, dark is near.

    maps: dict title -> distances [S, S], sentences of one meaning next to each other. names: of the meanings, which
    divide S.
    """
    fig, axes = plt.subplots(1, len(maps), figsize=(3.3 * len(maps) + 0.5, 3.6), squeeze=False, layout="constrained")
    for ax, (title, values) in zip(axes[0], maps.items(), strict=True):
        picture = ax.imshow(values.cpu().numpy(), cmap="viridis", vmin=0)
        size = len(values) // len(names)
        middle = [size * i + (size - 1) / 2 for i in range(len(names))]
        ax.set_xticks([])
        ax.set_yticks(middle, names if ax is axes[0, 0] else [""] * len(names), fontsize=8)
        ax.tick_params(length=0)
        for edge in range(size, len(values), size):
            ax.axhline(edge - 0.5, color="white", lw=0.4)
            ax.axvline(edge - 0.5, color="white", lw=0.4)
        ax.set_title(title, fontsize=9)
        fig.colorbar(picture, ax=ax, shrink=0.75)
    return fig


def stream_timeline(images, moved, delta, decode, truth, heard):
    """One stream: some of its pictures, how far the prediction is from the last decoded one, and what is said.

    images: uint8 [T, 3, H, W]. moved: [T] distances; delta: the threshold. decode: bool [T].
    truth, heard: T strings each, the right answer and the one that a listener has.
    """
    fig = plt.figure(figsize=(9, 3.9), layout="constrained")
    top, bottom = fig.subfigures(2, 1, height_ratios=[1, 3.2])
    shown = np.linspace(0, len(images) - 1, 8).round().astype(int)
    for ax, t in zip(top.subplots(1, len(shown)), shown, strict=True):
        ax.imshow(to_numpy(images[t]))
        ax.set_title(f"frame {t}", fontsize=8)
        ax.axis("off")
    ax = bottom.subplots()
    time = np.arange(len(images))
    ax.plot(time, moved, color=BLUE, lw=1.5, label="distance to the last decoded prediction")
    ax.axhline(delta, color=GREY, ls="--", lw=1, label="δ")
    at = time[decode.numpy()]
    ax.plot(at, np.asarray(moved)[at], "v", color=ORANGE, ms=9, mec="black", label="decoded here")
    changes = [t for t in range(1, len(truth)) if truth[t] != truth[t - 1]]
    for i, t in enumerate(changes):
        ax.axvline(t, color=RED, ls=":", lw=1.4, label="the right answer changes" if i == 0 else None)
    high = max(float(np.max(moved)), delta) * 1.35
    for t in at:
        ax.text(t + 0.4, high * 0.9, heard[t], fontsize=8, rotation=0)
    ax.set(xlabel="frame", ylabel="distance", xlim=(-1, len(images)), ylim=(-0.03, high))
    bottom.legend(loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    return fig
