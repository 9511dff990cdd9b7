"""Methods that generate (AE, VAE, MAE, BEiT): losses against loops, integrals and libraries; planted bugs are found."""

import math
import signal

import pytest
import torch
from helpers import planted, seeded
from torch import nn
from torch.distributions import Normal, kl_divergence

from minijepa import ViT, fit, shapeworld
from minijepa.family import Frames, autoencoder, beit, mae, vae
from minijepa.losses import l2

WITHOUT_TRANSFORMERS = (
    "compares with transformers; `make test` installs it where it can be had, or pip install -e '.[oracles]'"
)

BATCH = 6


def encoder():
    torch.manual_seed(0)
    return ViT(img_size=32, patch_size=4, dim=24, depth=2, heads=2)


def images(seed=0):
    return torch.randn(BATCH, 3, 32, 32, generator=seeded(seed))


def patch(x, n):
    """Patch n of an image [3, 32, 32], cut by hand: its 48 values, colour first."""
    row, column = divmod(n, 8)
    return x[:, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4].flatten()


def other_pixels(x, places):
    """The same images with new random values in the patches `places`, int64 [B, K]."""
    changed = x.clone()
    for image, chosen in zip(changed, places, strict=True):
        for n in chosen.tolist():
            row, column = divmod(n, 8)
            image[:, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = torch.randn(3, 4, 4, generator=seeded(n))
    return changed


def squared_errors(drawn, x):
    """Sum of squared errors of each image, by loops: drawn patches [B, N, values], images [B, 3, H, W]."""
    drawn = drawn.detach()
    return [sum(float((drawn[b, n] - patch(x[b], n)).square().sum()) for n in range(64)) for b in range(len(x))]


# --- AE ---


def check_autoencoder(module):
    model, x, later = module.model(encoder()), images(), images(1)
    out = model(x)
    assert out.loss.item() == pytest.approx(sum(squared_errors(out.drawn, x)) / x.numel(), rel=1e-5)
    tokens = model.encoder(x)
    torch.testing.assert_close(out.code, model.to_code(tokens.mean(dim=1)))  # all that the code knows is in the mean
    pair = model(module.Frames(x, later))
    torch.testing.assert_close(pair.code, out.code)  # the first frame is seen
    assert pair.loss.item() == pytest.approx(sum(squared_errors(pair.drawn, later)) / x.numel(), rel=1e-5)


def test_the_autoencoder_draws_what_it_saw_or_the_next_frame():
    check_autoencoder(autoencoder)
    assert autoencoder.masks is None and autoencoder.model(encoder()).target_encoder.dim == 24


def test_a_linear_autoencoder_finds_the_principal_components():
    """Baldi and Hornik 1989: its best error is what PCA with as many components leaves."""
    data = torch.randn(400, 12, generator=seeded()) @ torch.diag(torch.tensor([4.0, 3.0, 2.0] + [0.3] * 9))
    data = data - data.mean(dim=0)
    left = torch.linalg.svdvals(data)[3:].square().sum() / data.numel()

    class Flat(nn.Module):  # an "encoder" of one token, the identity
        dim, grid = 12, (1, 1)

        def __init__(self):
            super().__init__()
            self.patch_embed = type("", (), {"patches": staticmethod(lambda x: x), "proj": nn.Linear(12, 12)})()

        def forward(self, x):
            return x

    model = autoencoder.Autoencoder(Flat(), code=3)
    model.decoder.fc1, model.decoder.fc2 = nn.Identity(), nn.Linear(3, 12)
    model.decoder.forward = lambda code: model.decoder.fc2(code).unsqueeze(1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(600):
        optimizer.zero_grad()
        loss = model(data.unsqueeze(1)).loss
        loss.backward()
        optimizer.step()
    assert left * 0.999 < loss.item() < 1.02 * left


class Pairs:
    """Drawn images as first frames, brighter ones as second."""

    def __init__(self):
        self.data = shapeworld(32, seed=0)

    def __len__(self):
        return 32

    def batch(self, index, device=None):
        x = self.data.batch(index, device)
        return Frames(x, x + 0.5)


def test_fit_trains_a_predictive_autoencoder_on_pairs_of_frames():
    model = autoencoder.model(encoder())
    settings = {**autoencoder.TRAINING, "augment": None, "batch_size": 16}
    assert all(math.isfinite(row["loss"]) for row in fit(model, Pairs(), steps=3, **settings).rows)


# --- VAE ---


def check_vae(module):
    mean, log_var = torch.randn(2, 5, 3, generator=seeded())
    posterior, prior = Normal(mean, (log_var / 2).exp()), Normal(0.0, 1.0)
    kl = module.gaussian_kl(mean, log_var)
    torch.testing.assert_close(kl, kl_divergence(posterior, prior).sum(dim=1))
    # the integral of q log(q / p), one number of the code at a time
    z = torch.linspace(-15, 15, 20_001, dtype=torch.float64)[:, None, None]
    exact = Normal(mean.double(), (log_var.double() / 2).exp())
    integrand = exact.log_prob(z).exp() * (exact.log_prob(z) - Normal(0.0, 1.0).log_prob(z))
    torch.testing.assert_close(kl.double(), torch.trapezoid(integrand, z[:, 0, 0], dim=0).sum(dim=1), rtol=1e-4, atol=0)
    assert module.gaussian_kl(torch.zeros(1, 3), torch.zeros(1, 3)).item() == 0

    noise = torch.randn(20_000, 1, 1, generator=seeded(1))
    samples = module.reparametrise(mean, log_var, noise)  # [20000, 5, 3]
    torch.testing.assert_close(samples.std(dim=0), (log_var / 2).exp(), rtol=0.03, atol=0)
    torch.testing.assert_close(samples.mean(dim=0), mean, rtol=0, atol=0.08)

    model, x = module.VAE(encoder(), beta=3.0).train(), images()
    start = int(model.calls)
    out = model(x)
    values = model.to_code(model.encoder(x).mean(dim=1)).detach()  # [B, 2 K]
    noise = torch.randn(BATCH, 32, generator=seeded(start))
    total = 0.0
    code = torch.empty(BATCH, 32)
    for b in range(BATCH):
        for k in range(32):
            mu, sigma2 = float(values[b, k]), math.exp(float(values[b, 32 + k]))
            code[b, k] = mu + math.sqrt(sigma2) * noise[b, k]
            total += 3 * (sigma2 + mu**2 - 1 - math.log(sigma2)) / 2
    total += sum(squared_errors(model.decoder(code).detach(), x)) / 2
    assert out.loss.item() == pytest.approx(total / BATCH, rel=1e-4)

    leaves = mean.clone().requires_grad_(), log_var.clone().requires_grad_()
    drawn = module.reparametrise(*leaves, torch.ones(5, 3)).sum()
    by_mean, by_log_var = torch.autograd.grad(drawn, leaves, materialize_grads=True)
    torch.testing.assert_close(by_mean, torch.ones(5, 3))
    torch.testing.assert_close(by_log_var, (log_var / 2).exp() / 2)
    assert not torch.equal(model.noise(out.code), model.noise(out.code))  # new noise in each call
    model.eval()
    torch.testing.assert_close(model(x).drawn, model.decoder(values[:, :32]))  # none in eval mode
    assert model(x).kl.shape == (BATCH,) and float(model(x).numbers["kl"]) > 0


def test_the_vae_is_the_evidence_lower_bound():
    check_vae(vae)


def test_the_elbo_is_below_the_evidence():
    """A model with a known evidence: z ~ N(0, 1), x = w z + noise of variance 1; the ELBO is tight at the posterior."""
    w = torch.tensor([0.5, -1.0, 2.0])
    x = torch.tensor([[1.0, 0.3, -0.7]])
    constant = 1.5 * math.log(2 * math.pi)  # left out of the loss
    evidence = torch.distributions.MultivariateNormal(torch.zeros(3), torch.outer(w, w) + torch.eye(3)).log_prob(x)
    variance = 1 / (1 + w @ w)
    posterior = (variance * (x @ w)).view(1, 1), variance.log().view(1, 1)

    def elbo(mean, log_var):
        noise = torch.randn(100_000, 1, generator=seeded())
        z = vae.reparametrise(mean, log_var, noise)  # [100000, 1]
        drawn = (z * w).unsqueeze(1)  # [100000, 1, 3]
        many = (100_000, 1)
        losses = vae.negative_elbo(drawn, x.unsqueeze(0), mean.expand(many), log_var.expand(many))
        return -losses.mean().item() - constant

    assert elbo(*posterior) == pytest.approx(evidence.item(), abs=0.02)
    assert elbo(posterior[0] + 0.5, posterior[1]) < evidence.item() - 0.1
    assert elbo(posterior[0], posterior[1] + 1) < evidence.item() - 0.1


def train_vae(steps=6, **settings):
    model = vae.model(encoder())
    settings = {**vae.TRAINING, "batch_size": 8, **settings}
    return model, fit(model, shapeworld(32, seed=0), steps=steps, **settings)


def test_two_runs_of_a_vae_with_one_seed_agree_and_so_does_a_resumed_one(tmp_path):
    (one, first), (two, second) = train_vae(), train_vae()
    assert first.curve("loss") == second.curve("loss")
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    stop = [lambda step, model, row: step == 3 and signal.raise_signal(signal.SIGINT)]
    _, half = train_vae(checkpoint=tmp_path / "run.pt", callbacks=stop)
    assert half.interrupted and len(half.rows) == 3
    rest, whole = train_vae(checkpoint=tmp_path / "run.pt", resume=True)
    assert whole.curve("loss") == first.curve("loss")
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), rest.parameters(), strict=True))


