"""Series whose classes the two usual linear baselines cannot see, and what disturbs them: noise, spikes, drift, phase.

    event_series     A B C A B C ... or A C B A C B ...: which order? Each event is its own mirror image
    arrow_series     pieces of one long record, half of them run backwards: which ones?

In both, a series of one class run backwards is one of the other. The magnitude spectrum is the same in both directions,
so it answers at chance level; and as each series starts at a random moment, so does a linear map of the raw values.

The record comes with the package aeon: number 135 of the UCR anomaly archive (arXiv:2009.13807), InternalBleeding16,
heartbeats of a patient, says aeon. Where aeon is missing, a procedural pulse takes its place.
"""

import math

import torch

from minijepa.datasets.images import DataUnavailable
from minijepa.datasets.signals import SignalData

LENGTH = 144  # values of a series
SLOT = 12  # values from one event to the next
ORDERS = torch.tensor([[0, 1, 2], [0, 2, 1]])  # which event follows which; the second is the first run backwards
RECORD = 7_501  # values of the record


def event_series(n, seed=0, *, noise=0.1, slots=(SLOT,)):
    """Three kinds of events, over and over, in one of two orders, under confounders: a SignalData.

    Every series starts at a random point of its cycle and has a drift of its own, a spike at a random time, events of
    various heights a little off their times, and noise. It is standardised at the end, as the UCR archive does.

    n: series, at least 1.
    noise: standard deviation of what is added to each value; the events are about 1 high.
    slots: numbers of values from one event to the next, of which each series gets one.
    Returns values [N, 1, 144], labels 0 (A B C) and 1 (A C B), and factors: slot, offset (time of the first event),
    slope, spike_at, spike, and clean [N, 1, 144], the events alone.
    Raises ValueError for less than one series or negative noise.
    """
    check(n, noise)
    generator = torch.Generator().manual_seed(seed)
    label, start = (torch.randint(k, (n,), generator=generator) for k in (2, 3))
    slot = torch.tensor(slots)[torch.randint(len(slots), (n,), generator=generator)]
    offset = torch.rand(n, generator=generator) * slot
    events = torch.arange(LENGTH // min(slots) + 3)  # [J], the first one before the series begins
    kind = ORDERS[label].gather(1, (start[:, None] + events) % 3)  # [N, J]
    late = torch.rand(kind.shape, generator=generator) - 0.5
    at = offset[:, None] + (events - 1) * slot[:, None] + late  # [N, J]
    height = 0.8 + 0.4 * torch.rand(kind.shape, generator=generator)
    time = torch.arange(LENGTH)
    clean = torch.zeros(n, LENGTH)
    for k in range(len(events)):  # one event of all series at a time
        clean += height[:, k, None] * event_shapes((time - at[:, k, None]) / (SLOT / 2), kind[:, k, None])
    slope = 2 * torch.rand(n, generator=generator) - 1
    spike_at = torch.randint(LENGTH, (n,), generator=generator)
    spike = (3 + torch.rand(n, generator=generator)) * (1 - 2 * torch.randint(2, (n,), generator=generator))
    x = clean + slope[:, None] * torch.linspace(-1, 1, LENGTH)
    x = x + spike[:, None] * (time == spike_at[:, None])
    x = x + noise * torch.randn(n, LENGTH, generator=generator)
    factors = {"slot": slot, "offset": offset, "slope": slope, "spike_at": spike_at, "spike": spike}
    factors["clean"] = clean[:, None]
    return SignalData(standardise(x)[:, None], label, ("A B C", "A C B"), "event series", factors)


def arrow_series(record, n, seed=0, *, noise=0.3, stride=2):
    """Pieces of a long record that start at random moments, half of them run backwards: a SignalData.

    record: float [R], R > 144 stride. noise: standard deviation of what is added to the standardised piece.
    stride: every so many values one is taken.
    Returns values [N, 1, 144], labels 0 (forwards) and 1 (backwards), and factors: begin, the first index of the piece,
    and clean [N, 1, 144], the piece without noise.
    Raises ValueError for less than one series, negative noise or a record that is too short.
    """
    check(n, noise)
    free = len(record) - LENGTH * stride
    if free < 1:
        raise ValueError(f"the record has {len(record)} values, a piece takes {LENGTH * stride}: give a longer record")
    generator = torch.Generator().manual_seed(seed)
    begin = torch.randint(free, (n,), generator=generator)
    label = torch.randint(2, (n,), generator=generator)
    pieces = record[begin[:, None] + torch.arange(LENGTH) * stride].float()  # [N, 144]
    clean = standardise(torch.where(label[:, None] == 1, pieces.flip(1), pieces))
    x = standardise(clean + noise * torch.randn(n, LENGTH, generator=generator))
    factors = {"begin": begin, "clean": clean[:, None]}
    return SignalData(x[:, None], label, ("forwards", "backwards"), "pieces of a record", factors)


def course_record():
    """The course's long record: heartbeats where aeon is installed, else a procedural pulse.

    Prints one line, "data in use: ...", which says which of the two it is and, if it is the second, the remedy.
    Returns two float tensors, the first 3,900 values, to train on, and the last 3,601, held out.
    """
    try:
        record = heart_record()
        print(f"data in use: a heart record from aeon ({len(record):,} values)")
    except DataUnavailable as missing:
        record = pulse(RECORD)
        print(f"data in use: a procedural pulse ({len(record):,} values), because {missing}")
    return record[:3_900], record[3_900:]


def heart_record():
    """A record of heartbeats, float32 [7501], about 40 of them, in the units of the archive.

    Raises DataUnavailable if aeon, whose wheel holds the record, is not installed or no longer holds it.
    """
    try:
        from aeon.datasets import load_kdd_tsad_135  # two seconds, as it brings numba: not at import time
    except ImportError as error:
        raise DataUnavailable(
            f"the package aeon, which holds the heart record, cannot be imported ({error}): "
            "install it with `python -m pip install aeon`"
        ) from error
    try:
        values, _ = load_kdd_tsad_135(split="test")  # despite its name the whole record
    except (OSError, ValueError) as error:
        raise DataUnavailable(f"this release of aeon does not hold the record ({error}): install aeon 1.6") from error
    return torch.as_tensor(values, dtype=torch.float32).flatten()


def pulse(length, seed=0):
    """A procedural record, float32 [length]: beats that rise faster than they fall, of changing height and rate.

    length: number of values, at least 1.
    """
    check(length, 0.0)
    generator = torch.Generator().manual_seed(seed)
    period = 176 + 10 * torch.rand(length // 150 + 2, generator=generator)  # [J] values from one beat to the next
    begin = period.cumsum(0) - period[0] - 90  # [J]
    time = torch.arange(length)
    beat = torch.searchsorted(begin, time.float(), right=True) - 1  # [length]
    since = (time - begin[beat]) / period[beat] / 0.35  # 0 when the beat begins, 1 at its peak
    height = 1 + 0.15 * torch.sin(2 * math.pi * time / 1_100)
    return (58 + 40 * height * (since * (1 - since).exp()) ** 10).float()


# --- the pieces ---


def event_shapes(u, kind):
    """The value at u, in half slots from its middle, of an event: a bump, a dip, a wave; all even in u.

    u: float [...]; kind: int64, 0, 1 or 2, of a shape that broadcasts with it.
    """
    bump = torch.exp(-u.square() / 0.18)
    wave = 1.3 * (1 - u.square() / 0.06) * torch.exp(-u.square() / 0.12)
    return torch.where(kind == 0, bump, torch.where(kind == 1, -bump, wave))


def standardise(x):
    """Each series with mean 0 and standard deviation 1: [N, T] -> [N, T]."""
    return (x - x.mean(dim=1, keepdim=True)) / x.std(dim=1, keepdim=True)


def check(n, noise):
    """Raises ValueError for less than one series or noise with a negative standard deviation."""
    if n < 1 or noise < 0:
        raise ValueError(f"n is {n} and noise {noise}; expected n of at least 1 and noise of at least 0")
