"""Assignment 13, exercise 1: one step of gradient descent in a linear network with two views."""

import torch

from minijepa.checks.curves import line_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal


def spec_views_step(W, P, signal, noise, lr, decay):
    """Weight by weight: the slope of the loss, from its values at this weight plus and minus 1; then one step.

    The loss is quadratic in each weight, so that this difference is the derivative itself. The target keeps the old W.
    W: [D, X]. P: [D, D]. signal, noise: covariances [X, X]. Returns the new (W [D, X], P [D, D]).
    Source: Tian, Chen and Ganguli (arXiv:2102.06810, equations 1 to 3).
    """
    signal, total = signal.double(), (signal + noise).double()
    target = W.double()

    def loss(W, P):
        return (
            ((P @ W @ total) * (P @ W)).sum() / 2  # E |P W x|^2 / 2
            - ((P @ W @ signal) * target).sum()  # - E (P W x) . (target x')
            + decay * (W.square().sum() + P.square().sum()) / 2
        )

    weights, slopes = [W.double(), P.double()], []
    for which in range(2):
        slope = torch.zeros_like(weights[which])
        for place in range(slope.numel()):
            ends = []
            for change in (1.0, -1.0):
                moved = [w.clone() for w in weights]
                moved[which].view(-1)[place] += change
                ends.append(loss(*moved))
            slope.view(-1)[place] = (ends[0] - ends[1]) / 2
        slopes.append(slope)
    return tuple((w - lr * slope).to(W.dtype) for w, slope in zip(weights, slopes, strict=True))


def covariance(inputs, seed, size=1.0):
    """A covariance matrix [inputs, inputs] that is not diagonal."""
    a = normal(inputs, inputs + 2, seed=seed)
    return size * a @ a.T / (inputs + 2)


def case(width, inputs, seed, lr, decay, dtype=torch.float32):
    """Arguments with random weights W [width, inputs] and P [width, width]; P is not symmetric."""
    weights = normal(width, inputs, seed=seed), normal(width, width, seed=seed + 1)
    both = covariance(inputs, seed + 2), covariance(inputs, seed + 3, 0.5)
    return (*(m.to(dtype) for m in (*weights, *both)), lr, decay)


ONE = torch.ones(1, 1)

CASES = [
    (2 * ONE, 0.5 * ONE, ONE, 0.5 * ONE, 0.1, 0.0),
    case(2, 4, 0, 0.1, 0.0),
    case(3, 3, 10, 0.2, 0.3),
    case(4, 5, 20, 0.05, 0.1, torch.float64),
]


def error(W, P, signal, noise):
    """The derivative of the loss by P W: [D, X]."""
    return P @ W @ (signal + noise) - W @ signal


def moved(W, P, dW, dP, lr, decay):
    """Both weights after a step along two gradients; the decay is added here. W, dW: [D, X]. P, dP: [D, D]."""
    return W - lr * (dW + decay * W), P - lr * (dP + decay * P)


def with_error(e, W, P, lr, decay):
    """A step in which the derivative by P W is e, [D, X]. W: [D, X]. P: [D, D]."""
    return moved(W, P, P.T @ e, e @ W.T, lr, decay)


def right(W, P, signal, noise, lr, decay):
    """The right step: the new W [D, X] and P [D, D]."""
    return with_error(error(W, P, signal, noise), W, P, lr, decay)


def through_target(W, P, s, n, lr, decay):
    """Without stop-gradient: the target's W gets a gradient, too. W: [D, X]. P: [D, D]."""
    e = error(W, P, s, n)
    return moved(W, P, P.T @ e + W @ (s + n) - P @ W @ s, e @ W.T, lr, decay)


def predictor_first(W, P, s, n, lr, decay):
    """W [D, X] moves by the new P [D, D]."""
    new = right(W, P, s, n, lr, decay)[1]
    return right(W, new, s, n, lr, decay)[0], new


def encoder_first(W, P, s, n, lr, decay):
    """P [D, D] moves by the new W [D, X]."""
    new = right(W, P, s, n, lr, decay)[0]
    return new, right(new, P, s, n, lr, decay)[1]


def gradients(W, P, s, n, lr, decay):
    """The gradients [D, X] and [D, D], and no step."""
    e = error(W, P, s, n)
    return P.T @ e + decay * W, e @ W.T + decay * P


