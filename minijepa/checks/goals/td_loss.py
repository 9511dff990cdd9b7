"""Assignment 20, exercise 3: the TD loss of TD-JEPA, from slow copies, without a gradient in its target."""

import torch

from minijepa.checks.curves import line_and_yours
from minijepa.checks.report import call, compare, copies, fail, passed, patience
from minijepa.checks.values import describe, normal

TABLES = ("phi", "psi", "T")


def spec_td_loss(online, slow, batch, gamma):
    """Transition by transition: the target from the slow copies, the squared error summed over features; the mean.

    online, slow: tuples phi [S, D], psi [S, D], T [A, D, D]. batch: state, action, next state, int64 [B], and done,
    bool [B]. gamma: in [0, 1). The policy is uniform over the A actions. Returns a scalar tensor.
    Source: L_phi of TD-JEPA (arXiv:2510.00739), with ends of episodes.
    """
    phi, _, T = online
    slow_phi, slow_psi, slow_T = (table.detach() for table in slow)
    errors = []
    for s, a, s_next, done in zip(*batch, strict=True):
        later = sum(slow_phi[s_next] @ slow_T[b] for b in range(len(T))) / len(T)  # [D]
        target = (1 - gamma) * slow_psi[s_next] + (0.0 if done else gamma) * later
        errors.append((phi[s] @ T[a] - target).square().sum())
    return torch.stack(errors).mean()


def tables(states, actions, dim, seed, dtype=torch.float32):
    """phi, psi and T with random entries, all of which could have a gradient."""
    shapes = (states, dim), (states, dim), (actions, dim, dim)
    return tuple(normal(*shape, seed=10 * seed + i, dtype=dtype).requires_grad_() for i, shape in enumerate(shapes))


def moves(count, states, actions, seed, ends=0.4):
    """`count` random transitions, of which about the fraction `ends` ends an episode; the first one does not."""
    g = torch.Generator().manual_seed(seed)
    s, s_next = torch.randint(states, (2, count), generator=g)
    done = torch.rand(count, generator=g) < ends
    done[0] = False
    return s, torch.randint(actions, (count,), generator=g), s_next, done


def one_number(phi, psi, *T):
    """Tables of two states with a single feature: phi and psi of both, T of each action."""
    return torch.tensor(phi)[:, None], torch.tensor(psi)[:, None], torch.tensor(T)[:, None, None]


HAND = (
    one_number((1.0, 5.0), (6.0, 7.0), 2.0, 9.0),
    one_number((8.0, 1.0), (4.0, 3.0), 2.0, 4.0),
)
STEP = torch.tensor([0]), torch.tensor([0]), torch.tensor([1])
CASES = [
    (*HAND, (*STEP, torch.tensor([False])), 0.5),
    (*HAND, (*STEP, torch.tensor([True])), 0.5),
    (tables(4, 3, 2, 0), tables(4, 3, 2, 1), moves(6, 4, 3, 0), 0.9),
    (tables(5, 2, 4, 2), tables(5, 2, 4, 3), moves(8, 5, 2, 1, ends=0.0), 0.7),
    (tables(5, 4, 3, 4), tables(5, 4, 3, 5), moves(7, 5, 4, 2), 0.0),
    (tables(6, 3, 3, 6, torch.float64), tables(6, 3, 3, 7, torch.float64), moves(9, 6, 3, 3, ends=0.7), 0.8),
]


def target(own, other, T, batch, gamma, *, first=None, second=None, keep=None, weights=None):
    """The right target [B, D] of tables own, other [S, D] and T [A, D, D], with a part replaced."""
    _, _, s_next, done = batch
    first = other[s_next] if first is None else first
    second = own[s_next] @ T.mean(dim=0) if second is None else second
    keep = ~done if keep is None else keep
    now, later = weights or (1 - gamma, gamma)
    return now * first + later * keep.to(first.dtype)[:, None] * second


def squares(online, batch, wanted, at=None):
    """|prediction - target|^2 of each transition, [B]; at: the states [B] from which is predicted."""
    phi, _, T = online
    predicted = torch.einsum("bd,bde->be", phi[batch[0] if at is None else at], T[batch[1]])
    return (predicted - wanted).square().sum(dim=1)


def loss(online, slow, batch, gamma, **parts):
    """The right loss with a part of the target replaced."""
    return squares(online, batch, target(*slow, batch, gamma, **parts)).mean()


def other_tables(online, slow, batch, gamma, names):
    """The loss if the named tables of the target are those that are trained."""
    pick = [one if name in names else copy for name, one, copy in zip(TABLES, online, slow, strict=True)]
    return loss(online, pick, batch, gamma)


