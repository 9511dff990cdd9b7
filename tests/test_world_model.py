"""World models: the loss against loops, latents against images, the two stages, decoder and inverse policy."""

import pytest
import torch
from helpers import planted, seeded
from torch import nn

from minijepa import fit
from minijepa.losses import covariance, sigreg, variance
from minijepa.planning import Decoder, FrameEncoder, InversePolicy, encode_walks, learn_dynamics, world_model
from minijepa.planning.world_model import LEWM, PLDM, Dynamics, WorldModel
from minijepa.worlds import TwoRooms

ALL = {"variance": 3.0, "covariance": 0.5, "similarity": 0.7, "inverse": 2.0, "sigreg": 0.1}


def make(module=world_model, weights=ALL, steps=2, seed=0):
    torch.manual_seed(seed)
    return module.WorldModel(module.FrameEncoder(dim=6, width=16), module.Dynamics(6, width=12), weights, steps)


def slow_terms(model, z, actions, steps):
    """Every term with loops over clips and time."""
    b, t, d = z.shape
    terms = {}
    for ahead in range(1, steps + 1):
        errors = []
        for i in range(b):
            for start in range(t - ahead):
                guess = z[i, start]
                for k in range(ahead):
                    guess = guess + model.dynamics.net(torch.cat([guess, actions[i, start + k] / 0.1]))
                errors.append(((guess - z[i, start + ahead]) ** 2).mean())
        terms[f"predict_{ahead}"] = sum(errors) / len(errors)
    terms["variance"] = sum(variance(z[:, k]) for k in range(t)) / t
    terms["covariance"] = sum(covariance(z[:, k]) for k in range(t)) / t
    terms["sigreg"] = sum(sigreg(z[:, k]) for k in range(t)) / t
    pairs = [(i, k) for i in range(b) for k in range(t - 1)]
    terms["similarity"] = sum(((z[i, k + 1] - z[i, k]) ** 2).mean() for i, k in pairs) / len(pairs)
    read = [model.inverse(torch.cat([z[i, k], z[i, k + 1]])) for i, k in pairs]
    terms["inverse"] = sum(
        ((r - actions[i, k] / 0.1) ** 2).mean() for r, (i, k) in zip(read, pairs, strict=True)
    ) / len(pairs)
    return terms


def check_loss(module):
    model = make(module, steps=3)
    clip = TwoRooms().walks(5, length=6, seed=1, window=6).batch(torch.arange(5))
    with torch.no_grad():
        output = model(clip)
        slow = slow_terms(model, model.encode(clip.frames), clip.actions, 3)
    assert set(output.terms) == set(slow)
    for name, value in slow.items():
        assert output.terms[name] == pytest.approx(value.item(), rel=1e-4), name
    expected = sum(v * ALL.get(name, 1.0) for name, v in slow.items())
    assert output.loss == pytest.approx(expected.item(), rel=1e-4)
    assert output.numbers == {name: pytest.approx(v.item(), rel=1e-4) for name, v in slow.items()}


def check_rollout(module):
    model = make(module)
    z, actions = torch.randn(3, 4, 6, generator=seeded()), torch.randn(3, 4, 5, 2, generator=seeded(1)) / 10
    path = model.rollout(z, actions)
    assert path.shape == (3, 4, 5, 6)
    for k in range(5):
        z = z + model.dynamics.net(torch.cat([z, actions[..., k, :] / 0.1], dim=-1))
        assert torch.allclose(path[..., k, :], z, atol=1e-6)


def check_latents(module):
    world, encoder = TwoRooms.redrawn(), make(module).encoder
    walks = world.walks(7, length=6, seed=2, window=4)
    latents = module.encode_walks(encoder, walks, window=4, rows=3)
    assert len(latents) == len(walks)
    index = torch.tensor([0, 4, 20])
    clip, seen = latents.batch(index), walks.batch(index)
    assert torch.equal(clip.actions, seen.actions)
    with torch.no_grad():
        assert torch.allclose(clip.frames, encoder(seen.frames), atol=1e-5)


