"""The energy view: against loops over images and patches, models whose energies are known, and closed forms."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from minijepa.energy import (
    against_position,
    candidate_energies,
    covering_masks,
    energy_landscape,
    pair_energies,
    path_weights,
    plane_weights,
    separation,
    surprise_maps,
    surprise_rank,
)
from minijepa.jepa import JEPA
from minijepa.losses import l2, smooth_l1
from minijepa.masking import Masks, block_masks, random_masks
from minijepa.patches import PatchEmbed
from minijepa.plots.energy import energy_histograms, energy_planes, surprise_gallery
from minijepa.predictor import Predictor
from minijepa.vit import ViT, eval_mode

B, GRID, N, P = 3, (4, 4), 16, 4  # images, patches, and values per patch of a one-channel 8x8 image


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(*shape, seed=0):
    return torch.randn(shape, generator=seeded(seed))


def real(seed=0, distance=smooth_l1):
    """A small JEPA as the course trains it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = ViT(8, 2, dim=12, depth=1, heads=2, in_chans=1)
        return JEPA(encoder, Predictor(12, encoder.grid, width=8, depth=1, heads=2), distance=distance)


class Patches(nn.Module):
    """Encoder and teacher at once: a token is its patch's pixels, so every energy can be told in advance."""

    def __init__(self):
        super().__init__()
        self.grid, self.cut = GRID, PatchEmbed((2, 2), 1, 1).patches

    def forward(self, x, keep=None):
        tokens = self.cut(x)
        return tokens if keep is None else torch.stack([t[k] for t, k in zip(tokens, keep, strict=True)])


class MeanOfContext(nn.Module):
    """Predicts the mean of the context for every target; keeps the masks it was asked."""

    def __init__(self, gain=1.0):
        super().__init__()
        self.gain, self.asked = gain, []

    def forward(self, context, masks):
        self.asked.append(masks)
        b, m, k = masks.targets.shape
        return self.gain * context.mean(dim=1)[:, None, None].expand(b, m, k, -1)


def stand_in(gain=1.0):
    patches = Patches()
    return JEPA(patches, MeanOfContext(gain), teacher=patches, distance=l2)


def patch(image, j):
    """The four pixels of patch j of one [1, 8, 8] image, cut by group."""
    row, column = divmod(j, 4)
    return image[0, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].flatten()


def expected(seen, seen_in, j, asked_in):
    """The stand-in's energy, one patch at a time: || mean of the seen patches - patch j ||^2 / 4."""
    guess = torch.stack([patch(seen_in, int(i)) for i in seen]).mean(dim=0)
    return float((guess - patch(asked_in, j)).square().mean())


# --- pairs ---


def test_pair_energies_equal_a_loop_over_images_and_patches():
    x, y, masks = noise(B, 1, 8, 8), noise(B, 1, 8, 8, seed=1), block_masks(B, GRID, n_targets=2, generator=seeded())
    found = pair_energies(stand_in(), x, y, masks)
    assert found.shape == masks.targets.shape
    for i in range(B):
        for m in range(2):
            for k, j in enumerate(masks.targets[i, m].tolist()):
                assert float(found[i, m, k]) == pytest.approx(expected(masks.context[i], x[i], j, y[i]), rel=1e-5)


@pytest.mark.parametrize("distance", [smooth_l1, l2])
def test_a_compatible_pair_has_the_energy_of_the_forward_pass(distance):
    jepa, x, masks = real(distance=distance), noise(B, 1, 8, 8), block_masks(B, GRID, generator=seeded())
    torch.testing.assert_close(pair_energies(jepa, x, x, masks), jepa(x, masks).energy)


