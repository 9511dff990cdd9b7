"""Assignment 09: what must stay the same when a batch is split into microbatches or over several workers."""

from minijepa.checks.scale.accumulate import accumulate, show_accumulate
from minijepa.checks.scale.all_reduce import all_reduce, play, show_all_reduce
from minijepa.checks.scale.learning_rate import learning_rate, show_learning_rate
from minijepa.checks.scale.scaled_momentum import scaled_momentum, show_scaled_momentum
from minijepa.checks.scale.shard import shard, show_shard

__all__ = ["accumulate", "all_reduce", "shard", "learning_rate", "scaled_momentum", "play"]
__all__ += ["show_accumulate", "show_all_reduce", "show_shard", "show_learning_rate", "show_scaled_momentum"]
