"""The recorded tables: the question of each, its arms, and what an arm changes in the recipe.

An arm is a dict of arguments for `make`; an empty one is the recipe itself. `tools/record/results.py` runs them.
"""

from functools import partial

import torch

from minijepa import (
    JEPA,
    EMATeacher,
    Masks,
    PixelTeacher,
    Predictor,
    ViT,
    block_masks,
    cosine,
    crop_flip,
    l1,
    l2,
    random_masks,
    sigreg,
    smooth_l1,
    variance_covariance,
)
from minijepa.family import (
    autoencoder,
    beit,
    bootleg,
    byol,
    cjepa,
    data2vec,
    data2vec2,
    dmt_jepa,
    lejepa,
    mae,
    moco,
    salt,
    simclr,
    two_targets,
    vae,
    vicreg,
    vjepa21,
)
from minijepa.training import recipe

# --- what an arm may change ---


def block(n_targets=1, scale=(0.4, 0.6), keep=28, context=20):
    """A mask function (batch, generator) like the recipe's, with one thing changed."""

    def masks(batch, generator=None):
        return block_masks(
            batch,
            recipe.GRID,
            n_targets=n_targets,
            target_scale=scale,
            target_keep=keep,
            context_scale=(1.0, 1.0),
            context_keep=context,
            generator=generator,
        )

    return masks


