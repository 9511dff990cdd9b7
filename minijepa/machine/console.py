"""What consoles do differently: printing that never fails over a character, and names with a star."""

import glob
import sys
from pathlib import Path


def print_any_name():
    """Make print write a character that the output's encoding lacks as its number, such as \\u732b.

    Every command of the course calls this first; without it the name of a folder could end a run.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a notebook's streams have no such method, and need none
            stream.reconfigure(errors="backslashreplace")


def each_file(names):
    """The paths that names with a star stand for, in order; shells expand them, but not those of Windows.

    A name without a star, or one that no file fits, stays as it is, so that the error names what was typed.
    """
    found = []
    for name in map(str, names):
        fitting = [] if Path(name).exists() else sorted(glob.glob(name))  # a file may have a bracket in its name
        found += fitting or [name]
    return [Path(name) for name in found]
