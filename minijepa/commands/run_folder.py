"""The folder that a run writes into: tried out before the training, held by one run at a time, no file in halves.

The folder of a finished run holds `metrics.json` and `encoder.safetensors` before it holds any picture.
"""

import os
import socket
from contextlib import contextmanager, suppress
from pathlib import Path

from minijepa.machine.files import LOCK


@contextmanager
def claim(folder, team):
    """Meanwhile this run, and no other, writes into the folder: made and tried out by writing a small file, the lock.

    The lock belongs to the process, not to the file: it ends with the process, however that ends, so the lock of a
    dead run does not block another run. team: of several processes, the first one claims the folder for all.
    Folders that were made for it are removed again if they stay empty.
    Raises OSError, on all processes, if nothing can be written there or another run is at work.
    """
    lock, problem, made = None, None, []
    try:
        if team.rank == 0:
            made = [each for each in (Path(folder), *Path(folder).parents) if not os.path.exists(each)]
            try:
                lock = take_lock(Path(folder))
            except OSError as error:
                problem = error
        if team.any(problem is not None):
            raise problem or OSError(f"{folder} cannot be used: see what the first process says")
        yield
    finally:
        if lock:
            if os.name != "nt":  # there an open file cannot be removed
                (Path(folder) / LOCK).unlink(missing_ok=True)
            lock.close()
            if os.name == "nt":
                with suppress(OSError):
                    (Path(folder) / LOCK).unlink(missing_ok=True)
        with suppress(OSError):  # the first one that is not empty ends it
            for each in made:
                each.rmdir()


def take_lock(folder):
    """Make the folder, and write the process's number into a file there that it alone holds. Returns the open file.

    Raises OSError if nothing can be written, or another process holds the file.
    """
    file, other = None, None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = open(folder / LOCK, "a+", encoding="utf-8")  # open for as long as the run lasts
        if holds(file):
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}")
            file.flush()
            os.fsync(file.fileno())
            return file
        file.seek(0)
        other = file.read()
        file.close()
    except OSError as error:
        with suppress(OSError):
            if file:
                file.close()
        with suppress(OSError):
            (folder / LOCK).unlink(missing_ok=True)
        reason = "it is a file" if isinstance(error, FileExistsError) else error.strerror or error
        raise OSError(f"{folder} cannot take the results ({reason}): give another --out") from error
    raise OSError(f"another run writes into {folder} ({other}): wait until it has ended, or give another --out")


def holds(file):
    """True if this process now has the open file for itself, or where the file system knows no locks."""
    try:
        if os.name == "nt":
            import msvcrt

            file.seek(1 << 20)  # one byte far behind the text, so that others can read that
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        pass
    return True
