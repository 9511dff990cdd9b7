"""Printing that never fails: a console, or a file on Windows, may not know the letters of a name."""

import sys


def print_any_name():
    """From now on print writes a letter that the output's encoding lacks as its number, such as \\u732b for a cat.

    Every command of the course calls this first; without it the name of a folder can end a run.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a notebook's has no such method, and needs none
            stream.reconfigure(errors="backslashreplace")
