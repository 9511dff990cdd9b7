"""Why a small step does not reach the machine's peak: its time, operation by operation, beside what the machine allows.

    python tools/bench/roofline.py [STEPS]        prints JSON; `make bench` shows it as words

A step of nano at the recipe's batch of 32 is watched in float32: each operation is timed, and its arithmetic (of matrix
products) or its traffic (of all others: bytes read and written; views move none) is counted. Beside it stand three
measurements of this machine: the arithmetic per second of a large matrix product, the bytes per second of an
element-wise operation on a tensor of the size of nano's, and the time of an operation on a tensor of one number.

    ceiling = arithmetic / (arithmetic / peak + traffic / bandwidth + operations * one call)

is the share of the peak that the step would reach if each product ran at the peak and each other operation as fast as
memory and Python allow. Watching costs time itself; the times of the operations are taken inside it.
"""

import json
import sys
import time
from collections import defaultdict

import torch
from steps import MODELS, our_step
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from minijepa.training.memory import keep_freed_memory
from minijepa.training.optimizers import make_optimizers

BATCH, SIDE = 32, 1024
KINDS = {  # what an operation's name begins with: the row that it is counted in
    "matrix products": ("mm", "addmm", "bmm", "baddbmm"),
    "copies and casts": ("copy_", "_to_copy", "clone", "cat", "gather", "index", "repeat", "scatter"),
    "GELU": ("gelu",),
    "softmax": ("_softmax",),
    "LayerNorm": ("native_layer_norm",),
}


class Watch(TorchDispatchMode):
    """Counts and times every operation. `spent`: {name: [calls, seconds, flops, bytes]}."""

    def __init__(self):
        super().__init__()
        self.spent = defaultdict(lambda: [0, 0.0, 0, 0])

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        start = time.perf_counter()
        out = func(*args, **(kwargs or {}))
        seconds = time.perf_counter() - start
        row, packet = self.spent[func._overloadpacket.__name__], func._overloadpacket
        row[0] += 1
        row[1] += seconds
        if packet in flop_registry:
            row[2] += flop_registry[packet](*args, **(kwargs or {}), out_val=out)
        else:
            row[3] += traffic(func, (args, kwargs), out)
        return out


def traffic(func, inputs, out):
    """Bytes that an operation reads and writes; 0 for a view of its input."""
    read, written = ([t for t in tree_leaves(each) if isinstance(t, torch.Tensor)] for each in (inputs, out))
    shares = {t.untyped_storage().data_ptr() for t in read}
    if written and all(t.untyped_storage().data_ptr() in shares for t in written) and not func._schema.is_mutable:
        return 0
    return sum(t.numel() * t.element_size() for t in read + written)


def kind(name):
    """The row of KINDS that an operation belongs to."""
    return next((row for row, starts in KINDS.items() if name.startswith(starts)), "other")


def seconds(call, least):
    """Of one call, the fastest of three rounds of at least one call and `least` seconds each."""
    rounds = []
    for _ in range(3):
        count, start = 0, time.perf_counter()
        while not count or time.perf_counter() - start < least:
            call()
            count += 1
        rounds.append((time.perf_counter() - start) / count)
    return min(rounds)


def machine(size, least):
    """What this machine allows: {"peak": flops / s, "bandwidth": bytes / s on tensors of `size` numbers, "call": s}.

    least: seconds of a round, as in `seconds`.
    """
    a, b = torch.randn(2, SIDE, SIDE)
    x, y, one = torch.randn(size), torch.randn(size), torch.ones(1)
    return {
        "peak": 2 * SIDE**3 / seconds(lambda: a @ b, least),
        "bandwidth": 12 * size / seconds(lambda: x + y, least),  # two read, one written, four bytes each
        "call": seconds(lambda: one + one, least),
    }


def measure(steps=20, least=0.2):
    """Watch a step of nano. steps: of the watched run. least: seconds of a round of each measurement.

    Returns {"machine", "step": seconds of a step that is not watched, "kinds": {row: calls, seconds, flops and bytes of
    a step}, "share": of the peak that is reached, "ceiling": of the peak at most}.
    """
    keep_freed_memory()
    build, masks, shape, _ = MODELS["nano"]
    jepa, x = build(), torch.randn(BATCH, *shape)
    optimizer = make_optimizers(jepa, 1e-3)[0]

    def step():
        torch.manual_seed(0)  # the same masks in each step
        our_step(jepa, optimizer, x, torch.autocast("cpu", enabled=False), masks)

    for _ in range(3):  # warm up
        step()
    unwatched, watch = seconds(step, least), Watch()
    with watch:
        for _ in range(steps):
            step()
    rows = defaultdict(lambda: [0, 0.0, 0, 0])
    for name, numbers in watch.spent.items():
        rows[kind(name)] = [total + each / steps for total, each in zip(rows[kind(name)], numbers, strict=True)]
    calls, _, flops, moved = (sum(column) for column in zip(*rows.values(), strict=True))
    allows = machine(BATCH * 64 * jepa.encoder.dim, least)
    least = flops / allows["peak"] + moved / allows["bandwidth"] + calls * allows["call"]
    return {
        "machine": allows,
        "threads": torch.get_num_threads(),
        "step": unwatched,
        "kinds": {name: dict(zip(("calls", "seconds", "flops", "bytes"), row, strict=True)) for name, row in
                  sorted(rows.items(), key=lambda item: -item[1][1])},
        "share": flops / unwatched / allows["peak"],
        "ceiling": flops / least / allows["peak"],
    }  # fmt: skip


def show(found):
    """Print what `measure` found."""
    allows = found["machine"]
    print(f"{'nano, batch 32':<20}{'calls':>8}{'ms':>8}{'at least':>10}   a step of {1e3 * found['step']:.1f} ms")
    for name, row in found["kinds"].items():
        least = row["flops"] / allows["peak"] + row["bytes"] / allows["bandwidth"] + row["calls"] * allows["call"]
        print(f"{name:<20}{row['calls']:>8.0f}{1e3 * row['seconds']:>8.1f}{1e3 * least:>10.1f}")
    print(f"share of the peak: {found['share']:.0%} reached, {found['ceiling']:.0%} if products ran at the peak "
          f"({allows['peak'] / 1e9:.0f} GFLOP/s) and all else at {allows['bandwidth'] / 1e9:.0f} GB/s and "
          f"{1e6 * allows['call']:.1f} us a call")  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(measure(*(int(argument) for argument in sys.argv[1:]))))
