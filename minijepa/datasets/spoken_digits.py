"""The Free Spoken Digit Dataset: six people say the ten digits, 50 times each, 3,000 recordings of 8 kHz.

It is read from the disk, else downloaded once, as it stood at one commit; one digest over the names and contents of all
files decides whether it is that data set and nothing else. It is never part of this repository.
Data: Zohar Jackson and contributors, "Free Spoken Digit Dataset", licence CC BY-SA 4.0: if you pass it on, name the
authors and keep the licence.
"""

import hashlib
import io
import os
import shutil
import urllib.request
import wave
import zipfile
from functools import lru_cache

import torch

from minijepa.datasets import cifar
from minijepa.datasets import download as downloads
from minijepa.datasets.audio import LEVEL, SAMPLES
from minijepa.datasets.images import DataCorrupt
from minijepa.datasets.mel import RATE
from minijepa.datasets.signals import SignalData

NAME = "Free Spoken Digit Dataset"
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TAKES = 50  # of each digit by each speaker
FOLDER, INSIDE = "free-spoken-digit-dataset", "recordings"
COMMIT = "26eb9aaf76e81b692f806f9140c2d2777410d7a1"
URL = f"https://github.com/Jakobovski/{FOLDER}/archive/{COMMIT}.zip"
SHA256 = "4e5884b2373af7dfc03d089c55cdaa110f145c9d714d81379a3224d4f480da5a"


def spoken_digits(download=True):
    """The 3,000 recordings as waves of 8 kHz, cut or filled up with silence to 1.024 s, all equally loud.

    They are looked for as `free-spoken-digit-dataset/recordings` in the folder named by the environment variable
    MINIJEPA_DATA, then in `data/` of the checkout (or of the working folder).
    download: fetch them (16 MB) if they are not there; MINIJEPA_OFFLINE=1 forbids it everywhere.
    Returns SignalData, values float32 [3000, 1, 8192] that begin at sample 0, `labels` the digit; `factors`, int64
    [3000]: speaker, an index into SPEAKERS, take (0 to 49), length in samples and start (0: see `at_random_times`).
    Takes come one after the other, so each prefix holds all speakers and digits. 17 recordings are longer and are cut.
    Raises DataUnavailable if the data are not on the disk and cannot be downloaded (no network, or forbidden);
    DataCorrupt if the folder is there but a recording is missing, truncated or foreign.
    """
    folder = find_spoken_digits()
    if folder is None:
        folder = fetch(cifar.places(), download)
    values, factors = read(folder.absolute())
    factors = dict(factors)
    return SignalData(values, factors.pop("digit"), DIGITS, NAME, factors)


def find_spoken_digits():
    """The first folder of recordings on this machine, or None; its content is not looked at."""
    folders = [place / FOLDER / INSIDE for place in cifar.places()]
    return next((folder for folder in folders if folder.is_dir()), None)


# --- the pieces ---


def names():
    """All 3,000 file names, take by take."""
    return [f"{d}_{s}_{take}.wav" for take in range(TAKES) for d in range(10) for s in SPEAKERS]


def fetch(where, download):
    """Download into the first of these folders that can be written, or raise DataUnavailable with what to do."""
    looked = " nor in ".join(str(place) for place in where)
    missing = f"The {NAME} ({FOLDER}/{INSIDE}) is not in {looked}"
    return downloads.fetch(missing, lambda: download_spoken_digits(where), download)


def download_spoken_digits(where):
    """Download, check and unpack the recordings into the first folder of `where` (Path) that can be written.

    Everything happens in a temporary folder next to the final one; the finished folder moves into place in one step.
    Returns the folder of recordings. Raises OSError if there is no network or no space, or if none of the folders can
    be written; BadZipFile or ValueError if what came is not the archive; HTTPException if the answer is not HTTP.
    """
    part, place = downloads.writable(where)
    downloads.sweep(place)
    try:
        with downloads.timeout(downloads.TIMEOUT), urllib.request.urlopen(URL) as answer:
            archive = zipfile.ZipFile(io.BytesIO(answer.read()))
        made = part / FOLDER / INSIDE
        made.mkdir(parents=True)
        wanted = set(names())
        for entry in archive.namelist():
            folder, _, name = entry.rpartition("/")
            if folder.endswith("/" + INSIDE) and name in wanted:
                (made / name).write_bytes(archive.read(entry))
        found = digest(made)
        if found != SHA256:
            raise ValueError(f"the archive has another SHA-256 digest, {found[:12]}..., expected {SHA256[:12]}...")
        try:
            os.replace(part / FOLDER, place / FOLDER)
        except OSError:
            if not (place / FOLDER / INSIDE).is_dir():  # else another process finished first; its copy is as good
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return place / FOLDER / INSIDE


def digest(folder):
    """SHA-256 over names and contents of all recordings of a folder (a Path), in the order of `names`."""
    total = hashlib.sha256()
    for name in names():
        path = folder / name
        content = path.read_bytes() if path.is_file() else b""
        total.update(f"{name} {len(content)}\n".encode() + content)
    return total.hexdigest()


@lru_cache(maxsize=1)  # an error is not kept
def read(folder):
    """Waves float32 [3000, 1, 8192] and factors of the recordings in a folder; DataCorrupt names what is corrupt."""
    downloads.sweep(folder.parent.parent)
    there, wanted = {path.name for path in folder.glob("*.wav")}, names()
    for name in sorted(set(wanted) ^ there):
        found = "no such file" if name in wanted else "it"
        raise corrupt(folder / name, "a recording" if name in wanted else "no such file", found)
    if digest(folder) != SHA256:
        raise corrupt(folder, f"3,000 recordings as of commit {COMMIT[:8]}", "at least one that differs")
    values, lengths = torch.zeros(len(wanted), 1, SAMPLES), []
    for row, name in zip(values, wanted, strict=True):
        sound = equally_loud(samples_of(folder / name))[:SAMPLES]
        row[0, : len(sound)] = sound
        lengths.append(len(sound))
    take, digit, speaker = torch.meshgrid(
        torch.arange(TAKES), torch.arange(10), torch.arange(len(SPEAKERS)), indexing="ij"
    )
    factors = {"digit": digit, "speaker": speaker, "take": take}
    factors = {name: factor.flatten() for name, factor in factors.items()}  # [3000] each, in the order of `names`
    length = torch.tensor(lengths)
    return values, {**factors, "length": length, "start": torch.zeros_like(length)}


def samples_of(path):
    """The samples of a mono recording of 16 bits at 8 kHz, float32 [S] in -1 to 1; DataCorrupt if it is corrupt."""
    with wave.open(str(path)) as file:
        form = file.getframerate(), file.getnchannels(), file.getsampwidth()
        if form != (RATE, 1, 2):
            raise corrupt(path, f"{RATE} Hz, 1 channel, 2 bytes", f"{form}")
        content = file.readframes(file.getnframes())
    return torch.frombuffer(bytearray(content), dtype=torch.int16).float() / 2**15


def equally_loud(sound):
    """The sound [S] without its mean and with root mean square LEVEL: speakers sat at different distances."""
    sound = sound - sound.mean()
    return sound * (LEVEL / sound.square().mean().sqrt().clamp(min=1e-9))


def corrupt(path, expected, found):
    """The DataCorrupt that names a file, what was expected, what was found, and the remedy."""
    return DataCorrupt(
        f"{path}: expected {expected}, found {found}. Delete the folder {FOLDER} and run `python -m minijepa.datasets` "
        "to download it again, or copy the whole folder anew."
    )
