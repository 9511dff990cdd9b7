"""What several test files need: a seeded generator, and the programs of tools/, which is no package."""

import importlib.util
from pathlib import Path

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
