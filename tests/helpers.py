"""What several test files need: a seeded generator, the programs of tools/, and modules with a planted bug."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import torch
from filelock import FileLock  # installed with torch

REPO = Path(__file__).parents[1]


def seeded(seed=0):
    """A random generator with this seed."""
    return torch.Generator().manual_seed(seed)


def load_tool(name):
    """A program of tools/ as a new module; name: its path there without ".py", such as "record/results"."""
    path = REPO / "tools" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def planted(module, old, new):
    """A copy of a module in whose text `old` is replaced by `new`, a bug: what a test must catch.

    old must stand there exactly once, so that a later edit cannot turn the bug into no change at all.
    The module itself, and all that others have imported from it, stay as they are.
    """
    source = Path(module.__file__).read_text(encoding="utf-8")
    if source.count(old) != 1:  # no AssertionError, which would look like a bug that is caught
        raise LookupError(f"{module.__name__} has {old!r} {source.count(old)} times, expected once")
    copy = ModuleType(f"{module.__name__}_planted")
    copy.__dict__.update(__file__=module.__file__, __package__=module.__package__)
    sys.modules[copy.__name__] = copy  # dataclasses look their module up
    exec(compile(source.replace(old, new), module.__file__, "exec"), copy.__dict__)
    return copy


def built_book(tmp_path_factory):
    """The folder of the book, built once in a run of pytest, whichever of its workers asks first.

    html/ holds the site; log.txt what the build printed, and exit.txt its exit code: a warning is an error.
    """
    folder = tmp_path_factory.getbasetemp()
    folder = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "book"
    with FileLock(f"{folder}.lock"):
        if not (folder / "exit.txt").exists():
            command = [sys.executable, str(REPO / "tools" / "build_book.py"), "--strict", "--out", str(folder)]
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=REPO)
            folder.mkdir(exist_ok=True)
            (folder / "log.txt").write_text(done.stdout, encoding="utf-8")
            (folder / "exit.txt").write_text(str(done.returncode), encoding="utf-8")
    return folder
