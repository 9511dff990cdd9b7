"""TD-JEPA and zero-shot control, against sums, loops and exact fixed points; and bugs planted in both files."""

import math

import pytest
import torch
from helpers import planted, seeded

from minijepa import fit
from minijepa.planning import td_jepa, zero_shot
from minijepa.worlds import GridRooms

TWO_ROOMS = GridRooms(("#######", "#  #  #", "#     #", "#  #  #", "#######"))
GAMMA = 0.8


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed))


# --- td_jepa.py ---


def check_orthonormality(module):
    e = normal(7, 3)
    loss = sum(-sum(v * v for v in row) for row in e.tolist()) / 7
    pairs = [(sum(a * b for a, b in zip(e[i].tolist(), e[j].tolist(), strict=True))) ** 2
             for i in range(7) for j in range(7) if i != j]  # fmt: skip
    assert abs(module.orthonormality(e).item() - (loss + sum(pairs) / len(pairs) / 2)) < 1e-4
    orthonormal = torch.linalg.qr(normal(4_000, 3))[0] * math.sqrt(4_000)  # E[e e^T] = I
    assert abs(module.orthonormality(orthonormal).item() + 3 / 2) < 0.01
    for scale in (0.0, 0.8, 1.2):
        assert module.orthonormality(scale * orthonormal) > module.orthonormality(orthonormal)


