"""The specifications of assignment 12 against independent programs, and right answers of other forms."""

import importlib
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Categorical, Normal, kl_divergence

from minijepa import ViT
from minijepa.checks import CheckFailed
from minijepa.checks import codes as check
from minijepa.checks.values import normal
from minijepa.family import beit, mae, vae

NAMES = ("gaussian_kl", "sample_code", "decoder_tokens", "mae_loss", "quantise", "code_usage")
MODULES = {name: importlib.import_module(f"minijepa.checks.codes.{name}") for name in NAMES}


def spec(name):
    return getattr(MODULES[name], f"spec_{name}")


def test_the_cost_of_a_code_is_that_of_the_package_of_pytorch_and_of_an_integral():
    mean, log_var = normal(4, 3), normal(4, 3, seed=1)
    found = spec("gaussian_kl")(mean, log_var)
    code = Normal(mean, (log_var / 2).exp())
    assert torch.allclose(found, vae.gaussian_kl(mean, log_var), atol=1e-5)
    assert torch.allclose(found, kl_divergence(code, Normal(0.0, 1.0)).sum(dim=1), atol=1e-5)
    line = torch.linspace(-12, 12, 4_001)[:, None, None]  # [4001, 1, 1]
    ratio = code.log_prob(line) - Normal(0.0, 1.0).log_prob(line)
    integral = torch.trapezoid(code.log_prob(line).exp() * ratio, line, dim=0).sum(dim=1)
    assert torch.allclose(found, integral, atol=1e-3)


def test_the_gradients_of_a_sample_are_those_of_autograd_through_the_package():
    mean, log_var, noise = normal(2, 3), normal(2, 3, seed=1), normal(2, 3, seed=2)
    found = spec("sample_code")(mean, log_var, noise)
    mean.requires_grad_(), log_var.requires_grad_()
    z = vae.reparametrise(mean, log_var, noise)
    wanted = z, *torch.autograd.grad(z, (mean, log_var), MODULES["sample_code"].weights(z))
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(found, wanted, strict=True))


