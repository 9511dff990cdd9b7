"""The figures of the course: each function returns a figure, and `show` puts it below a cell with its description.

`figures` draws curves, masks and tokens, `panels` curves next to each other, `worlds` the fork, `tokens` and `masks`
what a patch sees, `attention` who may see whom, `diagrams` a step with its shapes, `collapse` tables of alarms,
`probes` what probes read, `factors` which factors survive, `generation` what a model draws, `similarity` which patches
are alike, `regularisers` phase diagrams, `energy` landscapes and surprise, `film` clips that play and `tubes` their
masks, `planning` and `hierarchy` plans in a room, `paths` trips through a city, `sounds` what is heard, `language`
questions and what is said of them, `senses` what one modality finds of another, `scale` costs and `all_reduce` the
messages between processes. `recorded` draws the results of runs that are too long for a notebook, `widgets` holds the
explorers.
"""

from minijepa.plots import recorded
from minijepa.plots.all_reduce import ring_all_reduce, ring_steps, sent_by_each
from minijepa.plots.attention import attention_mask
from minijepa.plots.collapse import alarm_table, measures_of_runs
from minijepa.plots.diagrams import jepa_diagram, shapes_diagram, step_shapes
from minijepa.plots.energy import energy_histograms, energy_planes, surprise_gallery
from minijepa.plots.factors import factor_matrix, retrieval_matrix
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
from minijepa.plots.film import film, heat
from minijepa.plots.generation import from_patches, picture_rows
from minijepa.plots.grid_rooms import grid_maps, seed_bars
from minijepa.plots.hierarchy import condition_bars, waypoint_maps
from minijepa.plots.language import (
    question_gallery,
    score_ranges,
    sentence_distances,
    stream_timeline,
)
from minijepa.plots.masks import heat_table, mask_maps
from minijepa.plots.panels import curve_panels
from minijepa.plots.paths import city_map, rank_curves
from minijepa.plots.planning import (
    action_energies,
    agent_diagram,
    as_picture,
    draw_room,
    plan_clouds,
    room_paths,
    room_strips,
    success_bars,
    success_curves,
)
from minijepa.plots.probes import draw_boxes, map_rows, paired_scores
from minijepa.plots.regularisers import phase_diagram, ring_codes
from minijepa.plots.scale import against_processes, kept_by_two, roofline, stacked_fractions, time_and_operations
from minijepa.plots.senses import condition_dots, direction_grids, recall_grids, routing_maps, sense_columns
from minijepa.plots.series import series_panels
from minijepa.plots.similarity import seed_points, self_similarity
from minijepa.plots.sounds import listen, source_and_filter, spectrograms
from minijepa.plots.tokens import number_table, patch_maps
from minijepa.plots.tubes import frame_tubelet, keep_tubelets, over_pixels, tube_gallery
from minijepa.plots.worlds import fork_landscapes

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
    "mask_maps",
    "heat_table",
    "number_table",
    "patch_maps",
    "fork_landscapes",
    "heat",
    "tube_gallery",
    "keep_tubelets",
    "spectrograms",
    "source_and_filter",
    "listen",
    "frame_tubelet",
    "over_pixels",
    "time_and_operations",
    "stacked_fractions",
    "roofline",
    "kept_by_two",
    "against_processes",
    "ring_all_reduce",
    "ring_steps",
    "sent_by_each",
    "recorded",
    "curve_panels",
    "factor_matrix",
    "retrieval_matrix",
    "alarm_table",
    "measures_of_runs",
    "map_rows",
    "draw_boxes",
    "paired_scores",
    "self_similarity",
    "seed_points",
    "phase_diagram",
    "ring_codes",
    "from_patches",
    "picture_rows",
    "city_map",
    "rank_curves",
    "agent_diagram",
    "as_picture",
    "room_strips",
    "draw_room",
    "room_paths",
    "plan_clouds",
    "action_energies",
    "success_curves",
    "success_bars",
    "attention_mask",
    "waypoint_maps",
    "condition_bars",
    "grid_maps",
    "seed_bars",
    "sense_columns",
    "recall_grids",
    "condition_dots",
    "routing_maps",
    "direction_grids",
    "series_panels",
    "question_gallery",
    "score_ranges",
    "sentence_distances",
    "stream_timeline",
]
