"""Measuring: fractions add up, kept bytes are counted by hand, and a launched program that fails says why."""

import pytest
import torch

from minijepa import recipe, shapeworld
from minijepa.training import launch, measure


def test_the_clock_gives_fractions_by_medians_without_the_warm_up():
    clock = measure.Clock()
    clock.seconds = {"a": [9.0, 9.0, 1.0, 3.0, 2.0], "b": [0.0, 0.0, 6.0, 6.0, 99.0]}
    assert clock.fractions() == {"a": 0.25, "b": 0.75}


def test_the_clock_notes_what_stands_inside():
    clock = measure.Clock()
    for _ in range(3):
        with clock("work"):
            sum(range(1_000))
    assert list(clock.seconds) == ["work"] and len(clock.seconds["work"]) == 3
    assert min(clock.seconds["work"]) >= 0


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_step_of_fit_is_cut_into_three_parts(optimizer):
    model = recipe.build("nano")
    settings = {**recipe.TRAINING, "optimizer": optimizer, "batch_size": 8}
    parts = measure.fit_fractions(model, shapeworld(16, seed=0), recipe.masks, steps=3, warm=1, **settings)
    assert list(parts) == ["model", "optimiser, EMA", "all else"]
    assert sum(parts.values()) == pytest.approx(1) and min(parts.values()) > 0
    assert "after_step" not in vars(model), "the model is as it was"


def test_functions_take_turns():
    calls = []
    speeds = measure.calls_per_second(
        {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, seconds=0.001, rounds=2
    )
    assert min(speeds.values()) > 0
    turns = [name for i, name in enumerate(calls) if i == 0 or calls[i - 1] != name]
    assert turns == ["a", "b"] * 3, "warm-up, then two rounds"


def test_kept_bytes_counts_each_storage_once_and_no_parameter():
    layer = torch.nn.Linear(3, 5, bias=False)
    x = torch.randn(7, 3)
    size, out = measure.kept_bytes(lambda: layer(x).square(), layer)
    assert out.shape == (7, 5)
    assert size == x.nbytes + out.nbytes, "the layer keeps its input, the square its own"


def test_a_program_is_told_its_arguments(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import os, pathlib, sys\npathlib.Path(sys.argv[1]).write_text(os.environ['OMP_NUM_THREADS'])", encoding="utf-8"
    )
    launch(program, tmp_path / "said.txt")
    assert (tmp_path / "said.txt").read_text(encoding="utf-8") == "1"


def test_a_program_that_fails_or_does_not_end_says_so(tmp_path):
    program = tmp_path / "program.py"
    program.write_text("raise SystemExit('the reason')", encoding="utf-8")
    with pytest.raises(RuntimeError, match="(?s)ended with code 1.*the reason"):
        launch(program)
    program.write_text("import time; time.sleep(60)", encoding="utf-8")
    with pytest.raises(RuntimeError, match="had not ended after 0.5 s"):
        launch(program, seconds=0.5)
