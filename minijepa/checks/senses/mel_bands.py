"""Assignment 24, exercise 2: the picture of a sound, windowed pieces that overlap, their power, bands and decibels."""

import math

import torch

from minijepa.checks.picture import target_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal
from minijepa.datasets.audio import say
from minijepa.datasets.mel import mel_filters


def spec_mel_bands(waves, window, triangles, floor=1e-4):
    """Piece by piece: window, the sums with cosines and sines, their squares, the triangles, 10 log10(power + floor).

    waves: [B, S]. window: [W]. triangles: [bands, W / 2 + 1]. Returns [B, bands, P], a piece every W / 2 samples.
    Source: Allen and Rabiner 1977; A-JEPA (arXiv:2311.15830) and others learn from such pictures.
    """
    size = len(window)
    angle = torch.tensor([[2 * math.pi * k * i / size for i in range(size)] for k in range(size // 2 + 1)])
    cosine, sine = angle.double().cos(), angle.double().sin()  # [W / 2 + 1, W] each
    pictures = []
    for wave in waves.double():
        columns = []
        for start in range(0, len(wave) - size + 1, size // 2):
            piece = wave[start : start + size] * window
            power = (cosine @ piece) ** 2 + (sine @ piece) ** 2  # [W / 2 + 1]
            columns.append(torch.stack([10 * torch.log10((band * power).sum() + floor) for band in triangles]))
        pictures.append(torch.stack(columns, dim=1))  # [bands, P]
    return torch.stack(pictures).to(waves.dtype)


def hann(size):
    """The window sin^2(pi i / size), float32 [size]: at half overlap two of them add to 1."""
    return (torch.arange(size) * (math.pi / size)).sin().square()


TWO = torch.tensor([[0.0, 1.0, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 1.0, 0.5]])  # [2, 5]: bands of a window of 8
TONE = (2 * math.pi * torch.arange(16) / 8).cos()[None]  # [1, 16]: one period in a window of 8

CASES = [
    (TONE, torch.ones(8), TWO),
    (3 * normal(2, 20), hann(8), TWO, 1e-2),
    (torch.cat([torch.zeros(3, 12), normal(3, 12, seed=1)], dim=1), hann(8), TWO),
    (normal(2, 30, seed=2), 0.2 + normal(12, seed=3).abs(), normal(3, 7, seed=4).abs(), 0.5),
]


def pieces(x, window, step=None):
    """Windowed pieces [B, P, W] of waves [B, S], half overlapping unless a step is given."""
    return x.unfold(1, len(window), step or len(window) // 2) * window


def power(x, window):
    """The power spectrum of every piece: [B, P, W / 2 + 1]."""
    return torch.fft.rfft(pieces(x, window)).abs().square()


def decibels(strength, t, floor):
    """Bands in decibels: [B, P, W / 2 + 1] -> [B, bands, P]."""
    return (10 * torch.log10(strength @ t.T + floor)).mT


MISTAKES = [
    (
        lambda x, w, t, f=1e-4: decibels(power(x, torch.ones_like(w)), t, f),
        "the window is missing: multiply every piece by it, or its sharp ends add frequencies that nobody sang",
    ),
    (
        lambda x, w, t, f=1e-4: decibels(torch.fft.rfft(pieces(x, w, len(w))).abs().square(), t, f),
        "your pieces lie side by side: a piece begins every W / 2 samples, so that two windows overlap everywhere",
    ),
    (
        lambda x, w, t, f=1e-4: decibels(torch.fft.rfft(pieces(x, w)).abs(), t, f),
        "these are magnitudes: the power is their square",
    ),
    (
        lambda x, w, t, f=1e-4: decibels(torch.fft.rfft(pieces(x, w)).real.square(), t, f),
        "you drop the sines: the power is real part squared plus imaginary part squared, or it depends on the phase",
    ),
    (
        lambda x, w, t, f=1e-4: 2 * decibels(power(x, w), t, f),
        "20 log10 is for magnitudes: for a power it is 10 log10",
    ),
    (
        lambda x, w, t, f=1e-4: math.log(10) * decibels(power(x, w), t, f),
        "you use the natural logarithm: decibels are 10 times the logarithm to base 10",
    ),
    (
        lambda x, w, t, f=1e-4: decibels(power(x, w), t, f) / 10,
        "the factor 10 is missing: decibels are tenths of a bel",
    ),
    (
        lambda x, w, t, f=1e-4: (10 * torch.log10(power(x, w) + f) @ t.T).mT,
        "you take the logarithm before the triangles: add up the power of a band first, then take its logarithm",
    ),
    (
        lambda x, w, t, f=1e-4: decibels(power(x, w) + f, t, 0.0),
        "you add the floor to every bin: add it once to the power of the band, after the triangles",
    ),
    (
        lambda x, w, t, f=1e-4: 10 * torch.log10((power(x, w) @ t.T).mT.clamp(min=f)),
        "you cut off at the floor: add it to the power, power + floor",
    ),
    (
        lambda x, w, t, f=1e-4: decibels(power(x, w), t, 0.0),
        "the floor is missing: the logarithm of silence is minus infinity",
    ),
    (
        lambda x, w, t, f=1e-4: decibels(power(x, w), t / t.sum(dim=1, keepdim=True), f),
        "you average over a triangle: use the triangles as they are given, a weighted sum",
    ),
    (
        lambda x, w, t, f=1e-4: decibels(power(x, w), t, f).mT,
        "the axes are [B, bands, pieces]: frequency down and time to the right, as in a picture",
    ),
    (
        lambda x, w, t, f=1e-4: decibels(power(x, w), t.flip(0), f),
        "band 0 is the lowest one: it stays in the first row",
    ),
]

ADVICE = "window * piece, |FFT|^2 of it, times the triangles, then 10 log10(power + floor); result [B, bands, pieces]"


def show_mel_bands(student):
    """Draw the word "ai" at two pitches: target and answer."""
    cases = {
        f"ai, {pitch} Hz": (say("ai", pitch=pitch)[None, :4_096], hann(256), mel_filters().float())
        for pitch in (110, 220)
    }
    see = "the bright path is the word, and lies equally high in both; low bands are in the upper rows."
    target_and_yours("mel_bands", student, spec_mel_bands, cases, lambda answer, *_: answer[0], see)


def mel_bands(student):
    """Check exercise 2, `mel_bands(waves, window, triangles, floor=1e-4)`. Raises CheckFailed."""
    compare("mel_bands", student, spec_mel_bands, CASES, MISTAKES, ADVICE)