def test_a_shuffled_pair_takes_only_its_targets_from_the_other_image():
    """Pixels of y outside the targets, and of x outside the context, do not reach the stand-in's energy."""
    x, y, masks = noise(1, 1, 8, 8), noise(1, 1, 8, 8, seed=1), Masks(torch.tensor([[0, 1]]), torch.tensor([[[10]]]))
    before = pair_energies(stand_in(), x, y, masks)
    x2, y2 = x.clone(), y.clone()
    x2[:, :, 2:], y2[:, :, :4], y2[:, :, 6:] = 7.0, 7.0, 7.0  # rows: patches 0, 1 above 2; patch 10 in 4..6
    assert torch.equal(pair_energies(stand_in(), x2, y2, masks), before)
    y2[:, :, 5, 5] += 1
    assert not torch.equal(pair_energies(stand_in(), x2, y2, masks), before)


def test_energy_works_on_clips():
    encoder = ViT((4, 8, 8), (2, 4, 4), dim=16, depth=1, heads=2)
    jepa = JEPA(encoder, Predictor(16, encoder.grid, width=8, depth=1, heads=2))
    x = noise(2, 3, 4, 8, 8)
    masks = Masks(torch.tensor([[0, 3]] * 2), torch.tensor([[[5, 7, 6]]] * 2))
    torch.testing.assert_close(pair_energies(jepa, x, x, masks), jepa(x, masks).energy)
    assert surprise_maps(jepa, x, target_keep=3, context_keep=2, generator=seeded()).shape == (2, 2, 2, 2)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=8), st.lists(st.integers(0, 4), min_size=1, max_size=8))
def test_separation_counts_pairs(low, high):
    wins = sum((h > c) + 0.5 * (h == c) for c in low for h in high)
    assert separation(torch.tensor(low), torch.tensor(high)) == pytest.approx(wins / len(low) / len(high))


def test_separation_takes_any_shape_and_ignores_scale():
    low, high = noise(4, 2, 3).abs(), noise(4, 2, 5, seed=1).abs() + 0.3
    assert separation(low, high) == separation(low.flatten(), high.flatten()) == separation(low * 1e-6, high * 1e-6)
    assert separation(low, low + 10) == 1 and separation(low + 10, low) == 0


# --- surprise ---


@given(st.integers(1, 4), st.integers(2, 5), st.integers(1, 5), st.data())
def test_covering_masks_ask_for_every_patch_once(batch, rows, columns, data):
    n = rows * columns
    target = data.draw(st.integers(1, n - 1))
    context = data.draw(st.integers(1, n - target))
    groups = covering_masks(batch, (rows, columns), target, context, seeded(data.draw(st.integers(0, 99))))
    for i in range(batch):
        assert sorted(j for group in groups for j in group.targets[i, 0].tolist()) == list(range(n))
        for group in groups:
            seen = group.context[i].tolist()
            assert len(set(seen)) == context and not set(seen) & set(group.targets[i, 0].tolist())
            assert seen == sorted(seen)


def test_contexts_are_drawn_evenly_and_differ_between_images():
    groups = [group for s in range(150) for group in covering_masks(2, GRID, 4, 4, seeded(s))]
    counts = torch.stack([group.context for group in groups]).flatten().bincount(minlength=N)
    assert counts.sum() == 150 * 4 * 2 * 4 and (counts / counts.float().mean() - 1).abs().max() < 0.25
    assert any(not torch.equal(group.context[0], group.context[1]) for group in groups)


@pytest.mark.parametrize("target, context", [(4, 6), (5, 11), (1, 15), (15, 1)])
def test_surprise_is_the_average_over_the_masks_that_were_asked(target, context):
    jepa, x = stand_in(), noise(B, 1, 8, 8)
    maps = surprise_maps(jepa, x, target_keep=target, context_keep=context, rounds=3, generator=seeded())
    for i in range(B):
        asked = [[] for _ in range(N)]
        for masks in jepa.predictor.asked:
            for j in masks.targets[i, 0].tolist():
                asked[j].append(expected(masks.context[i], x[i], j, x[i]))
        assert {len(values) for values in asked} == {3}
        average = torch.tensor([sum(values) / 3 for values in asked]).view(GRID)
        torch.testing.assert_close(maps[i], average)


