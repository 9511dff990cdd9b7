"""Pictures of what keeps a representation from collapsing: a phase diagram, and codes of the nodes of a ring."""

import matplotlib.pyplot as plt

from minijepa.plots.figures import BLUE, GREY


def phase_diagram(table, label, notes=None, high=1.0):
    """A table of numbers whose cells have colours from 0 to `high`. Returns a Figure.

    table: dict row -> dict column -> number.
    label: what the colours mean.
    notes: dict row -> dict column -> a second line of text in the cell, or None.
    """
    rows, columns = list(table), list(next(iter(table.values())))
    fig, ax = plt.subplots(figsize=(1.75 * len(columns) + 3.2, 0.62 * len(rows) + 1.0), layout="constrained")
    values = [[table[row][column] for column in columns] for row in rows]
    picture = ax.imshow(values, vmin=0, vmax=high, cmap="viridis", aspect="auto")
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            text = f"{values[i][j]:.2f}" + (f"\n{notes[row][column]}" if notes else "")
            dark = values[i][j] < 0.6 * high
            ax.text(j, i, text, ha="center", va="center", fontsize=9, color="white" if dark else "black")
    ax.set_xticks(range(len(columns)), columns)
    ax.set_yticks(range(len(rows)), rows)
    ax.tick_params(length=0)
    for side in ax.spines.values():
        side.set_visible(False)
    fig.colorbar(picture, ax=ax, label=label)
    return fig


def ring_codes(codes, edges):
    """Codes of the nodes of a graph in the plane, numbered, with lines for its edges. A Figure, one panel per title.

    codes: dict title -> [nodes, 2]. edges: int64 [E, 2].
    """
    fig, axes = plt.subplots(1, len(codes), figsize=(3.1 * len(codes), 3.1), squeeze=False, layout="constrained")
    for ax, (title, z) in zip(axes[0], codes.items(), strict=True):
        z = z.detach().numpy()
        for i, j in edges.tolist():
            ax.plot(z[[i, j], 0], z[[i, j], 1], color=GREY, lw=0.8)
        ax.plot(z[:, 0], z[:, 1], "o", color=BLUE, ms=11)
        for number, (x, y) in enumerate(z):
            ax.text(x, y, str(number), ha="center", va="center", fontsize=6, color="white")
        ax.set_title(title, fontsize=10)
        ax.set(xticks=[], yticks=[])
        ax.set_aspect("equal", "datalim")
    return fig
