"""What was made before the package was put into its folders still holds: numbers, checkpoints, names.

`before/` was written by that version: losses.json the first eight losses of short runs, the .pt files runs that were
stopped after their fourth step, names.json what `from minijepa import ...` offered.
"""

import json
import shutil
from pathlib import Path

import pytest
import torch

import minijepa
from minijepa import JEPA, MaskSets, Predictor, ViT, fit, moving_shapes, random_masks, recipe, shapeworld, tube_masks
from minijepa.family import Data2Vec, PixelTeacher, TwoViews, info_nce, lejepa_loss, two_views
from minijepa.losses import l1, l2, vicreg
from minijepa.training.checkpoint import load_shards

BEFORE = Path(__file__).parent / "before"
LOSSES = json.loads((BEFORE / "losses.json").read_text(encoding="utf-8"))
SMALL = {"width": 12, "depth": 1, "heads": 2}
SETTINGS = {**recipe.TRAINING, "batch_size": 16}
VIEWS = {**SETTINGS, "augment": two_views}


def encoder():
    torch.manual_seed(0)
    return ViT(img_size=32, patch_size=4, dim=24, depth=2, heads=2)


def ijepa(weight=recipe.WEIGHT):
    vit = encoder()
    return JEPA(vit, Predictor(24, vit.grid, **SMALL), weight=weight)


def mae():
    vit = encoder()
    pixels = PixelTeacher(vit)
    return JEPA(vit, Predictor(24, vit.grid, **SMALL, out_dim=pixels.dim), pixels, l2)


def vjepa():
    torch.manual_seed(0)
    vit = ViT(img_size=(8, 32, 32), patch_size=(2, 8, 8), dim=24, depth=2, heads=2, in_chans=1)
    return JEPA(vit, Predictor(24, vit.grid, width=16, depth=1, heads=2, mask_tokens=2), distance=l1)


def scattered(batch, generator=None):
    return random_masks(batch, (8, 8), context_keep=16, target_keep=48, generator=generator)


def tubes(batch, generator=None):
    kept = {"context_keep": 4, "target_keep": 2, "n_blocks": 2}
    scales = ((0.15, 0.15), (0.5, 0.5))
    return MaskSets(tuple(tube_masks(batch, (4, 4, 4), generator=generator, **kept, scale=s) for s in scales))


RUNS = {
    "I-JEPA": lambda: (ijepa(), recipe.masks, SETTINGS),
    "I-JEPA, accumulated": lambda: (ijepa(0.0), recipe.masks, {**SETTINGS, "accumulate": 4}),
    "MAE": lambda: (mae(), scattered, {**SETTINGS, "optimizer": "adamw"}),
    "data2vec": lambda: (Data2Vec(encoder(), top=2), recipe.masks, SETTINGS),
    "SimCLR": lambda: (TwoViews(encoder(), info_nce), None, VIEWS),
    "VICReg": lambda: (TwoViews(encoder(), vicreg), None, VIEWS),
    "LeJEPA": lambda: (TwoViews(encoder(), lejepa_loss), None, VIEWS),
    "V-JEPA": lambda: (vjepa(), tubes, {**SETTINGS, "augment": None}),
}


def data_of(name):
    return moving_shapes(32, seed=0) if name == "V-JEPA" else shapeworld(64, seed=0)


@pytest.mark.parametrize("name", LOSSES)
def test_a_run_makes_the_losses_that_it_made(name):
    torch.manual_seed(1)
    model, masks, settings = RUNS[name]()
    history = fit(model, data_of(name), masks, **settings, steps=8)
    # Muon's bfloat16 and other processors round otherwise; another batch, mask or schedule is off by far more
    assert history.curve("loss")[1] == pytest.approx(LOSSES[name], rel=2e-3)


def test_an_earlier_checkpoint_is_gone_on_with(tmp_path):
    path = Path(shutil.copy(BEFORE / "ijepa.pt", tmp_path))
    model, masks, settings = RUNS["I-JEPA"]()
    history = fit(model, data_of("I-JEPA"), masks, **settings, steps=8, checkpoint=path, resume=True)
    assert [row["step"] for row in history.rows] == list(range(1, 9))
    assert history.curve("loss")[1] == pytest.approx(LOSSES["I-JEPA"], rel=2e-3)


def test_an_earlier_checkpoint_with_several_mask_tokens_is_refused(tmp_path):
    """Their optimiser state stands in another order, so that going on would mix it up without a word."""
    path = Path(shutil.copy(BEFORE / "vjepa.pt", tmp_path))
    model, masks, settings = RUNS["V-JEPA"]()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ValueError, match="earlier version.*cannot go on with it"):
        fit(model, data_of("V-JEPA"), masks, **settings, steps=8, checkpoint=path, resume=True)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_an_earlier_run_in_shards_is_refused(tmp_path):
    """Such a folder holds the mask token under its earlier name."""
    import torch.distributed.checkpoint as dcp

    dcp.save({"model": {"predictor.mask_token": torch.zeros(12)}}, checkpoint_id=tmp_path / "step-4", no_dist=True)
    with pytest.raises(ValueError, match="step-4 is of an earlier version"):
        load_shards(tmp_path / "step-4", ijepa(), [])


def test_an_earlier_column_has_its_present_name(tmp_path):
    path = Path(shutil.copy(BEFORE / "ijepa.pt", tmp_path))
    model, masks, settings = RUNS["I-JEPA"]()
    history = fit(model, data_of("I-JEPA"), masks, **settings, steps=8, checkpoint=path, resume=True)
    steps, _ = history.curve("position_std")
    assert steps[0] == 1 and "target_std" not in history.rows[0]


def test_every_name_is_still_there():
    names = json.loads((BEFORE / "names.json").read_text(encoding="utf-8"))
    imported = {
        name for name, value in vars(minijepa).items() if getattr(value, "__module__", "").startswith("minijepa.")
    }
    assert imported <= set(minijepa.__all__), imported - set(minijepa.__all__)
    assert len(names) > 80 and set(names) <= set(minijepa.__all__)
    assert all(hasattr(minijepa, name) for name in names)
