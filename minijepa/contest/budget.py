"""A budget that means the same on every machine: images drawn, and multiplications and additions made.

Seconds would reward the faster computer. Counted here are the products of matrices and vectors, convolutions and
attention, forward and backward, in the optimiser as well: a product [m, k] @ [k, n] has 2 m k n operations. Sums,
means, softmax and other operations element by element are not counted, as in most published counts.
"""

from dataclasses import dataclass

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, sdpa_backward_flop_count, sdpa_flop_count

aten = torch.ops.aten
CALIBRATION = (5, 7, 11)  # m, k, n of a product whose price is known: 770


@dataclass(frozen=True)
class Budget:
    """samples: images (of clips: frames) that may be drawn, counted each time. operations: as at the top.

    Raises ValueError if one of them is not positive.
    """

    samples: int
    operations: float

    def __post_init__(self):
        if self.samples < 1 or not self.operations > 0:
            raise ValueError(
                f"a budget needs samples >= 1 and operations > 0, got {self.samples} and {self.operations}: "
                "raise --budget"
            )

    def scaled(self, fraction):
        """The same budget times `fraction`, above 0. Raises ValueError if not one sample is left."""
        return Budget(int(self.samples * fraction), self.operations * fraction)


class Meter(TorchDispatchMode):
    """Counts what is computed inside `with meter:`, and the samples that it is told of; `over()` at the first excess.

    budget: Budget. over: function of a sentence; it must not return. A dispatch mode sees every call of PyTorch's
    operations in its own thread. Raises RuntimeError if `over` returns.
    """

    def __init__(self, budget, over):
        super().__init__()
        self.budget, self.over = budget, over
        self.samples, self.operations = 0, 0

    def draw(self, count):
        """Note that so many samples are drawn."""
        self.samples += count
        if self.samples > self.budget.samples:
            self.stop(f"{self.samples:,} samples drawn of {self.budget.samples:,}")

    def __torch_dispatch__(self, function, types, arguments=(), more=None):
        more = more or {}
        if function not in PLAIN:
            if price_of(function) is None and composite(function):
                with self:  # in inference mode a linear layer arrives whole: look at what it is made of
                    return function.decompose(*arguments, **more)
            PLAIN[function] = price_of(function)
        result = function(*arguments, **more)
        if PLAIN[function] is not None:
            self.operations += PLAIN[function](*arguments, **more, out_val=result)
            if self.operations > self.budget.operations:
                self.stop(f"{self.operations:.3g} operations made of {self.budget.operations:.3g}")
        return result

    def stop(self, what):
        """Report an exceeded budget. Raises RuntimeError if the report returns."""
        self.over(
            f"the budget is exceeded ({what}): lower `steps` in TRAINING, take smaller batches, or a cheaper model"
        )
        raise RuntimeError(f"the budget is exceeded: {what}")

    def calibrated(self):
        """Inside `with meter:`, does a product of known price still cost that? It is made, counted, and taken off."""
        m, k, n = CALIBRATION
        before = self.operations
        torch.ones(m, k) @ torch.ones(k, n)
        found, self.operations = self.operations - before, before
        return found == 2 * m * k * n


PLAIN = {}  # operation -> its price, a function, or None for those that cost nothing


def price_of(function):
    """The price of an operation, a function of its arguments and result; None if it costs nothing here."""
    packet = getattr(function, "_overloadpacket", None)
    return flop_registry.get(packet) or MORE.get(packet)


def composite(function):
    """True for an operation that PyTorch puts together from others."""
    return isinstance(function, torch._ops.OpOverload) and torch._C._dispatch_has_kernel_for_dispatch_key(
        function.name(), "CompositeImplicitAutograd"
    )


# what PyTorch's own counter leaves out: products with a vector, and attention on a processor
MORE = {
    aten.mv: lambda a, b, **_: 2 * a.numel(),
    aten.addmv: lambda c, a, b, *_, **__: 2 * a.numel(),
    aten.dot: lambda a, b, **_: 2 * a.numel(),
    aten.vdot: lambda a, b, **_: 2 * a.numel(),
    aten.addbmm: lambda c, a, b, **_: 2 * a.numel() * b.shape[-1],
    aten._scaled_dot_product_flash_attention_for_cpu: lambda q, k, v, *_, **__: sdpa_flop_count(
        q.shape, k.shape, v.shape
    ),
    aten._scaled_dot_product_flash_attention_for_cpu_backward: lambda g, q, k, v, *_, **__: sdpa_backward_flop_count(
        g.shape, q.shape, k.shape, v.shape
    ),
}
