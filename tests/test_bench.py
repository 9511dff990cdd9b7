"""The benchmark: both loops compute the same gradients, its counts are right, its figure needs only the JSON.

No test depends on how long anything took.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys

import pytest
import torch
from helpers import REPO

from minijepa import ViT, shapeworld
from minijepa.commands.arguments import parse_arguments
from minijepa.training import recipe
from minijepa.training.distributed import Team
from minijepa.training.fit import fit
from minijepa.training.optimizers import make_optimizers

sys.path.insert(0, str(REPO / "tools" / "bench"))

import figure as bench_figure  # noqa: E402
import gpu as bench_gpu  # noqa: E402
import roofline as bench_roofline  # noqa: E402
import run as bench  # noqa: E402
import split as bench_split  # noqa: E402
import steps as bench_steps  # noqa: E402
import worker as bench_worker  # noqa: E402


def test_both_arms_of_the_benchmark_do_the_same_arithmetic():
    torch.manual_seed(1)
    masks, gradients = bench_steps.textbook_masks(4), []
    x = torch.randn(4, 3, 32, 32)
    for step in (bench_steps.our_step, bench_steps.textbook_step):
        jepa = bench_steps.build()
        step(jepa, torch.optim.SGD(jepa.parameters(), lr=0.0), x, contextlib.nullcontext(), lambda batch: masks)
        gradients.append([p.grad for p in [*jepa.encoder.parameters(), *jepa.predictor.parameters()]])
    for ours, textbook in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, textbook, atol=1e-6, rtol=1e-4)


def test_torch_world_does_the_same_arithmetic():
    pytest.importorskip("torch_world", reason="torch_world is missing: pip install torch_world")
    theirs, ours = bench_steps.build_torch_world(), bench_steps.build()
    assert sum(p.numel() for p in theirs.encoder.parameters()) == sum(p.numel() for p in ours.encoder.parameters())
    assert sum(p.numel() for p in theirs.predictor.parameters()) == sum(p.numel() for p in ours.predictor.parameters())
    contexts, targets = bench_steps.torch_world_masks(5)
    assert [tuple(each.shape) for each in contexts + targets] == [(5, 7)] + [(5, 12)] * 4
    optimizer = torch.optim.SGD(theirs.encoder.parameters(), lr=0.1)
    before = theirs.target_encoder.patch_embed.proj.weight.clone()
    bench_steps.torch_world_step(
        theirs, optimizer, torch.randn(5, 3, 32, 32), contextlib.nullcontext(), bench_steps.torch_world_masks
    )
    assert not torch.equal(theirs.target_encoder.patch_embed.proj.weight, before)


def test_a_step_of_the_world_model_lowers_its_loss_and_its_arithmetic_is_counted():
    model, clip = bench_steps.build_world()
    assert clip.frames.shape[:2] == (bench_steps.WALKS, bench_steps.WINDOW)
    first = model(clip).loss.item()
    optimizer = make_optimizers(model, 1e-2)[0]
    for _ in range(5):
        bench_steps.world_step(model, optimizer, clip, contextlib.nullcontext())
    assert model(clip).loss.item() < first
    frames = bench_steps.WALKS * bench_steps.WINDOW
    head = sum(p.numel() for name, p in model.encoder.head.named_parameters() if "weight" in name)
    assert bench_steps.world_flops(model, clip) > 3 * 2 * head * frames * 0.9  # the two layers alone, both ways


def test_the_roofline_counts_arithmetic_and_traffic():
    x, w = torch.randn(4, 8), torch.randn(8, 6)
    with bench_roofline.Watch() as watch:
        y = x @ w
        y = y.t().view(6, 4)[1:]  # views move nothing
        y = y + 1.0
        y.add_(y)
    calls, _, flops, moved = zip(*(watch.spent[name] for name in ("mm", "add", "add_")), strict=True)
    assert calls == (1, 1, 1) and flops == (2 * 4 * 8 * 6, 0, 0)
    assert moved == (0, 4 * (20 + 20), 4 * (20 + 20 + 20)), "bytes read and written; a product's count as arithmetic"
    assert all(row[3] == 0 for name, row in watch.spent.items() if name in ("t", "view", "slice", "transpose"))


def test_the_roofline_of_a_step_counts_the_arithmetic_that_the_benchmark_counts():
    found = bench_roofline.measure(steps=1, least=0.0)
    build, masks, shape, _ = bench_steps.MODELS["nano"]
    counted = sum(row["flops"] for row in found["kinds"].values())
    # the regulariser's covariance is in both; masks of another draw have other sizes
    expected = bench_roofline.BATCH * bench_steps.step_flops(build(), masks, shape, bench_roofline.BATCH)
    assert counted == pytest.approx(expected, rel=0.1)
    assert set(found["kinds"]) >= {"matrix products", "GELU", "softmax", "LayerNorm"}
    assert found["ceiling"] < 1 and all(value > 0 for value in found["machine"].values())


def test_both_arms_draw_masks_of_one_kind():
    for masks in (bench_steps.our_masks(8), bench_steps.textbook_masks(8)):
        assert masks.context.shape == (8, 7) and masks.targets.shape == (8, 4, 12)
        for context, target in zip(masks.context, masks.targets, strict=True):
            assert not set(context.tolist()) & set(target.flatten().tolist())


def test_clips_and_images_have_one_width_depth_and_number_of_tokens():
    clips, images = bench_steps.build_clips(), recipe.build("nano")
    for name in ("encoder", "predictor"):
        assert len(getattr(clips, name).blocks) == len(getattr(images, name).blocks)
    assert clips.encoder.pos_embed.shape == images.encoder.pos_embed.shape == (64, 96)
    assert clips.predictor.pos_embed.shape == images.predictor.pos_embed.shape == (64, 48)


def test_operations_and_tokens_of_a_step_are_those_of_the_formula():
    def blocks(n, dim, depth):  # a product of [n, a] and [a, b] takes 2 n a b operations
        return depth * (24 * n * dim**2 + 4 * n**2 * dim)

    masks = recipe.masks(2, torch.Generator().manual_seed(0))
    k = masks.targets.shape[2]  # 28, or fewer if the drawn block is smaller
    for size, dim, depth in (("nano", 96, 4), ("tiny", 192, 12)):
        teacher = 2 * 64 * 48 * dim + blocks(64, dim, depth)
        context = 2 * 20 * 48 * dim + blocks(20, dim, depth)
        predictor = 2 * 20 * dim * 48 + blocks(20 + k, 48, 2) + 2 * k * 48 * dim
        expected = teacher + 3 * (context + predictor) - 2 * 20 * 48 * dim  # the pixels need no gradient
        model = recipe.build(size, weight=0.0)
        assert bench_steps.step_flops(model, lambda batch: masks, (3, 32, 32), 2, draws=3) == expected
        assert next(model.parameters()).device.type == "cpu"
    assert bench_steps.step_tokens(lambda batch: masks, 2) == 64 + 20 + (20 + k)
    assert bench_steps.step_tokens(bench_steps.our_masks, 2) == 64 + 7 + 4 * (7 + 12)
    drawn = bench_steps.clip_masks(3)
    expected = 64 + sum(2 * each.context.shape[1] + each.targets.shape[2] for each in drawn.sets)
    assert bench_steps.step_tokens(lambda batch: drawn, 3) == expected


def test_two_calls_are_made_at_least_and_counted():
    calls = []
    times = bench_worker.rate(lambda: calls.append(0), 0.0, Team())
    assert len(calls) == 2 and set(times) == {"seconds", "cpu_seconds"}


def test_a_worker_answers_and_a_dead_one_is_named():
    peak, dead = bench_worker.Worker("peak", threads=1), bench_worker.Worker("nonsense-float32", threads=1)
    try:
        told = peak.answer()
        assert told["float32"]["flops"] == 2 * 1024**3 and set(told) == {"float32", "bfloat16"}
        assert peak.turn("float32", 0.01)["seconds"] > 0
        with pytest.raises(RuntimeError, match="(?s)nonsense-float32 stopped.*KeyError"):
            dead.answer()
    finally:
        peak.close()
        dead.close()


def test_every_arm_of_ours_keeps_its_memory_warm_as_fit_does(monkeypatch):
    """So do the arms with several processes, else the comparison would be unfair; the textbook's loop does not."""
    kept = []
    monkeypatch.setattr(bench_worker, "keep_freed_memory", lambda: kept.append(arm))
    for arm in ("processes-float32", "nano-float32", "textbook-float32"):
        bench_worker.things(arm, Team())
    assert kept == ["processes-float32", "nano-float32"]


