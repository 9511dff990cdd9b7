"""Words spoken by a machine: a source (the voice) through a filter (throat and mouth), every factor a label.

    source  a pulse each time the vocal folds close: pitch         --> who speaks
    filter  resonances of the throat and mouth, the formants       --> which word, and how long the speaker's throat is

A vowel is a place in the plane of the first two formants, a word a path from one vowel to another: "ai" and "ia" have
the same sounds in another order. A longer throat lowers all formants together; pitch is independent of it.
Loudness, breath, length and the time at which a word begins are what a listener ignores.
Source: Fant 1960, "Acoustic theory of speech production"; formants as in Peterson and Barney 1952, table II (men).
"""

import math

import torch

from minijepa.datasets.mel import HOP, RATE, WINDOW, frames, overlap_add
from minijepa.datasets.shapes.drawing import check_argument, check_request, pick
from minijepa.datasets.signals import SignalData

SAMPLES = 8_192  # of a sound: 1.024 s
LEVEL = 0.1  # root mean square of a sound of middle loudness
VOWELS = {  # the first three formants in hertz
    "a": (730.0, 1090.0, 2440.0),
    "e": (530.0, 1840.0, 2480.0),
    "i": (270.0, 2290.0, 3010.0),
    "o": (570.0, 840.0, 2410.0),
    "u": (300.0, 870.0, 2240.0),
}
WORDS = ("ai", "ia", "au", "ua", "iu", "ui", "eo", "oe", "eu", "ue")
BANDWIDTH = torch.tensor([80.0, 100.0, 140.0])  # of the three formants in hertz
PITCH, THROAT = (90.0, 240.0), (0.85, 1.2)  # of a speaker: hertz, and length as a multiple of the vowel table's
LENGTH = (0.3, 0.6)  # of a word in seconds
CHUNK = 250  # words at a time


def synthetic_words(n, *, seed=0, speakers=6):
    """Speak n words of ten, 1.024 s of 8 kHz each, with all factors drawn independently.

    The same arguments give the same sounds on each run; a smaller n gives the first of them.
    n: number of words, at least 1. seed: what all random choices follow from, the speakers too, 0 to 2^31 - 1.
    speakers: how many there are, 2 to 1,000; each has one pitch and one throat.
    Returns SignalData, values float32 [n, 1, 8192] that begin at sample 0, `labels` the word, an index into WORDS.
    `factors`, all [n]: int64 speaker, length (in samples) and start (0: see `at_random_times`); float32 pitch in hertz,
    throat (1: as in the table of vowels) and loudness in decibels.
    Raises ValueError for an argument out of its range.
    """
    check_request(n, seed)
    check_argument("speakers", speakers, isinstance(speakers, int) and 2 <= speakers <= 1_000, "2 to 1,000 speakers")
    generator = torch.Generator().manual_seed(seed)
    voices = torch.rand(1_000, 2, generator=generator)[:speakers]
    values, parts = torch.empty(n, 1, SAMPLES), []
    for rows in values.split(CHUNK):
        # whole chunks are drawn and then cut, so that the first sounds do not depend on how many follow
        word = draw(CHUNK, voices, generator)
        breath = torch.randn(CHUNK, SAMPLES, generator=generator)
        rows[:, 0] = speak(word, breath)[: len(rows)]
        parts.append({name: factor[: len(rows)] for name, factor in word.items()})
    factors = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    labels = factors.pop("word")
    del factors["jitter"]
    return SignalData(values, labels, WORDS, "synthetic words", factors)


def say(word, *, pitch=120.0, throat=1.0, seconds=0.5):
    """One word without any chance in it, to look at and to hear: a wave, float32 [8192], that begins at sample 0.

    word: one of WORDS. pitch: in hertz. throat: length as a multiple of the vowel table's. seconds: up to 1.
    Raises ValueError for another word.
    """
    check_argument("word", word, word in WORDS, f"one of {', '.join(WORDS)}")
    factors = {"pitch": pitch, "throat": throat, "loudness": 0.0}
    factors = {name: torch.tensor([value]) for name, value in factors.items()}
    factors |= {"word": torch.tensor([WORDS.index(word)]), "length": torch.tensor([int(seconds * RATE)])}
    return speak({**factors, "jitter": torch.ones(1, 2, 3)}, torch.zeros(1, SAMPLES))[0]


def with_noise(data, decibels, *, seed=0):
    """The same sounds in white noise: SignalData [N, 1, S].

    decibels: how much stronger than the noise a sound of middle loudness is (its signal-to-noise ratio); at 0 both have
    the same power, at -5 the noise has three times as much. seed: of the noise.
    """
    noise = torch.randn(data.values.shape, generator=torch.Generator().manual_seed(seed))
    values = data.values + LEVEL * 10 ** (-decibels / 20) * noise
    return SignalData(values, data.labels, data.classes, f"{data.name} at {decibels:g} dB", data.factors)


