"""The pictures of the course: each function returns a figure, `show` puts it below a cell with words for it.

`figures` draws curves, masks, tokens; `diagrams` the method with its shapes; `energy` landscapes and surprise; `film`
clips that play; `recorded` draws the tables that took longer than a notebook may, and `widgets` holds the explorers.
"""

from minijepa.plots import recorded
from minijepa.plots.diagrams import jepa_diagram, shapes_diagram, step_shapes
from minijepa.plots.energy import energy_histograms, energy_planes, surprise_gallery
from minijepa.plots.figures import (
    BLUE,
    GREEN,
    GREY,
    LINES,
    MARKERS,
    ORANGE,
    PALETTE,
    PINK,
    RED,
    SKY,
    YELLOW,
    LiveCurve,
    curves,
    described,
    heatmaps,
    image_grid,
    mask_gallery,
    neighbours,
    patch_mask,
    patch_pca,
    plt,
    png,
    principal_colours,
    probe_bars,
    show,
    to_numpy,
)
from minijepa.plots.film import film

__all__ = [
    "plt",
    "show",
    "described",
    "png",
    "BLUE",
    "SKY",
    "ORANGE",
    "RED",
    "GREEN",
    "PINK",
    "YELLOW",
    "GREY",
    "PALETTE",
    "LINES",
    "MARKERS",
    "curves",
    "LiveCurve",
    "probe_bars",
    "heatmaps",
    "image_grid",
    "patch_mask",
    "mask_gallery",
    "patch_pca",
    "principal_colours",
    "neighbours",
    "to_numpy",
    "jepa_diagram",
    "step_shapes",
    "shapes_diagram",
    "energy_histograms",
    "energy_planes",
    "surprise_gallery",
    "film",
    "recorded",
]
