"""The predictor: each target block on its own, from the context and from places alone."""

import pytest
import torch

from minijepa.masking.blocks import block_masks
from minijepa.masking.sampling import Masks
from minijepa.predictor import Predictor

DIM, GRID = 16, (4, 5)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def predictor():
    torch.manual_seed(0)
    return Predictor(DIM, GRID, width=12, depth=2, heads=3)


@pytest.fixture
def masks():
    return block_masks(3, GRID, n_targets=3, target_scale=(0.2, 0.2), context_keep=6, generator=seeded(0))


@pytest.fixture
def context(masks):
    return torch.randn(*masks.context.shape, DIM, generator=seeded(1))


def one_block(predictor, context, seen, asked):
    """The published form for one image and one target block: context [K_c, D], indices [K_c] and [K_t]."""
    tokens = [predictor.embed(c) + predictor.pos_embed[j] for c, j in zip(context, seen.tolist(), strict=True)]
    tokens += [predictor.mask_tokens[0] + predictor.pos_embed[j] for j in asked.tolist()]
    x = torch.stack(tokens)[None]  # [1, K_c + K_t, width]
    for block in predictor.blocks:
        x = block(x)
    return predictor.proj(predictor.norm(x))[0, len(seen) :]  # [K_t, D]


def test_equals_a_loop_over_images_and_blocks(predictor, context, masks):
    out = predictor(context, masks)
    assert out.shape == (3, 3, masks.targets.shape[2], DIM)
    for b in range(3):
        for m in range(3):
            expected = one_block(predictor, context[b], masks.context[b], masks.targets[b, m])
            torch.testing.assert_close(out[b, m], expected, atol=1e-6, rtol=1e-5)


def test_a_block_does_not_depend_on_the_others(predictor, context, masks):
    out = predictor(context, masks)
    for m in range(3):
        alone = predictor(context, Masks(masks.context, masks.targets[:, [m]]))
        torch.testing.assert_close(out[:, [m]], alone, atol=1e-6, rtol=0)
    others = masks.targets.clone()
    others[:, 1:] = masks.targets[:, :1]
    torch.testing.assert_close(predictor(context, Masks(masks.context, others))[:, 0], out[:, 0], atol=1e-6, rtol=0)


def test_an_image_does_not_depend_on_the_others(predictor, context, masks):
    out = predictor(context, masks)
    changed = context.clone()
    changed[1] += 1
    other = predictor(changed, masks)
    torch.testing.assert_close(other[[0, 2]], out[[0, 2]], atol=1e-6, rtol=0)
    assert (other[1] - out[1]).abs().amax(dim=-1).min() > 1e-4  # each of its tokens hears the context


def test_places_matter(predictor, context, masks):
    out = predictor(context, masks)
    elsewhere = predictor(context, Masks(masks.context, (masks.targets + 1) % 20))
    assert (elsewhere - out).abs().amax(dim=-1).min() > 1e-4  # where is asked
    moved = predictor(context, Masks((masks.context + 1) % 20, masks.targets))
    assert (moved - out).abs().amax(dim=-1).min() > 1e-5  # where was seen
    order = torch.randperm(out.shape[2], generator=seeded(2))
    permuted = predictor(context, Masks(masks.context, masks.targets[:, :, order]))
    torch.testing.assert_close(permuted, out[:, :, order], atol=1e-6, rtol=1e-5)


def test_gradient_reaches_everything(predictor, context, masks):
    context.requires_grad_()
    predictor(context, masks).square().mean().backward()
    for name, p in predictor.named_parameters():
        assert p.grad is not None and p.grad.abs().max() > 0, name
    assert (context.grad.abs().amax(dim=-1) > 0).all()
    assert predictor.mask_tokens[0].shape == (12,)
    assert 0 < predictor.mask_tokens[0].abs().max() < 0.2


def test_width_of_the_targets():
    predictor = Predictor(DIM, (2, 2), width=24, depth=1, heads=2, out_dim=7)
    masks = Masks(torch.tensor([[0, 1]]), torch.tensor([[[2], [3]]]))
    assert predictor(torch.zeros(1, 2, DIM), masks).shape == (1, 2, 1, 7)


def test_clips_have_a_grid_of_three_axes():
    predictor = Predictor(DIM, (2, 2, 2), width=24, depth=1, heads=2)
    masks = Masks(torch.tensor([[0, 1, 6]]), torch.tensor([[[2, 7]]]))
    assert predictor(torch.zeros(1, 3, DIM), masks).shape == (1, 1, 2, DIM)


@pytest.mark.parametrize(("width", "heads", "named"), [(14, 2, "14"), (12, 5, "12 and 5")])
def test_impossible_widths_are_refused(width, heads, named):
    with pytest.raises(ValueError, match=named):
        Predictor(DIM, GRID, width=width, heads=heads)
