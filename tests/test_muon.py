"""Muon: what it makes of a gradient, and the same steps as PyTorch's own."""

import pytest
import torch

from minijepa import JEPA, Predictor, ViT
from minijepa.training.muon import Muon, orthogonalise
from minijepa.training.optimizers import make_optimizers


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 24, 8), (2, 8, 24), (1, 1, 5)])
def test_orthogonalise_keeps_the_directions_and_levels_their_lengths(shape):
    m = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    u, _, vt = torch.linalg.svd(m, full_matrices=False)
    o = orthogonalise(m)
    assert o.shape == m.shape
    along = u.mT @ o @ vt.mT  # diagonal if the singular directions are kept
    lengths = along.diagonal(dim1=-2, dim2=-1)
    assert torch.allclose(along, torch.diag_embed(lengths), atol=1e-4)
    assert lengths.min() > 0.6 and lengths.max() < 1.3


def test_orthogonalise_is_blind_to_scale_and_treats_each_matrix_alone():
    m = torch.randn(2, 6, 9, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(orthogonalise(m), orthogonalise(1000 * m), atol=1e-4)
    assert torch.allclose(orthogonalise(m)[1], orthogonalise(m[1:])[0], atol=1e-5)
    assert torch.equal(orthogonalise(torch.zeros(1, 4, 4)), torch.zeros(1, 4, 4))  # no gradient, no step, no NaN


@pytest.mark.parametrize("shape", [(12, 12), (36, 12), (12, 48)])
def test_the_same_steps_as_pytorch(shape):
    generator = torch.Generator().manual_seed(2)
    start, grads = torch.randn(shape, generator=generator), torch.randn(6, *shape, generator=generator)
    ours, other = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
    settings = dict(lr=0.02, weight_decay=0.3, momentum=0.9)
    optimizers = Muon([ours], **settings), torch.optim.Muon([other], **settings, adjust_lr_fn="match_rms_adamw")
    for grad in grads:
        for parameter, optimizer in zip((ours, other), optimizers, strict=True):
            parameter.grad = grad.clone()
            optimizer.step()
    moved = (other - start).norm()
    assert (ours - other).norm() < 0.03 * moved  # theirs computes in bfloat16, three digits


def test_a_vector_is_refused_by_name_of_its_shape():
    with pytest.raises(ValueError, match=r"shape \(7,\).*AdamW"):
        Muon([torch.nn.Parameter(torch.zeros(7))])


def test_every_parameter_has_one_optimiser():
    encoder = ViT(img_size=8, patch_size=4, dim=12, depth=2, heads=3)
    model = JEPA(encoder, Predictor(12, encoder.grid, width=12, depth=1, heads=3))
    adamw, muon = make_optimizers(model, 1e-3, optimizer="muon")
    held = [p for optimizer in (adamw, muon) for group in optimizer.param_groups for p in group["params"]]
    learned = [p for p in model.parameters() if p.requires_grad]
    assert sorted(map(id, held)) == sorted(map(id, learned))
    names = {id(p): name for name, p in model.named_parameters()}
    inner = [names[id(p)] for group in muon.param_groups for p in group["params"]]
    assert len(inner) == 3 * 4 and all("blocks." in name and name.endswith("weight") for name in inner)
    assert all(group["decays"] for group in muon.param_groups)
