"""The relatives of I-JEPA: each file shows the component that is replaced, and nothing else. `fit` trains them all."""

from minijepa.family.data2vec import Data2Vec
from minijepa.family.mae import PixelTeacher
from minijepa.family.two_views import TwoViews, info_nce, lejepa, no_masks, two_views

__all__ = ["PixelTeacher", "Data2Vec", "TwoViews", "info_nce", "lejepa", "no_masks", "two_views"]
