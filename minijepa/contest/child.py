"""The process that trains a submission: `python -m minijepa.contest.child`. It reads an order, and writes messages.

It gets images and false labels through its standard input, and everything that leaves it, weights included, goes
through its standard output; it needs no file. The submission's own prints are dropped. Messages, one after the other:

    plan      what the submission is called, steps, batch size, operations of a step
    quarter   the weights after a quarter of the steps
    done      the weights at the end, and what was used
    refused   something that is not allowed; the process has ended
    error     the submission failed, with the lines of its error
"""

import json
import os
import sys
import traceback

MOST_STEPS = 1_000_000


def main():
    """Read the order, train, answer. Whatever the submission does, the first refusal ends the process."""
    channel = os.fdopen(os.dup(1), "wb")  # our own; what the submission prints goes nowhere
    header = json.loads(sys.stdin.buffer.readline())
    content = sys.stdin.buffer.read(header["bytes"])
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)

    def send(kind, payload=b"", **words):
        channel.write(json.dumps({"kind": kind, "bytes": len(payload), **words}).encode() + b"\n" + payload)
        channel.flush()

    def refuse(reason, leave=os._exit):
        send("refused", reason=reason)
        leave(0)

    limit_memory(header["megabytes"])
    try:
        train(header, content, send, refuse)
    except BaseException as error:  # an exit, too
        lines = traceback.format_exception(type(error), error, error.__traceback__)
        own = [line for line in lines[:-1] if "submission.py" in line] or lines[-2:-1]
        send("error", reason="".join([*own[-3:], lines[-1]])[-1500:].strip())
    os._exit(0)  # no threads or exit handlers of the submission run


def limit_memory(megabytes):
    """Where the system can, let the process fail at a request for more memory, before the machine is out of it."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (megabytes * 2**20,) * 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, ValueError, OSError):
        pass  # the parent watches the memory in any case


def train(header, content, send, refuse):
    """Train a submission as the order says. content: safetensors of what `handout` gives."""
    import copy
    import random
    import time

    import numpy
    import torch
    from safetensors.torch import load, save

    from minijepa.contest import guard, submission
    from minijepa.contest.budget import Budget, Meter
    from minijepa.contest.tracks import TRACKS
    from minijepa.training import fit

    sys.dont_write_bytecode = True
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    track, seed = TRACKS[header["track"]](), header["seed"]
    tensors = load(content)
    meter = Meter(Budget(**header["budget"]), refuse)
    warm_up()
    guard.close(refuse)

    random.seed(seed)
    numpy.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    module = submission.load(header["text"], track)
    parts = track.parts(seed)
    model = module.model(**parts)
    settings, masks = dict(module.TRAINING), getattr(module, "masks", None)
    data = track.data(tensors, meter.draw, getattr(module, "WINDOW", track.window))

    batch = settings.setdefault("batch_size", 64)
    price = Meter(Budget(2**62, float("inf")), refuse)  # of one step: that of a copy, which is thrown away
    with price:
        fit(copy.deepcopy(model), track.data(tensors, price.draw, data.__dict__.get("window")), masks,
            **{**settings, "steps": 2}, seed=seed)  # fmt: skip
    affordable = min(
        meter.budget.samples // (price.samples // 2), int(meter.budget.operations // (price.operations / 2))
    )
    if affordable < 1:
        refuse(
            f"one step draws {price.samples // 2:,} samples and makes {price.operations / 2:.3g} operations, more than the budget: lower batch_size"
        )
    steps = settings.pop("steps", None) or min(affordable, MOST_STEPS)
    send("plan", name=str(module.NAME)[:60], steps=steps, batch=batch, operations=price.operations / 2)

    quarter = max(1, steps // 4)

    def weights():
        return {f"{name}.{key}": value.detach().float().contiguous().clone()
                for name, part in track.kept(model, parts).items() for key, value in part.state_dict().items()}  # fmt: skip

    def look(step, *_):
        if not meter.calibrated():
            refuse("the counter of operations no longer counts: it must be left alone")
        if step == quarter:
            send("quarter", save(weights()))

    torch.manual_seed(seed)
    clock = time.process_time()
    with meter:
        history = fit(model, data, masks, **settings, steps=steps, seed=seed, callbacks=[look])
    used = {"samples": meter.samples, "operations": meter.operations, "cpu_seconds": time.process_time() - clock}
    send("done", save(weights()), steps=steps, loss=history.rows[-1]["loss"], **used)


def warm_up():
    """Two steps of the course's recipe with each optimiser: PyTorch loads its last files before the doors close."""
    import torch

    from minijepa.training import fit, recipe

    class Noise:
        def __len__(self):
            return 8

        def batch(self, index, device=None):
            return torch.randn(len(index), 3, 32, 32)

    for optimizer in ("muon", "adamw"):
        settings = {**recipe.TRAINING, "batch_size": 4, "optimizer": optimizer}
        fit(recipe.build(), Noise(), recipe.masks, **settings, steps=1)


if __name__ == "__main__":
    main()
