"""What `fit` asks of a method is enough for all of them: images, clips, two views, transitions with actions.

Each trains through the one loop whole, in microbatches and with recomputed blocks where that is defined; several
processes stand in test_distributed.py.
"""

import copy
import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import nn

from minijepa import MaskSets, ViT, fit, moving_shapes, recipe, shapeworld, tube_masks
from minijepa.family import METHODS, vjepa
from minijepa.training import fit as fit_function
from minijepa.vit import Block, transformer_blocks

STEPS, BATCH = 4, 8
ROOT = Path(__file__).parents[1]


# --- a method that the package does not know: ten lines ---


class Transition(NamedTuple):
    """What a step of a small world looks like to a method: states and actions, [B, 3] and [B, 1]."""

    before: torch.Tensor
    action: torch.Tensor
    after: torch.Tensor


class Transitions:
    """s' = s + a for every coordinate: 32 of them, in float64."""

    def __init__(self):
        generator = torch.Generator().manual_seed(0)
        self.before = torch.randn(32, 3, generator=generator, dtype=torch.float64)
        self.action = torch.randn(32, 1, generator=generator, dtype=torch.float64)

    def __len__(self):
        return 32

    def batch(self, index, device=None):
        before, action = self.before[index].to(device), self.action[index].to(device)
        return Transition(before, action, before + action)


class Output(NamedTuple):
    loss: torch.Tensor
    numbers: dict


class ActionConditioned(nn.Module):
    """A predictor that hears the action, against a target encoder that follows: the double of a world model."""

    def __init__(self):
        super().__init__()
        self.encoder, self.teacher = nn.Linear(3, 4), nn.Linear(3, 4).requires_grad_(False)
        self.predictor, self.moved = nn.Linear(5, 4), []

    def forward(self, transition):
        target = self.teacher(transition.after)  # [B, 4]
        seen = torch.cat([self.encoder(transition.before), transition.action], dim=1)  # [B, 5]
        error = (self.predictor(seen) - target).square().mean()
        return Output(error, {"target_scale": float(target.detach().std())})

    @torch.no_grad()
    def after_step(self, momentum):
        self.moved.append(momentum)
        self.teacher.weight.lerp_(self.encoder.weight, 1 - momentum)


def actions():
    torch.manual_seed(0)
    return ActionConditioned().double(), Transitions(), None, {"optimizer": "adamw", "lr": 1e-2}


# --- those that it knows ---


def small_tubes(batch, generator=None):
    grid = (4, 4, 4)
    return MaskSets((vjepa.masks(batch, generator, grid).sets[0], tube_masks(batch, grid, n_blocks=1, scale=(0.3, 0.3),
                     context_keep=4, generator=generator)))  # fmt: skip


def known(name):
    """(model, data, masks, settings), with a small encoder in float64."""
    method = METHODS[name]
    torch.manual_seed(0)
    if name == "vjepa":
        encoder = ViT((8, 16, 16), (2, 4, 4), dim=16, depth=2, heads=2, in_chans=1)
        data, masks = moving_shapes(16, seed=0, size=16), small_tubes
    else:
        encoder, data = ViT(32, 4, dim=24, depth=2, heads=3), shapeworld(32, seed=0)
        masks = method.masks
    settings = {k: v for k, v in method.TRAINING.items() if k != "batch_size"}
    return method.model(encoder), data, masks, settings


MAKE = {**{name: lambda name=name: known(name) for name in METHODS}, "actions": actions}


def train(name, **more):
    model, data, masks, settings = MAKE[name]()
    start = copy.deepcopy(model)
    history = fit(model, data, masks, **{**settings, **more}, steps=STEPS, batch_size=BATCH)
    return model, start, history


def differ(a, b):
    """The largest difference of each trained tensor of two models, by name."""
    pairs = zip(a.named_parameters(), b.parameters(), strict=True)
    return {name: float((p - q).detach().abs().max()) for (name, p), q in pairs if p.requires_grad}


@pytest.mark.parametrize("name", MAKE)
def test_every_method_trains_through_the_one_loop(name):
    model, start, history = train(name)
    losses = history.curve("loss")[1]
    assert len(losses) == STEPS and all(torch.isfinite(torch.tensor(losses)))
    moved = differ(model, start)
    still = [tensor for tensor, size in moved.items() if size == 0]
    # the last bias of a projector cancels where only differences of views count
    assert all("projector.3.bias" in tensor for tensor in still), still
    assert ("momentum" in history.rows[0]) == hasattr(model, "after_step")
    assert numbers_of(history) and all(
        type(value) is float for name, value in history.rows[-1].items() if name != "step"
    )


def test_after_step_hears_the_momentum_of_the_schedule():
    model, _, history = train("actions", momentum=(0.5, 1.0))
    assert model.moved == [0.5, 0.625, 0.75, 0.875] == history.curve("momentum")[1]


@pytest.mark.parametrize("name", ["ijepa", "mae", "data2vec", "vjepa", "autoencoder", "actions"])
def test_microbatches_make_the_same_step(name):
    """Without a term over the batch. The recipe's regulariser has one, so it is left out here."""

    def run(parts):
        model, data, masks, settings = MAKE[name]()
        if name == "ijepa":
            model.weight = 0.0
        model = model.double()
        data = data if name == "actions" else Doubled(data)
        settings = {**settings, "augment": None, "optimizer": "adamw"}  # Muon rounds to bfloat16
        history = fit(model, data, masks, **settings, steps=STEPS, batch_size=BATCH, accumulate=parts)
        return model, history

    (one, whole), (two, parts) = run(1), run(4)
    assert whole.curve("loss")[1] == pytest.approx(parts.curve("loss")[1], rel=1e-6)
    assert max(differ(one, two).values()) < 1e-5


