"""A run on disk: everything that an interrupted training needs to go on as if nothing had happened.

One file, written by rank 0, which any number of processes can go on from. A model in shards (minijepa.training.fsdp)
has a folder instead, into which each process writes its shards; it too can be read by another number of processes.
"""

import pickle
import re
import shutil
import warnings
from pathlib import Path

import torch
import torch.distributed as dist

from minijepa.machine.files import CannotWrite, whole_file
from minijepa.training.distributed import Team
from minijepa.training.fsdp import is_sharded

BEFORE = {"method": "ijepa"}  # what the first version did not keep, as it had no other
RENAMED = {"target_std": "position_std"}  # columns of a History, as they were called and as they are


def holds_run(path):
    """True if a run can go on from there: a file, or a folder of shards whose writing came to its end."""
    return Path(path).is_file() or (Path(path) / "latest").is_file()


def save_checkpoint(path, model, optimizers, settings, rows, scaler=None):
    """Write all that a resumed run needs, atomically: a crash leaves the old file or the new one, never a half.

    Raises CannotWrite where there is no room; the old checkpoint is there still.
    scaler: the gradient scaler of a run in float16. All processes call it; rank 0 writes, or each its shards.
    """
    path, team = Path(path), Team.current()
    rest = {"settings": settings, "rows": rows, "scaler": scaler.state_dict() if scaler else {}}
    if is_sharded(model):
        save_shards(path, model, optimizers, rest, team)
    elif team.rank == 0:
        states = {"model": model.state_dict(), "optimizers": [each.state_dict() for each in optimizers]}
        write(path, {**states, **rest})


def load_checkpoint(path, model, optimizers, settings, scaler=None):
    """Put a saved run back into model and optimisers; returns the rows of its History.

    Raises ValueError for a run of other settings or another model, naming what differs, for shards where a file is
    expected or vice versa, and for a file that is cut short or damaged; then nothing was changed. Settings that an
    earlier version did not keep cannot be compared: a warning names them.
    """
    path = Path(path)
    if path.is_dir() != is_sharded(model):
        found, remedy = ("shards", "shard=True") if path.is_dir() else ("one file", "shard=False")
        raise ValueError(f"{path} holds a run in {found}: go on with {remedy}, or with another checkpoint")
    folder = path / (path / "latest").read_text(encoding="ascii") if path.is_dir() else None
    content = read(folder / "rest.pt" if folder else path)
    saved = {**BEFORE, **content["settings"]}
    unknown = [name for name in settings if name not in saved]
    if unknown:
        warnings.warn(
            f"{path} does not hold {', '.join(unknown)}, as an earlier version did not keep them: they are taken as "
            f"given now, and nothing checks that they are those of the run",
            stacklevel=3,
        )
    differ = {k: (saved[k], v) for k, v in settings.items() if k in saved and saved[k] != v}
    if differ:
        changes = ", ".join(f"{k} was {old!r} and is now {new!r}" for k, (old, new) in differ.items())
        raise ValueError(f"{path} belongs to a run with other settings ({changes}): use those, or another file")
    if folder:
        load_shards(folder, model, optimizers)
    else:
        tensors = with_new_names(path, content["model"])
        same_shapes(path, tensors, model.state_dict())
        model.load_state_dict(tensors)
        for each, state in zip(optimizers, content["optimizers"], strict=True):
            each.load_state_dict(state)
    if scaler and content.get("scaler"):
        scaler.load_state_dict(content["scaler"])
    return [{RENAMED.get(name, name): value for name, value in row.items()} for row in content["rows"]]


def write(path, content):
    """torch.save; the name never stands for half a file."""
    with whole_file(path) as file:
        torch.save(content, file)