def no_arrival(online, slow, batch, gamma):
    """The loss if at an end the whole target is 0."""
    return loss(online, slow, batch, gamma, first=slow[1][batch[2]] * (~batch[3]).to(slow[1].dtype)[:, None])


def whole_arrival(online, slow, batch, gamma):
    """The loss if at an end the target is psi(s') in full."""
    wanted = torch.where(batch[3][:, None], slow[1][batch[2]], target(*slow, batch, gamma))
    return squares(online, batch, wanted).mean()


def mean_prediction(online, slow, batch, gamma):
    """The loss if the prediction is the mean over the actions."""
    predicted = online[0][batch[0]] @ online[2].mean(dim=0)
    return (predicted - target(*slow, batch, gamma)).square().sum(dim=1).mean()


def next_T(slow, batch, T):
    """What comes later, [B, D], for one matrix T [D, D] or one for each transition, [B, D, D]."""
    return (slow[0][batch[2]][:, None] @ T)[:, 0]


def largest(online, slow, batch, gamma):
    """The loss if each feature takes the action that makes it largest."""
    every = torch.einsum("bd,ade->bae", slow[0][batch[2]], slow[2])
    return loss(online, slow, batch, gamma, second=every.amax(dim=1))


MISTAKES = [
    (
        lambda o, c, b, g: other_tables(o, c, b, g, TABLES),
        "the target is made of the tables that are trained: take those of `slow`",
    ),
    (
        lambda o, c, b, g: other_tables(o, c, b, g, ("psi",)),
        "psi in the target is the one that is trained: take the slow copy",
    ),
    (
        lambda o, c, b, g: other_tables(o, c, b, g, ("phi",)),
        "phi in the target is the one that is trained: only the prediction uses it",
    ),
    (
        lambda o, c, b, g: other_tables(o, c, b, g, ("T",)),
        "T in the target is the one that is trained: take the slow copy",
    ),
    (
        lambda o, c, b, g: loss(c, c, b, g),
        "the prediction comes from the slow copies, so that nothing learns: it uses phi and T of `online`",
    ),
    (
        lambda o, c, b, g: loss(o, c, b, g, keep=torch.ones_like(b[3])),
        "`done` is not used: when an episode has ended, nothing comes later, and the second term is 0",
    ),
    (
        lambda o, c, b, g: loss(o, c, b, g, keep=b[3]),
        "`done` is the wrong way round: the second term is 0 where the episode HAS ended",
    ),
    (no_arrival, "the last arrival counts, too: at an end only the SECOND term of the target is 0"),
    (whole_arrival, "at an end the target is (1 - gamma) psi(s'), not psi(s'): its weight does not grow"),
    (
        lambda o, c, b, g: squares(o, b, target(*c, b, g))[~b[3]].mean(),
        "you leave out the transitions that end an episode: they have a target as well",
    ),
    (
        lambda o, c, b, g: loss(o, c, b, g, weights=(1.0, g)),
        "the factor 1 - gamma is missing: with it the weights of all later steps have the sum 1",
    ),
    (
        lambda o, c, b, g: loss(o, c, b, g, weights=(g, 1 - g)),
        "the two weights are swapped: 1 - gamma belongs to psi(s'), gamma to what comes later",
    ),
    (
        lambda o, c, b, g: loss(o, c, b, g, weights=(1 - g, 1.0)),
        "what comes later is not multiplied by gamma",
    ),
    (
        lambda o, c, b, g: loss(o, c, b, g, keep=torch.zeros_like(b[3])),
        "what comes later is missing: this predicts the next psi alone, as a JEPA at gamma = 0 does",
    ),
    (
        lambda o, c, b, g: loss(o, c, b, g, first=c[1][b[0]]),
        "psi is that of the state BEFORE the step: features count for the state that one arrives in, s'",
    ),
    (
        lambda o, c, b, g: loss(o, c, b, g, second=c[0][b[0]] @ c[2].mean(dim=0)),
        "what comes later begins at s': slow phi(s'), not phi(s)",
    ),
    (
        lambda o, c, b, g: loss(o, c, b, g, second=c[1][b[2]] @ c[2].mean(dim=0)),
        "T is applied to phi, the state encoder, not to psi",
    ),
    (
        lambda o, c, b, g: loss(o, c, b, g, first=c[0][b[2]]),
        "the features that are summed up are those of psi, the task encoder, not of phi",
    ),
    (
        lambda o, c, b, g: loss(o, c, b, g, second=next_T(c, b, c[2].sum(dim=0))),
        "this is the SUM over the next actions: the policy draws one of A, so take the mean",
    ),
    (
        lambda o, c, b, g: loss(o, c, b, g, second=next_T(c, b, c[2][b[1]])),
        "the next action is not the last one again: take the mean over all A actions of the uniform policy",
    ),
    (largest, "this takes the largest value per feature: the policy here is uniform, so take the mean over actions"),
    (mean_prediction, "the prediction is for the action that was taken: T[a], not the mean over the actions"),
    (
        lambda o, c, b, g: squares(o, b, target(*c, b, g), at=b[2]).mean(),
        "the prediction starts from s, before the step: phi(s), not phi(s')",
    ),
    (
        lambda o, c, b, g: squares(o, b, target(*c, b, g)).mean() / o[0].shape[1],
        "this is also a mean over the features: take the SUM of their squares, then the mean over the transitions",
    ),
    (
        lambda o, c, b, g: squares(o, b, target(*c, b, g)).sum(),
        "this is the sum over the transitions: take their mean",
    ),
    (
        lambda o, c, b, g: squares(o, b, target(*c, b, g)).sqrt().mean(),
        "this is the distance: the loss is its square",
    ),
]

