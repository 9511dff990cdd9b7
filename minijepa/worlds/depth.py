"""Deep linear networks, feature by feature: which of two features does a JEPA learn first, and which an MAE?

    code = a_L ... a_1 x,  prediction = v code      (one number per layer and feature)
    JEPA: predict the code of y, without gradient through it     MAE: predict y itself

Balanced at the start (v = a_1 = ... = a_L), a feature stays so, and its encoder w = a^L follows one equation. Two
numbers describe it: lam = E[x y], how much x and y vary together, and rho = E[x y] / E[x^2], how well x predicts y.
Source: Littwin et al. (arXiv:2407.03475, equations 7 and 8).
"""

import torch


def growth(method, w, depth, lam, rho):
    """dw/dt of one feature's encoder: depth lam (w^(3 - 1/depth) - w^3 / rho) for "jepa", w^(2 - 1/depth) for "mae".

    w: a number or tensor > 0. depth: layers L >= 1. Raises ValueError for another method.
    """
    powers = {"jepa": 3 - 1 / depth, "mae": 2 - 1 / depth}
    if method not in powers:
        raise ValueError(f"method must be one of {', '.join(powers)}, got {method!r}")
    return depth * lam * (w ** powers[method] - w**3 / rho)


def fixed_point(method, depth, rho):
    """Where the encoder of a feature ends: rho^depth for "jepa", rho^(depth / (depth + 1)) for "mae".

    Raises ValueError for another method.
    """
    powers = {"jepa": depth, "mae": depth / (depth + 1)}
    if method not in powers:
        raise ValueError(f"method must be one of {', '.join(powers)}, got {method!r}")
    return rho ** powers[method]


def learning_time(method, depth, lam, rho, start=0.05, fraction=0.5, knots=20_001):
    """The time from w = start to w = fraction * fixed point: the integral of dw / growth(w).

    start: the encoder's initial value, which must lie below. knots: of the trapezoid, on an even grid of log w.
    Raises ValueError if the feature starts above.
    """
    end = fraction * fixed_point(method, depth, rho)
    if start >= end:
        raise ValueError(f"the feature starts at {start}, above {fraction} of its fixed point ({end:.3g}): start lower")
    logs = torch.linspace(torch.tensor(start).log(), torch.tensor(end).log(), knots, dtype=torch.float64)
    w = logs.exp()
    return torch.trapezoid(w / growth(method, w, depth, lam, rho), logs).item()


def grow(method, depth, lam, rho, times, start=0.05, steps_between=200):
    """w(t) at increasing `times`, [T], by Euler steps: as many between two times. Returns float64 [T]."""
    w, now, path = torch.tensor(start, dtype=torch.float64), 0.0, []
    for time in times:
        step = (float(time) - now) / steps_between
        for _ in range(steps_between):
            w = w + step * growth(method, w, depth, lam, rho)
        now = float(time)
        path.append(w)
    return torch.stack(path)
