"""The recipe that the notebooks and the command line share."""

import torch

from minijepa.training import recipe


def test_same_seed_same_weights_and_the_callers_random_numbers_are_left_alone():
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    one, two, other = recipe.build(seed=1), recipe.build(seed=1), recipe.build(seed=2)
    assert torch.equal(torch.rand(1), expected)
    pairs = zip(one.parameters(), two.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(one.encoder.blocks[0].mlp.fc1.weight, other.encoder.blocks[0].mlp.fc1.weight)


def test_masks_are_what_their_docstring_says():
    generator = torch.Generator().manual_seed(0)
    for _ in range(30):
        masks = recipe.masks(16, generator)
        assert masks.context.shape == (16, 20)
        assert masks.targets.shape[:2] == (16, 1) and masks.targets.shape[2] <= 28
        for context, target in zip(masks.context, masks.targets[:, 0], strict=True):
            assert not set(context.tolist()) & set(target.tolist())
