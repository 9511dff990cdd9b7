"""Clips by name or from a folder, for the command line."""

from pathlib import Path

import torch

from minijepa.datasets.shapes import moving_shapes
from minijepa.datasets.video_folder import video_folder

WORLD = {"size": 16, "speed": (2.0, 4.0), "noise": 0.15}  # of notebook 08: fast enough that little can be copied


def load_clips(data, train=4_000, heldout=1_000, seed=0):
    """(train, heldout) by name, or from a folder of videos: two ClipData with clips [N, C, 8, S, S].

    data: "moving-shapes" (S = 16), or the path of a folder (S = 32; see `video_folder`). If it has folders train and
    val (or test), the latter is held out, else the clips of a random fifth of the files.
    train, heldout: at most so many clips. seed: what the shapes are drawn from, and a folder's split.
    Raises ValueError for a name that is neither known nor a folder, or too few files.
    """
    if str(data) == "moving-shapes":
        return moving_shapes(train, seed=2 * seed + 1, **WORLD), moving_shapes(heldout, seed=2 * seed + 2, **WORLD)
    if not Path(data).expanduser().is_dir():
        raise ValueError(f"data is {str(data)!r}; expected 'moving-shapes' or the path of a folder of videos")
    clips = video_folder(data, size=32, limit=train + heldout)
    order = torch.randperm(len(clips), generator=torch.Generator().manual_seed(seed))
    kept = clips.factors.get("heldout")
    if kept is None:  # whole files are held out, as clips of one file are alike
        files = clips.factors["file"].unique()
        if len(files) < 5:
            raise ValueError(f"{data} holds {len(files)} files; a fifth is held out, so at least 5 are needed")
        shuffled = files[torch.randperm(len(files), generator=torch.Generator().manual_seed(seed))]
        kept = torch.isin(clips.factors["file"], shuffled[: len(files) // 5])
    return clips.subset(order[~kept[order]][:train]), clips.subset(order[kept[order]][:heldout])