def test_surprise_of_a_model_that_predicts_zero_is_the_size_of_each_patch():
    x = noise(B, 1, 8, 8)
    maps = surprise_maps(stand_in(gain=0.0), x, target_keep=4, context_keep=4, generator=seeded())
    sizes = torch.tensor([[float(patch(image, j).square().mean()) for j in range(N)] for image in x])
    torch.testing.assert_close(maps, sizes.view(B, *GRID))


def test_a_foreign_patch_in_a_constant_image_is_the_most_surprising():
    x = torch.full((5, 1, 8, 8), 0.5)
    x[range(5), 0, [0, 2, 4, 6, 7], [6, 4, 2, 0, 7]] = -1.0
    place = torch.tensor([3, 6, 9, 12, 15])
    maps = surprise_maps(stand_in(), x, target_keep=4, context_keep=8, generator=seeded())
    assert torch.equal(surprise_rank(maps, place), torch.ones(5))


def test_the_same_generator_gives_the_same_map():
    jepa, x = real(), noise(B, 1, 8, 8)
    draws = [surprise_maps(jepa, x, target_keep=4, context_keep=4, generator=seeded(s)) for s in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])


@given(st.lists(st.integers(0, 3), min_size=6, max_size=6), st.integers(0, 5))
def test_surprise_rank_counts_patches(values, index):
    others = values[:index] + values[index + 1 :]
    share = sum((v < values[index]) + 0.5 * (v == values[index]) for v in others) / 5
    maps = torch.tensor([values], dtype=torch.float32).view(1, 2, 3)
    assert float(surprise_rank(maps, torch.tensor([index]))) == pytest.approx(share)


def test_against_position_takes_out_what_a_position_always_has():
    reference = noise(500, *GRID) * torch.rand(GRID, generator=seeded(1)) + 10 * torch.rand(GRID, generator=seeded(2))
    scaled = against_position(reference, reference)
    torch.testing.assert_close(scaled.mean(dim=0), torch.zeros(GRID), atol=1e-4, rtol=0)
    torch.testing.assert_close(scaled.std(dim=0), torch.ones(GRID), atol=1e-4, rtol=0)
    one = against_position(reference[:1] + 1, reference)
    assert one[0, 2, 3] == pytest.approx(
        float((reference[0, 2, 3] + 1 - reference[:, 2, 3].mean()) / reference[:, 2, 3].std()), rel=1e-4
    )


# --- landscapes ---


def test_a_path_in_representation_space_is_the_known_parabola():
    """With l2: E(s) = E_0 - 2 s <p - a, b - a> / D + s^2 |b - a|^2 / D, exactly, beyond the ends too."""
    jepa, x, y = real(distance=l2), noise(B, 1, 8, 8), noise(B, 1, 8, 8, seed=1)
    masks, shares = random_masks(B, GRID, context_keep=6, target_keep=4, generator=seeded()), [-0.5, 0, 0.3, 1, 1.4]
    found = energy_landscape(jepa, x, [x, y], path_weights(shares), masks, space="representation")
    out, other = jepa(x, masks), jepa(y, masks)
    p, a, b = out.prediction, out.target, other.target
    for s, row in zip(shares, found, strict=True):
        e = (p - a).square() - 2 * s * (p - a) * (b - a) + s**2 * (b - a).square()
        torch.testing.assert_close(row, e.mean(dim=(1, 2, 3)))


def test_with_a_linear_teacher_both_spaces_are_one_and_with_layernorm_they_are_not():
    x, y, z = (noise(B, 1, 8, 8, seed=s) for s in range(3))
    masks = random_masks(B, GRID, context_keep=6, target_keep=4, generator=seeded())
    weights = plane_weights([-0.2, 0.5, 1], [0, 0.7])
    for jepa, equal in ((stand_in(), True), (real(), False)):
        pixels, representation = (
            energy_landscape(jepa, x, [x, y, z], weights, masks, space) for space in ("pixels", "representation")
        )
        assert pixels.shape == (3, 2, B) and torch.allclose(pixels, representation, atol=1e-5) == equal