def check_successor_features(module):
    """The sum over 300 steps of a chain, written out; and the paper's recursion."""
    P = torch.softmax(normal(6, 6), dim=1)
    f = normal(6, 2, seed=1)
    total, ahead = torch.zeros(6, 2), f
    for t in range(300):
        ahead = P @ ahead
        total += (1 - GAMMA) * GAMMA**t * ahead
    got = module.successor_features(P, f, GAMMA)
    torch.testing.assert_close(got, total, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(got, (1 - GAMMA) * P @ f + GAMMA * P @ got, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(module.successor_features(P, f, 0.0), P @ f)


def check_ridge(module):
    """Action by action with the normal equations."""
    x, y, action = normal(40, 3), normal(40, 2, seed=1), torch.randint(2, (40,), generator=seeded(2))
    W = module.per_action_ridge(x, action, y, 3, 0.5)
    penalty = 0.5 * x.square().mean() * 40 / 3
    for a in range(3):  # the third never happens
        mine, wanted = x[action == a], y[action == a]
        slow = torch.linalg.inv(mine.T @ mine + penalty * torch.eye(3)) @ mine.T @ wanted
        torch.testing.assert_close(W[a], slow, rtol=1e-4, atol=1e-5)
    rows = torch.stack([x[i] @ W[action[i]] for i in range(40)])
    torch.testing.assert_close(module.predicted(x, W, action), rows)


def model_and_batch(module, **settings):
    model = module.TDJEPA(13, 5, **{"dim": 4, "gamma": GAMMA, "orth": 0.3, "ridge": 0.1, **settings})
    with torch.no_grad():  # slow copies that differ from the originals, so that swapping them is noticed
        for i, name in enumerate(("slow_phi", "slow_psi", "slow_T_phi", "slow_T_psi")):
            getattr(model, name).copy_(normal(*getattr(model, name).shape, seed=10 + i))
    data = TWO_ROOMS.transitions(30, seed=1)
    return model, data.batch(torch.arange(30))


def check_step(module):
    """One loss, row by row, for a behaviour that is not uniform; no gradient passes through targets or predictors."""
    behaviour = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.0])
    model, batch = model_and_batch(module, behaviour=behaviour)
    output = model(batch)
    phi, psi = model.phi.detach().clone().requires_grad_(), model.psi.detach().clone().requires_grad_()
    total = 0.0
    for own, name, swapped in ((phi, "phi", "psi"), (psi, "psi", "phi")):
        slow_own, slow_other = getattr(model, f"slow_{name}"), getattr(model, f"slow_{swapped}")
        slow_T = getattr(model, f"slow_T_{name}")
        targets = []
        for after in batch.next_state:
            later = sum(behaviour[a] * slow_own[after] @ slow_T[a] for a in range(5))
            targets.append((1 - GAMMA) * slow_other[after] + GAMMA * later)
        x = own[batch.state]
        T = module.per_action_ridge(x.detach(), batch.action, torch.stack(targets), 5, 0.1)
        torch.testing.assert_close(getattr(model, f"T_{name}"), T)
        errors = [(own[s] @ T[a] - y).square().sum()
                  for s, a, y in zip(batch.state, batch.action, targets, strict=True)]  # fmt: skip
        total = total + sum(errors) / 30 + 0.3 * module.orthonormality(x)
    torch.testing.assert_close(output.loss, total, rtol=1e-4, atol=1e-4)
    output.loss.backward()
    total.backward()
    torch.testing.assert_close(model.phi.grad, phi.grad, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(model.psi.grad, psi.grad, rtol=1e-3, atol=1e-4)


def check_slow_copies(module):
    model, batch = model_and_batch(module)
    model(batch)
    names = ("phi", "psi", "T_phi", "T_psi")
    before = {name: getattr(model, f"slow_{name}").clone() for name in names}
    model.after_step(0.75)
    for name in names:
        wanted = 0.75 * before[name] + 0.25 * getattr(model, name)
        torch.testing.assert_close(getattr(model, f"slow_{name}"), wanted)


def check_fixed_point(module):
    """With frozen tables that are the identity, TD ends at the closed form (1 - gamma) P_a psi + gamma P_a F."""
    model = module.TDJEPA(13, 5, dim=13, gamma=GAMMA, ridge=0.0)
    psi = normal(13, 13, seed=3)
    with torch.no_grad():
        model.phi.copy_(torch.eye(13))
        model.slow_phi.copy_(torch.eye(13))
        model.slow_psi.copy_(psi)
        model.psi.copy_(psi)
        everything = TWO_ROOMS.transitions()
        batch = everything.batch(torch.arange(65))
        for _ in range(120):
            model(batch)
            model.after_step(0.0)
    F = td_jepa.successor_features(TWO_ROOMS.random_walk, psi, GAMMA)  # the module that is right
    for a in range(5):
        after = TWO_ROOMS.next_state[:, a]
        wanted = (1 - GAMMA) * psi[after] + GAMMA * F[after]
        torch.testing.assert_close(model.T_phi[a], wanted, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(model.T_phi.mean(dim=0), F, rtol=1e-3, atol=1e-4)


TD_CHECKS = (
    check_orthonormality,
    check_successor_features,
    check_ridge,
    check_step,
    check_slow_copies,
    check_fixed_point,
)

TD_BUGS = {
    "vectors are not pushed from 0": ("return -own.mean() + others / 2", "return own.mean() + others / 2"),
    "pairs i = j count": ("(pairs - own.square().sum())", "pairs"),
    "the present counts": ("eye - gamma * P, P @ features)", "eye - gamma * P, features)"),
    "the sum is not scaled": ("return (1 - gamma) * torch.linalg", "return torch.linalg"),
    "all actions share a predictor": ("mine = chosen[:, :, None] * x ", "mine = (0 * chosen[:, :, None] + 1) * x "),
    "the target's own encoder": ("* other[next_state] +", "* own[next_state] +"),
    "the next value is not discounted": ("+ self.gamma * own[", "+ own["),
    "the next representation is not scaled": ("return (1 - self.gamma) * other", "return other"),
    "the target's policy is uniform": ('torch.einsum("a,aij->ij", self.behaviour, T)', "T.mean(dim=0)"),
    "targets are not slow": (
        "self.target(self.slow_phi, self.slow_psi, self.slow_T_phi",
        "self.target(self.phi, self.psi, self.T_phi",
    ),
    "the predictors have a gradient": (
        "with torch.no_grad():  # the best predictors for these encoders and targets",
        "if True:",
    ),
    "one of the two losses is missing": ("return TDJEPAOutput(loss_phi + loss_psi +", "return TDJEPAOutput(loss_phi +"),
    "psi is not regularised": ("orth = orthonormality(phi) + orthonormality(psi)", "orth = 2 * orthonormality(phi)"),
    "copies jump": ("getattr(self, name), 1 - momentum)", "getattr(self, name), momentum)"),
    "the predictors' copies stand still": ('in ("phi", "psi", "T_phi", "T_psi"):', 'in ("phi", "psi"):'),
}  # fmt: skip


@pytest.mark.parametrize("check", TD_CHECKS, ids=lambda check: check.__name__)
def test_td_jepa_is_what_the_slow_way_says(check):
    check(td_jepa)


@pytest.mark.parametrize("bug", TD_BUGS)
def test_a_bug_planted_into_td_jepa_is_caught(bug):
    module = planted(td_jepa, *TD_BUGS[bug])
    with pytest.raises((AssertionError, RuntimeError)):
        for check in TD_CHECKS:
            check(module)


def test_a_discount_of_one_is_refused():
    with pytest.raises(ValueError, match="gamma must be in"):
        td_jepa.TDJEPA(3, 5, gamma=1.0)


def linear_fit(phi, F):
    """The fraction of the variance of F [S, D] that a linear map of phi [S, D] explains."""
    error = F - phi @ torch.linalg.lstsq(phi, F).solution
    return 1 - (error.square().sum() / F.square().sum()).item()


def test_fit_trains_it_and_one_seed_is_one_run():
    """After training phi predicts the exact successor features of psi, which it has never seen."""

    def run(seed, steps):
        model = td_jepa.TDJEPA(13, 5, dim=4, gamma=GAMMA, seed=seed)
        settings = dict(batch_size=65, lr=1e-2, momentum=(0.9, 0.9), weight_decay=(0.0, 0.0))
        history = fit(model, TWO_ROOMS.transitions(), steps=steps, **settings)
        assert set(history.rows[-1]) >= {"loss", "loss_phi", "loss_psi", "orth"}
        return model

    assert torch.equal(run(0, 5).psi, run(0, 5).psi) and not torch.allclose(run(0, 5).psi, run(1, 5).psi)
    for seed in range(3):
        fits = []
        for model in (td_jepa.TDJEPA(13, 5, dim=4, seed=seed), run(seed, 600)):
            phi, psi = model.phi.detach(), model.psi.detach()
            fits.append(linear_fit(phi, td_jepa.successor_features(TWO_ROOMS.random_walk, psi, GAMMA)))
        assert fits[1] > fits[0] + 0.1 and fits[1] > 0.9


# --- zero_shot.py ---


def check_task_vectors(module):
    psi, reward = normal(13, 4), normal(3, 13, seed=1)
    z = module.task_vectors(psi, reward)
    for k in range(3):
        slow = torch.linalg.inv(psi.T @ psi) @ psi.T @ reward[k]
        torch.testing.assert_close(z[k], slow, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(module.task_vectors(psi, z @ psi.T), z, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(module.on_sphere(z).norm(dim=1), torch.full((3,), 2.0))
    torch.testing.assert_close(torch.cosine_similarity(module.on_sphere(z), z), torch.ones(3))


def check_training_tasks(module):
    psi, cells = normal(13, 4), torch.tensor([1, 5, 9])
    z = module.training_tasks(psi, cells, 400, seed=1)
    torch.testing.assert_close(z.norm(dim=1), torch.full((400,), 2.0))
    goals = [torch.linalg.inv(psi.T @ psi) @ psi[g] for g in cells]
    nearest = torch.stack([torch.cosine_similarity(z, goal[None]) for goal in goals]).amax(dim=0)
    assert ((nearest - 1).abs() < 1e-4).sum() == 200, "half of them are goals"
    assert z[nearest < 1 - 1e-4].mean(dim=0).abs().max() < 5 / math.sqrt(200)
    assert torch.equal(z, module.training_tasks(psi, cells, 400, seed=1))


def check_plan_without_limits(module):
    """Features that can tell every cell apart leave nothing to lose: value iteration, by loops."""
    reward = TWO_ROOMS.goals(torch.tensor([0, 12]))
    q = module.plan(torch.eye(13), reward, TWO_ROOMS.next_state, GAMMA, ridge=0.0)
    torch.testing.assert_close(q / (1 - GAMMA), TWO_ROOMS.value_iteration(reward, GAMMA), rtol=1e-3, atol=1e-4)
    shifted = module.plan(torch.eye(13) + 0.1 * normal(13, 13), reward, TWO_ROOMS.next_state, GAMMA, ridge=0.0)
    torch.testing.assert_close(shifted, q, rtol=1e-2, atol=1e-3)


def check_plan_is_successor_features_times_z(module):
    """The slow way, with vectors: F_z as D numbers per (s, a), least squares action by action, greedy in F_z . z."""
    features, reward = normal(13, 5), normal(2, 13, seed=1)
    q = module.plan(features, reward, TWO_ROOMS.next_state, GAMMA, ridge=0.1, sweeps=6)
    penalty = 0.1 * features.square().mean() * 13 * torch.eye(5)
    for k in range(2):
        z = torch.linalg.inv(features.T @ features) @ features.T @ reward[k]
        F = torch.zeros(13, 5, 5)  # [S, A, D]
        for _ in range(6):
            best = (F @ z).argmax(dim=1)
            new = torch.zeros_like(F)
            for a in range(5):
                rows = [(1 - GAMMA) * features[t] + GAMMA * F[t, best[t]] for t in TWO_ROOMS.next_state[:, a]]
                W = torch.linalg.solve(features.T @ features + penalty, features.T @ torch.stack(rows))
                new[:, a] = features @ W
            F = new
        torch.testing.assert_close(q[k], F @ z, rtol=1e-3, atol=1e-4)


def check_actor(module):
    """The loss of a step, task by task, state by state; no gradient in the target."""
    phi, psi = normal(13, 3), normal(13, 4, seed=1)
    actor = module.ZeroShotActor(phi, psi, TWO_ROOMS.next_state, GAMMA, hidden=8)
    assert actor.values(normal(2, 4)).abs().max() == 0, "it starts at 0"
    with torch.no_grad():
        for i, parameter in enumerate([*actor.slow.parameters(), *actor.network.parameters()]):
            parameter.add_(0.3 * normal(*parameter.shape, seed=i))
    z = normal(4, 4, seed=2)
    phi, psi = phi / phi.square().mean().sqrt(), psi / psi.square().mean().sqrt()

    def T(network, s, a, k):
        return phi[s] @ network(z[k]).view(5, 3, 4)[a]

    total = 0.0
    for k in range(4):
        for s in range(13):
            for a in range(5):
                t = TWO_ROOMS.next_state[s, a]
                best = max(range(5), key=lambda b, t=t, k=k: (T(actor.slow, t, b, k) @ z[k]).item())
                target = (1 - GAMMA) * psi[t] + GAMMA * T(actor.slow, t, best, k)
                total = total + (T(actor.network, s, a, k) - target.detach()).square().sum()
                assert abs(actor.values(z)[k, s, a] - T(actor.network, s, a, k) @ z[k]) < 1e-4
    loss = actor(z).loss
    torch.testing.assert_close(loss, total / (4 * 13 * 5), rtol=1e-4, atol=1e-5)
    loss.backward()
    assert all(p.grad is None for p in actor.slow.parameters())
    assert all(p.grad is not None for p in actor.network.parameters())
    before = [p.clone() for p in actor.slow.parameters()]
    actor.after_step(0.75)
    for old, new, original in zip(before, actor.slow.parameters(), actor.network.parameters(), strict=True):
        torch.testing.assert_close(new, 0.75 * old + 0.25 * original)


ZERO_CHECKS = (
    check_task_vectors, check_training_tasks, check_plan_without_limits, check_plan_is_successor_features_times_z,
    check_actor,
)  # fmt: skip

ZERO_BUGS = {
    "psi . r without the inverse": ("torch.linalg.lstsq(psi, reward.T).solution.T", "reward @ psi"),
    "a sphere of radius 1": ("math.sqrt(z.shape[-1]) * F.normalize", "F.normalize"),
    "all training tasks are goals": ("torch.cat([anywhere, chosen])", "torch.cat([chosen, chosen])"),
    "the worst action": ("gamma * q.amax(dim=2)", "gamma * q.amin(dim=2)"),
    "the reward of the present state": (
        "target = ((1 - gamma) * rewards + gamma * q.amax(dim=2))[:, next_state]",
        "target = (1 - gamma) * rewards[..., None] + gamma * q.amax(dim=2)[:, next_state]",
    ),
    "values are not limited by the features": ('q = torch.einsum("st,rta->rsa", fit, target)', "q = target"),
    "the reward is known beyond psi": ("rewards = task_vectors(features, reward) @ features.T", "rewards = reward"),
    "the actor follows the worst action": ("later, z).argmax(dim=1)", "later, z).argmin(dim=1)"),
    "the actor's target is its own network": ("self.predict(z, self.slow)", "self.predict(z)"),
    "the actor's next feature is not scaled": ("((1 - self.gamma) * self.psi", "(self.psi"),
    "the actor's copy jumps": ("copy.lerp_(original, 1 - momentum)", "copy.lerp_(original, momentum)"),
    "an actor that starts with random values": ("        nn.init.zeros_(last.weight)\n", ""),
    "values without z": ('torch.einsum("basd,bd->bsa", self.predict(z), z)', "self.predict(z).sum(dim=3).mT"),
}


@pytest.mark.parametrize("check", ZERO_CHECKS, ids=lambda check: check.__name__)
def test_zero_shot_control_is_what_the_slow_way_says(check):
    check(zero_shot)


@pytest.mark.parametrize("bug", ZERO_BUGS)
def test_a_bug_planted_into_zero_shot_is_caught(bug):
    module = planted(zero_shot, *ZERO_BUGS[bug])
    with pytest.raises((AssertionError, RuntimeError)):
        for check in ZERO_CHECKS:
            check(module)


def test_an_actor_with_all_features_reaches_goals_that_it_was_not_trained_on():
    """The exact psi (each cell its own feature): what can fail is the generalisation over z alone."""
    torch.manual_seed(0)
    test, train = TWO_ROOMS.split_cells(3, seed=0)
    psi = torch.eye(13)
    actor = zero_shot.ZeroShotActor(psi, psi, TWO_ROOMS.next_state, GAMMA, hidden=64)
    z = zero_shot.training_tasks(psi, train, 512)
    fit(actor, zero_shot.Tasks(z), steps=300, batch_size=64, lr=3e-3, momentum=(0.9, 0.9), weight_decay=(0.0, 0.0))
    for cells, least in ((train, 0.9), (test, 0.5)):
        codes = zero_shot.on_sphere(zero_shot.task_vectors(psi, TWO_ROOMS.goals(cells)))
        policy = actor.values(codes).detach().argmax(dim=2)
        score = TWO_ROOMS.score(policy, TWO_ROOMS.goals(cells), GAMMA).mean().item()
        assert score > least, (score, cells)
