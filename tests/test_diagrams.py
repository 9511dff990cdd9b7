"""The diagrams of the method: their labels are the shapes of a real step."""

import pytest
import torch

from minijepa import JEPA, Predictor, ViT, block_masks, plots


@pytest.mark.parametrize(("size", "patch", "dim", "blocks"), [(32, 4, 24, 4), (24, 3, 12, 1)])
def test_the_shapes_of_the_diagram_are_those_of_a_real_step(size, patch, dim, blocks):
    encoder = ViT(size, patch, dim=dim, depth=1, heads=3)
    predictor = Predictor(dim, encoder.grid, width=12, depth=1, heads=3)
    jepa = JEPA(encoder, predictor)
    images = torch.randn(5, 3, size, size)
    masks = block_masks(5, encoder.grid, n_targets=blocks, generator=torch.Generator().manual_seed(0))
    out = jepa(images, masks)
    shapes = plots.step_shapes(images.shape, patch, dim, masks.context.shape[1], *masks.targets.shape[1:])
    assert encoder.patch_embed.patches(images).shape == shapes["patches"]
    assert out.context.shape == shapes["context"]
    assert jepa.teacher(images).shape == shapes["all targets"]
    assert out.prediction.shape == shapes["prediction"] and out.target.shape == shapes["target"]
    assert out.energy.shape == shapes["energy"] and out.loss.shape == shapes["loss"]

    drawn = [text.get_text() for text in plots.shapes_diagram(shapes).axes[0].texts]
    for name, count in {
        "images": 1,
        "patches": 2,
        "context": 1,
        "all targets": 1,
        "prediction": 2,
        "energy": 1,
    }.items():
        written = [text for text in drawn if text.startswith("$") and text.endswith(f"\n{list(shapes[name])}")]
        assert len(written) == count, f"{name}: {written}"
