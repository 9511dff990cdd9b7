"""Sounds to see and to hear: waves, pictures with time to the right and pitch upwards, and players."""

import base64
import html
import io
import wave

import torch

from minijepa.datasets.mel import HOP, RATE, WINDOW
from minijepa.plots.figures import BLUE, in_notebook, patch_mask, plt


def spectrograms(pictures, titles, columns=4, hidden=None, grid=None, ylabel="mel band"):
    """Pictures of sounds, low bands at the bottom, with a time axis; hidden patches are hatched in grey. A Figure.

    pictures: float [N, bands, T], any scale; each is drawn with its own colours. titles: N strings. columns: per row.
    hidden: N token indices, int64 [K] each, or None. grid: the patches in (bands, times), needed with hidden.
    """
    rows = -(-len(pictures) // columns)
    size = (2.35 * columns + 0.4, 1.75 * rows + 0.3)
    fig, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, sharex=True, sharey=True, layout="constrained")
    seconds = pictures.shape[-1] * HOP / RATE
    for ax in axes.flat[len(pictures) :]:
        ax.axis("off")
    for i, (ax, picture, title) in enumerate(zip(axes.flat, pictures, titles, strict=False)):
        extent = (0, seconds, 0, pictures.shape[1])
        ax.imshow(picture.numpy(), origin="lower", aspect="auto", extent=extent, cmap="viridis")
        if hidden is not None:
            cover = patch_mask(hidden[i], grid, pictures.shape[1:]).float()
            shade = torch.stack([cover * 0 + 0.85] * 3 + [cover], dim=-1)  # [bands, T, 4]: grey, clear where seen
            ax.imshow(shade.numpy(), origin="lower", aspect="auto", extent=extent, interpolation="nearest")
        ax.set_title(title, fontsize=9)
    for ax in axes[-1]:
        ax.set_xlabel("time in s", fontsize=8)
    for ax in axes[:, 0]:
        ax.set_ylabel(ylabel, fontsize=8)
    return fig


def source_and_filter(source, gain, sound):
    """The spectra of a source, a filter and their product, in decibels against frequency, next to each other. A Figure.

    source, gain, sound: positive numbers [129], one per bin of the FFT.
    """
    fig, axes = plt.subplots(1, 3, figsize=(8.6, 2.5), layout="constrained")
    hertz = torch.arange(WINDOW // 2 + 1) * (RATE / WINDOW)
    for ax, values, title in zip(
        axes,
        (source, gain, sound),
        ("source: the voice", "filter: throat and mouth", "sound: their product"),
        strict=True,
    ):
        ax.plot(hertz, 20 * torch.log10(values.clamp(min=1e-6)), color=BLUE, lw=1.3)
        ax.set(xlabel="frequency in Hz", title=title)
        ax.grid(alpha=0.25)
    axes[0].set_ylabel("strength in dB")
    return fig


def listen(sounds, alt):
    """Players for some sounds, one below the other, each with its name; a sentence stands for them in other readers.

    sounds: dict name -> wave, float [S] in -1 to 1, 8,000 samples per second.
    alt: one sentence that says what is heard. It is also the text of the output, which the notebook tests compare.
    """
    if not in_notebook():
        print(alt)
        return
    from IPython.display import display

    rows = ""
    for name, sound in sounds.items():
        source = f"data:audio/wav;base64,{base64.b64encode(wav(sound)).decode()}"
        label = html.escape(name)
        rows += f'<p>{label}<br><audio controls aria-label="{label}" src="{source}"></audio></p>'
    display({"text/html": rows, "text/plain": alt}, raw=True)


def wav(sound):
    """The bytes of a WAV file, mono, 8 kHz, 16 bits: a wave, float [S]; what is beyond -1 to 1 is cut off."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes((sound.clamp(-1, 1) * 32767).round().to(torch.int16).numpy().astype("<i2").tobytes())
    return file.getvalue()
