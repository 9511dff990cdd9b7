"""Assignment 20, exercise 5: from a new reward to a policy, without training."""

import torch

from minijepa.checks.picture import target_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal
from minijepa.worlds import GridRooms


def spec_zero_shot(F, psi, reward):
    """Task by task: z = E[psi psi^T]^-1 E[r psi], then in each state the action with the largest F(s, a) . z.

    F: successor features [S, A, D]. psi: features [S, D], D at most S, of full rank. reward: [R, S].
    Returns (z [R, D], policy int64 [R, S]). Source: TD-JEPA (arXiv:2510.00739); z as in arXiv:2103.07945.
    """
    states, dim = psi.shape
    vectors, policies = [], []
    for r in reward.double():
        second, with_reward = torch.zeros(dim, dim, dtype=torch.float64), torch.zeros(dim, dtype=torch.float64)
        for s in range(states):
            second += torch.outer(psi[s], psi[s]).double() / states
            with_reward += r[s] * psi[s].double() / states
        z = (torch.linalg.inv(second) @ with_reward).to(psi.dtype)
        vectors.append(z)
        policies.append([max(range(F.shape[1]), key=lambda a, s=s, z=z: float(F[s, a] @ z)) for s in range(states)])
    return torch.stack(vectors), torch.tensor(policies)


def drawn(states, actions, dim, tasks, seed, dtype=torch.float32):
    """Random F [S, A, D], features [S, D] that are correlated and of several scales, and rewards [R, S]."""
    mix = normal(dim, dim, seed=seed) / 2 + torch.diag(torch.linspace(0.5, 2, dim))
    psi = normal(states, dim, seed=seed + 1) @ mix + 0.5
    parts = normal(states, actions, dim, seed=seed + 2), psi, normal(tasks, states, seed=seed + 3)
    return tuple(part.to(dtype) for part in parts)


HAND = (
    torch.tensor([[[1.0, 0.0], [0.0, 0.5]], [[1.0, 1.0], [0.5, 0.5]], [[0.5, 0.0], [1.0, 0.25]]]),
    torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]),
    torch.tensor([[0.0, 1.0, 4.0], [-2.0, 0.5, 0.5]]),
)
CASES = [
    HAND,
    drawn(6, 3, 2, 4, 0),
    drawn(9, 4, 3, 5, 10),
    drawn(7, 5, 4, 3, 20, torch.float64),
    drawn(8, 2, 3, 6, 30),
]


def fitted(psi, reward):
    """z [R, D] of psi [S, D] and rewards [R, S], by least squares."""
    return torch.linalg.lstsq(psi.double(), reward.double().T).solution.T.to(psi.dtype)


def answer(F, psi, reward, z=None, best=None):
    """The right pair, with another z [R, D] or another choice (values [R, S, A]) -> [R, S]."""
    z = fitted(psi, reward) if z is None else z
    values = torch.einsum("sad,rd->rsa", F, z)
    return z, values.argmax(dim=2) if best is None else best(values)


def moment(psi):
    """E[psi psi^T], [D, D] of psi [S, D]."""
    return psi.T @ psi / len(psi)


def half_whitened(psi, reward):
    """E[psi psi^T]^-1/2 E[r psi], [R, D]."""
    values, vectors = torch.linalg.eigh(moment(psi))
    return reward @ psi / len(psi) @ (vectors / values.sqrt() @ vectors.T)


def centred(psi, reward):
    """Least squares after the means have been subtracted: z [R, D]; a small ridge, since a column may be constant."""
    x, y = psi - psi.mean(dim=0), reward - reward.mean(dim=1, keepdim=True)
    return torch.linalg.solve(x.T @ x + 1e-3 * torch.eye(x.shape[1], dtype=x.dtype), x.T @ y.T).T