MISTAKES = [
    (
        through_target,
        "the gradient flows into the target: with stop-gradient the target's W is a constant, and has no part in dW",
    ),
    (
        predictor_first,
        "you use the new P for W's gradient: compute both gradients from the old weights, then move both",
    ),
    (
        encoder_first,
        "you use the new W for P's gradient: compute both gradients from the old weights, then move both",
    ),
    (
        lambda W, P, s, n, lr, decay: with_error(P @ W @ (s + n) - W @ (s + n), W, P, lr, decay),
        "E x' x^T is `signal` alone: the two views have their own noise, which is not shared",
    ),
    (
        lambda W, P, s, n, lr, decay: with_error(P @ W @ s - W @ s, W, P, lr, decay),
        "E x x^T is signal + noise: the noise of one view is the same on both sides of this product",
    ),
    (
        lambda W, P, s, n, lr, decay: moved(W, P, P @ error(W, P, s, n), error(W, P, s, n) @ W.T, lr, decay),
        "transpose P in W's gradient: the error goes back through the predictor, P.T @ error",
    ),
    (
        lambda W, P, s, n, lr, decay: moved(W, P, P.T @ error(W, P, s, n), (error(W, P, s, n) @ W.T).T, lr, decay),
        "P's gradient is transposed: its row is the number that is predicted, error @ W.T",
    ),
    (
        lambda W, P, s, n, lr, decay: moved(W, P, error(W, P, s, n), error(W, P, s, n) @ W.T, lr, decay),
        "P is missing in W's gradient: the prediction is P W x, so the error passes through P on its way to W",
    ),
    (
        lambda W, P, s, n, lr, decay: with_error(2 * error(W, P, s, n), W, P, lr, decay),
        "the loss has the factor 1/2, so that its gradient has no factor 2",
    ),
    (
        lambda W, P, s, n, lr, decay: right(W, P, s, n, -lr, decay),
        "the sign: gradient DESCENT subtracts lr times the gradient",
    ),
    (
        lambda W, P, s, n, lr, decay: right(W, P, s, n, lr, 0.0),
        "the weight decay is missing: add decay * W to W's gradient and decay * P to P's",
    ),
    (
        lambda W, P, s, n, lr, decay: (right(W, P, s, n, lr, decay)[0], right(W, P, s, n, lr, 0.0)[1]),
        "only W decays: P has the same weight decay",
    ),
    (
        lambda W, P, s, n, lr, decay: (right(W, P, s, n, lr, 0.0)[0], right(W, P, s, n, lr, decay)[1]),
        "only P decays: W has the same weight decay",
    ),
    (
        lambda W, P, s, n, lr, decay: right(W, P, s, n, lr, decay / lr),
        "the decay is a part of the gradient: multiply it by lr as well",
    ),
    (
        lambda W, P, s, n, lr, decay: right(W, P, s, n, lr, 2 * decay),
        "the decay adds decay * W to the gradient, not twice that",
    ),
    (
        lambda W, P, s, n, lr, decay: (right(W, P, s, n, lr, decay)[0], P),
        "P is not trained: it takes a step, too",
    ),
    (
        lambda W, P, s, n, lr, decay: right(W, P, s, n, lr, decay)[::-1],
        "return the new W first, then the new P",
    ),
    (gradients, "these are the gradients: return the weights after the step, W - lr * dW and P - lr * dP"),
]

ADVICE = "e = P W (signal + noise) - W signal; dW = P^T e + decay W; dP = e W^T + decay P; both from the old weights"


def show_views_step(student):
    """Draw W and P after one step of the smallest network, without and with weight decay: target and answer."""

    def one(of, place):
        def stepped(w, p, decay):
            arguments = w * ONE, p * ONE, ONE, 0.5 * ONE, 0.1, decay
            return of(*arguments)[place]

        return stepped

    places = [i / 6 for i in range(10)]
    cases = {
        "W from 2, no decay": [(p, (0, 2.0, p, 0.0)) for p in places],
        "W from 2, decay .2": [(p, (0, 2.0, p, 0.2)) for p in places],
        "P from .5, no decay": [(w, (1, w, 0.5, 0.0)) for w in [i / 3 for i in range(10)]],
    }
    labels = [("P before the step", "W after it"), ("P before the step", "W after it"), ("W before", "P after it")]
    see = "W grows for P between 0 and 2/3 and shrinks above; decay moves the curve down; a large W moves P more."
    line_and_yours(
        "views_step",
        lambda place, *rest: one(student, place)(*rest),
        lambda place, *rest: one(spec_views_step, place)(*rest),
        cases,
        labels,
        see,
    )


def views_step(student):
    """Check exercise 1, `views_step(W, P, signal, noise, lr, decay)`. Raises CheckFailed."""
    compare("views_step", student, spec_views_step, CASES, MISTAKES, ADVICE)
