"""Fetching CIFAR-10 so that a half-finished download is never taken for a whole one.

Everything happens in a temporary folder beside the goal; the finished folder moves into place in one step.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import socket
import sys
import tempfile
import time
from pathlib import Path

PREFIX = ".cifar-10-part-"
TIMEOUT = 10.0  # seconds without an answer, or without a byte, before the download is given up
IDLE = 60.0  # a download writes at least every TIMEOUT seconds; one that has not for so long is dead


def download_cifar10(where: list[Path], layout: str) -> Path:
    """Download, check and unpack CIFAR-10's python version into the first folder that can be written.

    Args:
        where: the folders to try; one that does not exist is made.
        layout: the name of the folder inside the archive.

    Returns:
        The finished folder, `where[i] / layout`.

    Raises:
        OSError: no network, no space, or none of the folders can be written.
        RuntimeError: the archive's md5 sum is wrong.
        http.client.HTTPException: an answer that is not HTTP.
    """
    part, place = _writable(where)
    sweep(place)
    try:
        with _timeout(TIMEOUT), _quiet_unless_live():
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


def sweep(place: Path) -> None:
    """Remove what downloads that died have left in a folder; a download that is still running is spared."""
    for part in place.glob(PREFIX + "*"):
        # Unpacked files carry the dates of their making, so the youngest entry tells when the last byte came.
        with contextlib.suppress(OSError):
            last = max(path.stat().st_mtime for path in (part, *part.iterdir()))
            if time.time() - last > IDLE:
                shutil.rmtree(part, ignore_errors=True)


def _writable(where: list[Path]) -> tuple[Path, Path]:
    """A new temporary folder, and the folder it lies in."""
    for i, place in enumerate(where):
        try:
            place.mkdir(parents=True, exist_ok=True)
            return Path(tempfile.mkdtemp(prefix=PREFIX, dir=place)), place
        except OSError:
            if i == len(where) - 1:
                raise
    raise ValueError("where is empty: name at least one folder")


@contextlib.contextmanager
def _timeout(seconds: float):
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


@contextlib.contextmanager
def _quiet_unless_live():
    """Show torchvision's progress bar to a person at a terminal or notebook, and to nobody else."""
    # The names are set where a notebook has a front end, and not where a program runs it.
    front_ends = ("JPY_SESSION_NAME", "VSCODE_PID", "COLAB_GPU")
    if sys.stderr.isatty() or any(name in os.environ for name in front_ends):
        yield
    else:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
