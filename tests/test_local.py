"""DMT-JEPA and V-JEPA 2.1's dense loss, against loops; and the bugs that these loops catch, planted one by one."""

import math

import numpy as np
import pytest
import torch
from helpers import planted, seeded

from minijepa import Masks, MaskSets, ViT, block_masks, fit, moving_shapes, recipe, shapeworld, tube_masks
from minijepa.family import dmt_jepa, vjepa21
from minijepa.family.vjepa21 import distance_weights, warmed_up

GRID = (8, 8)


def encoder(depth=2):
    torch.manual_seed(0)
    return ViT(img_size=32, patch_size=4, dim=24, depth=depth, heads=2)


def images(n=3):
    return torch.randn(n, 3, 32, 32, generator=seeded(1))


# --- DMT-JEPA ---


def neighbours_of(i, grid):
    """The slow way: all eight steps from patch i that stay on the grid."""
    row, column = divmod(i, grid[1])
    around = [(row + a, column + b) for a in (-1, 0, 1) for b in (-1, 0, 1) if (a, b) != (0, 0)]
    return {r * grid[1] + c for r, c in around if 0 <= r < grid[0] and 0 <= c < grid[1]}


def check_neighbourhood(module):
    for grid in ((8, 8), (3, 5), (1, 4), (2, 2)):
        near = module.neighbourhood(grid)
        for i in range(grid[0] * grid[1]):
            assert set(near[i].nonzero().flatten().tolist()) == neighbours_of(i, grid), (grid, i)
    counts = module.neighbourhood((8, 8)).sum(dim=1).view(8, 8)
    assert counts[0, 0] == counts[7, 7] == 3 and counts[0, 3] == counts[4, 7] == 5 and counts[3, 3] == 8


def check_choice(module):
    tokens, near = torch.randn(2, 20, 6, generator=seeded()), module.neighbourhood((4, 5))
    chosen = module.most_similar(tokens, near, k=4)
    for image, row in zip(tokens, chosen, strict=True):
        for i in range(20):
            cosines = {j: torch.cosine_similarity(image[i], image[j], dim=0).item() for j in neighbours_of(i, (4, 5))}
            best = sorted(cosines, key=cosines.get, reverse=True)[:4]  # a corner has three, and all are taken
            assert set(row[i].nonzero().flatten().tolist()) == set(best), i


def check_head(module):
    """Patch by patch and head by head: what the mean token reads in the chosen ones."""
    torch.manual_seed(0)
    head, tokens = module.AggregationHead(8, heads=2), torch.randn(2, 12, 8, generator=seeded())
    chosen = module.most_similar(tokens, module.neighbourhood((3, 4)), k=4)
    got, context = head(tokens, chosen), head(tokens)
    for b in range(2):
        mean = tokens[b].mean(dim=0)
        for i in range(12):
            for wanted, start, members in (
                (got[b, i], mean, chosen[b, i].nonzero().flatten().tolist()),
                (context[b, i], tokens[b, i], range(12)),
            ):
                seen = head.norm1(torch.stack([mean, *(tokens[b, j] for j in members)]))  # [1 + K, D]
                q, k, v = (seen @ head.qkv.weight.T + head.qkv.bias).split(8, dim=1)
                read = [
                    ((k[:, part] @ q[0, part]) / math.sqrt(4)).softmax(dim=0) @ v[:, part]
                    for part in (slice(0, 4), slice(4, 8))
                ]
                x = start + head.proj(torch.cat(read))
                assert torch.allclose(wanted, head.norm(x + head.mlp(head.norm2(x))), atol=1e-5), (b, i)


def check_dmt(module):
    """A whole step: targets without gradient, and both copies follow."""
    torch.manual_seed(0)
    model = module.model(encoder())
    drawn = block_masks(3, GRID, generator=seeded())
    output = model(images(), drawn)
    assert not output.target.requires_grad and not output.all_targets.requires_grad
    tokens = torch.nn.functional.layer_norm(model.teacher.encoder(images()), (24,))
    chosen = module.most_similar(tokens, module.neighbourhood(GRID))
    assert torch.allclose(output.all_targets, model.teacher.head(tokens, chosen), atol=1e-5)
    output.loss.backward()
    assert all(p.grad is None for p in model.teacher.parameters())
    assert all(p.grad is not None for part in (model.encoder, model.predictor, model.head) for p in part.parameters())
    with torch.no_grad():
        for p in (*model.encoder.parameters(), *model.head.parameters()):
            p.add_(1.0)
    before = [p.clone() for p in model.teacher.parameters()]
    model.after_step(0.75)
    for old, new in zip(before, model.teacher.parameters(), strict=True):
        assert torch.allclose(new, old + 0.25, atol=1e-6)  # a quarter of the way


