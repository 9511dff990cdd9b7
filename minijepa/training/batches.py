"""Which images make up the batch of a step: a function of seed and step alone, so that a resumed run meets the same."""

from contextlib import contextmanager

import torch


class BatchOrder:
    """Which images make up the batch of a step: shuffled epochs without replacement, a function of seed and step.

    images: how many there are; `batch` picks [batch_size] of their indices.
    """

    def __init__(self, images, batch_size, seed):
        self.images, self.batch_size, self.seed = images, batch_size, seed
        self.batches = images // batch_size  # per epoch; the rest of an epoch is left out
        self.epoch, self.order = None, None

    def batch(self, step):
        """Image indices of a step, int64 [batch_size]."""
        epoch, place = divmod(step, self.batches)
        if epoch != self.epoch:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + 500_000_000 + epoch)
            self.epoch, self.order = epoch, torch.randperm(self.images, generator=generator)
        return self.order[place * self.batch_size : (place + 1) * self.batch_size]

    def requests(self, steps, accumulate, team):
        """What one process of a team will ask for in these steps: (step, image indices [B / accumulate / size])."""
        ahead = BatchOrder(self.images, self.batch_size, self.seed)  # its own, as it may be an epoch ahead
        for step in steps:
            for piece in range(accumulate):
                yield step, ahead.batch(step)[team.part(self.batch_size, piece, accumulate)]


@contextmanager
def reading_ahead(data, requests):
    """Meanwhile images on the disk (LoaderData) are read in the order of `requests`; data in memory need nothing.

    Afterwards, also after an error, `batch` gives whole images again, as the probes want them.
    """
    if not hasattr(data, "read_ahead"):
        yield
        return
    data.read_ahead(requests)
    try:
        yield
    finally:
        data.done()
