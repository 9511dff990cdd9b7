"""Probes: what do frozen features know? There is one probe per question, and all are called in the same way.

    probe(train, train_truth, test, test_truth)

A probe learns to read the truth from the features of some labelled images and is scored on others. `train` and `test`
are vectors [N, D] for the probes of `linear`, tokens [N, L, D] for the attentive probe, `TokenFeatures` for the dense
probes. A score means nothing alone, because an expressive probe can solve the task on its own: compare it with the
scores of raw patches and of the same encoder before training.
"""

from minijepa.probes.answers import embedded_answers, written_answers
from minijepa.probes.attentive import AttentiveProbe, attentive_probe, fit_attentive
from minijepa.probes.dense import Reading, depth_probe, mean_iou, segmentation_probe
from minijepa.probes.detection import Detections, average_precision, detection_probe
from minijepa.probes.features import TokenFeatures, features, raw_patches, raw_pixels, token_features
from minijepa.probes.few_labels import label_order, low_shot
from minijepa.probes.finetune import fine_tune
from minijepa.probes.linear import KNNDuring, knn_probe, linear_probe, paired_error, ridge_probe
from minijepa.probes.over_time import cells, over_time
from minijepa.probes.path_distances import dtw, euclid, frechet, hausdorff
from minijepa.probes.retrieval import nearest, overlap, ranks, recall_at_1

__all__ = [
    "features",
    "raw_pixels",
    "TokenFeatures",
    "token_features",
    "raw_patches",
    "knn_probe",
    "linear_probe",
    "ridge_probe",
    "paired_error",
    "KNNDuring",
    "AttentiveProbe",
    "fit_attentive",
    "attentive_probe",
    "segmentation_probe",
    "depth_probe",
    "Reading",
    "mean_iou",
    "detection_probe",
    "Detections",
    "average_precision",
    "low_shot",
    "label_order",
    "fine_tune",
    "recall_at_1",
    "euclid",
    "dtw",
    "frechet",
    "hausdorff",
    "ranks",
    "nearest",
    "overlap",
    "over_time",
    "cells",
    "embedded_answers",
    "written_answers",
]
