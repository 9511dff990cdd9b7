"""Assignment 05: measures that detect each kind of collapse, and VICReg's terms that prevent it."""

from minijepa.checks.collapse.content_share import content_share, show_content_share
from minijepa.checks.collapse.covariance_term import covariance_term, show_covariance_term
from minijepa.checks.collapse.position_std import position_std, show_position_std
from minijepa.checks.collapse.rankme import rankme, show_rankme
from minijepa.checks.collapse.variance_term import show_variance_term, variance_term

__all__ = ["position_std", "content_share", "rankme", "variance_term", "covariance_term"]
__all__ += ["show_position_std", "show_content_share", "show_rankme", "show_variance_term", "show_covariance_term"]
