"""What a long loop shows and hears: a progress bar, and a Ctrl-C that ends it between two steps."""

import os
import signal
import sys
import threading
from contextlib import contextmanager

from tqdm.auto import tqdm


def live_front_end():
    """True where somebody watches: a terminal, or a notebook in JupyterLab or VS Code; False under tests."""
    return sys.stderr.isatty() or any(name in os.environ for name in ("JPY_SESSION_NAME", "VSCODE_PID", "COLAB_GPU"))


def progress_bar(label, total, start=0, hidden=False):
    """A tqdm bar that shows itself only where somebody watches, and never if `hidden`."""
    return tqdm(total=total, initial=start, desc=label, disable=hidden or not live_front_end(), leave=False)


@contextmanager
def deferred_interrupt():
    """Turn the first Ctrl-C into a flag that the loop reads between steps, so no step is left half done.

    One inside another shares it: both flags are set.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked  # signals reach the main thread only
        return
    before = signal.getsignal(signal.SIGINT)

    def first(signum, frame):
        asked.set()
        signal.signal(signal.SIGINT, before)
        if getattr(before, "deferred", False):
            before(signum, frame)

    first.deferred = True
    signal.signal(signal.SIGINT, first)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)