def test_arms_take_turns_and_the_fastest_counts(monkeypatch, capsys):
    class Fake:
        """A Worker that records its turns and is faster each time."""

        turns, left = [], []

        def __init__(self, arm):
            self.arm, self.took = arm, 4.0

        def answer(self):
            if self.arm == "compiled-x":
                raise RuntimeError("no compiler")
            return {"8": {"images": 8, "flops": 0, "tokens": 16}}

        def turn(self, name, seconds):
            self.took -= 1
            Fake.turns.append((self.arm, name, seconds))
            return {"seconds": self.took, "cpu_seconds": 2 * self.took}

        def close(self):
            Fake.left.append(self.arm)

    monkeypatch.setattr(bench, "Worker", Fake)
    rows = bench.in_turns({name: {"arm": name} for name in ("a-x", "compiled-x", "b-x")}, 6.0)
    assert Fake.turns == [("a-x", "8", 2.0), ("b-x", "8", 2.0)] * 3 and Fake.left == ["a-x", "compiled-x", "b-x"]
    assert [(row["arm"], row["seconds"], row["cpu_seconds"]) for row in rows] == [("a-x", 1.0, 2.0), ("b-x", 1.0, 2.0)]
    told = capsys.readouterr().out
    assert "left out: no compiler" in told and "a-x is ready after" in told and "compiled-x is ready" not in told


