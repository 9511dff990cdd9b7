"""Measuring a step: the processor's time of its parts, the bytes it keeps, the bytes it hands to other processes.

The clock is the processor's own, which stands still while other programs run.
"""

import time
from collections import Counter
from contextlib import contextmanager
from statistics import median

import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode

from minijepa.training.fit import fit


class Clock:
    """The processor's seconds of named parts: `with clock("masks"): ...`. seconds: dict name -> list of floats."""

    def __init__(self):
        self.seconds = {}

    @contextmanager
    def __call__(self, name):
        """Note the seconds of what stands inside."""
        start = time.process_time()
        yield
        self.seconds.setdefault(name, []).append(time.process_time() - start)

    def fractions(self, warm=2):
        """Each part's fraction of the time, by medians without the first `warm` times: dict name -> float."""
        medians = {name: median(seconds[warm:]) for name, seconds in self.seconds.items()}
        return {name: seconds / sum(medians.values()) for name, seconds in medians.items()}


def fit_fractions(model, data, masks, steps=40, warm=10, **settings):
    """Fractions of the processor's time in steps of `fit`: {"model", "optimiser, EMA", "all else"}, together 1.

    The clock is read inside the steps of fit: where the model begins, where the optimiser begins, after the EMA.
    model, data, settings: as for `fit`. masks: function (batch, generator) -> Masks with context [B, K_c]. The model is
    trained for `warm` + `steps` steps; the first `warm` are not counted.
    """
    marks, spent, after_step = {}, [], model.after_step

    def mark(name):
        marks.setdefault(name, time.process_time())  # the first of a step: a run with Muon has two optimisers

    def marked_masks(batch, generator):
        drawn = masks(batch, generator)
        mark("model")  # what fit does next is the model's forward and backward pass
        return drawn

    def marked_after_step(momentum):
        after_step(momentum)
        mark("all else")

    def end_of_step(number, model, row):
        ends = time.process_time()
        if number > warm:
            parts = (marks["update"] - marks["model"], marks["all else"] - marks["update"])
            spent.append((*parts, ends - marks["step"] - sum(parts)))
        marks.clear()
        mark("step")

    model.after_step = marked_after_step
    hook = register_optimizer_step_pre_hook(lambda *_: mark("update"))
    try:
        fit(model, data, marked_masks, steps=warm + steps, callbacks=[end_of_step], **settings)
    finally:
        hook.remove()
        del model.after_step  # the method of the class is back
    seconds = [sum(column) for column in zip(*spent, strict=True)]
    names = ("model", "optimiser, EMA", "all else")
    return {name: each / sum(seconds) for name, each in zip(names, seconds, strict=True)}


def calls_per_second(functions, seconds=0.06, rounds=7):
    """How often each function can be called per second, in the best of a few rounds. functions: dict name -> function.

    They take turns, so that a busy moment of the machine does not fall on one of them alone. Wall time.
    """
    best = dict.fromkeys(functions, 0.0)
    for each in functions.values():
        each()  # to warm up
    for _ in range(rounds):
        for name, function in functions.items():
            calls, start = 0, time.perf_counter()
            while (passed := time.perf_counter() - start) < seconds:
                function()
                calls += 1
            best[name] = max(best[name], calls / passed)
    return best


def kept_bytes(function, model):
    """Bytes that `function()` keeps for a backward pass, without the parameters of `model`; and what it returned."""
    sizes = {}

    def pack(tensor):  # PyTorch calls this for each tensor that it keeps
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()  # several tensors may share one storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = function()
    for parameter in model.parameters():
        sizes.pop(parameter.untyped_storage().data_ptr(), None)
    return sum(sizes.values()), result


class HandedOver(TorchDispatchMode):
    """Counts the bytes of whole tensors handed to other processes meanwhile. bytes: Counter of {operation: bytes}.

    A dispatch mode sees every call of PyTorch's operations; those of "c10d" are what processes exchange tensors with.
    """

    def __init__(self):
        super().__init__()
        self.bytes = Counter()

    def __torch_dispatch__(self, function, types, arguments=(), more=None):
        """Note the size of the largest tensor, which is the whole one and not a shard of it."""
        if function.namespace == "c10d":
            flat = sum((list(a) if isinstance(a, (list, tuple)) else [a] for a in arguments), [])
            name = function._schema.name.split("::")[1].strip("_")
            self.bytes[name] += max((a.nbytes for a in flat if isinstance(a, torch.Tensor)), default=0)
        return function(*arguments, **(more or {}))
