"""From a waveform to a picture of it: short-time Fourier transform, mel bands, logarithm; and back, to listen.

    waves [N, S] --> frames of 256 samples, every 128 --> |FFT|^2 [N, 129, T] --> 32 bands of the mel scale --> dB

The mel scale counts frequency as the ear does: linear below about 700 Hz, logarithmic above. A picture like this keeps
what makes a vowel (which bands are strong) and drops the phase, which the ear hardly hears.
Source: the short-time transform of Allen and Rabiner 1977; mel = 2595 log10(1 + f / 700), O'Shaughnessy 1987.
"""

import math

import torch

from minijepa.datasets.signals import SignalData

RATE = 8_000  # samples per second
WINDOW, HOP = 256, 128  # samples: 32 ms are looked at, every 16 ms
BANDS = 32
FLOOR = 1e-4  # power added before the logarithm, so that silence is a number


def frames(waves):
    """Windowed pieces that overlap by half: [N, S] -> [N, T, 256] with T = S / 128.

    128 zeros follow the wave, so that its last piece is whole. The window is Hann's, w_i = sin^2(pi i / 256): where two
    overlap they add to 1, which is why `overlap_add` gives the wave back.
    Raises ValueError unless S is a positive multiple of 128.
    """
    if waves.ndim != 2 or waves.shape[1] < HOP or waves.shape[1] % HOP:
        raise ValueError(f"waves must be [N, S] with S a multiple of {HOP}, found {list(waves.shape)}: pad them")
    window = (torch.arange(WINDOW) * (math.pi / WINDOW)).sin().square()
    return torch.nn.functional.pad(waves, (0, WINDOW - HOP)).unfold(1, WINDOW, HOP) * window


def overlap_add(pieces):
    """The wave whose windowed pieces these are: [N, T, 256] -> [N, 128 T]; its first half piece fades in."""
    first, second = pieces[..., :HOP], pieces[..., HOP:]  # [N, T, 128] each
    return torch.cat([first[:, :1], first[:, 1:] + second[:, :-1]], dim=1).flatten(1)


def to_mel(hertz):
    """Frequency in hertz, a tensor of any shape [...], to mel."""
    return 2595 * torch.log10(1 + hertz / 700)


def from_mel(mel):
    """Mel, a tensor of any shape [...], to hertz."""
    return 700 * (10 ** (mel / 2595) - 1)


def mel_filters(bands=BANDS, window=WINDOW, rate=RATE):
    """Triangles over the bins of the FFT: float64 [bands, window / 2 + 1], each between 0 and 1.

    The bands' corners are equally far apart in mel, from 0 to rate / 2; band b rises from corner b to corner b + 1 and
    falls to corner b + 2. Raises ValueError if a triangle is so narrow that it catches no bin.
    """
    hertz = torch.arange(window // 2 + 1, dtype=torch.float64) * rate / window  # [bins]
    highest = to_mel(torch.tensor(rate / 2, dtype=torch.float64))
    corners = from_mel(torch.linspace(0, 1, bands + 2, dtype=torch.float64) * highest)
    low, middle, high = (corners[i : bands + i, None] for i in range(3))  # [bands, 1] each
    filters = torch.minimum((hertz - low) / (middle - low), (high - hertz) / (high - middle)).clamp(min=0)
    if (filters.sum(dim=1) == 0).any():
        raise ValueError(f"{bands} bands are too many for {window // 2 + 1} bins: take fewer bands or a longer window")
    return filters


def log_mel(waves):
    """Strength of 32 mel bands in decibels: waves float32 [N, S] -> float32 [N, 32, S / 128]; low bands first."""
    power = torch.fft.rfft(frames(waves)).abs().square()  # [N, T, 129]
    return 10 * torch.log10(power @ mel_filters().float().T + FLOOR).mT


def log_mel_data(data):
    """Sounds as pictures: SignalData with waves [N, 1, S] -> SignalData with values [N, 1, 32, S / 128].

    Each picture has mean 0 and standard deviation 1, so it does not say how loud its sound was.
    """
    x = torch.cat([log_mel(part) for part in data.values[:, 0].split(500)])  # [N, 32, T]
    x = x - x.mean(dim=(1, 2), keepdim=True)
    x = x / x.std(dim=(1, 2), keepdim=True).clamp(min=1e-6)
    return SignalData(x.unsqueeze(1), data.labels, data.classes, f"{data.name}, log-mel", data.factors)


def without(waves, hidden):
    """Take cells of the picture out of the sound, to hear what is left.

    waves: float32 [N, S]. hidden: bool [N, 32, T], the cells (mel band, frame) to silence. Each bin of the FFT belongs
    to the band whose triangle is highest there. Returns float32 [N, S].
    """
    owner = mel_filters().argmax(dim=0)  # [129]: the band of each bin
    owner[-1] = BANDS - 1  # at 4 kHz every triangle is 0
    kept = ~hidden.mT[..., owner]  # [N, T, 129]
    return overlap_add(torch.fft.irfft(torch.fft.rfft(frames(waves)) * kept, n=WINDOW))