# --- fit in parts ---


def test_the_step_by_hand_is_the_step_of_fit():
    """One step of fit with the same crops and masks ends with the same parameters, those of the teacher included."""
    data, seen = shapeworld(8, seed=0), {}

    def masks(batch, generator):
        seen["masks"] = recipe.masks(batch, generator)
        return seen["masks"]

    by_fit, by_hand = recipe.build(), recipe.build()
    settings = {"batch_size": 8, "lr": 1e-3, "warmup": 1.0, "momentum": (0.996, 0.996), "weight_decay": (0.05, 0.05)}
    history = fit(by_fit, data, masks, steps=1, **settings)
    optimizers = make_optimizers(by_hand, 1e-3)
    optimizers[0].param_groups[0]["weight_decay"] = 0.05
    by_hand.train()
    index = next(bench_order(8))
    loss = bench_split.bare_step(by_hand, optimizers, data.batch(index), seen["masks"], bench_split.Stopwatch())
    assert loss.item() == pytest.approx(history.rows[0]["loss"], rel=1e-6)
    for name, value in by_fit.state_dict().items():
        torch.testing.assert_close(by_hand.state_dict()[name], value, atol=1e-6, rtol=1e-5)


def bench_order(images):
    """The order in which fit takes this many images with seed 0."""
    from minijepa.training.batches import BatchOrder

    yield BatchOrder(images, images, 0).batch(0)


