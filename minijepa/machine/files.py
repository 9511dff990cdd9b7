"""Files that are written whole or not at all."""

import os
from contextlib import contextmanager, suppress
from pathlib import Path


class CannotWrite(OSError):
    """A file cannot be written: the disk is full, or the folder read-only. Nothing new was left behind."""


@contextmanager
def whole_file(path):
    """A binary file to write into, which becomes `path` at the end: nobody ever finds half a file under that name.

    Raises CannotWrite where it cannot be written.
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
        raise CannotWrite(f"{path} cannot be written ({reason}): make room for it, and resume") from error