def check_dmt_all(module):
    for check in (check_neighbourhood, check_choice, check_head, check_dmt):
        check(module)


DMT_BUGS = {
    "neighbours wrap around the border": (
        "(place[:, None] - place[None]).abs().amax(dim=-1)",
        "torch.minimum(d := (place[:, None] - place[None]).abs(), torch.tensor(grid) - d).amax(dim=-1)",
    ),
    "a patch counts itself": ("return steps == 1", "return steps <= 1"),
    "only neighbours with a common side": (".abs().amax(dim=-1)", ".abs().sum(dim=-1)"),
    "the least similar instead of the most": (
        "scores.topk(k, dim=-1)",
        "scores.masked_fill(~near, 9).topk(k, dim=-1, largest=False)",
    ),
    "dot products in the place of cosines": ("z = F.normalize(tokens, dim=-1)", "z = tokens"),
    "absent neighbours of a corner are taken": ("True) & near", "True)"),
    "every patch sees all tokens": ('masked_fill(~allowed, float("-inf"))', "masked_fill(~allowed, 0)"),
    "the target starts from the patch's own token": ("            start = mean\n", ""),
    "the target's gradient is kept": (  # all guards go: of the copy, and of the forward pass
        """.requires_grad_(False)
        self.choose = choose
        self.register_buffer("near", neighbourhood(encoder.grid), persistent=False)

    @torch.no_grad()
""",
        """
        self.choose = choose
        self.register_buffer("near", neighbourhood(encoder.grid), persistent=False)

""",
    ),
    "the head's copy stands still": ("        follow(self.teacher.head,", "        print(self.teacher.head,"),
    "context without the head": ("self.predictor(self.head(context), masks", "self.predictor(context, masks"),
}  # fmt: skip


def test_dmt_jepa_is_what_the_loops_say():
    check_dmt_all(dmt_jepa)


@pytest.mark.parametrize("bug", DMT_BUGS)
def test_a_bug_planted_into_dmt_jepa_is_caught(bug):
    with pytest.raises(AssertionError):
        check_dmt_all(planted(dmt_jepa, *DMT_BUGS[bug]))


def test_random_neighbours_are_neighbours_and_differ_between_images():
    tokens, near = torch.randn(6, 64, 8, generator=seeded()), dmt_jepa.neighbourhood(GRID)
    chosen = dmt_jepa.at_random(tokens, near)
    assert not (chosen & ~near).any()
    assert torch.equal(chosen.sum(dim=-1), near.sum(dim=-1).clamp(max=4).expand(6, -1))
    assert torch.equal(chosen, dmt_jepa.at_random(-tokens, near)) and not torch.equal(chosen[0], chosen[1])


def test_the_whole_window_has_nine_patches_inside_and_four_in_a_corner():
    window = dmt_jepa.whole(torch.zeros(2, 64, 3), dmt_jepa.neighbourhood(GRID))
    assert window.shape == (2, 64, 64) and window[1].diagonal().all()
    assert window[0].sum(dim=-1).view(8, 8)[[0, 0, 3], [0, 3, 3]].tolist() == [4, 6, 9]


def test_dmt_jepa_needs_heads_that_divide_the_width():
    with pytest.raises(ValueError, match="multiple of the number of heads, got width 9 and 2"):
        dmt_jepa.AggregationHead(9)


# --- V-JEPA 2.1 ---


def dense(module, encoder, levels, **settings):
    predictor = module.DensePredictor(levels * encoder.dim, encoder.grid, mask_tokens=2)
    return module.DenseJEPA(encoder, predictor, levels, **settings)


def check_weights(module):
    drawn = block_masks(4, GRID, generator=seeded())
    got = module.distance_weights(drawn, GRID)
    for b in range(4):
        hidden = {divmod(j, 8) for j in drawn.targets[b].flatten().tolist()}
        for k, i in enumerate(drawn.context[b].tolist()):
            d = min(math.dist(divmod(i, 8), place) for place in hidden)
            assert got[b, k].item() == pytest.approx(1 / math.sqrt(d), rel=1e-5), (b, i)
    one = Masks(torch.tensor([[1, 4, 9]]), torch.tensor([[[0]]]))
    assert module.distance_weights(one, GRID)[0].tolist() == pytest.approx([1, 0.5, 2**-0.25])