CHECKS = (check_loss, check_rollout, check_latents)
BUGS = {
    "the second prediction hears the first action": ("actions[:, ahead - 1 :]", "actions[:, : z.shape[1] - ahead]"),
    "the target is the present": ("z[:, ahead:]).mean()", "z[:, : z.shape[1] - ahead]).mean()"),
    "the rollout hears the first action again and again": (
        "z = self.dynamics(z, action)\n            path", "z = self.dynamics(z, actions[..., 0, :])\n            path"),
    "terms are not weighted": ("loss = loss + weight * terms[name]", "loss = loss + terms[name]"),
    "similarity of a frame with itself": ("return l2(z[:, 1:], z[:, :-1])", "return l2(z[:, 1:], z[:, 1:])"),
    "the inverse model sees one frame twice": (
        "torch.cat([z[:, :-1], z[:, 1:]], dim=-1)", "torch.cat([z[:, :-1], z[:, :-1]], dim=-1)"),
    "the action is not scaled": ("torch.cat([z, action / self.scale], dim=-1)", "torch.cat([z, action], dim=-1)"),
    "every walk gets the first wall": ("walks.wall[i : i + rows, None]", "walks.wall[:1, None]"),
}  # fmt: skip


@pytest.mark.parametrize("check", CHECKS)
def test_the_model(check):
    check(world_model)


@pytest.mark.parametrize("bug", BUGS)
def test_planted_bugs_are_caught(bug):
    module = planted(world_model, *BUGS[bug])
    with pytest.raises(AssertionError):
        for check in CHECKS:
            check(module)


def test_an_unknown_term_is_named():
    with pytest.raises(ValueError, match="variants"):
        WorldModel(FrameEncoder(), Dynamics(), {"variants": 1.0})


@pytest.mark.parametrize("weights", [PLDM, LEWM, {}], ids=["PLDM", "LeWM", "none"])
def test_every_part_learns(weights):
    model = make(weights=weights)
    model(TwoRooms().walks(5, seed=0, window=4).batch(torch.arange(8))).loss.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_frames_alone_and_in_a_batch_are_encoded_alike():
    encoder = FrameEncoder().eval()
    frames = torch.rand(2, 3, 2, 28, 28, generator=seeded())
    with torch.no_grad():
        together = encoder(frames)
        assert together.shape == (2, 3, 32)
        assert torch.allclose(encoder(frames[1, 2]), together[1, 2], atol=1e-6)


def test_the_second_stage_moves_the_dynamics_alone_and_learns_what_the_first_frames_do():
    """On an encoder that gives the position, the dynamics learn to add the action."""

    class Position(nn.Module):
        def forward(self, frames):  # the centre of the dot in pixels
            dot = frames[..., 0, :, :].flatten(-2)
            weight = dot / dot.sum(dim=-1, keepdim=True)
            row = torch.arange(28.0).repeat_interleave(28)
            column = torch.arange(28.0).repeat(28)
            return torch.stack([(weight * column).sum(-1), 27 - (weight * row).sum(-1)], dim=-1)

    walks = TwoRooms().walks(300, length=10, seed=0)
    model = learn_dynamics(Position(), walks, steps=500)
    z = encode_walks(model.encoder, TwoRooms().walks(50, seed=9), 5)
    clip = z.batch(torch.arange(50))
    with torch.no_grad():
        moved = (clip.frames[:, 1] - clip.frames[:, 0]).square().mean()
        error = (model.dynamics(clip.frames[:, 0], clip.actions[:, 0]) - clip.frames[:, 1]).square().mean()
    assert error < moved / 3


def test_a_decoder_leaves_the_encoder_alone_and_learns_to_draw():
    torch.manual_seed(0)
    encoder = FrameEncoder()
    before = [p.clone() for p in encoder.parameters()]
    decoder, walks = Decoder(encoder), TwoRooms().walks(100, seed=0, window=3)
    history = fit(decoder, walks, steps=60, batch_size=16, lr=5e-3, monitor_every=1)
    losses = history.curve("loss")[1]
    assert all(torch.equal(a, b) for a, b in zip(before, encoder.parameters(), strict=True))
    assert losses[-1] < losses[0] / 3
    assert decoder.decode(torch.randn(2, 5, 32)).shape == (2, 5, 2, 28, 28)


def test_an_inverse_policy_learns_the_first_action():
    """Latents in which the action is the difference of neighbours; further goals would leave its length open."""
    g = seeded()
    action = 0.1 * (2 * torch.rand(200, 1, 2, generator=g) - 1)
    z = torch.rand(200, 1, 2, generator=g) + action * torch.arange(6.0)[None, :, None]
    walks = world_model.LatentWalks(z, action.expand(-1, 5, -1), window=2)
    torch.manual_seed(0)
    policy = InversePolicy(nn.Identity(), dim=2, width=32)
    fit(policy, walks, steps=300, batch_size=32, lr=5e-3)
    policy.begin(z[:50, 1])
    assert (policy.act(z[:50, 0]) - action[:50, 0]).abs().mean() < 0.02
