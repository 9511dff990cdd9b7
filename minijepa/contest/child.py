"""The process that trains a submission: `python -m minijepa.contest.child`. It reads an order, and writes messages.

It gets images and false labels through its standard input, and everything that leaves it, weights included, goes
through its standard output; it needs no file. What the submission prints is dropped. Messages, one after the other:

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

# torch and the rest of the package are imported inside the functions, after the limit of memory is set


def main():
    """Read the order, train, answer. Whatever the submission does, the first refusal ends the process."""
    channel = os.fdopen(os.dup(1), "wb")  # our own; what the submission prints goes nowhere
    order = json.loads(sys.stdin.buffer.readline())
    content = sys.stdin.buffer.read(order["bytes"])
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)

    def send(kind, payload=b"", **words):
        channel.write(json.dumps({"kind": kind, "bytes": len(payload), **words}).encode() + b"\n" + payload)
        channel.flush()

    def refuse(reason, leave=os._exit):
        send("refused", reason=reason)
        leave(0)

    limit(order["megabytes"])
    try:
        train(order, content, send, refuse)
    except BaseException as error:  # an exit, too
        lines = traceback.format_exception(type(error), error, error.__traceback__)
        own = [line for line in lines[:-1] if "submission.py" in line] or lines[-2:-1]
        send("error", reason="".join([*own[-3:], lines[-1]])[-1500:].strip())
    os._exit(0)  # no threads or exit handlers of the submission run


def limit(megabytes):
    """Where the system can: no file can grow, and a request for more memory fails before the machine is out of it."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (megabytes * 2**20,) * 2)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, ValueError, OSError):
        pass  # the parent watches the memory in any case


def train(order, content, send, refuse):
    """Train a submission as the order says. content: safetensors of what `handout` gives."""
    import torch
    from safetensors.torch import load, save

    from minijepa.contest import guard, submission
    from minijepa.contest.budget import Budget, Meter
    from minijepa.contest.tracks import TRACKS
    from minijepa.training import fit

    track, seed, tensors = TRACKS[order["track"]](), order["seed"], load(content)
    meter = Meter(Budget(**order["budget"]), refuse)
    settle(seed)
    guard.close(refuse)

    module = submission.load(order["text"], track)
    parts = track.parts(seed)
    model = module.model(**parts)
    masks, window = getattr(module, "masks", None), getattr(module, "WINDOW", track.window)
    settings = {"batch_size": 64, "seed": seed, **module.TRAINING}
    samples, operations = price(model, tensors, masks, window, settings, track, refuse)
    affordable = min(meter.budget.samples // samples, int(meter.budget.operations // operations))
    if affordable < 1:
        refuse(
            f"one step draws {samples:,} {track.unit} and makes {operations:.3g} operations, more than the budget of "
            f"{meter.budget.samples:,} and {meter.budget.operations:.3g}: lower batch_size"
        )
    steps = settings.pop("steps", None) or affordable
    send("plan", name=str(module.NAME)[:60], steps=steps, operations=operations)

    def weights():
        state = {}
        for name, part in track.kept(model, parts).items():
            for key, value in part.state_dict().items():
                state[f"{name}.{key}"] = value.detach().float().contiguous().clone()
        return save(state)

    def look(step, *_):
        if not meter.calibrated():
            refuse("the counter of operations counts no longer: leave torch.utils and minijepa.contest alone")
        if step == max(1, steps // 4):
            send("quarter", weights())

    torch.manual_seed(seed)
    with meter:
        fit(model, track.data(tensors, meter.draw, window), masks, **settings, steps=steps, callbacks=[look])
    send("done", weights(), steps=steps, samples=meter.samples, operations=meter.operations)


def price(model, tensors, masks, window, settings, track, refuse):
    """Samples and operations of one step, the mean of two that a copy makes. They are not counted.

    tensors: of `handout`; masks: a function (batch, generator) -> Masks, context [B, K_c], or None. window: of clips.
    """
    import copy

    from minijepa.contest.budget import Budget, Meter
    from minijepa.training import fit

    meter = Meter(Budget(2**62, float("inf")), refuse)
    with meter:
        fit(copy.deepcopy(model), track.data(tensors, meter.draw, window), masks, **{**settings, "steps": 2})
    return meter.samples // 2, max(1, meter.operations / 2)


def settle(seed):
    """One thread, every default generator seeded, and PyTorch's last files loaded, by a step with each optimiser."""
    import random

    import numpy
    import torch

    from minijepa.training import fit, recipe

    class Noise:
        def __len__(self):
            return 8

        def batch(self, index, device=None):
            return torch.randn(len(index), 3, 32, 32)

    sys.dont_write_bytecode = True
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    for optimizer in ("muon", "adamw"):
        settings = {**recipe.TRAINING, "batch_size": 4, "optimizer": optimizer}
        fit(recipe.build(), Noise(), recipe.masks, **settings, steps=1)
    random.seed(seed)
    numpy.random.seed(seed % 2**32)
    torch.manual_seed(seed)


if __name__ == "__main__":
    main()
