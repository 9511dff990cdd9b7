"""Surprise against loops over frames; what a memory may see; accuracy by counting; and planted bugs."""

import pytest
import torch
from helpers import planted, seeded
from hypothesis import given
from hypothesis import strategies as st

from minijepa import fit
from minijepa.planning import CopyLast, FrameEncoder, PixelModel, VideoModel, auroc, pairwise_accuracy, video_model
from minijepa.worlds import Physics


def frames(count=4, seed=0):
    return Physics(length=6).clips(count, seed).frames()


def encoder(dim=8):
    """An encoder whose latents vary by about 1, as those of a trained one do."""
    model = FrameEncoder(24, 3, dim)
    with torch.no_grad():
        model.head[2].weight *= 30
    return model


def gru(cell, inputs):
    """torch's GRU written out, one clip and one frame at a time: [T, D] -> [T, W]."""
    width, h, states = cell.hidden_size, torch.zeros(cell.hidden_size), []
    for x in inputs:
        a = cell.weight_ih_l0 @ x + cell.bias_ih_l0
        b = cell.weight_hh_l0 @ h + cell.bias_hh_l0
        r, u = ((a + b)[i * width : (i + 1) * width].sigmoid() for i in (0, 1))
        h = (1 - u) * (a[2 * width :] + r * b[2 * width :]).tanh() + u * h
        states.append(h)
    return torch.stack(states)


def check_jepa(module):
    """Loss and surprise, clip by clip and frame by frame."""
    torch.manual_seed(0)
    model, clips = module.VideoModel(encoder(), width=12, weights=(3.0, 0.5)), frames()
    got, output = model.surprise(clips), model(clips)
    assert got.shape == (4, 5)
    with torch.no_grad():
        z = torch.stack([torch.cat([model.encoder(frame[None]) for frame in clip]) for clip in clips])
        total = 0.0
        for n in range(4):
            memory = gru(model.memory.gru, z[n])
            for t in range(5):
                miss = z[n, t] + model.head.weight @ memory[t] + model.head.bias - z[n, t + 1]
                assert torch.allclose(got[n, t], miss.abs().mean(), atol=1e-5)
                total += miss.square().mean() / 20
        std = [[(z[:, t, d].var() + 1e-4).sqrt() for d in range(8)] for t in range(6)]
        spread = sum(max(0, 1 - s) for row in std for s in row) / 48
        mixed = 0.0
        for t in range(6):
            c = torch.cov(z[:, t].T)
            mixed += sum(c[i, j] ** 2 for i in range(8) for j in range(8) if i != j) / 8 / 6
    assert torch.allclose(output.loss, total + 3.0 * spread + 0.5 * mixed, rtol=1e-4)
    output.loss.backward()
    gradient = model.encoder.head[2].weight.grad
    assert gradient is not None and gradient.abs().max() > 0


def check_causal(module):
    """A later frame changes no earlier surprise; an early one changes a late one: the memory reaches back."""
    torch.manual_seed(0)
    clips = frames()
    for model in (module.VideoModel(encoder()), module.PixelModel(encoder())):
        before, changed = model.surprise(clips), clips.clone()
        changed[:, 4] = 1 - changed[:, 4]
        after = model.surprise(changed)
        assert torch.allclose(before[:, :3], after[:, :3]) and not torch.allclose(before[:, 3], after[:, 3])
        changed = clips.clone()
        changed[:, 0] = 1 - changed[:, 0]
        assert not torch.allclose(before[:, 4], model.surprise(changed)[:, 4], atol=1e-6)