def at_random_times(data, *, seed=0):
    """The same sounds, each moved to a random time at which it still fits: SignalData [N, 1, S] with factor `start`.

    data: SignalData of sounds with factors length and start, which begin at sample 0. seed: of the times.
    Raises ValueError if the sounds have been moved before.
    """
    if data.factors["start"].any():
        raise ValueError("these sounds do not begin at sample 0: move the sounds as they were loaded")
    room = data.values.shape[-1] - data.factors["length"]  # [N]
    u = torch.rand(len(data), generator=torch.Generator().manual_seed(seed))
    start = (u * (room + 1)).long().clamp(max=room)
    source = (torch.arange(data.values.shape[-1]) - start[:, None]) % data.values.shape[-1]  # [N, S]
    values = data.values.gather(2, source.unsqueeze(1))
    return SignalData(values, data.labels, data.classes, data.name, {**data.factors, "start": start})


# --- the pieces ---


def draw(n, voices, generator):
    """Random factors of n words, all [n] but jitter [n, 2, 3]. voices: [K, 2], uniform numbers of each speaker."""
    u = torch.rand(n, 5, generator=generator)
    speaker = pick(u[:, 1], len(voices))
    low, high = PITCH
    pitch = low * (high / low) ** voices[speaker, 0] * (1 + 0.1 * (u[:, 4] - 0.5))
    return {
        "word": pick(u[:, 0], len(WORDS)), "speaker": speaker, "pitch": pitch,
        "throat": THROAT[0] + (THROAT[1] - THROAT[0]) * voices[speaker, 1],
        "length": ((LENGTH[0] + (LENGTH[1] - LENGTH[0]) * u[:, 2]) * RATE).long(),
        "loudness": 12 * (u[:, 3] - 0.5), "start": torch.zeros(n, dtype=torch.int64),
        "jitter": 1 + 0.12 * (torch.rand(n, 2, 3, generator=generator) - 0.5),
    }  # fmt: skip


def speak(word, breath):
    """Factors of n words and noise [n, S] to waves [n, S]: the source, frame by frame through the filter."""
    time = torch.arange(breath.shape[1]) / RATE  # [S]
    seconds = word["length"][:, None] / RATE  # [n, 1]
    pitch = word["pitch"][:, None] * (1.1 - 0.2 * time / seconds)  # [n, S]: it falls by a fifth
    fade = (torch.minimum(time, seconds - time) / 0.03).clamp(0, 1)  # [n, S]
    source = (pulses(pitch) + 0.02 * breath * pitch.mean(dim=1, keepdim=True).sqrt()) * fade
    middle = (torch.arange(breath.shape[1] // HOP) + 1) * (HOP / RATE)  # [T]: the middle of each frame
    gain = formant_filter(formants(word, middle / seconds))  # [n, T, 129]
    waves = overlap_add(torch.fft.irfft(torch.fft.rfft(frames(source)) * gain, n=WINDOW))
    power = (waves.square().sum(dim=1) / word["length"]).sqrt()  # [n]
    loudness = LEVEL * 10 ** (word["loudness"] / 20)
    return waves * (loudness / power)[:, None] + 0.001 * breath.flip(1)


def pulses(pitch):
    """A train of pulses, as many per second as pitch [n, S] says: the sum of its harmonics below 4 kHz, [n, S].

    sum_k cos(k a), k = 1..K, is sin((K + 1/2) a) / (2 sin(a / 2)) - 1/2.
    """
    angle = (pitch.double().cumsum(dim=1) / RATE % 1) * (2 * math.pi)  # [n, S]
    most = (RATE / 2 / pitch.amax(dim=1, keepdim=True)).floor()  # [n, 1]: K
    half = (angle / 2).sin()
    ratio = torch.where(half.abs() < 1e-6, 2 * most + 1, ((most + 0.5) * angle).sin() / half)
    return ((ratio - 1) / 2).float()


def formants(word, progress):
    """The three formants in hertz, [n, T, 3], when a fraction progress [n, T] of the word is over."""
    table = torch.tensor(list(VOWELS.values()))  # [5, 3]
    path = torch.tensor([[list(VOWELS).index(vowel) for vowel in each] for each in WORDS])  # [10, 2]
    ends = table[path[word["word"]]] * word["jitter"] / word["throat"][:, None, None]  # [n, 2, 3]
    way = ((progress - 0.25) / 0.5).clamp(0, 1).unsqueeze(-1)  # [n, T, 1]: still, on the way, still
    return ends[:, :1] ** (1 - way) * ends[:, 1:] ** way


def formant_filter(centres):
    """How much of each frequency passes: formants in hertz [..., 3] -> [..., 129], one factor per bin of the FFT.

    Each formant is a resonance, 1 / |1 - (f / F)^2 + i f B / F^2|; lips and glottis together take off 6 dB per octave.
    """
    f = torch.linspace(0, RATE / 2, WINDOW // 2 + 1)  # [129]
    x, width = f / centres.unsqueeze(-1), BANDWIDTH[:, None] / centres.unsqueeze(-1)  # [..., 3, 129], [..., 3, 1]
    resonance = ((1 - x.square()).square() + (x * width).square()).rsqrt()
    return resonance.prod(dim=-2) / (1 + (f / 500).square()).sqrt()