@given(st.integers(1, 4), st.integers(1, 12), st.integers(0, 10**6), st.data())
def test_whatever_was_seen_comes_back_to_its_place(b, n, seed, data):
    k = data.draw(st.integers(1, n))
    numbers = torch.rand(b, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    image = torch.arange(float(n)).repeat(b, 1)  # each patch holds its own place
    seen = image.gather(1, numbers.argsort(dim=1)[:, :k]).unsqueeze(-1)
    tokens, hidden = spec("decoder_tokens")(seen, numbers, torch.tensor([-1.0]))
    assert torch.equal(tokens[..., 0], image.masked_fill(hidden, -1.0))
    assert (hidden.sum(dim=1) == n - k).all()
    if k < n:
        shown, out = numbers.masked_fill(hidden, 0.0), numbers.masked_fill(~hidden, 1.0)
        assert (shown.amax(dim=1) < out.amin(dim=1)).all()


def test_the_loss_is_that_of_the_courses_mae():
    torch.manual_seed(0)
    model = mae.model(ViT(img_size=32, patch_size=4, dim=24, depth=1, heads=2)).eval()
    x, masks = normal(2, 3, 32, 32), mae.masks(2, torch.Generator().manual_seed(1))
    with torch.no_grad():
        out = model(x, masks)
    places = masks.targets.flatten(1)
    hidden = torch.zeros(2, 64, dtype=torch.bool).scatter(1, places, True)
    drawn = torch.full((2, 64, 48), 5.0).scatter(1, places[..., None].expand(-1, -1, 48), out.prediction.flatten(1, 2))
    found = spec("mae_loss")(drawn, model.encoder.patch_embed.patches(x), hidden)
    assert abs(found - out.loss) < 1e-5


@pytest.mark.parametrize("p", [2, 5, 48])
def test_drawing_nothing_costs_nearly_one(p):
    patches, hidden = 3 * normal(2, 4, p) + 1, torch.tensor([[True, False, True, True]]).expand(2, -1)
    assert abs(spec("mae_loss")(torch.zeros_like(patches), patches, hidden) - (p - 1) / p) < 1e-4


def test_codes_are_the_words_of_beit_and_the_gradient_passes_them():
    z, codes = normal(3, 5, 4), normal(9, 4, seed=1)
    index, value, at_z, at_codes = spec("quantise")(z, codes)
    assert torch.equal(index, beit.nearest_words(z, codes)) and torch.equal(value, codes[index])
    assert torch.equal(at_z, MODULES["quantise"].weights(z)) and not at_codes.any()


def test_the_perplexity_is_that_of_pytorch_and_its_logarithm_is_what_a_guess_by_frequency_costs():
    index = MODULES["code_usage"].skewed(4, 30, 9, 3)
    used, perplexity = spec("code_usage")(index, 9)
    p = torch.bincount(index.flatten(), minlength=9) / index.numel()
    assert used == len(index.unique()) and abs(perplexity - Categorical(probs=p).perplexity().item()) < 1e-3
    guess = torch.nn.functional.cross_entropy(p.log().expand(index.numel(), -1), index.flatten())
    assert abs(guess.item() - math.log(perplexity)) < 1e-5


# --- right answers of another form, and what the tables of mistakes cannot hold ---------------------------


class StraightThrough(torch.autograd.Function):
    """The same estimator, written as a function with a backward pass of its own."""

    @staticmethod
    def forward(ctx, z, taken):
        return taken.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None


def by_function(z, codes):
    index = (z.square().sum(-1, keepdim=True) - 2 * z @ codes.T + codes.square().sum(-1)).argmin(dim=-1)
    return index, StraightThrough.apply(z, codes.detach()[index])


def by_scatter(seen, numbers, mask_token):
    places = numbers.topk(seen.shape[1], dim=1, largest=False, sorted=True).indices  # [B, K]
    hidden = torch.ones_like(numbers, dtype=torch.bool).scatter(1, places, False)
    tokens = mask_token.repeat(*numbers.shape, 1)
    tokens[torch.arange(len(seen))[:, None], places] = seen
    return tokens, hidden


def by_released_code(drawn, patches, hidden):
    mean, var = patches.mean(dim=-1, keepdim=True), patches.var(dim=-1, keepdim=True)
    loss = ((drawn - (patches - mean) / (var + 1.0e-6) ** 0.5) ** 2).mean(dim=-1)
    return (loss * hidden).sum() / hidden.sum()


def by_entr(index, count):
    p = torch.bincount(index.flatten(), minlength=count) / index.numel()
    return index.unique().numel(), torch.special.entr(p).sum().exp()  # a tensor of one number


RIGHT = {
    "gaussian_kl": lambda m, s: kl_divergence(Normal(m, (s / 2).exp()), Normal(0.0, 1.0)).sum(dim=-1),
    "sample_code": lambda m, s, noise: torch.addcmul(m, s.exp().sqrt(), noise),
    "decoder_tokens": by_scatter,
    "mae_loss": by_released_code,
    "quantise": by_function,
    "code_usage": by_entr,
}


@pytest.mark.parametrize("name", NAMES)
def test_a_right_answer_of_another_form_passes(name, capsys):
    getattr(check, name)(RIGHT[name])
    assert capsys.readouterr().out.count("right") == 1  # one line, also of those that are checked twice


def test_no_half_of_an_answer_passes():
    for answer in (lambda *a: None, lambda *a: by_function(*a)[0], lambda *a: [*by_function(*a)]):
        with pytest.raises(CheckFailed):
            check.quantise(answer)
    for answer in (lambda *a: by_scatter(*a)[0], lambda *a: by_scatter(*a)[1]):
        with pytest.raises(CheckFailed):
            check.decoder_tokens(answer)
    for answer in (lambda *a: by_entr(*a)[0], lambda *a: by_entr(*a)[1]):
        with pytest.raises(CheckFailed):
            check.code_usage(answer)


def test_a_sample_with_noise_of_its_own_fails():
    with pytest.raises(CheckFailed, match="with the noise that you are given"):
        check.sample_code(lambda m, s, noise: torch.normal(m, (s / 2).exp()))