def test_fit_is_watched_without_being_changed(monkeypatch):
    """The losses and the final parameters are those of a run that is not timed."""
    monkeypatch.setattr(bench_split, "BLOCK", 2)
    data, runs = shapeworld(8, seed=0), []

    def keep(model, *arguments, **settings):
        runs.append((model, fit(model, *arguments, **settings)))
        return runs[-1][1]

    monkeypatch.setattr(bench_split, "fit", keep)
    blocks = bench_split.watch_fit("nano", {"batch_size": 2}, 4, data)
    assert len(blocks) == 2 and all(set(block) == {"fit", *bench_split.PARTS} for block in blocks)
    (watched, history), = runs  # fmt: skip
    alone = recipe.build("nano")
    settings = {**recipe.TRAINING, "batch_size": 2, "steps": 6, "monitor_every": 2}
    assert history.rows == fit(alone, data, recipe.masks, **settings).rows
    for name, value in alone.state_dict().items():
        assert torch.equal(value, watched.state_dict()[name]), name


def test_overheads_are_what_is_left_of_a_step():
    parts = {"teacher": 30.0, "context": 20.0, "predictor": 10.0, "backward": 30.0}  # 90 of 100
    rest = {"optimiser": 4.0, "EMA": 1.0, "data": 2.0, "masks": 1.0}  # and 2 in none of the parts
    block = {name: (value, value / 2) for name, value in {"fit": 100.0, **parts, **rest}.items()}
    taken_away = {name: (9 * clock, processor) for name, (clock, processor) in block.items()}  # by another program
    table = bench_split.split([block, taken_away, block])
    for clock, scale in (("wall", 1.0), ("cpu", 0.5)):
        assert table[clock]["fit"] == 100 * scale and table[clock]["backward"] == 30 * scale
        found = [table[clock][name] for name in ("overhead_all", "overhead_loop", "overhead_rest")]
        assert found == pytest.approx([0.10, 0.05, 0.02])