# --- MAE ---


def check_mae(module):
    model, x = module.model(encoder()), images()
    drawn = module.masks(BATCH, seeded())
    assert drawn.context.shape == (BATCH, 16) and drawn.targets.shape == (BATCH, 1, 48)  # 75 % hidden
    both = torch.cat([drawn.context, drawn.targets.flatten(1)], dim=1).sort(dim=1).values
    assert torch.equal(both, torch.arange(64).expand(BATCH, -1))  # each patch is seen or predicted, never both
    out = model(x, drawn)
    errors = []
    for b in range(BATCH):
        for k, n in enumerate(drawn.targets[b, 0].tolist()):
            values = patch(x[b], n).double()
            centred = values - values.mean()
            wanted = centred / (centred.square().sum() / 47 + 1e-6).sqrt()
            torch.testing.assert_close(out.target[b, 0, k].double(), wanted, atol=1e-4, rtol=1e-4)
            errors.append(float((out.prediction[b, 0, k].detach().double() - wanted).square().mean()))
    assert out.loss.item() == pytest.approx(sum(errors) / len(errors), rel=1e-4)
    hidden = model(other_pixels(x, drawn.targets.flatten(1)), drawn)
    torch.testing.assert_close(hidden.prediction, out.prediction)  # what is hidden is not seen
    assert not torch.allclose(hidden.target, out.target)
    shown = model(other_pixels(x, drawn.context), drawn)
    torch.testing.assert_close(shown.target, out.target)  # what is seen need not be drawn
    assert not torch.allclose(shown.prediction, out.prediction)


