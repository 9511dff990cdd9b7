"""Diagrams of the method: what is connected to what, and which shape every tensor has on its way."""

from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from minijepa.plots.figures import BLUE, GREEN, GREY, ORANGE, RED, plt


def canvas(width, height, size):
    """An empty figure of `size` inches whose axes run from 0 to width and from 0 to height."""
    fig, ax = plt.subplots(figsize=size)
    ax.set(xlim=(0, width), ylim=(0, height))
    ax.axis("off")
    return fig, ax


def box(ax, left, low, w, h, text, colour, fontsize=9):
    """A rounded box with its lower left corner at (left, low), and text in its middle."""
    ax.add_patch(FancyBboxPatch((left, low), w, h, boxstyle="round,pad=0.08", fc=colour + "33", ec=colour, lw=1.8))
    ax.text(left + w / 2, low + h / 2, text, ha="center", va="center", fontsize=fontsize)


def arrow(ax, start, end, style="-", path="arc3"):
    """An arrow from one point to another; style: "-" or "--"; path: a connection style of Matplotlib's, or straight."""
    look = dict(arrowstyle="-|>", mutation_scale=12, color="#333333", ls=style, lw=1.3, connectionstyle=path)
    ax.add_patch(FancyArrowPatch(start, end, **look))


def jepa_diagram():
    """The diagram that the course follows: context encoder, predictor, target encoder, energy. Returns a Figure."""
    fig, ax = canvas(17.2, 6.6, (8.6, 3.3))
    box(ax, 0.2, 2.6, 1.8, 1.4, "image\n$x$", GREY)
    box(ax, 3.0, 4.4, 3.6, 1.6, "context encoder\n$f_\\theta$ (kept patches)", BLUE)
    box(ax, 3.0, 0.6, 3.6, 1.6, "target encoder $f_\\xi$\n(teacher, all patches)", GREEN)
    box(ax, 8.4, 4.4, 3.2, 1.6, "predictor $g_\\phi$\n(where: $m + p_j$)", ORANGE)
    box(ax, 13.6, 2.5, 3.2, 1.6, "energy\n$D(\\hat s_y, s_y)$", RED)
    arrow(ax, (2.1, 3.6), (2.9, 5.0))
    arrow(ax, (2.1, 3.0), (2.9, 1.5))
    arrow(ax, (6.7, 5.2), (8.3, 5.2))
    ax.text(7.5, 5.4, "$s_x$", ha="center", fontsize=10)
    arrow(ax, (11.7, 5.2), (13.6, 4.1))
    ax.text(12.8, 5.0, "$\\hat s_y$", fontsize=10)
    arrow(ax, (6.7, 1.4), (13.5, 2.9))
    ax.text(10.4, 1.25, "$s_y$ at the targets, no gradient", ha="center", fontsize=9)
    arrow(ax, (4.8, 4.3), (4.8, 2.3), "--")
    ax.text(4.95, 3.3, "slow copy (EMA)", va="center", fontsize=9)
    return fig


def step_shapes(images, patch, dim, context, blocks, hidden):
    """The shape of every tensor in one I-JEPA step: dict of tuples, computed from the sizes alone.

    images: the shape of a batch, [B, C, H, W]. patch: side p of a patch in pixels. dim: width D of the encoder.
    context: K_c, how many patches the context encoder sees. blocks: M target blocks, each of hidden = K_t patches.

    >>> step_shapes((4, 3, 32, 32), patch=4, dim=96, context=20, blocks=1, hidden=28)["patches"]
    (4, 64, 48)
    """
    b, c, h, w = images
    n = (h // patch) * (w // patch)
    return {
        "images": (b, c, h, w),
        "patches": (b, n, c * patch * patch),
        "context": (b, context, dim),
        "all targets": (b, n, dim),
        "prediction": (b, blocks, hidden, dim),
        "target": (b, blocks, hidden, dim),
        "energy": (b, blocks, hidden),
        "loss": (),
    }


def shapes_diagram(shapes):
    """One I-JEPA step from images to loss, with the shape of the tensor at every arrow. Returns a Figure.

    shapes: dict from `step_shapes`, names to tuples such as (B, N, D).
    """
    fig, ax = canvas(17.6, 14.4, (8.8, 7.2))
    left, middle, right, w, h = 0.2, 6.5, 12.8, 4.6, 1.1  # columns: context, what both share, targets

    def part(x, y, text, colour):
        box(ax, x, y, w, h, text, colour, 11)

    def shape(x, y, name, symbols, side="left"):
        ax.text(x, y, f"${symbols}$\n{list(shapes[name])}", ha=side, va="center", fontsize=10.5, linespacing=1.4)

    part(middle, 13.1, "images $x$", GREY)
    part(middle, 10.6, "cut into patches", GREY)
    part(left, 7.7, "context encoder $f_\\theta$\nkept patches only", BLUE)
    part(right, 7.7, "target encoder $f_\\xi$\nall patches", GREEN)
    part(left, 4.9, "predictor $g_\\phi$\neach block on its own", ORANGE)
    part(right, 4.9, "LayerNorm, then\ntake the target blocks", GREEN)
    part(middle, 2.2, "energy $D(\\hat s_y, s_y)$", RED)
    box(ax, middle, 0.1, w, 0.65, "loss: the mean", RED, 11)
    masks = f"masks\ncontext {list(shapes['context'][:2])}\ntargets {list(shapes['target'][:3])}"
    box(ax, middle + 0.4, 4.75, w - 0.8, 1.5, masks, GREY, 10.5)

    centre = middle + w / 2
    arrow(ax, (centre, 13.0), (centre, 11.8))
    shape(centre + 0.3, 12.4, "images", "x\\;[B, C, H, W]")
    for edge, column in ((middle - 0.1, left + w / 2), (middle + w + 0.1, right + w / 2)):
        side = 1 if edge > centre else -1  # +1: the targets' column
        arrow(ax, (edge, 11.15), (column, 8.9), path="angle,angleA=180,angleB=90")
        shape(column - 0.3 * side, 10.2, "patches", "[B, N, C p^2]", "right" if side > 0 else "left")
        arrow(ax, (column, 7.6), (column, 6.1))
        arrow(ax, (column, 4.8), (edge, 2.75), path="angle,angleA=90,angleB=180")
        arrow(ax, (centre + 2.05 * side, 5.5), (column - 2.45 * side, 5.5), "--")
    arrow(ax, (middle + 0.7, 6.35), (left + w + 0.1, 7.8), "--")
    shape(left + w / 2 + 0.3, 6.85, "context", "s_x\\;[B, K_c, D]")
    shape(right + w / 2 - 0.3, 6.85, "all targets", "[B, N, D]", "right")
    ax.text(right + w / 2 + 0.3, 6.85, "no gradient", va="center", fontsize=10.5, color=RED)
    shape(left + w / 2 + 0.3, 3.75, "prediction", "\\hat s_y\\;[B, M, K_t, D]")
    shape(right + w / 2 - 0.3, 3.75, "target", "s_y\\;[B, M, K_t, D]", "right")
    arrow(ax, (centre, 2.1), (centre, 0.9))
    shape(centre + 0.3, 1.5, "energy", "[B, M, K_t]")
    arrow(ax, (left + w + 0.1, 8.4), (right - 0.1, 8.4), "--")
    ax.text(centre, 8.5, "slow copy (EMA)", ha="center", va="bottom", fontsize=10.5)
    return fig