def read(path):
    """What `write` has written. Raises ValueError for anything else."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        content["settings"], content["rows"]
    except (RuntimeError, EOFError, LookupError, TypeError, pickle.UnpicklingError, FileNotFoundError) as error:
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise ValueError(
            f"{path} cannot be read as a checkpoint, it is cut short or damaged ({reason:.100}): put a whole copy in "
            f"its place, or begin a new run elsewhere"
        ) from error
    return content


def with_new_names(path, tensors):
    """A state dict with the mask token's present name, whichever version wrote it.

    Raises ValueError for an earlier one with several mask tokens: their optimiser state stands in another order.
    """
    if any("more_mask_tokens" in name for name in tensors):
        raise ValueError(too_old(path))
    return {re.sub(r"(?<=predictor\.)mask_token$", "mask_tokens.0", name): value for name, value in tensors.items()}


def too_old(path):
    """What to say of a run that this version cannot go on with."""
    return (
        f"{path} is of an earlier version, which kept the mask tokens in another order or under another name: this "
        f"version cannot go on with it; begin a new run elsewhere, or finish this one with the version that began it"
    )


def same_shapes(path, saved, now):
    """Refuse a model of other tensors before any is changed. saved, now: state dicts. Raises ValueError."""
    found, wanted = ({name: list(value.shape) for name, value in each.items()} for each in (saved, now))
    differ = [name for name in {**found, **wanted} if found.get(name) != wanted.get(name)]
    if differ:
        name = differ[0]
        raise ValueError(
            f"{path} holds another model ({len(differ)} tensors differ; {name} was {found.get(name, 'absent')} and is "
            f"now {wanted.get(name, 'absent')}): build the model as it was, or use another file"
        )


# --- shards: PyTorch's distributed checkpoint ---


def states_of(model, optimizers):
    """What is cut in shards, by the names of the parameters, so that other processes can cut it otherwise."""
    from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict

    return {"model": model.state_dict(), "optimizers": [get_optimizer_state_dict(model, each) for each in optimizers]}


def save_shards(path, model, optimizers, rest, team):
    """Each process writes its shards into a new folder; when all have, `latest` is made to name it, atomically.

    Raises CannotWrite where there is no room: then the last whole folder is there still.
    """
    import torch.distributed.checkpoint as dcp

    name = [fresh(path, f"step-{len(rest['rows']):08d}")]
    dist.broadcast_object_list(name)  # rank 0's, as another may not yet see what it has removed
    folder = path / name[0]
    try:
        dcp.save(states_of(model, optimizers), checkpoint_id=folder)
        if team.rank == 0:
            write(folder / "rest.pt", rest)
            with whole_file(path / "latest") as file:
                file.write(folder.name.encode("ascii"))
    except CannotWrite:  # there was room for the shards, and for no more
        shutil.rmtree(folder, ignore_errors=True)
        raise
    except (dcp.api.CheckpointException, OSError) as error:  # on all processes, whichever met it
        shutil.rmtree(folder, ignore_errors=True)
        raise CannotWrite(
            f"{folder} cannot be written ({last_line(error)}): free some disk space, then resume the run"
        ) from error
    if team.rank == 0:
        for older in path.glob("step-*"):
            if older != folder:
                shutil.rmtree(older)
    dist.barrier()


def last_line(error):
    """The line of an error that says what it was about: PyTorch quotes the traces of all processes before it."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()


def fresh(path, name):
    """A name that nothing in the folder has: a save that was killed, or the run to go on from, may lie there."""
    names = (name + end for end in ("", *(f".{again}" for again in range(1, 1000))))
    return next(each for each in names if not (path / each).exists())


def load_shards(folder, model, optimizers):
    """Read what this process needs, whichever process wrote it. Raises ValueError for shards of an earlier version."""
    import torch.distributed.checkpoint as dcp
    from torch.distributed.checkpoint.state_dict import set_optimizer_state_dict

    names = dcp.FileSystemReader(folder).read_metadata().state_dict_metadata
    if any(name.endswith("predictor.mask_token") for name in names):
        raise ValueError(too_old(folder))
    states = states_of(model, optimizers)  # tensors of the right shapes, to be read into
    dcp.load(states, checkpoint_id=folder)
    model.load_state_dict(states["model"])
    for each, state in zip(optimizers, states["optimizers"], strict=True):
        set_optimizer_state_dict(model, each, state)
