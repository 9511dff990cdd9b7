"""Assignment 06: a sound probe: no leak from the test set, a fair choice of settings, a margin with its error."""

from minijepa.checks.probes.choose import choose, show_choose
from minijepa.checks.probes.group_split import group_split, show_group_split
from minijepa.checks.probes.knn_predict import knn_predict, show_knn_predict
from minijepa.checks.probes.paired_margin import paired_margin, show_paired_margin
from minijepa.checks.probes.standardise import show_standardise, standardise

__all__ = ["standardise", "group_split", "knn_predict", "choose", "paired_margin"]
__all__ += ["show_standardise", "show_group_split", "show_knn_predict", "show_choose", "show_paired_margin"]