def test_mae_draws_the_normalised_pixels_of_hidden_patches_only():
    check_mae(mae)


def test_maes_decoder_is_light():
    model = mae.model(ViT.nano())
    sizes = {name: sum(p.numel() for p in getattr(model, name).parameters()) for name in ("encoder", "predictor")}
    assert sizes["predictor"] < 0.2 * sizes["encoder"]
    assert model.target_encoder is model.encoder


def test_maes_loss_is_that_of_transformers():
    transformers = pytest.importorskip("transformers", reason=WITHOUT_TRANSFORMERS)
    config = transformers.ViTMAEConfig(
        image_size=32, patch_size=4, norm_pix_loss=True, hidden_size=24, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=48, decoder_hidden_size=24, decoder_num_hidden_layers=1, decoder_num_attention_heads=2,
        decoder_intermediate_size=48,
    )  # fmt: skip
    torch.manual_seed(0)
    oracle, x = transformers.ViTMAEForPreTraining(config), images()
    out = oracle(x)
    assert out.mask.sum() == BATCH * 48  # 75 % hidden by its defaults
    drawn = out.logits.unflatten(-1, (16, 3)).transpose(-1, -2).flatten(2)  # its patches list colours last
    hidden = out.mask.bool()  # 1: hidden
    loss = l2(drawn[hidden], mae.PixelTeacher(encoder())(x)[hidden]).mean()
    assert loss.item() == pytest.approx(out.loss.item(), rel=1e-5)


# --- BEiT ---


def check_beit(module):
    model, x = module.BEiT(encoder(), words=20).train(), images()
    drawn = module.masks(BATCH, seeded())
    assert 0.3 < drawn.targets.shape[-1] / 64 < 0.5
    out = model(x, drawn)
    words, losses = model.words.clone(), []
    assert words.isfinite().all()
    for b in range(BATCH):
        for k, n in enumerate(drawn.targets[b, 0].tolist()):
            distances = [float((patch(x[b], n) - word).square().sum()) for word in words]
            assert out.target[b, 0, k] == distances.index(min(distances))
            scores = out.logits[b, 0, k].detach().double().exp()
            losses.append(-math.log(scores[out.target[b, 0, k]] / scores.sum()))
    assert out.loss.item() == pytest.approx(sum(losses) / len(losses), rel=1e-5)
    again = model(images(2), drawn)
    assert torch.equal(model.words, words)  # the first batch alone gives the vocabulary
    again = model(other_pixels(x, drawn.targets.flatten(1)), drawn)
    torch.testing.assert_close(again.logits, out.logits)  # what is hidden is not seen
    assert not torch.equal(again.target, out.target)
    again = model(other_pixels(x, drawn.context[:, :1]), drawn)
    assert torch.equal(again.target, out.target) and not torch.allclose(again.logits, out.logits)


def test_beit_guesses_the_words_of_hidden_patches():
    check_beit(beit)


