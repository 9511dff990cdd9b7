"""Printing that never fails, even where the encoding of a console or file lacks a character of a name."""

import sys


def print_any_name():
    """Make print write a character that the output's encoding lacks as its number, such as \\u732b.

    Every command of the course calls this first; without it the name of a folder could end a run.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a notebook's streams have no such method, and need none
            stream.reconfigure(errors="backslashreplace")
