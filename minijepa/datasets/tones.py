"""Tones: what an image of `single_shapes` would sound like, as a spectrogram and as a loudness over time.

    colour --> pitch      opposite colours have the same one: red and cyan, yellow and blue, green and magenta
    shape  --> timbre     which of three overtones sound
    row    --> rhythm     2, 3 or 5 pulses in the second
    size   --> length     short or long pulses
    column --> nothing

A tone is a waveform of one second; where its first pulse begins, its loudness, phases and noise are random. So a tone
says less than the image, and other things than a caption: what one sense knows of another is the question of
`minijepa.datasets.senses`.
"""

import math

import torch

from minijepa.datasets.shapes import drawing
from minijepa.datasets.signals import SignalData

RATE = 4096  # samples in the one second of a tone
BANDS, FRAMES, WINDOW = 32, 32, 256  # of a spectrogram: 32 bands of 64 Hz, 32 frames of 1/32 s; samples of a frame
LOWEST, STEP = 224.0, 64.0  # Hz: the lowest pitch, and from one pitch to the next where there are six
OVERTONES = ((1.0, 0.0, 0.0), (1.0, 0.0, 0.8), (1.0, 0.8, 0.0), (1.0, 0.8, 0.8))  # of disk, square, triangle, plus
PULSES = (2, 3, 5)  # of rows: top, middle, bottom
DUTY = (0.3, 0.6)  # of sizes: fraction of its period in which a pulse sounds
NOISE = 0.3  # standard deviation of each sample; the tone itself swings by about 1
PITCHES = 3  # opposite colours share one
LOUDNESS = 64  # values of a loudness series


def tones(factors, *, seed=0, pitches=PITCHES):
    """A tone for each image, as spectrograms. The same arguments give the same tones; fewer are the first of them.

    factors: as of `single_shapes`, int64 [N] each: shape, colour, size, row (others stay unused).
    seed: of all that is random. pitches: 3, opposite colours share a pitch, or 6, each colour has its own.
    Returns SignalData, values [N, 1, 32, 32] (bands from low to high, frames), log-power, standardised; `labels` the
    timbre, which is the shape; `factors` those given, and `loudness`, float [N, 64], the series of `loudness`.
    Raises ValueError for other pitches.
    """
    if pitches not in (3, 6):
        raise ValueError(f"opposite colours share a pitch or they do not: pitches must be 3 or 6, got {pitches}")
    n, generator, pictures, series = len(factors["shape"]), torch.Generator().manual_seed(seed), [], []
    with drawing.one_thread():
        for start in range(0, n, drawing.CHUNK):
            part = {name: factors[name][start : start + drawing.CHUNK] for name in ("shape", "colour", "size", "row")}
            # random numbers for a whole chunk, so that the first tones do not depend on how many follow
            chance = torch.rand(drawing.CHUNK, 6, generator=generator)[: len(part["shape"])]
            noise = NOISE * torch.randn(drawing.CHUNK, RATE, generator=generator)[: len(part["shape"])]
            sound = waveform(part, chance, pitches) + noise  # [chunk, RATE]
            pictures.append(spectrogram(sound))
            series.append(sound.unflatten(1, (LOUDNESS, -1)).square().mean(dim=2).sqrt())  # [chunk, 64]
    values, loud = torch.cat(pictures).unsqueeze(1), torch.cat(series)
    names = ("pure", "odd", "second", "full")
    extra = {**factors, "loudness": (loud - loud.mean()) / loud.std()}
    return SignalData((values - MEAN) / STD, factors["shape"].clone(), names, "tones", extra)


def loudness(data):
    """The loudness of tones over time, as series: SignalData of `tones` -> SignalData, values [N, 1, 64].

    The label is the rhythm: 2, 3 or 5 pulses. Pitch and timbre cannot be heard in it.
    """
    names = tuple(f"{count} pulses" for count in PULSES)
    values = data.factors["loudness"].unsqueeze(1)  # [N, 1, 64]
    return SignalData(values, data.factors["row"].clone(), names, "loudness of tones", data.factors)


# --- the pieces ---

MEAN, STD = -3.30, 1.12  # of the log-power, measured


def waveform(factors, chance, pitches):
    """Tones without noise. factors: int64 [N] each; chance: uniform random numbers [N, 6]. Returns [N, RATE]."""
    time = torch.arange(RATE) / RATE  # [RATE], in seconds
    pitch = LOWEST + STEP * (2 * (factors["colour"] % 3) if pitches == 3 else factors["colour"])  # [N], in Hz
    pitch = pitch * (1 + 0.02 * (2 * chance[:, 0] - 1))
    order = torch.arange(1, 4)  # the fundamental and two overtones
    phase = 2 * math.pi * (pitch[:, None, None] * order[:, None] * time + chance[:, 1:4, None])  # [N, 3, RATE]
    sound = (phase.sin() * torch.tensor(OVERTONES)[factors["shape"]][:, :, None]).sum(dim=1)  # [N, RATE]
    pulses = torch.tensor(PULSES)[factors["row"]]
    place = (pulses[:, None] * time + chance[:, 4, None]) % 1  # [N, RATE]: how far the period of a pulse has gone
    on = place < torch.tensor(DUTY)[factors["size"]][:, None]
    return (0.7 + 0.6 * chance[:, 5, None]) * sound * on


def spectrogram(sound):
    """Log-power in 32 bands and 32 frames. sound: [N, RATE] -> [N, 32, 32], bands from low to high."""
    power = torch.stft(
        sound, WINDOW, RATE // FRAMES, window=torch.hann_window(WINDOW), center=True, return_complex=True
    )  # [N, 129, 33]
    power = power[:, : WINDOW // 2, :FRAMES].abs().square() / WINDOW  # [N, 128, 32]: the highest bin is left out
    return (power.unflatten(1, (BANDS, -1)).mean(dim=2) + 1e-3).log()  # [N, 32, 32]