def test_the_vocabulary_is_k_means():
    """Three heaps of patches: the words are their means, and the same seed gives the same words."""
    heaps = torch.tensor([[5.0, 0.0], [-5.0, 0.0], [0.0, 8.0]])
    patches = (heaps[:, None] + 0.1 * torch.randn(3, 50, 2, generator=seeded())).flatten(0, 1)
    words = beit.vocabulary(patches, 3)
    means = patches.unflatten(0, (3, 50)).mean(dim=1)
    nearest = torch.cdist(means, words).min(dim=1)
    assert nearest.values.max() < 0.02 and sorted(nearest.indices.tolist()) == [0, 1, 2]
    assert torch.equal(words, beit.vocabulary(patches, 3))
    with pytest.raises(ValueError, match="151 words need at least as many patches, got 150"):
        beit.vocabulary(patches, 151)


def test_beit_keeps_its_vocabulary_and_refuses_to_answer_without_one():
    model, x, drawn = beit.BEiT(encoder(), words=20), images(), beit.masks(BATCH, seeded())
    with pytest.raises(ValueError, match="no vocabulary yet"):
        model.eval()(x, drawn)
    model.train()(x, drawn)
    other = beit.BEiT(encoder(), words=20).eval()
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(x, drawn).target, model.eval()(x, drawn).target)


def test_beit_refuses_rotary_positions():
    with pytest.raises(ValueError, match="rotary"):
        beit.BEiT(ViT(img_size=32, patch_size=4, dim=24, depth=1, heads=2, positions="rotary"))


# --- planted bugs ---

BUGS = {
    "AE: the frame that was seen is drawn": (autoencoder, "patches(wanted)", "patches(seen)"),
    "AE: frames swapped": (autoencoder, "seen, wanted = x if", "wanted, seen = x if"),
    "AE: the code reads one token": (autoencoder, "self.to_code(pool(tokens))", "self.to_code(tokens[:, 0])"),
    "VAE: sign of the KL": (vae, "error + beta *", "error - beta *"),
    "VAE: sign of the mean in the KL": (vae, "0.5 * (mean.square()", "0.5 * (-mean.square()"),
    "VAE: mean over the code in the KL": (vae, "- log_var).sum(dim=-1)", "- log_var).mean(dim=-1)"),
    "VAE: variance for standard deviation": (vae, "(log_var / 2).exp()", "log_var.exp()"),
    "VAE: no beta": (vae, "error + beta *", "error +"),
    "VAE: mean over pixels": (vae, "flatten(1).sum(dim=1)", "flatten(1).mean(dim=1)"),
    "VAE: no gradient through the sample": (vae, "(log_var / 2).exp() * noise", "(log_var / 2).exp().detach() * noise"),
    "VAE: the same noise in each call": (vae, "self.calls += 1", "self.calls += 0"),
    "VAE: noise in eval mode": (vae, "if not self.training:", "if False:"),
    "MAE: pixels not normalised": (mae, "return (y - y.mean(dim=-1, keepdim=True)) /", "return y /"),
    "MAE: one scale for the whole image": (mae, "y.var(dim=-1, keepdim=True)", "y.var(dim=(1, 2), keepdim=True)"),
    "MAE: mask swapped": (mae, "context_keep=16, target_keep=48", "context_keep=48, target_keep=16"),
    "MAE: loss on visible patches too": (mae, "return JEPA(encoder,", "return Everywhere(encoder,"),
    "BEiT: words of visible patches": (beit, ".unsqueeze(-1), masks)", ".unsqueeze(-1), seen(masks))"),
    "BEiT: the farthest word": (beit, ".argmin(dim=-1)", ".argmax(dim=-1)"),
    "BEiT: the word of most alike direction": (
        beit,
        "torch.cdist(patches, words).argmin",
        "(patches @ words.T).argmax",
    ),
    "BEiT: mask swapped": (beit, "x, masks.targets.flatten(1))", "x, masks.context)"),
    "BEiT: hidden patches are seen": (beit, "x, masks.targets.flatten(1))", "x, masks.targets.flatten(1)[:, :0])"),
    "BEiT: a new vocabulary in each step": (beit, "if self.words.isnan().any():", "if self.training:"),
}


class Everywhere(mae.JEPA):
    """A bug: half of what is predicted was seen."""

    def forward(self, x, masks):
        targets = torch.cat([masks.context.unsqueeze(1), masks.targets[:, :, :16]], dim=2)
        return super().forward(x, type(masks)(masks.context, targets))


def seen(masks):
    """A bug: the first of the visible patches in the place of the hidden ones."""
    return type(masks)(masks.context, masks.context[:, None, : masks.targets.shape[-1]])


CHECKS = {autoencoder: check_autoencoder, vae: check_vae, mae: check_mae, beit: check_beit}


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(bug):
    module, old, new = BUGS[bug]
    broken = planted(module, old, new)
    broken.Everywhere, broken.seen = Everywhere, seen
    with pytest.raises(AssertionError):
        CHECKS[module](broken)
