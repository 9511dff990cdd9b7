"""Recorded results: the files say how they were made, the tool that made them still runs, and the figures draw."""

import dataclasses
import json
import math
import re
import sys

import pytest
import torch
from helpers import REPO, load_tool, seeded
from torch import nn

from minijepa import fit, shapeworld
from minijepa.patches import PatchEmbed
from minijepa.plots.recorded import load as load_recorded

sys.path.append(str(REPO / "tools" / "record"))  # where results.py finds tables.py
results = load_tool("record/results")
tables = sys.modules["tables"]
sys.modules.setdefault("results", results)
layers = load_tool("record/layers")
FILES = sorted(results.FOLDER.glob("*.json"))


def test_there_are_recorded_tables():
    assert "parts" in {path.stem for path in FILES}


def made_by(row, name):
    """Whether the command is the row's own, or that of the same run in another table."""
    where, arm, seed = re.fullmatch(
        r'python tools/record/results.py run (\w+) --arm "(.+)" --seed (\d)', row["command"]
    ).groups()
    if (where, arm, int(seed)) == (name, row["arm"], row["seed"]):
        return True
    twins = [r for r in results.read(where)["rows"] if (r["arm"], r["seed"]) == (arm, int(seed))]
    changes = [results.TABLES[table]["arms"][which] for table, which in ((name, row["arm"]), (where, arm))]
    return changes[0] == changes[1] and twins == [{**row, "arm": arm}]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_recorded_table_says_how_it_was_made(path):
    table = json.loads(path.read_text(encoding="utf-8"))
    spec = results.TABLES[path.stem]
    assert table["question"] == spec["question"] and table["steps"] == spec["steps"]
    runs = [(row["arm"], row["seed"]) for row in table["rows"]]
    assert len(set(runs)) == len(runs) and {arm for arm, _ in runs} <= set(spec["arms"])
    for row in table["rows"]:
        assert (
            row["steps"] == spec["arms"][row["arm"]].get("steps", spec["steps"])
            and row["minutes"] > 0
            and row["hardware"]["threads"] >= 1
        )
        assert made_by(row, path.stem), row["command"]
        assert all(math.isfinite(value) for value in row["scores"].values())
        assert row["knn_curve"][0][0] == 0 and 0.9 * row["steps"] < row["knn_curve"][-1][0] <= row["steps"]


def test_one_baseline_for_one_random_init_encoder():
    """Equal size, seed and labels mean equal weights and probes, in every table; all other scores differ."""
    found, raw = {}, {}
    for row in (row for path in FILES for row in json.loads(path.read_text(encoding="utf-8"))["rows"]):
        scores = row["scores"]
        which = (row["settings"]["dim"], row["settings"]["depth"], row["seed"], row["labels"])
        found.setdefault(which, set()).add(tuple(scores[f"untrained_{key}"] for key in results.PROBES.values()))
        raw.setdefault(row["labels"], set()).add((scores["raw_knn"], scores["raw_linear"]))
    assert all(len(values) == 1 for values in [*found.values(), *raw.values()]), found
    assert len(set.union(*found.values())) == len(found), "two encoders cannot agree to the last digit"


def test_a_baseline_is_taken_from_an_encoder_of_the_same_size(monkeypatch, tmp_path):
    def row(dim, score):
        scores = {f"untrained_{key}": score for key in results.PROBES.values()} | {"raw_knn": 0.1, "raw_linear": 0.2}
        return {"seed": 0, "labels": 5, "settings": {"dim": dim, "depth": 4}, "scores": scores}

    (tmp_path / "a.json").write_text(json.dumps({"rows": [row(192, 0.5), row(96, 0.4)]}), encoding="utf-8")
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    assert results.known_baselines(0, 5, 96, 4)["untrained"]["kNN"] == 0.4
    assert results.known_baselines(0, 5, 96, 3) is results.known_baselines(1, 5, 96, 4) is None


def test_a_run_that_two_tables_share_is_made_once():
    shared = results.read("two_minutes")["rows"][0]
    assert results.recorded_twin({}, shared["steps"], shared["labels"], 0) == shared
    assert results.recorded_twin({"weight": 0.5}, shared["steps"], shared["labels"], 0) is None
    assert results.recorded_twin({}, shared["steps"] + 1, shared["labels"], 0) is None


@pytest.mark.parametrize("name", [name for name in results.TABLES if results.read(name)["rows"]])
def test_the_cheapest_row_run_again_at_a_small_scale_is_like_the_recorded(name):
    """The classes differ in brightness, which every encoder still shows after two steps of training."""
    kept = min(load_recorded(name)["rows"], key=lambda row: row.get("cpu_minutes", row["minutes"]))
    train, heldout = (easy(shapeworld(count, seed=seed)) for count, seed in ((420, 0), (60, 1)))
    row = results.run_row(name, kept["arm"], 0, steps=2, train=train, heldout=heldout, labels=300)
    assert measured(row, name) == measured(kept, name)
    assert row.keys() - {"cpu_minutes"} == kept.keys() - {"cpu_minutes"}  # noted since the second table
    assert row["labels"] == 300 and kept["labels"] == results.TABLES[name].get("labels", results.LABELS)
    assert all(row["scores"][key] > 0.9 for key in results.PROBES.values()), row["scores"]
    assert [step for step, _ in row["knn_curve"]] == [0, 1, 2]