def check_pixels(module):
    """The patches of the decoder, put in place one at a time; the loss is the mean over pixels."""
    torch.manual_seed(0)
    model, clips = module.PixelModel(FrameEncoder(24, 3, dim=8), width=12), frames()
    with torch.no_grad():
        got, output = model.predict(clips), model(clips)
        z = model.encoder(clips)
        for n in range(4):
            memory = gru(model.memory.gru, z[n])
            for t in range(5):
                hidden = model.head(torch.cat([z[n, t], memory[t]])).view(36, 16)
                picture = torch.zeros(3, 24, 24)
                for i in range(36):
                    row, column = divmod(i, 6)
                    patch = (model.patches.weight @ hidden[i] + model.patches.bias).view(3, 4, 4)
                    picture[:, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = patch
                assert torch.allclose(got[n, t], picture, atol=1e-5), (n, t)
        assert torch.allclose(output.loss, (got - clips[:, 1:]).square().mean())
        assert torch.allclose(model.surprise(clips), (got - clips[:, 1:]).abs().mean(dim=(2, 3, 4)), atol=1e-6)


def check_copy(module):
    torch.manual_seed(0)
    clips, net = frames(), encoder()
    z = net(clips)
    for n in range(4):
        for t in range(5):
            still = (clips[n, t + 1] - clips[n, t]).abs().mean()
            assert torch.allclose(module.CopyLast().surprise(clips)[n, t], still, atol=1e-6)
            moved = (z[n, t + 1] - z[n, t]).abs().mean()
            assert torch.allclose(module.CopyLast(net).surprise(clips)[n, t], moved, atol=1e-6)


def check_scores(module):
    for seed in range(5):
        a = torch.randint(0, 4, (9,), generator=seeded(seed)).float()
        b = torch.randint(1, 5, (9,), generator=seeded(seed + 50)).float()
        point = lambda x, y: 1.0 if x < y else 0.5 if x == y else 0.0  # noqa: E731
        pairs = [point(x, y) for x, y in zip(a.tolist(), b.tolist(), strict=True)]
        everyone = [point(x, y) for x in a.tolist() for y in b.tolist()]
        assert abs(module.pairwise_accuracy(a, b) - sum(pairs) / 9) < 1e-9
        assert abs(module.auroc(a, b) - sum(everyone) / 81) < 1e-9
    values = torch.tensor([[0.0, 3.0], [1.0, 1.0]])
    assert module.per_clip(values, "mean").tolist() == [1.5, 1] and module.per_clip(values, "max").tolist() == [3, 1]


CHECKS = {
    "jepa": check_jepa,
    "causal": check_causal,
    "pixels": check_pixels,
    "copy": check_copy,
    "scores": check_scores,
}

BUGS = {
    "the memory sees the frame it predicts": (
        "jepa",
        "z[:, :-1] + self.head(self.memory(z[:, :-1]))",
        "z[:, :-1] + self.head(self.memory(z)[:, 1:])",
    ),
    "no memory": (
        "causal",
        "return self.gru(z)[0]",
        "return self.gru(z.flatten(0, 1)[:, None])[0].view(*z.shape[:2], -1)",
    ),
    "predicts the frame before": (
        "jepa",
        '"predict": l2(self.predict(z), z[:, 1:])',
        '"predict": l2(self.predict(z), z[:, :-1])',
    ),
    "surprise against the frame before": (
        "jepa",
        "return l1(self.predict(z), z[:, 1:])",
        "return l1(self.predict(z), z[:, :-1])",
    ),
    "no residual": ("jepa", "z[:, :-1] + self.head", "self.head"),
    "variance over all frames at once": ("jepa", "variance(z),", "variance(z.flatten(0, 1)),"),
    "weights swapped": ("jepa", 'self.weights[0] * terms["variance"]', 'self.weights[1] * terms["variance"]'),
    "the encoder is detached": (
        "jepa",
        "z = self.encoder(frames)  # [B, T, C, S, S] -> [B, T, D]",
        "z = self.encoder(frames).detach()",
    ),
    "patches transposed": (
        "pixels",
        "F.fold(patches.mT,",
        "F.fold(patches.unflatten(1, (self.side, self.side)).transpose(1, 2).flatten(1, 2).mT,",
    ),
    "copies the first frame": ("copy", "l1(z[:, :-1], z[:, 1:])", "l1(z[:, :1].expand_as(z[:, 1:]), z[:, 1:])"),
    "ties count": ("scores", "0.5 * (possible == impossible)", "1.0 * (possible == impossible)"),
    "ties count in the AUROC": ("scores", "(ranks + 0.5 * ties)", "ranks"),
    "the other way round": ("scores", "(possible < impossible)", "(possible > impossible)"),
}


@pytest.mark.parametrize("name", CHECKS)
def test_the_video_model_is_what_the_loops_say(name):
    CHECKS[name](video_model)


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_planted_into_the_video_model_is_caught(bug):
    check, old, new = BUGS[bug]
    with pytest.raises(AssertionError):
        CHECKS[check](planted(video_model, old, new))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=20))
def test_accuracies_of_the_swapped_pairs_add_up_to_one(pairs):
    a, b = torch.tensor(pairs, dtype=torch.float).unbind(dim=1)
    assert pairwise_accuracy(a, b) + pairwise_accuracy(b, a) == pytest.approx(1)
    assert auroc(a, b) + auroc(b, a) == pytest.approx(1) and pairwise_accuracy(a, a) == 0.5


def test_fit_trains_both_models():
    data = Physics().clips(64, seed=0)
    for kind, name in ((VideoModel, "predict"), (PixelModel, "pixels")):
        torch.manual_seed(0)
        history = fit(kind(FrameEncoder(24, 3)), data, steps=12, batch_size=16, monitor_every=1)
        assert history.rows[-1][name] < history.rows[0][name] or history.rows[-1]["loss"] < history.rows[0]["loss"]


def test_one_clip_alone_equals_the_same_clip_in_a_batch():
    torch.manual_seed(0)
    clips, net = frames(), encoder()
    for model in (VideoModel(net), PixelModel(net), CopyLast(net), CopyLast()):
        assert torch.allclose(model.surprise(clips)[2], model.surprise(clips[2:3])[0], atol=1e-5)


def test_what_cannot_be_compared_is_named():
    with pytest.raises(ValueError, match=r"two vectors of one length, got \(3,\) and \(2,\)"):
        pairwise_accuracy(torch.zeros(3), torch.zeros(2))
    with pytest.raises(ValueError, match="over must be 'mean' or 'max', got 'sum'"):
        video_model.per_clip(torch.zeros(2, 2), "sum")
