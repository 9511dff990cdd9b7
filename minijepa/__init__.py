"""minijepa: Joint-Embedding Predictive Architectures small enough to read, train and look at on a laptop.

The names below are in the order in which the course meets them; each comes from the file that explains it.
"""

import sys

from minijepa.machine import threads

threads.in_time = threads.wait_briefly()  # before anything below loads torch
try:
    from minijepa.positions import rotate, rotation, sincos, sincos_1d, sincos_2d, sincos_3d
    from minijepa.patches import WordEmbed, gather_tokens
    from minijepa.vit import SIZES, ViT, count_parameters, pool
    from minijepa.masking import Masks, MaskSets, block_masks, random_masks
    from minijepa.masking import causal_masks, random_tubelets, random_tubes, tube_masks
    from minijepa.masking import Curriculum, span_masks
    from minijepa.predictor import Predictor
    from minijepa.ema import EMATeacher, half_life, momentum_schedule
    from minijepa.losses import cosine, l1, l2, sigreg, smooth_l1, variance_covariance, vicreg
    from minijepa.jepa import JEPA, JEPAOutput
    from minijepa.family import PixelTeacher
    from minijepa.collapse import content_share, lidar, position_std, rankme, token_std
    from minijepa.diagnosis import Diagnosis, DiagnoseDuring, diagnose, diagnose_tokens
    from minijepa.energy import candidate_energies, energy_landscape, pair_energies, path_weights, plane_weights
    from minijepa.energy import against_position, separation, surprise_maps, surprise_rank
    from minijepa.datasets import (
        ClipData,
        DataCorrupt,
        DataUnavailable,
        ImageData,
        cifar10,
        course_data,
        crop_flip,
        image_folder,
        moving_digits,
        moving_shapes,
        shape_scenes,
        shapeworld,
        shuffle_frames,
        video_folder,
    )
    from minijepa.training import History, Muon, TrainingDiverged, distributed, fit, recipe
    from minijepa.pretrained import Official, Pretrained, Shipped, WeightsCorrupt, load_official, load_pretrained
    from minijepa.probes import (
        KNNDuring,
        TokenFeatures,
        attentive_probe,
        average_precision,
        depth_probe,
        detection_probe,
        features,
        fine_tune,
        fit_attentive,
        knn_probe,
        linear_probe,
        low_shot,
        raw_patches,
        raw_pixels,
        ridge_probe,
        segmentation_probe,
        token_features,
    )

    threads.current = threads.settle()
except (ImportError, OSError):
    # where something is missing, the checker must still come to say what: `python -m minijepa.check`
    if "minijepa.check" not in sys.orig_argv:
        raise

__version__ = "0.1.0"
__all__ = [
    "rotate",
    "rotation",
    "sincos",
    "sincos_1d",
    "sincos_2d",
    "sincos_3d",
    "WordEmbed",
    "gather_tokens",
    "SIZES",
    "ViT",
    "count_parameters",
    "pool",
    "Masks",
    "MaskSets",
    "block_masks",
    "random_masks",
    "causal_masks",
    "random_tubelets",
    "random_tubes",
    "tube_masks",
    "Curriculum",
    "span_masks",
    "Predictor",
    "EMATeacher",
    "half_life",
    "momentum_schedule",
    "cosine",
    "l1",
    "l2",
    "sigreg",
    "smooth_l1",
    "variance_covariance",
    "vicreg",
    "JEPA",
    "JEPAOutput",
    "PixelTeacher",
    "content_share",
    "lidar",
    "position_std",
    "rankme",
    "token_std",
    "Diagnosis",
    "DiagnoseDuring",
    "diagnose",
    "diagnose_tokens",
    "candidate_energies",
    "energy_landscape",
    "pair_energies",
    "path_weights",
    "plane_weights",
    "against_position",
    "separation",
    "surprise_maps",
    "surprise_rank",
    "ClipData",
    "DataCorrupt",
    "DataUnavailable",
    "ImageData",
    "cifar10",
    "course_data",
    "crop_flip",
    "image_folder",
    "moving_digits",
    "moving_shapes",
    "shape_scenes",
    "shapeworld",
    "shuffle_frames",
    "video_folder",
    "History",
    "Muon",
    "TrainingDiverged",
    "distributed",
    "fit",
    "recipe",
    "Official",
    "Pretrained",
    "Shipped",
    "WeightsCorrupt",
    "load_official",
    "load_pretrained",
    "KNNDuring",
    "TokenFeatures",
    "attentive_probe",
    "average_precision",
    "depth_probe",
    "detection_probe",
    "features",
    "fine_tune",
    "fit_attentive",
    "knn_probe",
    "linear_probe",
    "low_shot",
    "raw_patches",
    "raw_pixels",
    "ridge_probe",
    "segmentation_probe",
    "token_features",
]
