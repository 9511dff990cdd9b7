"""The attentive probe: it equals PyTorch's attention, ignores order, finds one token, and scores chance on noise."""

import pytest
import torch
from helpers import seeded

from minijepa.probes import attentive
from minijepa.probes.attentive import AttentiveProbe, attentive_probe, fit_attentive, moments, read


def probe_of(dim=12, out=5, heads=3):
    torch.manual_seed(0)
    probe = AttentiveProbe(dim, out, heads)
    for p in probe.parameters():  # biases and norms too, so that a missing one is detected
        p.data.normal_(std=0.4)
    return probe


def test_it_is_cross_attention_mlp_norm_linear():
    """PyTorch's own attention with the same weights, and the other operations written out."""
    probe, x = probe_of(), torch.randn(4, 7, 12, generator=seeded(1))
    reference = torch.nn.MultiheadAttention(12, 3, batch_first=True)
    parts = (probe.to_q.weight, probe.to_k, probe.to_v.weight)
    reference.in_proj_weight.data = torch.cat([p.data for p in parts])
    reference.in_proj_bias.data = torch.cat([probe.to_q.bias.data, torch.zeros(12), probe.to_v.bias.data])
    reference.out_proj.load_state_dict(probe.proj.state_dict())
    q = probe.query.expand(4, 1, 12)
    answer, weights = reference(q, x, x, average_attn_weights=False)  # [4, 1, 12], [4, 3, 1, 7]
    torch.testing.assert_close(probe.weights(x), weights.squeeze(2).mT)
    s = probe.query + answer.squeeze(1)
    s = s + probe.mlp.fc2(torch.nn.functional.gelu(probe.mlp.fc1(s)))
    s = torch.nn.functional.layer_norm(s, (12,), probe.norm.weight, probe.norm.bias)
    torch.testing.assert_close(probe(x), s @ probe.head.weight.T + probe.head.bias)


def test_every_part_learns():
    probe = probe_of()
    probe(torch.randn(4, 7, 12, generator=seeded(1))).square().sum().backward()
    assert [name for name, p in probe.named_parameters() if p.grad is None or p.grad.abs().max() == 0] == []


def test_the_order_of_the_tokens_does_not_matter():
    probe, x = probe_of(), torch.randn(4, 7, 12, generator=seeded(1))
    torch.testing.assert_close(probe(x[:, torch.randperm(7, generator=seeded(2))]), probe(x))


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="5 heads for width 12"):
        AttentiveProbe(12, 3, heads=5)


def one_token_tells(count, seed, length=20, dim=8):
    """Noise tokens and, at a random position, one longer token whose direction gives the class."""
    x = torch.randn(count, length, dim, generator=seeded(seed))
    labels = torch.randint(3, (count,), generator=seeded(seed + 1))
    place = torch.randint(length, (count,), generator=seeded(seed + 2))
    x[torch.arange(count), place] = 4 * torch.eye(dim)[labels] + 4 * torch.eye(dim)[7]
    return x, labels


def test_it_finds_the_token_that_a_mean_hides():
    from minijepa.probes import linear_probe

    (x, y), (test, test_y) = one_token_tells(600, 0), one_token_tells(400, 50)
    found = attentive_probe(x, y, test, test_y, steps=300)
    hidden = linear_probe(x.mean(dim=1), y, test.mean(dim=1), test_y)
    assert found > 0.97 and hidden < 0.9


def test_without_content_it_scores_chance():
    x, test = torch.randn(400, 9, 8, generator=seeded(0)), torch.randn(900, 9, 8, generator=seeded(1))
    y, test_y = (torch.randint(3, (n,), generator=seeded(s)) for n, s in ((400, 2), (900, 3)))
    assert abs(attentive_probe(x, y, test, test_y, steps=150) - 1 / 3) < 4.5 * (2 / 9 / 900) ** 0.5
    values = torch.randn(400, 2, generator=seeded(4)), torch.randn(900, 2, generator=seeded(5))
    assert attentive_probe(x, values[0], test, values[1], steps=150) < 0.05  # R^2 of guessing is 0 or less


def test_values_come_back_in_their_own_units():
    x = torch.randn(800, 5, 8, generator=seeded(0))
    truth = torch.stack([300 + 40 * x.mean(dim=1)[:, 0], -0.01 * x.mean(dim=1)[:, 1]], dim=1)
    probe = fit_attentive(x[:600], truth[:600], steps=400)
    answer = read(probe, x[600:])
    for k in range(2):
        error = (answer[:, k] - truth[600:, k]).square().mean() / truth[600:, k].var()
        assert error < 0.1
    assert attentive_probe(x[:600], truth[:600], x[600:], truth[600:], steps=400) > 0.9


def test_same_seed_same_probe_and_the_global_generator_is_left_alone():
    x, y = one_token_tells(100, 0)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    a, b, c = (fit_attentive(x, y, steps=5, seed=s) for s in (3, 3, 4))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))
    assert not torch.equal(a.query, c.query)
    assert not a.training


def test_scale_and_offset_of_the_tokens_do_not_matter():
    (x, y), (test, test_y) = one_token_tells(300, 0), one_token_tells(300, 50)
    scale, shift = 10 ** torch.randn(2, 8, generator=seeded(3))
    plain = attentive_probe(x, y, test, test_y, steps=100)
    assert attentive_probe(x * scale + shift, y, test * scale + shift, test_y, steps=100) == pytest.approx(
        plain, abs=0.01
    )


def test_half_precision_and_a_feature_that_never_changes():
    (x, y), (test, test_y) = one_token_tells(400, 0), one_token_tells(400, 50)
    full = attentive_probe(x, y, test, test_y, steps=200)
    assert attentive_probe(x.half(), y, test.half(), test_y, steps=200) == pytest.approx(full, abs=0.02)
    x, test = (torch.cat([part, torch.full_like(part[..., :4], 3.0)], dim=2) for part in (x, test))
    assert attentive_probe(x, y, test, test_y, steps=200) == pytest.approx(full, abs=0.05)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_moments(dtype, monkeypatch):
    monkeypatch.setattr(attentive, "CHUNK", 16)
    x = (1000 + torch.randn(70, 3, 4, generator=seeded(0))).to(dtype)
    mean, std = moments(x)
    flat = x.double().flatten(0, 1)
    torch.testing.assert_close(mean, flat.mean(dim=0).float())
    torch.testing.assert_close(std, flat.std(dim=0, correction=0).float(), rtol=1e-4, atol=0)


def test_fewer_images_than_a_batch():
    x, y = one_token_tells(6, 0)
    assert fit_attentive(x, y, steps=3)(x).shape == (6, int(y.max()) + 1)


@pytest.mark.parametrize("truth", [torch.zeros(3, dtype=torch.int64), torch.zeros(4), torch.zeros(4, 1, 1)])
def test_truth_of_another_shape_is_refused(truth):
    with pytest.raises(ValueError, match=r"for 4 images the truth must be int64 \[4\]"):
        fit_attentive(torch.zeros(4, 2, 8), truth)