@pytest.mark.parametrize("space", ["pixels", "representation"])
def test_the_corners_of_a_plane_are_pairs(space):
    jepa, (x, y, z) = real(), (noise(B, 1, 8, 8, seed=s) for s in range(3))
    masks = block_masks(B, GRID, n_targets=2, generator=seeded())
    plane = energy_landscape(jepa, x, [x, y, z], plane_weights([0, 1], [0, 1]), masks, space)
    for (u, v), end in {(0, 0): x, (1, 0): y, (0, 1): z}.items():
        torch.testing.assert_close(plane[u, v], pair_energies(jepa, x, end, masks).mean(dim=(1, 2)))


def test_a_mixture_of_pixels_is_the_energy_of_the_mixed_image():
    jepa, (x, y) = real(), (noise(B, 1, 8, 8, seed=s) for s in range(2))
    masks = block_masks(B, GRID, generator=seeded())
    found = energy_landscape(jepa, x, [x, y], path_weights([0.3]), masks, "pixels")
    torch.testing.assert_close(found[0], pair_energies(jepa, x, 0.7 * x + 0.3 * y, masks).mean(dim=(1, 2)))


def test_candidates_are_compared_one_by_one():
    jepa, x, candidates = real(), noise(B, 1, 8, 8), noise(5, B, 1, 8, 8, seed=1)
    masks = block_masks(B, GRID, n_targets=2, generator=seeded())
    found = candidate_energies(jepa, x, candidates, masks)
    alone = [pair_energies(jepa, x, y, masks).mean(dim=(1, 2)) for y in candidates]
    torch.testing.assert_close(found, torch.stack(alone))


def test_weights_sum_to_one():
    assert torch.allclose(path_weights([-1, 0.2, 3]).sum(-1), torch.ones(3))
    assert torch.allclose(plane_weights([-1, 0.2, 3], [0.0, 2]).sum(-1), torch.ones(3, 2))
    assert plane_weights([0.25], [0.5])[0, 0].tolist() == [0.25, 0.25, 0.5]


# --- pictures ---


def test_histograms_have_a_panel_and_a_scale_per_model():
    low, high = noise(50).abs(), noise(50, seed=1).abs() + 1
    fig = energy_histograms({"a": (low, high), "b": (low / 1e5, high / 1e5)})
    limits = [ax.get_xlim()[1] for ax in fig.axes]
    assert [ax.get_title() for ax in fig.axes] == ["a", "b"] and limits[0] > 1e4 * limits[1]
    assert [sum(bar.get_height() for bar in ax.containers[0]) for ax in fig.axes] == [50, 50]
    assert all(ax.get_xlabel() for ax in fig.axes)


def test_the_gallery_frames_the_patch():
    images = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    fig = surprise_gallery(images, {"model": noise(2, *GRID)}, torch.tensor([6, 15]))
    frames = [[ax.patches[0].get_xy() for ax in fig.axes[row : row + 2]] for row in (0, 2)]
    assert frames == [[(3.5, 1.5), (5.5, 5.5)], [(1.5, 0.5), (2.5, 2.5)]]  # in pixels, in patches
    assert [fig.axes[0].get_ylabel(), fig.axes[2].get_ylabel()] == ["image", "model"]


def test_the_ring_of_a_plane_is_at_its_lowest_point():
    u, v = torch.linspace(-1, 1, 5), torch.linspace(0, 3, 4)
    plane = (u[:, None] - 0.5).square() + (v - 2).square()
    fig = energy_planes({"bowl": plane}, u, v, ("up", "right"), {"here": (0, 1)})
    ax = fig.axes[0]
    ring = next(line for line in ax.lines if line.get_label() == "lowest")
    assert (ring.get_xdata()[0], ring.get_ydata()[0]) == (2, 0.5)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("right", "up") and ax.texts[0].get_text() == "here"


# --- manners ---

