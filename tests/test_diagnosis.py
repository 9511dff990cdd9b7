"""The verdict on constructed collapses, the diagnosis of an encoder, and its record during training."""

import pytest
import torch

from minijepa.diagnosis import DiagnoseDuring, Diagnosis, diagnose, diagnose_tokens
from minijepa.jepa import JEPA
from minijepa.masking import random_masks
from minijepa.predictor import Predictor
from minijepa.training.fit import fit
from minijepa.vit import ViT

B, N, D = 256, 16, 32


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def layer_norm(x):
    return torch.nn.functional.layer_norm(x, x.shape[-1:])


CONSTRUCTED = {
    "constant": (normal(D).expand(B, N, D), "complete"),
    "zero": (torch.zeros(B, N, D), "complete"),
    "constant and noise of one thousandth": (normal(D) + 1e-3 * normal(B, N, D, seed=1), "complete"),
    "noise of one thousandth around zero": (1e-3 * normal(B, N, D, seed=1), "complete"),
    "positions alone": (layer_norm(normal(1, N, D) + 1e-3 * normal(B, N, D, seed=1)), "positional"),
    "positions, and an image that hardly shows": (normal(1, N, D) + 0.12 * normal(B, N, D, seed=1), "positional"),
    "rank 2": (normal(B, N, 2) @ normal(2, D, seed=1), "dimensional"),
    "N(0, I)": (normal(B, N, D), "healthy"),
    "N(0, I), far from zero": (normal(B, N, D) + 20, "healthy"),
    "half position, half content": (layer_norm(normal(1, N, D) + normal(B, N, D, seed=1)), "healthy"),
}


@pytest.mark.parametrize("name", CONSTRUCTED)
def test_verdict(name):
    tokens, expected = CONSTRUCTED[name]
    diagnosis = diagnose_tokens(tokens)
    assert diagnosis.verdict == expected and str(diagnosis).startswith(expected + ":")


def test_what_each_measure_says_about_each_collapse():
    table = {name: diagnose_tokens(tokens) for name, (tokens, _) in CONSTRUCTED.items()}
    noise, place = table["constant and noise of one thousandth"], table["positions alone"]
    assert noise.rankme_centred > 0.9 * D and noise.content_share > 0.9  # these look healthy: both ignore scale
    assert noise.rankme < 1.1 and place.rankme < 1.2  # as published RankMe sees the long axis of the shared mean
    around = table["noise of one thousandth around zero"]
    assert around.rankme > 0.9 * D and around.rankme_centred > 0.9 * D  # no shared mean: neither definition sees it
    assert noise.position_std == pytest.approx(1e-3, rel=0.05) and noise.spectrum.max() < 1e-3
    assert place.token_std > 0.9 and place.rankme_centred > 0.9 * D and place.position_std < 0.01
    far = table["N(0, I), far from zero"]
    assert far.rankme < 2.5 and far.rankme_centred > 0.9 * D, "healthy: the verdict must not use the published one"
    assert table["rank 2"].rankme < 2.1 and table["rank 2"].position_std > 0.5
    assert table["N(0, I)"].position_std == pytest.approx(1, abs=0.02) and table["N(0, I)"].alpha < 0.5


def test_numbers_leave_out_what_was_not_measured():
    without = diagnose_tokens(normal(B, N, D)).numbers()
    assert {"position_std", "rankme", "uniformity"} <= set(without) and not {"lidar", "alignment"} & set(without)
    withviews = diagnose_tokens(normal(B, N, D), normal(B, 4, D, seed=1)).numbers()
    assert {"lidar", "alignment"} <= set(withviews)
    assert "spectrum" not in withviews and all(isinstance(value, float) for value in withviews.values())


@pytest.fixture
def encoder():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return ViT(8, 2, dim=12, depth=1, heads=3)


def test_diagnosis_of_an_encoder(encoder):
    x = normal(40, 3, 8, 8)
    encoder.train()
    first, again, other = diagnose(encoder, x), diagnose(encoder, x), diagnose(encoder, x, seed=1)
    assert encoder.training, "the mode must stay as it was"
    assert first.numbers() == again.numbers() and first.lidar != other.lidar
    assert first.rankme == other.rankme  # only the views are drawn
    with torch.no_grad():
        direct = diagnose_tokens(encoder(x))
    assert direct.position_std == first.position_std and direct.lidar is None
    assert diagnose(encoder, x, views=0).numbers() == direct.numbers()
    assert not any(p.grad is not None for p in encoder.parameters())


def test_views_are_contexts_of_the_given_fraction(encoder):
    seen = []

    class Listening(torch.nn.Module):
        def forward(self, x, keep=None):
            seen.append(keep)
            return encoder(x, keep=keep)

    diagnose(Listening(), normal(6, 3, 8, 8), views=3, share=0.25)
    assert seen[0] is None and len(seen) == 4
    assert all(keep.shape == (6, 4) and len(set(keep[0].tolist())) == 4 for keep in seen[1:])
    assert not torch.equal(seen[1], seen[2])


def test_all_patches_in_every_view_align_perfectly(encoder):
    assert diagnose(encoder, normal(20, 3, 8, 8), share=1.0).alignment == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("shape", [(4, 8), (1, 4, 8), (4, 1, 8)])
def test_refuses_what_cannot_vary(shape):
    with pytest.raises(ValueError, match=str(list(shape))[1:-1]):
        diagnose_tokens(torch.zeros(shape))


@pytest.mark.parametrize("shape", [(4, 8), (4, 1, 8), (5, 2, 8)])
def test_refuses_views_that_do_not_fit(shape):
    with pytest.raises(ValueError, match=str(list(shape))[1:-1]):
        diagnose_tokens(normal(4, 3, 8), torch.zeros(shape))


def test_refuses_a_single_view(encoder):
    with pytest.raises(ValueError, match="at least 2"):
        diagnose(encoder, normal(4, 3, 8, 8), views=1)


class Images:
    """Noise that answers as ImageData does."""

    def __len__(self):
        return 20

    def batch(self, index=None, device=None):
        return normal(20, 3, 8, 8)[index]


def run(encoder, callbacks):
    model = JEPA(encoder, Predictor(12, (4, 4), width=12, depth=1, heads=3))

    def masks(batch, generator):
        return random_masks(batch, (4, 4), context_keep=5, target_keep=4, generator=generator)

    return model, fit(model, Images(), masks, steps=6, batch_size=4, callbacks=callbacks)


def test_during_training(encoder):
    x = normal(30, 3, 8, 8, seed=5)
    model, history = run(encoder, [DiagnoseDuring(x, every=3)])
    assert history.curve("encoder_rankme")[0] == [3, 6]
    final = diagnose(model.encoder, x)
    last = {name.removeprefix("encoder_"): v for name, v in history.rows[-1].items() if name.startswith("encoder_")}
    assert last.pop("verdict") == final.verdict
    assert last == pytest.approx(final.numbers())


def test_watching_changes_nothing(encoder):
    import copy

    other = copy.deepcopy(encoder)
    torch.manual_seed(1)
    watched, _ = run(encoder, [DiagnoseDuring(normal(30, 3, 8, 8), every=1)])
    torch.manual_seed(1)
    alone, _ = run(other, [])
    assert all(torch.equal(a, b) for a, b in zip(watched.parameters(), alone.parameters(), strict=True))


def test_a_diagnosis_is_read_top_down():
    """Every field is documented, the two that decide first stand first."""
    assert list(Diagnosis.__dataclass_fields__)[:2] == ["position_std", "content_share"]
    assert all(name in Diagnosis.__doc__ for name in Diagnosis.__dataclass_fields__)
