"""The words of `python -m minijepa.train`: what they may be, and the words that go on with a run."""

import argparse
import os
import shlex
import subprocess
from pathlib import Path

import torch

from minijepa.family import METHODS
from minijepa.machine.hardware import best_device
from minijepa.training import distributed, recipe
from minijepa.training.checkpoint import holds_run
from minijepa.training.validate import LARGEST_SEED
from minijepa.vit import SIZES

TORCHRUN = "torchrun --standalone --local-addr=127.0.0.1 --nproc-per-node={}"


def number(kind, least, most, above=False):
    """An argparse type: an int or a float from `least` (above: greater than that) to `most`, and no NaN."""

    def parse(text):
        value = kind(text)
        if not least <= value <= most or (above and value == least):
            low = f"above {least}" if above else f"{least:,} or more"
            raise argparse.ArgumentTypeError(f"must be {low} and at most {most:,}, got {text}")
        return value

    parse.__name__ = kind.__name__  # argparse names it when `text` is no number
    return parse


def parse_arguments(argv=None, description=None):
    """Read the command line; a wrong argument ends the program with a usage message.

    Besides what was given, or follows from it, the result has `given`: {name: value} of what is not a default.
    """
    count, positive = number(int, 1, 2**31 - 1), number(float, 0, 1_000_000, above=True)
    parser = argparse.ArgumentParser(prog="python -m minijepa.train", description=description)
    parser.add_argument("--method", default="ijepa", choices=METHODS, help="what is trained (default ijepa)")
    data = "cifar10, shapeworld or a folder of images; for vjepa moving-shapes or a folder of videos"
    parser.add_argument("--data", help=data)
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--minutes", type=positive, help="length of training on this machine (default 2)")
    budget.add_argument("--steps", type=count, help="length of training in optimiser steps")
    parser.add_argument("--size", choices=SIZES, help="encoder size (default nano, with --longer micro)")
    weight = f"of the variance-covariance regulariser; 0: none (default {recipe.WEIGHT})"
    parser.add_argument("--weight", type=number(float, 0, 1_000_000), help=weight)
    parser.add_argument("--published", action="store_true", help="the published masks, crop, schedules; weight 0")
    parser.add_argument("--longer", action="store_true", help="the recipe for ten minutes and more, with --size micro")
    parser.add_argument("--batch-size", type=count, help="examples per step, over all processes")
    parser.add_argument("--accumulate", type=count, default=1, help="microbatches of a batch, one after the other")
    parser.add_argument("--lr", type=positive, help="peak learning rate (default: the method's)")
    parser.add_argument("--optimizer", choices=["adamw", "muon"], help="default muon, with --published adamw")
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--compile", action="store_true", help="torch.compile: a minute to start, then faster")
    parser.add_argument("--recompute", action="store_true", help="less memory, an eighth more arithmetic")
    parser.add_argument("--shard", action="store_true", help="cut the model over the processes (--optimizer adamw)")
    parser.add_argument("--device", default=None, help="cpu, cuda or mps (default: the best there is)")
    parser.add_argument("--seed", type=number(int, 0, LARGEST_SEED), default=0)
    parser.add_argument("--labels", type=count, default=10_000, help="labelled images for the probes")
    parser.add_argument(
        "--out",
        type=Path,
        default=None,
        help="folder for the results (default runs/DATA-seedN, of other methods than ijepa runs/DATA-METHOD-seedN)",
    )
    parser.add_argument("--resume", action="store_true", help="go on with the checkpoint in --out")
    arguments = parser.parse_args(argv)
    given = {name: value for name, value in vars(arguments).items() if value != parser.get_default(name)}
    arguments.given = given
    if arguments.minutes is None and arguments.steps is None:
        arguments.minutes = 2.0
    for name in ("published", "longer", "weight"):
        if (
            arguments.method != "ijepa"
            and getattr(arguments, name) is not None
            and getattr(arguments, name) is not False
        ):
            parser.error(f"argument --{name}: belongs to --method ijepa, not to {arguments.method}")
    arguments.clips = hasattr(METHODS[arguments.method], "TUBELET")  # all others learn from images
    arguments.data = arguments.data or ("moving-shapes" if arguments.clips else "cifar10")
    wrong = ("cifar10", "shapeworld") if arguments.clips else ("moving-shapes",)
    if arguments.data in wrong:
        parser.error(f"argument --data: {arguments.data} are not {'clips' if arguments.clips else 'images'}, which "
                     f"--method {arguments.method} learns from")  # fmt: skip
    if arguments.published and arguments.longer:
        parser.error("argument --longer: not allowed with --published, which has settings of its own")
    arguments.weight = 0.0 if arguments.published else recipe.WEIGHT if arguments.weight is None else arguments.weight
    own = METHODS[arguments.method].TRAINING
    chosen = recipe.PUBLISHED if arguments.published else recipe.LONGER if arguments.longer else own
    arguments.settings = {**chosen, "optimizer": arguments.optimizer or chosen["optimizer"]}
    arguments.batch_size = arguments.batch_size or chosen["batch_size"]
    arguments.size = arguments.size or ("micro" if arguments.longer else "nano")
    if arguments.resume and arguments.steps is None:
        parser.error("argument --resume: also give --steps, the number that the first run printed")
    if arguments.out is None:
        name = Path(arguments.data).expanduser().resolve().name or "data"  # "." has a name only when resolved
        method = "" if arguments.method == "ijepa" else f"-{arguments.method}"
        arguments.out = Path("runs") / f"{name}{method}-seed{arguments.seed}"
    arguments.out = arguments.out.expanduser()  # the shell does not, in --out=~/x
    if arguments.resume != holds_run(arguments.out / "checkpoint.pt"):
        parser.error(
            f"argument --resume: there is no run in {arguments.out} to go on with; check --out, or leave out --resume"
            if arguments.resume
            else f"argument --out: {arguments.out} holds an earlier run; give another folder, or --resume --steps N"
        )
    try:
        arguments.device = distributed.own_device(arguments.device or best_device(shared=distributed.launched()))
        torch.zeros(1, device=arguments.device)
    except (RuntimeError, AssertionError) as error:
        parser.error(f"argument --device: {arguments.device} cannot be used here ({str(error).splitlines()[0]})")
    return arguments


def to_go_on(arguments, steps, team):
    """The command that goes on with this run of so many steps: every argument that was given, ready to be pasted."""
    given = {name: value for name, value in arguments.given.items() if name != "minutes"}
    words = []
    for name, value in {**given, "resume": True, "steps": steps, "out": arguments.out}.items():
        words += [f"--{name.replace('_', '-')}"] + ([] if value is True else [str(value)])
    return command(words, team)


def command(words, team):
    """What to paste to start this program on as many processes with these words, quoted as the system's shell asks."""
    start = TORCHRUN.format(team.size) if distributed.launched() else "python"
    words = [*start.split(), "-m", "minijepa.train", *words]
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)