X, MASKS = noise(B, 1, 8, 8), random_masks(B, GRID, context_keep=6, target_keep=4, generator=seeded())
CALLS = {
    "pair_energies": lambda jepa: pair_energies(jepa, X, X, MASKS),
    "surprise_maps": lambda jepa: surprise_maps(jepa, X, target_keep=4, context_keep=4, generator=seeded()),
    "candidate_energies": lambda jepa: candidate_energies(jepa, X, X.unsqueeze(0), MASKS),
    "energy_landscape": lambda jepa: energy_landscape(jepa, X, [X, X], path_weights([0.5]), MASKS),
}


class Watch(nn.Module):
    """Notes how it was called."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, x):
        self.seen.append((self.training, torch.is_grad_enabled()))
        return x


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_runs_in_eval_mode_without_gradient_and_gives_the_modes_back(call):
    jepa = real().train()
    watch = jepa.predictor.norm = nn.Sequential(jepa.predictor.norm, Watch())
    jepa.encoder.eval()  # a mixed state, as in a run with a frozen part
    before = [module.training for module in jepa.modules()]
    assert len(set(before)) == 2
    assert not call(jepa).requires_grad
    assert set(watch[1].seen) == {(False, False)}
    assert [module.training for module in jepa.modules()] == before and torch.is_grad_enabled()
    assert all(p.grad is None for p in jepa.parameters())


def test_modes_come_back_after_an_error():
    jepa = real().train()
    with pytest.raises(RuntimeError, match="in between"), eval_mode(jepa):
        assert not jepa.encoder.training
        raise RuntimeError("in between")
    assert all(module.training for module in jepa.modules())


def big():
    return Masks(torch.tensor([[0, 63]] * B), torch.tensor([[[1]]] * B))


ERRORS = {
    "y": (lambda j: pair_energies(j, X, X[:2], MASKS), r"y must have the shape of x, \(3, 1, 8, 8\), got \(2,"),
    "rows": (lambda j: pair_energies(j, X[:2], X[:2], MASKS), r"context \[2, K_c\].*got \(3, 6\)"),
    "flat": (lambda j: pair_energies(j, X, X, Masks(MASKS.context, MASKS.targets[:, 0])), r"targets \[3, M, K_t\]"),
    "grid": (lambda j: pair_energies(j, X, X, big()), r"patch 63.*\(4, 4\).*0\.\.15"),
    "size": (lambda j: pair_energies(j, noise(B, 1, 6, 6), noise(B, 1, 6, 6), MASKS), r"\(8, 8\) pixels, got \(6, 6\)"),
    "candidates": (lambda j: candidate_energies(j, X, X, MASKS), r"candidate .*\(3, 1, 8, 8\), got \(1, 8, 8\)"),
    "end": (lambda j: energy_landscape(j, X, [X, X[:1]], path_weights([0]), MASKS), r"end 1 .*got \(1, 1, 8, 8\)"),
    "weights": (
        lambda j: energy_landscape(j, X, [X, X], plane_weights([0], [0]), MASKS),
        r"ends, 2, .*\(1, 1, 3\)",
    ),
    "space": (lambda j: energy_landscape(j, X, [X, X], path_weights([0]), MASKS, "latent"), "'pixels'.*'latent'"),
    "rounds": (lambda j: surprise_maps(j, X, target_keep=4, context_keep=4, rounds=0), "rounds .* 0"),
    "too many": (lambda j: surprise_maps(j, X, target_keep=9, context_keep=8), "target_keep 9 .* 8 .* 16 patches"),
    "none": (lambda j: covering_masks(2, GRID, 0, 4), "target_keep 0"),
    "empty": (lambda j: separation(torch.ones(0), X), "0 compatible and 192 shuffled"),
    "nan": (lambda j: separation(X, X / 0), "192 of 384"),
    "reference": (lambda j: against_position(torch.ones(2, 4, 4), torch.ones(1, 4, 4)), r"R >= 2.*\(1, 4, 4\)"),
    "index": (lambda j: surprise_rank(torch.ones(2, 4, 4), torch.tensor([0, 16])), r"0\.\.15 .* from 0 to 16"),
}


@pytest.mark.parametrize("call, words", ERRORS.values(), ids=ERRORS)
def test_wrong_numbers_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call(real())
