"""One process of tools/bench/run.py: it builds the things of an arm, then times each when it is told to.

All arms of a comparison wait in their own processes and take turns, so that other work of the machine affects all of
them. `Worker` is the other end, in the main process.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from steps import (
    BATCH,
    MODELS,
    build,
    build_torch_world,
    build_world,
    our_masks,
    our_step,
    step_flops,
    step_tokens,
    textbook_masks,
    textbook_step,
    torch_world_masks,
    torch_world_step,
    world_flops,
    world_step,
)

from minijepa.training import distributed, recipe
from minijepa.training.memory import keep_freed_memory
from minijepa.training.optimizers import make_optimizers

MASKS = 1024  # images per call when the samplers alone are timed
# the loops that are not ours: (model, step, masks)
OTHERS = {
    "textbook": (build, textbook_step, textbook_masks),
    "torch_world": (build_torch_world, torch_world_step, torch_world_masks),
}
SIDE = 1024  # of the matrices whose product is called the machine's peak


@dataclass
class Timed:
    """Something to call again and again. images, flops, tokens: per call, for rates."""

    call: Callable
    images: int = 0
    flops: float = 0
    tokens: int = 0


def things(arm, team):
    """{name: Timed} of an arm. Names: batch sizes in rising order, "masks", or a precision of matrix products."""
    if arm == "peak":
        pairs = {name: torch.randn(2, SIDE, SIDE).to(getattr(torch, name)) for name in ("float32", "bfloat16")}
        return {name: Timed(lambda pair=pair: pair[0] @ pair[1], flops=2 * SIDE**3) for name, pair in pairs.items()}
    loop, precision = arm.split("-")
    if loop not in ("textbook", "torch_world"):
        keep_freed_memory()  # as `fit` does
    half = torch.autocast("cpu", dtype=torch.bfloat16) if precision == "bfloat16" else nullcontext()
    if loop == "processes":
        return {str(BATCH): shared_step(team)}
    if loop == "world":
        return {"240": frames_step(half)}
    if loop in OTHERS:
        start, step, draw = OTHERS[loop]
        jepa, found = start(), {"masks": Timed(lambda: draw(MASKS), MASKS)}
        optimizer = torch.optim.AdamW([*jepa.encoder.parameters(), *jepa.predictor.parameters()])
        shape, batches = MODELS["ours"][2], (BATCH,)
    else:
        model, draw, shape, batches = MODELS["ours" if loop == "compiled" else loop]
        jepa, step, found = model(), our_step, {}
        optimizer = make_optimizers(jepa, 1e-3)[0]
        if draw is our_masks:
            found["masks"] = Timed(lambda: our_masks(MASKS), MASKS)
    ours = (build(), our_masks) if loop in OTHERS else (jepa, draw)  # all three loops do our arithmetic
    flops = step_flops(*ours, shape, 32)
    if loop == "compiled":
        jepa.forward = torch.compile(jepa.forward, dynamic=False)  # a program for each batch size
    for batch in batches:
        x, tokens = torch.randn(batch, *shape), step_tokens(ours[1], batch)
        call = lambda x=x: step(jepa, optimizer, x, half, draw)  # noqa: E731
        found[str(batch)] = Timed(call, batch, batch * flops, batch * tokens)
    return found


def frames_step(half):
    """A step of the world model. half: the context of its precision. Its images, and its tokens, are frames."""
    model, clip = build_world()
    optimizer, frames = make_optimizers(model, 1e-3)[0], clip.frames.shape[0] * clip.frames.shape[1]
    return Timed(lambda: world_step(model, optimizer, clip, half), frames, world_flops(model, clip), frames)


def shared_step(team):
    """A step of nano on several processes (minijepa.training.distributed), each with its rows of the batch."""
    torch.manual_seed(0)
    jepa, shape = recipe.build("nano"), MODELS["nano"][2]
    flops = step_flops(jepa, recipe.masks, shape, BATCH)
    parallel = distributed.parallel(jepa, team, torch.device("cpu"))
    optimizer, rows = make_optimizers(jepa, 1e-3)[0], team.rows(BATCH)
    x = torch.randn(BATCH, *shape)[rows]
    generator = torch.Generator().manual_seed(0)  # the same masks on all processes

    def step():
        optimizer.zero_grad(set_to_none=True)
        parallel(x, recipe.masks(BATCH, generator).rows(rows)).loss.backward()
        optimizer.step()
        jepa.after_step(0.996)

    return Timed(step, BATCH, BATCH * flops, BATCH * step_tokens(recipe.masks, BATCH))


def rate(call, seconds, team):
    """Call for this many seconds, at least twice. Returns {"seconds", "cpu_seconds"} of one call, by two clocks.

    The processor's clock counts all threads of this process, but no time of other programs.
    """
    count, start, processor = 0, time.perf_counter(), time.process_time()
    while count < 2 or not team.any(time.perf_counter() - start >= seconds):  # all processes stop together
        call()
        count += 1
    return {"seconds": (time.perf_counter() - start) / count, "cpu_seconds": (time.process_time() - processor) / count}


def peak_memory():
    """The most MB of memory that this process has held; None if the system does not tell."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux; getrusage there may tell the parent's
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1000
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # macOS counts bytes


def serve(arm):
    """Print as JSON what can be timed; then answer each input line [name, seconds] with a line of times."""
    with distributed.session("cpu") as team:
        found, told = things(arm, team), {}
        for name, thing in found.items():
            begin = time.perf_counter()
            for _ in range(3):  # warm up
                thing.call()
            first = time.perf_counter() - begin
            numbers = {"images": thing.images, "flops": thing.flops, "tokens": thing.tokens}
            told[name] = {**numbers, "peak_memory_mb": peak_memory(), "warm_up_seconds": first}
        print(json.dumps(told), flush=True)
        for line in sys.stdin:
            name, seconds = json.loads(line)
            print(json.dumps(rate(found[name].call, seconds, team)), flush=True)


class Worker:
    """An arm in its own process, or in several that share its batches, with `threads` threads each (None: all)."""

    def __init__(self, arm, processes=1, threads=None):
        self.arm, self.errors = arm, tempfile.TemporaryFile()
        environment = dict(os.environ)
        if threads:
            environment["OMP_NUM_THREADS"] = str(threads)
        if processes > 1:
            environment.update(WORLD_SIZE=str(processes), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(free_port()))
        environment.update(USE_LIBUV="0")  # PyTorch for Windows comes without it
        self.processes = []
        for rank in range(processes):
            own = {**environment, "RANK": str(rank), "LOCAL_RANK": str(rank)} if processes > 1 else environment
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self.errors, "text": True}
            self.processes.append(subprocess.Popen([sys.executable, __file__, arm], env=own, **pipes))

    def answer(self):
        """The next line of the first process, when all have answered. Raises RuntimeError if one of them has died."""
        lines = [each.stdout.readline() for each in self.processes]
        if not all(lines):
            self.errors.seek(0)
            raise RuntimeError(f"the arm {self.arm} stopped: {self.errors.read()[-3000:].decode(errors='replace')}")
        return json.loads(lines[0])

    def turn(self, name, seconds):
        """Let the processes time one thing now; returns its times."""
        for each in self.processes:
            each.stdin.write(json.dumps([name, seconds]) + "\n")
            each.stdin.flush()
        return self.answer()

    def close(self):
        """Let the processes end."""
        for each in self.processes:
            each.stdin.close()
        for each in self.processes:
            each.wait()
            each.stdout.close()
        self.errors.close()


def free_port():
    """A free port of this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


if __name__ == "__main__":
    serve(sys.argv[1])
