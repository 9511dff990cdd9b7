"""Fetching data, CIFAR-10 first of all, so that a half-finished download is never taken for a whole one.

Everything happens in a temporary folder next to the final one; the finished folder moves into place in one step.
"""

import contextlib
import io
import os
import shutil
import socket
import tempfile
import time
import zipfile
from http.client import HTTPException
from pathlib import Path

from minijepa.datasets.images import DataUnavailable
from minijepa.machine.progress import live_front_end

PREFIX = ".cifar-10-part-"
TIMEOUT = 10.0  # seconds without an answer, or without a byte, before the download is given up
IDLE = 60.0  # a download writes at least every TIMEOUT seconds; one that has not for so long has ended


def fetch(missing, get, download):
    """The folder that `get` downloads, or DataUnavailable with what to do.

    missing: what is not where, the beginning of the message. get: a function without arguments that downloads and
    returns the folder. download: False forbids it, as MINIJEPA_OFFLINE does everywhere.
    """
    by_hand = "or put a copy on this machine and set MINIJEPA_DATA to the folder that holds it"
    if os.environ.get("MINIJEPA_OFFLINE", "") not in ("", "0"):
        raise DataUnavailable(f"{missing}, and MINIJEPA_OFFLINE forbids the download: unset it, {by_hand}")
    if not download:
        raise DataUnavailable(f"{missing}, and download=False: allow the download, {by_hand}")
    try:
        return get()
    except (OSError, RuntimeError, ValueError, HTTPException, zipfile.BadZipFile) as error:
        raise DataUnavailable(
            f"{missing}, and the download failed ({type(error).__name__}: {error}): connect to the network "
            f"and run `python -m minijepa.datasets`, {by_hand}"
        ) from error


def download_cifar10(where, layout):
    """Download, check and unpack CIFAR-10's python version into the first folder that can be written.

    where: the folders (Path) to try; one that does not exist is made.
    layout: the name of the folder inside the archive.
    Returns the finished folder, `where[i] / layout`.
    Raises OSError if there is no network or no space, or if none of the folders can be written; RuntimeError if the
    archive's md5 sum is wrong; http.client.HTTPException if the answer is not HTTP.
    """
    part, place = writable(where)
    sweep(place)
    try:
        with timeout(TIMEOUT), quiet_unless_live():
            # Late, as torchvision takes a second to import. It verifies the archive's md5 before unpacking.
            from torchvision.datasets import CIFAR10

            CIFAR10(part, download=True)
        try:
            os.replace(part / layout, place / layout)
        except OSError:
            if not (place / layout).is_dir():  # else another process finished first; its copy is as good
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return place / layout


def sweep(place):
    """Remove what interrupted downloads have left in a folder, but nothing of a download that is still running."""
    for part in place.glob(PREFIX + "*"):
        # Unpacked files carry the dates of their creation, so the youngest entry tells when the last byte came.
        with contextlib.suppress(OSError):
            last = max(path.stat().st_mtime for path in (part, *part.iterdir()))
            if time.time() - last > IDLE:
                shutil.rmtree(part, ignore_errors=True)


def writable(where):
    """A new temporary folder, and the folder it lies in: the first of `where` that can be written.

    Raises ValueError if there is none to try, OSError if none can be written.
    """
    for i, place in enumerate(where):
        try:
            place.mkdir(parents=True, exist_ok=True)
            return Path(tempfile.mkdtemp(prefix=PREFIX, dir=place)), place
        except OSError:
            if i == len(where) - 1:
                raise
    raise ValueError("where is empty: name at least one folder")


@contextlib.contextmanager
def timeout(seconds):
    """Let every connection made meanwhile fail after so many seconds without an answer."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


@contextlib.contextmanager
def quiet_unless_live():
    """Show torchvision's progress bar only where a person watches, at a terminal or in a notebook."""
    if live_front_end():
        yield
    else:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
