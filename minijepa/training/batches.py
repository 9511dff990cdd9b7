"""What a step trains on: a function of seed and step alone, so that a resumed run meets the same batches again."""

from contextlib import contextmanager

import torch


class BatchOrder:
    """Which examples make up the batch of a step: shuffled epochs without replacement, a function of seed and step.

    examples: how many there are; `batch` picks [batch_size] of their indices.
    """

    def __init__(self, examples, batch_size, seed):
        self.examples, self.batch_size, self.seed = examples, batch_size, seed
        self.batches = examples // batch_size  # per epoch; the rest of an epoch is left out
        self.epoch, self.order = None, None

    def batch(self, step):
        """Indices of the examples of a step, int64 [batch_size]."""
        epoch, place = divmod(step, self.batches)
        if epoch != self.epoch:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + 500_000_000 + epoch)
            self.epoch, self.order = epoch, torch.randperm(self.examples, generator=generator)
        return self.order[place * self.batch_size : (place + 1) * self.batch_size]


class Batches:
    """The microbatches of each step, ready for the model.

    data, masks, augment, batch_size, accumulate, seed: as in `fit`. team: the processes, which share each batch;
    device: where the tensors go. Every process and every microbatch draws the random numbers of the whole batch and
    takes its own rows of them, so a batch in parts is the same batch.
    """

    def __init__(self, data, masks, augment, batch_size, accumulate, seed, team, device):
        self.data, self.masks, self.augment = data, masks, augment
        self.batch_size, self.accumulate, self.seed = batch_size, accumulate, seed
        self.team, self.device = team, device
        self.in_parts = accumulate * team.size > 1
        self.order = BatchOrder(len(data), batch_size, seed)

    def rows(self):
        """The rows of the batch that this process takes, a slice for each microbatch."""
        return [self.team.rows(self.batch_size, part, self.accumulate) for part in range(self.accumulate)]

    def sampler(self, step):
        """What draws the masks of a step: `masks` itself, or what a curriculum has for this step."""
        return self.masks.at(step) if hasattr(self.masks, "at") else self.masks

    def microbatches(self, step):
        """Yields (the model's arguments, whether it is the step's last): `accumulate` microbatches."""
        index, drawn, rows = self.order.batch(step), None, self.rows()  # index: [batch_size]
        for mine in rows:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
            batch = self.data.batch(index[mine], self.device)  # B = batch_size / accumulate / processes
            if self.augment is not None:
                whole = {"rows_of": (mine.start, self.batch_size)} if self.in_parts else {}
                batch = self.augment(batch, generator, **whole)
            last = mine is rows[-1]
            if self.masks is None:
                yield (batch,), last
                continue
            drawn = self.sampler(step)(self.batch_size, generator) if drawn is None else drawn
            yield (batch, (drawn.rows(mine) if self.in_parts else drawn).to(self.device)), last

    def requests(self, steps):
        """What this process will ask the data for in these steps: (step, indices [B])."""
        ahead = BatchOrder(len(self.data), self.batch_size, self.seed)  # its own, as it may be an epoch ahead
        for step in steps:
            for mine in self.rows():
                yield step, ahead.batch(step)[mine]


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
