"""What a submission is: one Python file with the names of a file of `minijepa/family`. It is run in the child alone.

NAME        what the leaderboard calls it
model       representation: model(encoder); planning: model(encoder, dynamics). Returns what `fit` trains
masks       a function (batch, generator) -> Masks, or None for a method without
TRAINING    settings for `fit`, those of SETTINGS; `steps` may be left out, then the budget decides
WINDOW      planning only: frames of a clip, default 5
"""

import ast
import linecache
import sys
from pathlib import Path
from types import ModuleType

SETTINGS = ("steps", "batch_size", "augment", "lr", "warmup", "weight_decay", "momentum", "betas", "optimizer",
            "accumulate", "recompute", "precision")  # fmt: skip
LONGEST = 60_000  # bytes: room for any method, none for the weights of an encoder
FILE = "submission.py"  # what the child calls it


class Refused(Exception):
    """A submission that is not scored. reason: why, and what to do."""

    @property
    def reason(self):
        """The sentence that the leaderboard shows."""
        return str(self)


def read(path):
    """The text of a submission. Nothing of it is run here. Raises Refused if it is no Python, too long or not there."""
    path = Path(path)
    if path.suffix != ".py" or not path.is_file():
        raise Refused(f"{path} is no Python file: give a file like exercises/challenge/submission.py")
    content = path.read_bytes()
    if len(content) > LONGEST:
        raise Refused(f"{path} has {len(content):,} bytes, at most {LONGEST:,} are allowed: leave out data and weights")
    try:
        text = content.decode("utf-8")
        ast.parse(text, str(path))
    except (SyntaxError, ValueError) as error:
        raise Refused(f"{path} cannot be read as Python ({error}): run it with `python {path.name}` first") from error
    return text


def load(text, track):
    """The submission as a module; runs it. track: a Track. Raises ValueError where a name is missing or wrong."""
    module = ModuleType("submission")
    module.__file__ = FILE
    sys.modules["submission"] = module  # dataclasses look their module up
    linecache.cache[FILE] = (len(text), None, text.splitlines(keepends=True), FILE)  # for tracebacks
    exec(compile(text, FILE, "exec"), module.__dict__)
    missing = [name for name in ("NAME", "model", "TRAINING") if not hasattr(module, name)]
    if missing:
        raise ValueError(f"the submission has no {', '.join(missing)}: see the top of minijepa/contest/submission.py")
    unknown = [name for name in module.TRAINING if name not in SETTINGS]
    if unknown:
        raise ValueError(f"TRAINING has {', '.join(map(repr, unknown))}; a submission may set {', '.join(SETTINGS)}")
    window = getattr(module, "WINDOW", track.window)
    if track.window and not (isinstance(window, int) and 2 <= window <= track.length):
        raise ValueError(f"WINDOW is {window!r}; expected a whole number of frames, 2 to {track.length}")
    return module
