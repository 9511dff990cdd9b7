"""Files that are written completely or not at all."""

import os
from contextlib import contextmanager, suppress
from pathlib import Path


class CannotWrite(OSError):
    """A file cannot be written: the disk is full, or the folder is read-only. No part of the file was left behind."""


@contextmanager
def whole_file(path):
    """A binary file to write into, which gets the name `path` at the end: no half-written file ever has that name.

    Raises CannotWrite if the file cannot be written.
    """
    path = Path(path)
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(part, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        cause = error
        while isinstance(cause, RuntimeError):  # torch.save reports a full disk as a fault of its own
            cause = cause.__context__
        if not isinstance(cause, OSError):
            raise
        reason = cause.strerror or cause
        raise CannotWrite(f"{path} cannot be written ({reason}): free some disk space, then resume the run") from error
