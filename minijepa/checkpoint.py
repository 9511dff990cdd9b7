"""A run on disk: everything that an interrupted training needs to go on as if nothing had happened."""

import os
from pathlib import Path

import torch


def save_checkpoint(path, model, optimizers, settings, rows):
    """Write all that a resumed run needs, atomically: a crash leaves the old file or the new one, never a half."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    content = {
        "model": model.state_dict(),
        "optimizers": [each.state_dict() for each in optimizers],
        "settings": settings,
        "rows": rows,
    }
    with open(part, "wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def load_checkpoint(path, model, optimizers, settings):
    """Put a saved run back into model and optimisers; returns the rows of its History.

    Raises ValueError for a run of other settings, naming them.
    """
    content = torch.load(path, map_location="cpu", weights_only=True)
    differ = {k: (content["settings"].get(k), v) for k, v in settings.items() if content["settings"].get(k) != v}
    if differ:
        changes = ", ".join(f"{k} was {old!r} and is now {new!r}" for k, (old, new) in differ.items())
        raise ValueError(f"{path} belongs to a run with other settings ({changes}): use those, or another file")
    model.load_state_dict(content["model"])
    for each, state in zip(optimizers, content["optimizers"], strict=True):
        each.load_state_dict(state)
    return content["rows"]