class Doubled:
    """Data in float64, in which sums hardly depend on their order."""

    def __init__(self, data):
        self.data = data

    def __len__(self):
        return len(self.data)

    def batch(self, index, device=None):
        return self.data.batch(index, device).double()


@pytest.mark.parametrize("name", METHODS)
def test_recomputed_blocks_change_nothing(name):
    """Two views and data2vec too, whose forward passes are their own."""
    plain, _, _ = train(name)
    calls = []
    forward, Block.forward = Block.forward, lambda self, *a, **k: calls.append(self) or forward(self, *a, **k)
    try:
        again, _, _ = train(name, recompute=True)
    finally:
        Block.forward = forward
    assert max(differ(plain, again).values()) == 0
    trained = {id(b) for b in transformer_blocks(again) if next(b.parameters()).requires_grad}
    runs = [id(each) for each in calls]
    per_step = {True: [], False: []}
    for block in transformer_blocks(again):
        per_step[id(block) in trained].append(runs.count(id(block)) / STEPS)
    passes = 2 if name == "vjepa" else 1  # its two sets of masks are two passes
    assert set(per_step[True]) == {2 * passes}  # forward, and again in the backward pass
    assert not per_step[False] or set(per_step[False]) == {1}  # a target encoder has no backward pass


def test_two_views_see_no_masks_and_no_method_is_given_any():
    for name in ("simclr", "vicreg", "lejepa"):
        assert METHODS[name].masks is None
        assert "masks" not in inspect.signature(MAKE[name]()[0].forward).parameters


def test_the_loop_knows_nothing_of_a_method():
    """No name of a part of a method stands in it, and its step is at most 25 lines."""
    source = inspect.getsource(fit_function)
    code = source.split('"""')[2]
    for name in ("encoder", "predictor", "regulariser", "all_targets", "blocks.", "teacher", "position_std"):
        assert name not in code, name
    step = re.search(r"(?ms)^        for step in range.*?^            history\.rows\.append", code)[0]
    assert len(step.splitlines()) <= 26, len(step.splitlines())  # the line `for step` and 25


def numbers_of(history):
    """The names of the numbers that a method records."""
    return set(history.rows[0]) - {"step", "loss", "lr", "momentum"}


class Odd(nn.Module):
    """A method with one thing that `fit` refuses."""

    def __init__(self, **names):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        for name, value in names.items():
            setattr(self, name, value)

    def forward(self, x):
        return Output(self.weight.sum(), {"weight": self.weight, "loss": -1.0})


ODD = {
    "an earlier hook": (Odd(update_teacher=print), {}, "Odd has update_teacher, which is now called after_step"),
    "an earlier flag": (
        Odd(compares_images=True),
        {},
        "Odd has compares_images, which is now called compares_examples",
    ),
    "masks that nobody takes": (Odd(), {"masks": recipe.masks}, "Odd takes no masks, got masks: give fit none"),
    "no masks": (recipe.build(), {}, "JEPA asks for masks: give fit a function"),
    "Muon without blocks": (Odd(), {"optimizer": "muon"}, "optimizer='muon' works on the blocks.*Odd has none"),
}


@pytest.mark.parametrize("name", ODD)
def test_what_does_not_keep_the_contract_is_named(name):
    model, settings, words = ODD[name]
    with pytest.raises(ValueError, match=words):
        fit(model, shapeworld(8, seed=0), settings.pop("masks", None), steps=1, batch_size=4, **settings)


def test_numbers_become_floats_and_never_replace_the_loops_own():
    row = fit(Odd(), shapeworld(8, seed=0), steps=1, batch_size=4).rows[0]
    assert type(row["weight"]) is float and row["loss"] == 1.0


def test_contributing_shows_a_method_that_trains(tmp_path):
    """The example of CONTRIBUTING.md as it stands there, in the file and the list where it says, in a fresh process."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    example = re.search(r"(?s)```python\n(.*?)```", text[text.index("## Add a method") :])[1]
    assert len(example.splitlines()) <= 40
    shutil.copytree(ROOT / "minijepa", tmp_path / "minijepa", ignore=shutil.ignore_patterns("*.safetensors"))
    family = tmp_path / "minijepa" / "family"
    (family / "mean_colours.py").write_text(example, encoding="utf-8")
    listed = (family / "__init__.py").read_text(encoding="utf-8")
    listed = "from minijepa.family import mean_colours\n" + listed.replace(
        '"mae": mae,', '"mae": mae, "mean": mean_colours,'
    )
    (family / "__init__.py").write_text(listed, encoding="utf-8")
    program = (
        "import torch; from minijepa import ViT, fit, shapeworld; from minijepa.family import METHODS\n"
        "method = METHODS['mean']; model = method.model(ViT(32, 4, dim=24, depth=2, heads=3))\n"
        "start = [p.clone() for p in model.parameters()]\n"
        "settings = {**method.TRAINING, 'batch_size': 8}\n"
        "rows = fit(model, shapeworld(32, seed=0), method.masks, steps=3, **settings).rows\n"
        "assert len(rows) == 3 and {'position_std', 'content_share'} <= set(rows[0])\n"
        "assert not any(torch.equal(p, q) for p, q in zip(start, model.parameters()))\n"
        "print(method.NAME)"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout == "mean colours\n", done.stderr
