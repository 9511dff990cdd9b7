"""Objects in three senses, and what one sense finds of another: matrices of R@1, gates, gradients of directions."""

import numpy as np
import torch

from minijepa.plots.figures import BLUE, GREY, ORANGE, plt, to_numpy


def sense_columns(images, spectrograms, sentences, series):
    """Objects as columns: image, caption, spectrogram and loudness over time. Returns a Figure.

    images: uint8 [K, 3, H, W]. spectrograms: [K, 1, bands, frames]. sentences: K strings. series: [K, 1, T].
    """
    k = len(images)
    fig, axes = plt.subplots(3, k, figsize=(1.75 * k, 4.9), layout="constrained", height_ratios=(1.5, 1.2, 0.7))
    for i in range(k):
        words = sentences[i].split()
        axes[0, i].imshow(to_numpy(images[i]))
        axes[0, i].set_xlabel("\n".join([" ".join(words[:3]), " ".join(words[3:])]), fontsize=8)
        axes[1, i].imshow(spectrograms[i, 0].numpy(), origin="lower", aspect="auto", cmap="viridis")
        axes[2, i].plot(np.linspace(0, 1, series.shape[-1]), series[i, 0].numpy(), color=BLUE, lw=1)
        axes[2, i].set_xlabel("seconds", fontsize=8)
        for ax in axes[:, i]:
            ax.set(xticks=[], yticks=[])
    for ax, name in zip(axes[:, 0], ("image, caption", "tone (0 to 2 kHz)", "loudness"), strict=True):
        ax.set_ylabel(name, fontsize=9)
    return fig


def recall_grids(tables, directions, names):
    """R@1 of each direction as small matrices, sources in rows and targets in columns, numbers written in. A Figure.

    tables: dict title -> numbers [6], one for each direction. directions: (source, target) pairs.
    names: of the modalities.
    """
    columns = min(4, len(tables))
    rows = -(-len(tables) // columns)
    fig, axes = plt.subplots(
        rows, columns, figsize=(2.25 * columns + 0.9, 2.35 * rows), squeeze=False, layout="constrained"
    )
    for ax in axes.flat[len(tables) :]:
        ax.axis("off")
    for place, (ax, (title, values)) in enumerate(zip(axes.flat, tables.items(), strict=False)):
        grid = np.full((len(names), len(names)), np.nan)
        for (s, t), value in zip(directions, values, strict=True):
            grid[s, t] = float(value)
            ax.text(t, s, f"{float(value):.2f}", ha="center", va="center", color="black" if value > 0.4 else "white")
        ax.set_facecolor("#DDDDDD")
        picture = ax.imshow(grid, vmin=0, vmax=0.8, cmap="viridis")
        ax.set_xticks(range(len(names)), names, fontsize=8)
        ax.set_yticks(range(len(names)), names if place % columns == 0 else [], fontsize=8)
        ax.set_title(title, fontsize=9)
    fig.supxlabel("target", fontsize=9)
    fig.supylabel("source", fontsize=9)
    fig.colorbar(picture, ax=axes.ravel().tolist(), label="R@1", shrink=0.8)
    return fig


def condition_dots(table, lines, xlabel):
    """A row for each condition: a dot for each seed, and their mean as a bar. Returns a Figure.

    table: dict condition -> numbers, one for each seed. lines: dict name -> x, vertical lines named in the legend.
    """
    fig, ax = plt.subplots(figsize=(7.6, 0.36 * len(table) + 1.5), layout="constrained")
    for y, values in enumerate(table.values()):
        ax.plot([min(values), max(values)], [y, y], color=BLUE, lw=2, alpha=0.5)
        ax.plot(values, [y] * len(values), "o", color=BLUE, ms=5)
        ax.text(max(values), y - 0.18, f"  {np.mean(values):.3f}", fontsize=8, va="bottom", ha="left")
    for (name, x), style, colour in zip(lines.items(), ("--", ":", "-."), (ORANGE, "black", GREY), strict=False):
        ax.axvline(x, ls=style, color=colour, lw=1.5, label=f"{name} {x:.3f}")
    ax.set_yticks(range(len(table)), table.keys(), fontsize=9)
    ax.set(xlabel=xlabel, ylim=(len(table) - 0.4, -0.8))
    ax.margins(x=0.08)
    ax.grid(axis="x", alpha=0.25)
    fig.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return fig


def routing_maps(maps, directions, names):
    """How much each direction uses each expert, a panel for each model. Returns a Figure.

    maps: dict title -> mean gates [6, E]. directions: (source, target) pairs. names: of the modalities.
    """
    fig, axes = plt.subplots(1, len(maps), figsize=(2.1 * len(maps) + 2.4, 3.0), squeeze=False, layout="constrained")
    rows = [f"{names[s]} → {names[t]}" for s, t in directions]
    for place, (ax, (title, use)) in enumerate(zip(axes[0], maps.items(), strict=True)):
        picture = ax.imshow(torch.as_tensor(use).numpy(), vmin=0, vmax=0.8, cmap="viridis", aspect="auto")
        for (i, j), value in np.ndenumerate(torch.as_tensor(use).numpy()):
            ax.text(
                j, i, f"{value:.1f}", ha="center", va="center", fontsize=7, color="black" if value > 0.4 else "white"
            )
        ax.set_xticks(range(use.shape[1]), range(1, use.shape[1] + 1))
        ax.set_yticks(range(len(rows)), rows if place == 0 else [], fontsize=8)
        ax.set_title(title, fontsize=9)
        ax.set_xlabel("expert", fontsize=8)
    fig.colorbar(picture, ax=axes[0].tolist(), label="mean weight of the gate", shrink=0.85)
    return fig


def direction_grids(grids, directions, names):
    """A number for each pair of directions, in [-1, 1], a panel for each title. Returns a Figure.

    grids: dict title -> cosines [6, 6]. directions: (source, target) pairs. names: of the modalities; their initials
    are written.
    """
    rows = -(-len(grids) // 2)
    fig, axes = plt.subplots(rows, 2, figsize=(7.4, 3.1 * rows), squeeze=False, layout="constrained")
    labels = [f"{names[s][0]}→{names[t][0]}" for s, t in directions]
    for ax in axes.flat[len(grids) :]:
        ax.axis("off")
    for ax, (title, values) in zip(axes.flat, grids.items(), strict=False):
        values = torch.as_tensor(values).numpy()
        picture = ax.imshow(values, vmin=-1, vmax=1, cmap="PuOr")
        for (i, j), value in np.ndenumerate(values):
            number, colour = f"{value:.1f}".replace("-0.0", "0.0"), "white" if abs(value) > 0.6 else "black"
            ax.text(j, i, number, ha="center", va="center", fontsize=8, color=colour)
        ax.set_xticks(range(len(labels)), labels, fontsize=9)
        ax.set_yticks(range(len(labels)), labels, fontsize=9)
        ax.set_title(title, fontsize=10)
    fig.colorbar(picture, ax=axes.ravel().tolist(), label="cosine of the gradients", shrink=0.85)
    return fig