def check_warmup(module):
    values = [module.warmed_up(torch.tensor(step), 0.4, (10, 30)).item() for step in (0, 10, 15, 20, 30, 500)]
    assert values == pytest.approx([0, 0, 0.1, 0.2, 0.4, 0.4])


def check_dense(module):
    """A whole step by hand: L1 on three layers of hidden and of visible patches, weights, lambda."""
    torch.manual_seed(0)
    model = dense(module, encoder(depth=4), 2, strength=0.5, warmup=(0, 4))
    x, drawn = images(2), block_masks(2, GRID, n_targets=2, generator=seeded())
    x[0] *= torch.linspace(0, 2, 32)  # patches of unlike contrast
    with torch.no_grad():
        for p in model.teacher.parameters():  # else encoder and target encoder could be swapped unnoticed
            p.add_(0.1 * torch.randn(p.shape, generator=seeded(2)))
    for _ in range(3):
        model.after_step(1.0)  # the target encoder stands still, the warm-up does not
    output = model(x, drawn)

    def layer_norm(y):
        return (y - y.mean(dim=-1, keepdim=True)) / (y.var(dim=-1, keepdim=True, correction=0) + 1e-5).sqrt()

    layers = model.teacher.encoder.layers(x)
    target = torch.cat([layer_norm(layers[1]), layer_norm(layers[3])], dim=-1)  # the second and the last of four
    seen_layers = model.encoder.layers(x, keep=drawn.context)
    context = torch.cat([layer_norm(seen_layers[1]), layer_norm(seen_layers[3])], dim=-1)
    states = model.predictor.states(context, drawn).view(2, 2, -1, 48)  # [B, M, K_c + K_t, width]
    seen = drawn.context.shape[1]
    prediction, again = model.predictor.proj(states[:, :, seen:]), model.predictor.again(states[:, :, :seen])
    hidden, visible, n, m = 0.0, 0.0, 0, 0
    for b in range(2):
        places = [divmod(j, 8) for j in drawn.targets[b].flatten().tolist()]
        for block in range(2):
            for k, j in enumerate(drawn.targets[b, block].tolist()):
                hidden += (prediction[b, block, k] - target[b, j]).abs().mean()
                n += 1
            for k, j in enumerate(drawn.context[b].tolist()):
                distance = min(math.dist(divmod(j, 8), place) for place in places)
                visible += (again[b, block, k] - target[b, j]).abs().mean() / math.sqrt(distance)
                m += 1
    assert torch.allclose(output.loss, hidden / n + 0.5 * 3 / 4 * visible / m, rtol=2e-5)
    assert torch.allclose(model.predict(x, drawn)[1], output.prediction)
    assert not output.all_targets.requires_grad and output.all_targets.shape == (2, 64, 48)
    output.loss.backward()
    assert all(p.grad is None for p in model.teacher.parameters())
    assert all(p.grad.abs().sum() > 0 for p in model.encoder.patch_embed.parameters())


def check_dense_all(module):
    for check in (check_weights, check_warmup, check_dense):
        check(module)


DENSE_BUGS = {
    "distance inverted": (".rsqrt()", ".sqrt()"),
    "distance without the root": (".rsqrt()", ".reciprocal()"),
    "distance to the farthest hidden patch": (".amin(dim=-1)", ".amax(dim=-1)"),
    "lambda on the hidden tokens": (
        "energy.mean() + warmed_up(self.steps, self.strength, self.warmup) * (weights * seen).mean()",
        "warmed_up(self.steps, self.strength, self.warmup) * energy.mean() + (weights * seen).mean()",
    ),
    "weights are forgotten": ("(weights * seen).mean()", "seen.mean()"),
    "warm-up never ends": (".clamp(0, 1)", ".clamp(min=0)"),
    "warm-up begins below 0": (".clamp(0, 1)", ".clamp(max=1)"),
    "the counter stands still": ("self.steps += 1", "self.steps += 0"),
    "visible tokens in the order of the grid": (
        "gather_tokens(all_targets, masks.context)",
        "all_targets[:, : masks.context.shape[1]]",
    ),
    "layers in the wrong order": ("several(layers, self.levels)", "several(layers[::-1], self.levels)"),
    "targets of the context encoder, with their gradient": (
        "target = at_targets(all_targets, masks)  #",
        "target = at_targets(several(self.encoder.layers(x), self.levels), masks)  #",
    ),
    "one linear map for hidden and visible": ("self.again(seen)", "self.proj(seen)"),
}


