"""What cannot be trained, refused before anything is touched: each message names the number that is wrong."""

import inspect

import torch

from minijepa.training.checkpoint import holds_run
from minijepa.vit import transformer_blocks

PRECISIONS = ("float32", "bfloat16", "float16")
LARGEST_SEED = 2**32 - 1  # its products with the number of a step still fit into 64 bits
FLOAT16_DEVICES = ("cuda",)  # elsewhere it is slower than float32


def check_settings(settings, checkpoint, resume, device):
    """Refuse what cannot be trained, with the number that is wrong."""
    if settings["steps"] < 1 or settings["batch_size"] < 1:
        raise ValueError(
            f"steps and batch_size must be at least 1, got {settings['steps']} and {settings['batch_size']}"
        )
    if settings["batch_size"] > settings["images"]:
        raise ValueError(
            f"batch_size {settings['batch_size']} is more than the {settings['images']} examples there are: "
            "lower batch_size (on the command line --batch-size), or add examples"
        )
    if settings["accumulate"] < 1 or settings["batch_size"] % settings["accumulate"]:
        raise ValueError(f"accumulate must divide batch_size {settings['batch_size']}, got {settings['accumulate']}")
    if not 0 <= settings["seed"] <= LARGEST_SEED:
        raise ValueError(f"seed must be a whole number from 0 to {LARGEST_SEED:,}, got {settings['seed']}")
    if settings["optimizer"] not in ("adamw", "muon"):
        raise ValueError(f"optimizer must be 'adamw' or 'muon', got {settings['optimizer']!r}")
    allowed = PRECISIONS if device.type in FLOAT16_DEVICES else PRECISIONS[:2]
    if settings["precision"] not in allowed:
        names = ", ".join(repr(name) for name in allowed[:-1]) + f" or {allowed[-1]!r}"
        raise ValueError(f"precision must be {names} on this device, {device.type}, got {settings['precision']!r}")
    if resume and not checkpoint:
        raise ValueError("resume=True needs checkpoint, the file to go on from, got None")
    if checkpoint and not resume and holds_run(checkpoint):
        raise FileExistsError(
            f"{checkpoint} holds an earlier run and would be overwritten: pass resume=True to go on with it, "
            f"another checkpoint name, or delete the file"
        )


def check_compiler(device):
    """Refuse compile=True where torch.compile cannot make a program: it is tried on a small one."""
    try:
        torch.compile(lambda x: 2 * x + 1)(torch.ones(2, device=device))
    except Exception as error:  # torch has many kinds of them, a new one in each version
        reason = (str(error).splitlines() or [""])[0]
        raise ValueError(
            f"nothing can be compiled for {device.type} here ({type(error).__name__}: {reason}): install a C++ "
            "compiler (for cuda Triton, too), or train without compile (on the command line without --compile)"
        ) from error


def check_parallel(settings, team, shard, model, augment):
    """Refuse what batches in parts (over processes, or accumulated) or models in shards cannot do."""
    in_parts = settings["accumulate"] * team.size > 1
    if (shard or settings["optimizer"] == "muon") and not transformer_blocks(model):
        asked = "shard=True" if shard else "optimizer='muon'"
        raise ValueError(
            f"{asked} works on the blocks of minijepa.vit, and {type(model).__name__} has none: build it from "
            "minijepa.vit.Block, or leave the argument out (optimizer='adamw')"
        )
    if settings["batch_size"] % (settings["accumulate"] * team.size):
        raise ValueError(
            f"batch_size {settings['batch_size']} must be a multiple of accumulate times processes, "
            f"{settings['accumulate']} x {team.size}: it is the number of examples of one step, over all processes"
        )
    if settings["accumulate"] > 1 and getattr(model, "compares_examples", False):
        raise ValueError(
            f"{type(model).__name__} compares the examples of a batch with each other, so microbatches would train "
            f"another model than the whole: use accumulate=1, got {settings['accumulate']}"
        )
    if in_parts and augment is not None and not takes(augment, "rows_of"):
        name = getattr(augment, "__name__", augment)
        raise ValueError(
            f"augment={name} does not take `rows_of`, so it cannot give a part of a batch the random numbers that it "
            "would have in the whole: use one process and accumulate=1, or add rows_of=None to its arguments, as "
            "crop_flip has"
        )
    if shard and settings["optimizer"] == "muon":
        raise ValueError(
            "shard=True and optimizer='muon' do not go together: Muon needs whole matrices; use optimizer='adamw' "
            "(on the command line --optimizer adamw)"
        )
    if shard and settings["precision"] == "float16":
        raise ValueError("shard=True and precision='float16' do not go together: use 'bfloat16'")


def check_method(model, masks):
    """Refuse a model that does not keep the contract at the top of fit.py. masks: the function that draws, or None."""
    for old, new in (("update_teacher", "after_step"), ("compares_images", "compares_examples")):
        if hasattr(model, old) and not hasattr(model, new):
            raise ValueError(f"{type(model).__name__} has {old}, which is now called {new}: rename it")
    parameters = list(inspect.signature(model.forward).parameters.values())
    if any(each.kind is each.VAR_POSITIONAL for each in parameters):
        return
    needed = sum(each.default is each.empty for each in parameters if each.kind is not each.VAR_KEYWORD)
    if masks is None and needed > 1:
        raise ValueError(f"{type(model).__name__} asks for masks: give fit a function (batch, generator) -> Masks")
    if masks is not None and len(parameters) < 2:
        raise ValueError(
            f"{type(model).__name__} takes no masks, got {getattr(masks, '__name__', masks)}: give fit none"
        )


def takes(function, name):
    """True if it has an argument of that name, or takes any."""
    arguments = inspect.signature(function).parameters
    return name in arguments or any(each.kind is each.VAR_KEYWORD for each in arguments.values())