def test_every_run_of_fit_gets_a_table(monkeypatch, capsys):
    block = dict.fromkeys(("fit", *bench_split.PARTS), (0.01, 0.01))
    monkeypatch.setattr(bench_split, "watch_fit", lambda size, settings, steps: [block] * (steps // bench_split.BLOCK))
    bench_split.main(3)
    tables = json.loads(capsys.readouterr().out)
    assert {name: table["batch"] for name, table in tables.items()} == {
        "nano, AdamW": 32, "nano, Muon": 32, "nano, AdamW, large batch": 128, "tiny, AdamW": 32,
    }  # fmt: skip
    assert all(table["blocks"] == 3 and table["cpu"]["fit"] == 0.01 for table in tables.values())


# --- the tables and the figure ---


def row(arm, name, seconds, flops=1e9, images=64, **more):
    return {"arm": arm, "name": name, "seconds": seconds, "cpu_seconds": seconds, "flops": flops, "images": images,
            "tokens": 147 * images, "peak_memory_mb": 500.0, "warm_up_seconds": 1.0, **more}  # fmt: skip


@pytest.fixture
def result():
    """What bench.measure returns, from times that are easy to check."""
    peaks = [row("peak", "float32", 0.01, images=0), row("peak", "bfloat16", 0.005, images=0)]
    steps, models = [], []
    others = ("textbook", "torch_world")
    for loop, seconds in (("textbook", 0.04), ("torch_world", 0.03), ("ours", 0.02), ("compiled", 0.016)):
        for precision, factor in (("float32", 1), ("bfloat16", 0.5)):
            arm = f"{loop}-{precision}"
            steps += [row(arm, "masks", 1.0 if loop in others else 0.01, 0, 1024), row(arm, "64", factor * seconds)]
            if loop not in others:
                steps.append(row(arm, "256", 4 * factor * seconds, 4e9, 256))
    for arm, seconds in (
        ("nano-float32", 0.02),
        ("nano-bfloat16", 0.02),
        ("clips-float32", 0.0235),
        ("world-float32", 0.02),
    ):
        models.append(row(arm, "32", seconds))
    part = dict(dict.fromkeys(bench_split.PARTS, 0.01), fit=0.1, overhead_all=0.2, overhead_loop=0.04)
    fits = {
        "nano, AdamW": {"batch": 32, "wall": {**part, "overhead_rest": 0.01}, "cpu": {**part, "overhead_rest": 0.0}}
    }
    return {
        "threads": 2, "date": "2026-01-01", "versions": {"torch": "9"}, "fit": fits,
        "steps": bench.with_rates([*(dict(each) for each in peaks), *steps]),
        "models": bench.with_rates([*peaks, *models]),
        "processes": bench.with_rates([row("1 process, 1 thread", "64", 0.2), row("2 processes", "64", 0.125)]),
    }  # fmt: skip


def test_rates_and_shares_follow_from_times(result):
    rows = {(each["arm"], each["name"]): each for each in result["steps"]}
    ours = rows["ours-float32", "64"]
    assert ours["images_per_s"] == pytest.approx(3200) and ours["tokens_per_s"] == pytest.approx(147 * 3200)
    assert ours["share_of_peak"] == pytest.approx(0.5) == pytest.approx(ours["share_of_peak_cpu"])
    assert rows["ours-bfloat16", "64"]["share_of_peak"] == pytest.approx(0.5)  # of another peak
    assert "share_of_peak" not in rows["ours-float32", "masks"]


def test_the_tables_say_what_was_measured(result, capsys):
    for show in (bench.show_steps, bench.show_models, bench.show_processes, bench.show_fit):
        show(result)
    printed = capsys.readouterr().out
    for words in (
        "matmul peak 100 GFLOP/s float32, 200 bfloat16",
        "ours-float32: 2.00x the images/s of textbook in float32, 100x its mask rate",
        "ours-float32: 1.50x the images/s of torch_world in float32, 100x its mask rate",
        "compiled-bfloat16: 5.00x the images/s of textbook",
        "the world model: 3,200 frames/s, 50% of the peak",
        "bfloat16 autocast is faster: ours, batch 64: 2.00x",
        "bfloat16 autocast changes little: nano, batch 32: 1.00x",
        "clips reach 43% of the peak, images 50%, batch 32: ratio 0.85",
        "512 images/s, 1.60x those of one thread",
        "overhead of fit: 20.0% in all, 4.0% without optimiser and EMA",
    ):
        assert words in printed, words


@pytest.mark.parametrize("arguments", [[], ["--compile"]])
def test_a_run_that_is_stopped_leaves_the_stages_before(result, tmp_path, monkeypatch, arguments):
    asked = []

    def measure(seconds, compiled):
        asked.append(compiled)
        yield {"threads": 2, "steps": result["steps"]}
        raise KeyboardInterrupt

    monkeypatch.setattr(bench, "measure", measure)
    monkeypatch.setattr(bench.shutil, "which", lambda name: "/usr/bin/" + name)
    with pytest.raises(KeyboardInterrupt):
        bench.main([*arguments, "--out", str(tmp_path / "deep" / "bench.json")])
    assert json.loads((tmp_path / "deep" / "bench.json").read_text())["steps"] == result["steps"]
    assert asked == [bool(arguments)]


def test_the_figure_needs_nothing_but_the_json(result, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(bench_figure.plots.plt, "close", drawn.append)
    numbers = tmp_path / "bench.json"
    numbers.write_text(json.dumps(result), encoding="utf-8")
    bench.main(["--figure", str(numbers)])
    assert numbers.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    lines, bars, parts, counts = drawn[0].axes
    assert {line.get_label(): list(line.get_ydata()) for line in lines.lines}["ours, float32"] == pytest.approx(
        [3200] * 2
    )
    assert len(bars.get_yticks()) == 2 + 2 + 4 + 4 + 4  # a bar per arm and batch
    assert sum(each.get_width() for each in parts.patches) == pytest.approx(100)  # the parts add up to a step
    assert [each.get_height() for each in counts.patches] == pytest.approx([320, 512])
    result["steps"] = [each for each in result["steps"] if "compiled" not in each["arm"]]  # without a compiler
    bench_figure.draw(result, tmp_path / "other.png")
    assert (tmp_path / "other.png").exists()


# --- what needs a GPU, on a CPU ---


def test_the_gpu_record_is_made_by_the_same_program_on_small_sizes(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(bench_gpu, "TINY", bench_gpu.Sizes(16, 4, 0, "nano", 32, 8, (2, 4), 64, "bfloat16", (False,)))
    out = tmp_path / "runs" / "gpu.json"
    bench_gpu.main(["--device", "cpu", "--tiny", "--seconds", "0.01", "--out", str(out)])
    result = json.loads(out.read_text(encoding="utf-8"))
    feeding, peak = result["feeding"], result["peak"]
    assert feeding["ratio"] == pytest.approx(feeding["on the device"] / feeding["DataLoader"])
    assert [each["batch"] for each in peak["rows"]] == [2, 4]
    for each in peak["rows"]:
        whole = each["images_per_s"] * each["flops_per_image"]
        assert each["share_of_peak"] == pytest.approx(whole / peak["peak_flops_per_s"])
    assert result["hardware"]["device"] == "cpu" and re.fullmatch(r"\d{4}-\d\d-\d\d", result["date"])
    assert "from a DataLoader with 0 workers" in capsys.readouterr().out


def test_the_masks_of_the_gpu_record_have_one_length():
    grid, generator = ViT.small(img_size=224, patch_size=16).grid, torch.Generator().manual_seed(0)
    shapes = set()
    for _ in range(50):
        masks = bench_gpu.draw_masks(grid, 196 // 8, 196 // 3, 8, generator)
        shapes.add((masks.context.shape, masks.targets.shape))
    assert shapes == {((8, 65), (8, 4, 24))}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_record_says_so(capsys):
    with pytest.raises(SystemExit):
        bench_gpu.main([])
    assert "no CUDA device was found" in capsys.readouterr().err


# --- the launch files ---


@pytest.mark.skipif(os.name == "nt" or not shutil.which("bash"), reason="shell scripts")
@pytest.mark.parametrize("script", ["one_node.sh", "two_nodes.sh", "slurm.sh"])
def test_a_launch_file_starts_what_the_command_line_understands(script, tmp_path):
    """The programs of the cluster are replaced by programs that print their arguments."""
    path = REPO / "docs" / "launch" / script
    programs = {"torchrun": 'printf "%s\\n" "$@"', "srun": 'exec "$@"', "scontrol": "echo first; echo second"}
    for name, body in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n", encoding="ascii")
        (tmp_path / name).chmod(0o755)
    own = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "SLURM_NNODES": "2", "SLURM_JOB_ID": "7",
           "SLURM_JOB_NODELIST": "n[1-2]"}  # fmt: skip
    assert subprocess.run(["bash", "-n", str(path)]).returncode == 0
    words = (["first"] if script == "two_nodes.sh" else []) + ["--steps", "5", "--device", "cpu"]
    done = subprocess.run(["bash", str(path), *words], env={**os.environ, **own}, capture_output=True, text=True)
    said = done.stdout.split("\n")[:-1]
    assert done.returncode == 0 and "minijepa.train" in said, done.stderr
    before, after = said[: said.index("-m")], said[said.index("-m") + 2 :]
    assert any(word.startswith("--nproc-per-node=") for word in before)
    if script != "one_node.sh":
        assert {"--nnodes=2", "--rdzv-backend=c10d", "--rdzv-endpoint=first:29400"} <= set(before)
    parsed = parse_arguments(after)
    assert parsed.steps == 5 and "7" not in str(parsed.out)  # the next job must find this job's folder
