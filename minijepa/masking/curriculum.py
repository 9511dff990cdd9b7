"""A curriculum of masks: mostly easy ones at first, mostly hard ones in the end.

At step s of S the batch gets hard masks with probability

    f(s) = min(1, sqrt(s (1 - c^2) / S + c^2)),   c = .01 at the first step

which has reached .5 after a quarter of the run. Everything else of a run knows nothing of it: `fit` asks for the masks
of a step.
Source: A-JEPA (arXiv:2311.15830, section 3); the schedule is that of Platanios et al. (arXiv:1903.09848).
"""

import torch


class Curriculum:
    """Masks that go over from one sampler to another during a run; give it to `fit` in the place of a sampler.

    easy, hard: functions (batch, generator) -> Masks. steps: S, at least 1. start: c, in [0, 1].
    Exchange `easy` and `hard` for the inverse curriculum. Raises ValueError for steps or a start out of their range.
    """

    def __init__(self, easy, hard, steps, start=0.01):
        if steps < 1 or not 0 <= start <= 1:
            raise ValueError(f"steps must be at least 1 and start in [0, 1], got {steps} and {start}")
        self.easy, self.hard, self.steps, self.start = easy, hard, steps, start

    def share(self, step):
        """f(s), the probability of hard masks at step 0, 1, ...; from S on it is 1."""
        floor = self.start**2
        return min(1.0, (step * (1 - floor) / self.steps + floor) ** 0.5)

    def at(self, step):
        """The sampler of one step: a function (batch, generator) -> Masks. The generator also decides which kind."""

        def sample(batch, generator=None):
            hard = float(torch.rand((), generator=generator)) < self.share(step)
            return (self.hard if hard else self.easy)(batch, generator)

        return sample
