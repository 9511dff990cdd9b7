"""Compare and describe values in words that a student can use; and random numbers for the cases."""

import inspect
import math

import torch

TOLERANCE = {torch.float64: 1e-8, torch.float32: 2e-5, torch.bfloat16: 3e-2, torch.float16: 4e-3}


def normal(*shape, seed=0, dtype=torch.float32):
    """Standard normal numbers, always the same for one seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def difference(got, right):
    """'' if both are the same, else where they differ, in words. Numbers may differ by rounding."""
    if isinstance(right, torch.Tensor):
        if not isinstance(got, torch.Tensor):
            return f" (a tensor, not {type(got).__name__})"
        if got.shape != right.shape:
            return f" (shape {list(right.shape)}, got {list(got.shape)})"
        if got.dtype != right.dtype:
            return f" (dtype {right.dtype}, got {got.dtype})"
        return tensor_difference(got.detach(), right.detach())
    if isinstance(right, (list, tuple)):
        if not isinstance(got, type(right)) or len(got) != len(right):
            return f" ({type(right).__name__} of {len(right)})"
        parts = [difference(a, b) for a, b in zip(got, right, strict=True)]
        return next((f" (entry {i}:{part})" for i, part in enumerate(parts) if part), "")
    if isinstance(right, (bool, str)) or right is None:
        return "" if type(got) is type(right) and got == right else f" ({type(right).__name__})"
    if isinstance(got, torch.Tensor) and got.ndim == 0:
        got = got.item()
    if not isinstance(got, (int, float)) or isinstance(got, bool):
        return f" (a number, not {type(got).__name__})"
    if isinstance(right, int):
        return (
            ""
            if isinstance(got, int) and got == right
            else f" (off by {got - right:.4g})"
            if got != right
            else " (int)"
        )
    close = got == right or abs(got - right) <= 2e-5 * max(1.0, abs(right)) or (math.isnan(got) and math.isnan(right))
    return "" if close else f" (off by {got - right:.3g})"


def tensor_difference(got, right):
    """Where two tensors of one shape and dtype differ first, '' if nowhere. Any shape [...]."""
    if not right.is_floating_point():
        wrong = got != right
    else:
        finite = right[right.isfinite()]
        tolerance = TOLERANCE[right.dtype] * max(1.0, finite.abs().max().item() if finite.numel() else 1.0)
        wrong = ~((got == right) | ((got - right).abs() <= tolerance) | (got.isnan() & right.isnan()))
    if not wrong.any():
        return ""
    place = wrong.nonzero()[0].tolist()
    if not place:
        return f" (off by {number(got - right)})"
    at = f"at {place} got {number(got[tuple(place)])}, expected {number(right[tuple(place)])}"
    return f"\n            {int(wrong.sum())} of {wrong.numel()} numbers differ: {at}"


def general_hint(got, right):
    """A hint that needs no knowledge of the exercise, '' if there is none."""
    if got is None:
        return "the function returns nothing: is there a `return`?"
    if isinstance(right, torch.Tensor):
        if not isinstance(got, torch.Tensor):
            return f"return a tensor, not a {type(got).__name__}"
        if got.shape != right.shape:
            if got.ndim == right.ndim and sorted(got.shape) == sorted(right.shape):
                return "the axes of the result are in the wrong order"
            return f"the result must have the shape {list(right.shape)}"
        if got.dtype != right.dtype:
            return f"the result must be {right.dtype}, like the input"
        if right.is_floating_point() and got.isnan().any() and not right.isnan().any():
            return "the result has NaN: look for a division by zero, or the root or logarithm of a negative number"
    return ""


def describe(value):
    """A value in a few words: small tensors in full, larger ones by shape and dtype."""
    if isinstance(value, torch.Tensor):
        kind = str(value.dtype).removeprefix("torch.")
        if value.numel() > 16:
            return f"{kind} tensor {list(value.shape)}"
        numbers = value.detach().tolist()
        return f"{rounded(numbers)}" + (f" ({kind} {list(value.shape)})" if kind != "float32" or value.ndim > 1 else "")
    if isinstance(value, float):
        return number(value)
    if isinstance(value, (list, tuple)) and len(value) <= 8:
        inside = ", ".join(describe(item) for item in value)
        return f"[{inside}]" if isinstance(value, list) else f"({inside})"
    text = getattr(value, "__name__", None) or repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def describe_call(name, function, arguments):
    """A call in words, with the parameters' names where they are known."""
    try:
        names = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        names = []
    names += [""] * (len(arguments) - len(names))
    shown = (
        f"{key}={describe(value)}" if key else describe(value) for key, value in zip(names, arguments, strict=False)
    )
    return f"{name}({', '.join(shown)})"


def number(value):
    """A number, short."""
    value = value.item() if isinstance(value, torch.Tensor) else value
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def rounded(numbers):
    """Nested lists of numbers, short."""
    if isinstance(numbers, list):
        return "[" + ", ".join(rounded(item) for item in numbers) + "]"
    return number(numbers)