def half_masks(batch, generator=None):
    """One half of the image asked for (left, right, upper or lower; 28 patches), 20 patches of the other half seen."""
    rows, columns = (torch.arange(64) // 8, torch.arange(64) % 8)
    sides = torch.stack([rows < 4, rows > 3, columns < 4, columns > 3])
    hidden = sides[torch.randint(4, (batch,), generator=generator)]  # [B, 64]
    order = torch.rand(batch, 64, generator=generator)
    return Masks(
        (order + hidden).argsort(dim=1)[:, :20].sort(dim=1).values,
        (order + ~hidden).argsort(dim=1)[:, :28].sort(dim=1).values[:, None],
    )


def scattered(batch, generator=None):
    """Random patches on both sides: 20 seen, 28 asked for."""
    return random_masks(batch, recipe.GRID, context_keep=20, target_keep=28, generator=generator)


def nothing(prediction, target):
    """No prediction at all: only the extra term is left to learn from."""
    return 0.0 * l2(prediction, target)


def make(seed, **changes):
    """(model, masks, settings for fit): the recipe with a run's changes, or a relative of I-JEPA (minijepa/family)."""
    return relative(seed, **changes) if "method" in changes else variant(seed, **changes)


def relative(seed, method, model=None, masks=None, teacher=None, size="nano", **training):
    """As `make`, for a file of the family; method None is supervised training, where the model is the encoder alone.

    model: keyword arguments for `method.model`; masks: for `method.masks`; what is not given is the method's own.
    teacher: a trained encoder, for SALT.
    """
    torch.manual_seed(seed)
    encoder = ViT.size(size, img_size=32, patch_size=4)
    if method is None:
        return encoder, None, training
    others = (teacher or ViT.nano(img_size=32, patch_size=4),) if method is salt else ()
    draw = partial(method.masks, **masks) if masks else method.masks
    return method.model(encoder, *others, **(model or {})), draw, {**method.TRAINING, **training}


def variant(
    seed,
    size="nano",
    teacher="ema",
    distance=smooth_l1,
    weight=recipe.WEIGHT,
    masks=recipe.masks,
    regulariser=variance_covariance,
    normalise=True,
    top=1,
    width=48,
    depth=2,
    **training,
):
    """As `make`, for what stays I-JEPA."""
    torch.manual_seed(seed)
    encoder = ViT.size(size, img_size=32, patch_size=4)
    pixels = PixelTeacher(encoder) if teacher == "pixels" else None
    predictor = Predictor(encoder.dim, encoder.grid, width, depth, heads=3, out_dim=pixels.dim if pixels else None)
    teacher = pixels or EMATeacher(encoder, normalise=normalise, top=top)
    model = JEPA(encoder, predictor, teacher, l2 if pixels else distance, regulariser, weight)
    return model, masks, {**recipe.TRAINING, **training}


ADAMW = dict(optimizer="adamw", lr=2e-3, weight_decay=(0.05, 0.05))
LONGER = {"size": "micro", **recipe.LONGER}
# the levers that help pixel prediction too; and both targets at once
PIXELS = dict(method=two_targets, model={"latents": False})
LATENTS = dict(method=two_targets, model={"pixels": False})
BOTH = dict(method=two_targets)
# `peers_time.py` times a step of each; these numbers of steps take as long as 500 of the recipe
FAMILY = {
    "I-JEPA (recipe)": {},
    "I-JEPA, no regulariser": dict(weight=0.0),
    "C-JEPA": dict(method=cjepa, steps=445),
    "DMT-JEPA": dict(method=dmt_jepa, steps=415),
    "V-JEPA 2.1": dict(method=vjepa21, steps=450),
    "Bootleg": dict(method=bootleg, steps=475),
    "data2vec": dict(method=data2vec, steps=410),
    "data2vec 2.0": dict(method=data2vec2, steps=425),
    "SALT": dict(method=salt, teacher_steps=310, steps=245),
    "MAE": dict(method=mae, steps=725),
    "BEiT": dict(method=beit, steps=365, model={"words": 64}),
    "AE": dict(method=autoencoder, steps=630),
    "VAE": dict(method=vae, steps=600, model={"beta": 0.1}),
    "SimCLR": dict(method=simclr, steps=45),
    "MoCo": dict(method=moco, steps=290, batch_size=64),
    "BYOL": dict(method=byol, steps=160, batch_size=64, momentum=(0.9, 1.0)),
    "VICReg": dict(method=vicreg, steps=88),
    "LeJEPA": dict(method=lejepa, steps=172),
}
# one seed each; chosen by the validation images alone
TRIALS = {
    "BEiT": dict(method=beit, steps=365),
    "BEiT, 64 words": FAMILY["BEiT"],
    "AE": FAMILY["AE"],
    "AE, code of 128": {**FAMILY["AE"], "model": {"code": 128}},
    "VAE": dict(method=vae, steps=600),
    "VAE, beta .1": FAMILY["VAE"],
    "MoCo": dict(method=moco, steps=145),
    "MoCo, batch 64": FAMILY["MoCo"],
    "BYOL": dict(method=byol, steps=80),
    "BYOL, batch 64, momentum from .9": FAMILY["BYOL"],
    "BYOL, weight decay .05": dict(method=byol, steps=80, weight_decay=(0.05, 0.05)),
    "C-JEPA": FAMILY["C-JEPA"],
    "C-JEPA, beta .01": {**FAMILY["C-JEPA"], "model": {"beta": 0.01}},
    "DMT-JEPA": FAMILY["DMT-JEPA"],
    "DMT-JEPA, momentum from .97": {**FAMILY["DMT-JEPA"], "momentum": (0.97, 1.0)},
    "V-JEPA 2.1": FAMILY["V-JEPA 2.1"],
    "V-JEPA 2.1, lambda .1": {**FAMILY["V-JEPA 2.1"], "model": {"strength": 0.1}},
    "Bootleg": FAMILY["Bootleg"],
    "Bootleg, weight 0": {**FAMILY["Bootleg"], "model": {"weight": 0.0}},
    "data2vec 2.0": FAMILY["data2vec 2.0"],
    "data2vec 2.0, 8 masks, batch 8": {**FAMILY["data2vec 2.0"], "masks": {"count": 8}, "batch_size": 8},
    "SALT": FAMILY["SALT"],
    "SALT, a quarter of the time for the teacher": dict(method=salt, teacher_steps=155, steps=365),
}
TABLES = {
    "parts": {
        "question": "Which part of the recipe does the work?",
        "steps": 1200,
        "arms": {
            "recipe": {},
            "prediction alone": dict(weight=0.0),
            "term alone": dict(distance=nothing),
            "pixel targets": dict(teacher="pixels", weight=0.0),
            "published settings": dict(masks=recipe.published_masks, weight=0.0, **recipe.PUBLISHED),
        },
    },
    "two_minutes": {
        "question": "What do two minutes of two cores reach?",
        "steps": 2000,
        "labels": 40_000,
        "arms": {
            "recipe": {},
            "prediction alone": dict(weight=0.0),
            "term alone": dict(distance=nothing),
        },
    },
    "ten_minutes": {
        "question": "What do ten minutes of two cores reach?",
        "steps": 1700,
        "labels": 40_000,
        "arms": {
            "longer recipe": LONGER,
            "longer, prediction alone": {**LONGER, "weight": 0.0},
            "longer, term alone": {**LONGER, "distance": nothing},
        },
    },
    "ten_minutes_nano": {
        "question": "What if the recipe of short runs is given ten minutes?",
        "steps": 10_000,
        "labels": 40_000,
        "arms": {"recipe": {}},
    },
    "peers": {
        "question": "What does I-JEPA cost and buy beside its relatives, in the same time?",
        "steps": 2000,
        "labels": 40_000,
        "arms": {
            "I-JEPA (recipe)": {},
            "I-JEPA, no extra term": dict(weight=0.0),
            "MAE": dict(method=mae, steps=2900),
            "data2vec": dict(method=data2vec, steps=1650),
            "SimCLR": dict(method=simclr, steps=170),
            "VICReg, two views": dict(method=vicreg, steps=350),
            "LeJEPA, two views": dict(method=lejepa, steps=690),
            "supervised": dict(method=None, steps=2790, batch_size=32, lr=2e-3, augment=crop_flip),
        },
    },
    "levers": {
        "question": "What if pixels and latents get the same levers?",
        "steps": 2000,
        "labels": 40_000,
        "arms": {
            "I-JEPA (recipe)": {},
            "latents, both levers": {**LATENTS, "steps": 1960},
            "MAE": dict(method=mae, steps=2900),
            "MAE, regulariser": {**PIXELS, "model": {"latents": False, "every_layer": False}, "steps": 2570},
            "MAE, both levers": {**PIXELS, "steps": 2540},
            "latents and pixels": {**BOTH, "steps": 1940},
        },
    },
    "levers_longer": {
        "question": "What do the levers reach in ten minutes?",
        "steps": 1700,
        "labels": 40_000,
        "arms": {
            "longer recipe": LONGER,
            "MAE, both levers": {**LONGER, **PIXELS, "steps": 2600},
            "latents and pixels": {**LONGER, **BOTH, "steps": 1600},
        },
    },
    "lever_trials": {
        "question": "Which settings of the levers were tried?",
        "steps": 1000,
        "seeds": (0,),
        "arms": {
            "I-JEPA (recipe)": {},
            "V-JEPA 2.1": dict(method=vjepa21, steps=900),
            "latents, both levers": {**LATENTS, "steps": 980},
            "MAE": dict(method=mae, steps=1450),
            "MAE, regulariser": {**PIXELS, "model": {"latents": False, "every_layer": False}, "steps": 1285},
            "MAE, every layer": {**PIXELS, "model": {"latents": False, "weight": 0.0}, "steps": 1290},
            "MAE, both levers": {**PIXELS, "steps": 1270},
            "MAE, both levers, weight .01": {**PIXELS, "model": {"latents": False, "weight": 0.01}, "steps": 1270},
            "MAE, both levers, weight .1": {**PIXELS, "model": {"latents": False, "weight": 0.1}, "steps": 1270},
            "MAE, both levers, no augmentation": {**PIXELS, "augment": None, "steps": 1270},
            "latents and pixels": {**BOTH, "steps": 970},
            "latents and pixels, no augmentation": {**BOTH, "augment": None, "steps": 970},
        },
    },
    "family": {
        "question": "What does each relative learn in one minute?",
        "steps": 500,
        "arms": FAMILY,
    },
    "trials": {
        "question": "Which settings were tried for each relative?",
        "steps": 500,
        "seeds": (0,),
        "arms": TRIALS,
    },
    "target_scale": {
        "question": "How large should the target block be?",
        "steps": 1000,
        "arms": {
            "5-10 %": dict(masks=block(scale=(0.05, 0.1), keep=None)),
            "15-20 %": dict(masks=block(scale=(0.15, 0.2), keep=None)),
            "25-35 %": dict(masks=block(scale=(0.25, 0.35), keep=None)),
            "40-60 % (recipe)": {},
        },
    },
    "n_targets": {
        "question": "One large target block or several small ones?",
        "steps": 1000,
        "arms": {
            "1 of 40-60 % (recipe)": {},
            "2 of 20-30 %": dict(masks=block(2, (0.2, 0.3), keep=14)),
            "4 of 15-20 %": dict(masks=block(4, (0.15, 0.2), keep=7)),
        },
    },
    "context": {
        "question": "How much of the image should the context show?",
        "steps": 1000,
        "arms": {
            "5 patches": dict(masks=block(context=5)),
            "10 patches": dict(masks=block(context=10)),
            "15 patches": dict(masks=block(context=15)),
            "20 patches (recipe)": {},
        },
    },
    "mask_shape": {
        "question": "Does the shape of the mask matter?",
        "steps": 1000,
        "arms": {"block (recipe)": {}, "half": dict(masks=half_masks), "random patches": dict(masks=scattered)},
    },
    "predictor": {
        "question": "How large should the predictor be?",
        "steps": 1000,
        "arms": {
            "width 24, depth 2": dict(width=24),
            "width 48, depth 1": dict(depth=1),
            "width 48, depth 2 (recipe)": {},
            "width 48, depth 4": dict(depth=4),
            "width 96, depth 2": dict(width=96),
        },
    },
    "momentum": {
        "question": "How fast should the teacher follow?",
        "steps": 1000,
        "arms": {
            "0 (no lag)": dict(momentum=(0.0, 0.0)),
            "0.9 to 1 (recipe)": {},
            "0.97 to 1": dict(momentum=(0.97, 1.0)),
            "0.996 to 1": dict(momentum=(0.996, 1.0)),
            "1 (frozen, random)": dict(momentum=(1.0, 1.0)),
        },
    },
    "targets": {
        "question": "What should stand on the target side?",
        "steps": 1000,
        "arms": {
            "last layer, LayerNorm (recipe)": {},
            "no LayerNorm": dict(normalise=False),
            "mean of the top 2 layers": dict(top=2),
            "mean of all 4 layers": dict(top=4),
        },
    },
    "distance": {
        "question": "Which distance?",
        "steps": 1000,
        "arms": {
            "smooth L1 (recipe)": {},
            "L2": dict(distance=l2),
            "L1": dict(distance=l1),
            "cosine": dict(distance=cosine),
        },
    },
    "augmentation": {
        "question": "Does I-JEPA need augmentation?",
        "steps": 1000,
        "arms": {
            "none": dict(augment=None),
            "crop": dict(augment=partial(crop_flip, flip=False)),
            "crop + flip (recipe)": {},
        },
    },
    "regulariser": {
        "question": "How much of the variance/covariance term?",
        "steps": 1000,
        "arms": {
            "none": dict(weight=0.0),
            "0.01": dict(weight=0.01),
            "0.03 (recipe)": {},
            "0.1": dict(weight=0.1),
            "0.3": dict(weight=0.3),
            "SIGReg, 0.003": dict(weight=0.003, regulariser=sigreg),
            "SIGReg, 0.01": dict(weight=0.01, regulariser=sigreg),
        },
    },
    "optimiser": {
        "question": "What do the optimiser and its weight decay do?",
        "steps": 1000,
        "arms": {
            "AdamW, decay 0.05": dict(ADAMW),
            "AdamW, decay 0.5": {**ADAMW, "weight_decay": (0.5, 0.5)},
            "Muon, decay 0.05": dict(weight_decay=(0.05, 0.05)),
            "Muon (recipe)": {},
        },
    },
}
BUDGETS = ("two_minutes", "ten_minutes_nano", "ten_minutes")
TRIED = ("trials", "lever_trials")  # scored on validation images, too
# one change each, equal steps
ABLATIONS = tuple(name for name, table in TABLES.items() if table["steps"] == 1000 and name not in TRIED)