ADVICE = "target = (1 - gamma) psi'(s') + gamma (0 if done) phi'(s') mean of T'; squared error, summed, then averaged"


def gradients(student, case):
    """The loss, and the gradients of the six tables for a case, None where there is none: (scalar, list of six)."""
    online, slow, batch, gamma = copies(case)
    online, slow = (tuple(table.requires_grad_() for table in tables) for tables in (online, slow))
    value = student(online, slow, batch, gamma)
    value.backward()
    return value, [table.grad for table in (*online, *slow)]


def show_td_loss(student):
    """Draw the loss over gamma, and the norm of the gradient in each table: target and answer."""
    online, slow, batch = tables(5, 3, 3, 8), tables(5, 3, 3, 9), moves(8, 5, 3, 4, ends=0.0)
    ended = *batch[:3], torch.ones(8, dtype=torch.bool)
    names = ("phi", "psi", "T", "slow phi", "slow psi", "slow T")

    def of(function):
        def one(gamma, steps, name):
            case = online, slow, steps, gamma
            if name is None:
                return function(*copies(case))
            grad = gradients(function, case)[1][names.index(name)]
            return 0.0 if grad is None else grad.norm()

        return one

    discounts = (0.0, 0.2, 0.4, 0.6, 0.8, 0.95)
    cases = {
        "episodes go on": [(g, (g, batch, None)) for g in discounts],
        "every episode ends": [(g, (g, ended, None)) for g in discounts],
        "gradient, gamma = .9": [(name.replace(" ", "\n"), (0.9, batch, name)) for name in names],
    }
    labels = [("gamma", "loss"), ("gamma", "loss"), ("table", "norm")]
    see = "only phi and T learn; psi learns from the other loss, and nothing flows into the slow copies."
    line_and_yours("td_loss", of(student), of(spec_td_loss), cases, labels, see)


def check_gradients(name, student):
    """The gradient must reach phi and T as in the specification, and nothing else. Raises CheckFailed."""
    case, words = CASES[2], "tables in which everything could have a gradient"
    value = call(name, student, case, words)
    if not isinstance(value, torch.Tensor) or not value.requires_grad:
        hint = "the loss has no gradient at all: only the target belongs under torch.no_grad()"
        fail(name, words, describe(value) + ", without a gradient", "a loss with a gradient", hint)
    _, wanted = gradients(spec_td_loss, case)
    _, found = gradients(student, case)
    for table, grad in zip(("phi", "psi", "T", "slow phi", "slow psi", "slow T"), found, strict=True):
        if table not in ("phi", "T") and grad is not None and grad.abs().max() > 0:
            hint = "the stop-gradient is missing: compute the target under torch.no_grad(), or detach it"
            fail(name, words, f"a gradient flows into {table}", "none", hint)
    for table, grad, right in (("phi", found[0], wanted[0]), ("T", found[2], wanted[2])):
        if grad is None or not torch.allclose(grad, right, rtol=1e-3, atol=1e-5):
            hint = "the loss is right but its gradient is not: phi(s) and T are trained both, detach neither"
            fail(name, words, f"another gradient in {table}", "that of the specification", hint)


def td_loss(student):
    """Check exercise 3, `td_loss(online, slow, batch, gamma)`. Raises CheckFailed."""
    compare("td_loss", student, spec_td_loss, CASES, MISTAKES, ADVICE, quiet=True)
    with patience("td_loss"):
        check_gradients("td_loss", student)
    passed("td_loss", f"all {len(CASES)} cases, and where the gradient flows")