MISTAKES = [
    (
        lambda F, psi, r: answer(F, psi, r, z=r @ psi / len(psi)),
        "this is E[r psi], which is right only where E[psi psi^T] = I: solve for least squares",
    ),
    (
        lambda F, psi, r: answer(F, psi, r, z=r @ psi),
        "this is the sum of r psi: features that are large or alike count too much. Solve for least squares",
    ),
    (
        lambda F, psi, r: answer(F, psi, r, z=half_whitened(psi, r)),
        "you whiten by the ROOT of the inverse moment: least squares needs E[psi psi^T]^-1 in full",
    ),
    (
        lambda F, psi, r: answer(F, psi, r, z=r @ psi / len(psi) / moment(psi).diagonal()),
        "you divide by each feature's own moment: features overlap, so the whole matrix must be inverted",
    ),
    (
        lambda F, psi, r: answer(F, psi, r, z=len(psi) * fitted(psi, r)),
        "one of the two is a mean and the other one a sum: the number of states must cancel out",
    ),
    (
        lambda F, psi, r: answer(F, psi, r, z=centred(psi, r)),
        "psi and r are not centred here: subtract no mean, since F . z has none to add",
    ),
    (
        lambda F, psi, r: answer(F, psi, r, z=fitted(psi, r) / fitted(psi, r).norm(dim=1, keepdim=True)),
        "the length of z does not change the policy, but it is asked for: psi . z must fit r itself",
    ),
    (
        lambda F, psi, r: (lambda z: (z, torch.einsum("sad,rd->rsa", F, r @ psi).argmax(dim=2)))(fitted(psi, r)),
        "z is right, but your policy uses another one",
    ),
    (
        lambda F, psi, r: answer(F, psi, r, best=lambda q: q.argmin(dim=2)),
        "this is the WORST action: take argmax",
    ),
    (
        lambda F, psi, r: answer(F, psi, r, best=lambda q: q.amax(dim=2)),
        "these are the values of the best actions: return the actions themselves, argmax",
    ),
    (
        lambda F, psi, r: answer(F, psi, r, best=lambda q: q.argmax(dim=1)),
        "this is the best STATE for each action: take argmax over the actions, for each state",
    ),
    (
        lambda F, psi, r: answer(F, psi, r, best=lambda q: q.abs().argmax(dim=2)),
        "you take the largest absolute value: an action with a very negative value is bad",
    ),
    (
        lambda F, psi, r: answer(F, psi, r, best=lambda q: q[:1].expand_as(q).argmax(dim=2)),
        "all tasks get the policy of the first: each z has its own",
    ),
    (
        lambda F, psi, r: answer(F, psi, r, best=lambda q: q.mean(dim=0, keepdim=True).expand_as(q).argmax(dim=2)),
        "this is one policy for the mean of the tasks: each z has its own",
    ),
    (
        lambda F, psi, r: answer(F, psi, r, best=lambda q: q.argmax(dim=2).T),
        "one ROW per task and one column per state: your policy is [S, R]",
    ),
    (
        lambda F, psi, r: (fitted(psi, r).T, answer(F, psi, r)[1]),
        "one ROW per task: your z is [D, R]",
    ),
    (
        lambda F, psi, r: answer(F, psi, r)[::-1],
        "the two are swapped: z comes first, then the policy",
    ),
]

ADVICE = "z = torch.linalg.lstsq(psi, reward.T).solution.T; values [R, S, A] = F . z; argmax over the actions"


def show_zero_shot(student):
    """Draw a goal's reward as psi sees it, and the actions for it, in the four rooms: target and answer."""
    world, gamma = GridRooms(), 0.95
    P, eye = world.random_walk, torch.eye(world.states)
    future = (1 - gamma) * torch.linalg.solve(eye - gamma * P, P)  # [S, S], of the random policy
    reward = world.goals(torch.tensor([81]))

    def part_of(function):
        def one(F, psi, reward, part):
            z, policy = function(F, psi, reward)
            return psi @ z[0] if part == "reward" else policy[0]

        return one

    def arguments(psi, part):
        later = future @ psi
        F = ((1 - gamma) * psi + gamma * later)[world.next_state]  # [S, A, D]
        return F, psi, reward, part

    few, one_hot = world.laplacian_features(12), eye
    cases = {"reward, 12 features": arguments(few, "reward"), "reward, one-hot": arguments(one_hot, "reward")}
    cases |= {"actions, 12 features": arguments(few, "policy"), "actions, one-hot": arguments(one_hot, "policy")}

    def as_map(answer, *_):
        low = 0.0 if answer.is_floating_point() else -1
        return world.on_map(answer, wall=low)

    see = "twelve smooth features blur the goal. Equal colours are equal moves, and walls are darkest."
    target_and_yours("zero_shot", part_of(student), part_of(spec_zero_shot), cases, as_map, see)


def zero_shot(student):
    """Check exercise 5, `zero_shot(F, psi, reward)`. Raises CheckFailed."""
    compare("zero_shot", student, spec_zero_shot, CASES, MISTAKES, ADVICE)