def measured(row, name):
    """The names of a row's scores. A row that the family has from the trials was scored on validation images, too."""
    return {key for key in row["scores"] if name != "family" or not key.startswith("validation_")}


def easy(data):
    """The same images in two classes, one of them much darker."""
    labels = (torch.arange(len(data)) % 2).long()
    images = torch.where(labels.view(-1, 1, 1, 1) == 1, data.images // 4, data.images)
    return dataclasses.replace(data, images=images, labels=labels, classes=("light", "dark"))


@pytest.mark.parametrize(("name", "arm"), [(name, arm) for name, t in results.TABLES.items() for arm in t["arms"]])
def test_every_arm_trains(name, arm):
    changes = {
        key: value for key, value in results.TABLES[name]["arms"][arm].items() if key not in ("steps", "teacher_steps")
    }
    model, masks, settings = results.make(0, **changes)
    if masks is None:
        return  # supervised: the next test runs it
    history = fit(model, shapeworld(8, seed=0), masks, **{**settings, "batch_size": 4, "steps": 1})
    assert math.isfinite(history.rows[0]["loss"])


@pytest.mark.parametrize("arm", ["supervised", "SimCLR"])
def test_a_relative_is_evaluated_like_the_others(arm):
    row = results.run_row(
        "peers", arm, 0, steps=2, train=shapeworld(420, seed=0), heldout=shapeworld(60, seed=1), labels=300
    )
    moved = [row["scores"][key] != row["scores"][f"untrained_{key}"] for key in results.PROBES.values()]
    assert any(moved) and row["knn_curve"][-1][0] == 2
    assert row["settings"].keys() >= {"batch_size", "lr"}
    assert ("momentum" in row["settings"]) == (arm != "supervised"), "what did not train must not be recorded"


def test_half_masks_see_one_half_and_ask_for_the_other():
    masks = tables.half_masks(50, torch.Generator().manual_seed(0))
    assert masks.context.shape == (50, 20) and masks.targets.shape == (50, 1, 28)
    sides = set()
    for seen, asked in zip(masks.context.tolist(), masks.targets[:, 0].tolist(), strict=True):
        assert not set(seen) & set(asked)
        rows, columns = {i // 8 for i in asked}, {i % 8 for i in asked}
        narrow = rows if len(rows) <= 4 else columns
        assert narrow in ({0, 1, 2, 3}, {4, 5, 6, 7})
        sides.add((len(rows) <= 4, min(narrow)))
    assert len(sides) == 4


def test_validation_images_are_the_last_and_lend_no_label(monkeypatch):
    given = []
    monkeypatch.setattr(results, "probe_table", lambda *args, raw: given.append(args) or {"arm": {"kNN": 0.5}})
    train = shapeworld(80, seed=0)
    for labels, used in ((50, 50), (80, 70)):
        assert results.validate("encoder", train, labels) == {"kNN": 0.5}
        encoders, labelled, scored = given.pop()
        assert encoders == {"arm": "encoder"}
        assert torch.equal(labelled.images, train.images[:used]) and torch.equal(scored.images, train.images[70:])


def test_every_single_change_has_its_validation_scores():
    for name in results.ABLATIONS:
        for row in results.read(name)["rows"]:
            assert {f"validation_{key}" for key in results.PROBES.values()} <= row["scores"].keys(), (name, row["arm"])


def test_the_figures_are_drawn_from_the_files(tmp_path):
    results.draw(tmp_path)
    drawn = {path.stem for path in tmp_path.glob("*.png")}
    assert drawn == {path.stem for path in FILES} | {
        "parts_curves",
        "budgets_curves",
        "ablations",
        "choices",
        "levers_layers",
    }
    assert all(path.stat().st_size > 3000 for path in tmp_path.glob("*.png"))


def test_what_a_layer_knows_of_its_own_patch():
    """A layer whose tokens are the patches knows both; one that holds the mean colours alone knows nothing else."""
    embed = PatchEmbed((4, 4), 3, 8)

    class Reader(nn.Module):
        blocks, dim = (None, None), 48

        def __init__(self):
            super().__init__()
            self.patch_embed = embed

        def layers(self, x):
            patches = embed.patches(x)
            colours = patches.unflatten(2, (3, 16)).mean(dim=3).repeat(1, 1, 16)
            return [patches, colours + 1e-3 * torch.randn(colours.shape, generator=seeded())]

    train, heldout = shapeworld(300, seed=0), shapeworld(60, seed=1)
    found = layers.layers_of(Reader(), train, heldout, patches=50)
    assert found["colour"] == pytest.approx([1, 1], abs=0.01) and found["detail"][0] == pytest.approx(1, abs=0.01)
    assert found["detail"][1] < 0.2 and len(found["knn"]) == len(found["linear"]) == 2
    assert list(map(int, found["few"])) == [10, 15, 60, 300]