def test_the_dense_loss_is_what_the_loops_say():
    check_dense_all(vjepa21)


@pytest.mark.parametrize("bug", DENSE_BUGS)
def test_a_bug_planted_into_the_dense_loss_is_caught(bug):
    with pytest.raises(AssertionError):
        check_dense_all(planted(vjepa21, *DENSE_BUGS[bug]))


def test_distances_are_scipys():
    """Its exact Euclidean distance transform, on masks of recipe and of clips."""
    ndimage = pytest.importorskip("scipy.ndimage")
    clips = tube_masks(3, (4, 4, 4), n_blocks=2, scale=(0.3, 0.3), generator=seeded())
    for drawn, grid in ((recipe.masks(3, seeded()), GRID), (clips, (4, 4, 4))):
        got = distance_weights(drawn, grid)
        for b in range(3):
            free = np.ones(grid).ravel()
            free[drawn.targets[b].flatten().numpy()] = 0
            wanted = ndimage.distance_transform_edt(free.reshape(grid)).ravel()[drawn.context[b].numpy()] ** -0.5
            assert np.allclose(got[b].numpy(), wanted, rtol=1e-5)


def test_without_lambda_the_visible_patches_count_nothing():
    x, drawn = images(2), recipe.masks(2, seeded())
    model = dense(vjepa21, encoder(), 2, strength=0.0)
    output = model(x, drawn)
    assert torch.equal(output.loss, output.energy.mean())
    output.loss.backward()
    assert model.predictor.again.weight.grad.abs().max() == 0


def test_a_resumed_run_goes_on_in_its_warm_up(tmp_path):
    def run(steps_first, file):
        torch.manual_seed(0)
        model = dense(vjepa21, encoder(), 2, strength=1.0, warmup=(2, 6))
        settings = {**recipe.TRAINING, "batch_size": 8}
        stop = [lambda step, model, row: (_ for _ in ()).throw(KeyboardInterrupt) if step == steps_first else None]
        try:
            fit(model, shapeworld(16, seed=0), recipe.masks, **settings, steps=6, checkpoint=file, save_every=3,
                callbacks=stop if steps_first else ())  # fmt: skip
        except KeyboardInterrupt:
            torch.manual_seed(0)
            model = dense(vjepa21, encoder(), 2, strength=1.0, warmup=(2, 6))
            fit(model, shapeworld(16, seed=0), recipe.masks, **settings, steps=6, checkpoint=file, resume=True)
        return model

    whole, resumed = run(0, tmp_path / "whole.pt"), run(4, tmp_path / "parts.pt")
    assert whole.steps.item() == resumed.steps.item() == 6
    for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_the_dense_loss_takes_clips_and_several_sets_of_masks():
    torch.manual_seed(0)
    video = ViT((8, 16, 16), (2, 4, 4), dim=16, depth=2, heads=2, in_chans=1)
    model = dense(vjepa21, video, 2, warmup=(0, 1))
    drawn = tube_masks(2, (4, 4, 4), n_blocks=2, scale=(0.3, 0.3), context_keep=8, generator=seeded())
    output = model(moving_shapes(2, seed=0, size=16).batch(torch.arange(2)), MaskSets((drawn, drawn)))
    assert torch.isfinite(output.loss) and len(output.energy) == 2


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"levels": 3}, "levels must lie in 1..2, the encoder's layers, got 3"),
        ({"levels": 1, "strength": -1}, "strength must be 0 or more"),
        ({"levels": 1, "warmup": (5, 5)}, r"0 <= first < last, got 0.3 and \(5, 5\)"),
    ],
)
def test_what_cannot_be_a_dense_loss_is_named(settings, words):
    with pytest.raises(ValueError, match=words):
        dense(vjepa21, encoder(), **settings)


def test_warm_up_takes_no_turn_through_python():
    """It stays a tensor, so that a GPU need not wait for it."""
    assert isinstance(warmed_up(torch.tensor(3), 0.5, (0, 6)), torch.Tensor)
