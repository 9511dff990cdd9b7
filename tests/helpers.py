"""What several test files need: a seeded generator, the programs of tools/, and modules with a planted bug."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import torch

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
