"""The command line, run for real on a small folder of images: results, pictures, usage messages, Ctrl-C, resume."""

import json
import platform
import signal
import subprocess
import sys
import time
from functools import partial

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from minijepa import load_pretrained, moving_shapes, shapeworld, train
from minijepa.datasets import load, load_clips
from minijepa.family import METHODS
from minijepa.machine.hardware import hardware, processor_name
from minijepa.probes import features, knn_probe, linear_probe
from minijepa.probes.motion import motion_reasons, motion_table
from minijepa.training import recipe


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Sixty drawn images in two class folders."""
    root = tmp_path_factory.mktemp("images")
    data = shapeworld(60, seed=0)
    for i, image in enumerate(data.images):
        place = root / ("even" if data.labels[i] % 2 == 0 else "odd")
        place.mkdir(exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(place / f"{i:02d}.png")
    return root


def arguments(folder, out, *more):
    return ["--data", str(folder), "--batch-size", "8", "--device", "cpu", "--out", str(out), *more]


def test_a_run_writes_everything_and_the_numbers_are_those_of_the_saved_encoder(folder, tmp_path, capsys):
    out = tmp_path / "run"
    assert train.main(arguments(folder, out, "--steps", "4")) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    for word in ("raw pixels", "random-init", "I-JEPA", "kNN", "linear"):
        assert word in printed.out
    names = {path.name for path in out.iterdir()}
    assert names == {"checkpoint.pt", "encoder.safetensors", "metrics.json", "curves.png", "patches.png"}

    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["steps"] == 4 and metrics["seed"] == 0 and len(metrics["history"]) == 4
    assert "--steps 4" in metrics["command"] and metrics["versions"]["torch"] == torch.__version__
    encoder = recipe.build().encoder
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    encoder.load_state_dict(load_file(out / "encoder.safetensors"))
    assert any(not torch.equal(before[name], value) for name, value in encoder.state_dict().items())
    learn, heldout = load(str(folder))
    score = knn_probe(features(encoder, learn), learn.labels, features(encoder, heldout), heldout.labels)
    assert score == pytest.approx(metrics["probes"]["I-JEPA"]["kNN"])


@pytest.mark.parametrize("method", [name for name in METHODS if name not in ("ijepa", "vjepa")])
def test_every_method_ends_with_the_same_table(method, folder, tmp_path, capsys):
    out = tmp_path / "run"
    assert train.main(["--method", method, *arguments(folder, out, "--steps", "3")]) == 0
    printed = capsys.readouterr()
    assert printed.err == "" and METHODS[method].NAME in printed.out
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["method"] == METHODS[method].NAME and metrics["recipe"]["method"] == method
    table = metrics["probes"]
    assert list(table) == ["raw pixels", "random-init", METHODS[method].NAME]
    assert all(set(row) == {"kNN", "linear", "linear, all layers"} for row in list(table.values())[1:])
    learn, heldout = load(str(folder))
    encoder = load_pretrained(out).encoder
    score = knn_probe(features(encoder, learn), learn.labels, features(encoder, heldout), heldout.labels)
    assert score == pytest.approx(table[METHODS[method].NAME]["kNN"])


def test_clips_end_with_the_probes_of_motion(tmp_path, capsys, monkeypatch):
    """Fewer clips than the command takes, and a shorter attentive probe."""
    monkeypatch.setattr(train, "load_clips", partial(load_clips, train=60, heldout=40))
    monkeypatch.setattr(train, "motion_table", partial(motion_table, steps=5))
    words = ["--method", "vjepa", "--steps", "3", "--batch-size", "8", "--device", "cpu"]
    assert train.main([*words, "--out", str(tmp_path / "run")]) == 0
    table = json.loads((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))["probes"]
    wanted = [f"{label}, {probe}" for label in ("direction", "speed", "shape") for probe in ("linear", "attentive")]
    assert set(table["V-JEPA"]) == set(table["random-init"]) == set(wanted)
    assert set(table["raw pixels"]) == {name for name in wanted if "linear" in name}
    found, clips = load_pretrained(tmp_path / "run").encoder, load_clips("moving-shapes", train=60, heldout=40)
    assert found.grid == (4, 4, 4)
    vectors = [features(found, each) for each in clips]
    truth = [each.labels["direction"] for each in clips]
    assert linear_probe(vectors[0], truth[0], vectors[1], truth[1]) == pytest.approx(
        table["V-JEPA"]["direction, linear"]
    )
    assert train.main([*words, "--out", str(tmp_path / "run"), "--resume"]) == 0  # it has ended: only probed again
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "checkpoint.pt", "encoder.safetensors", "metrics.json", "curves.png"
    }  # fmt: skip


def test_one_class_alone_cannot_be_probed_and_says_so():
    clips = moving_shapes(6, seed=0, size=16)
    one = clips.subset(clips.labels["shape"] == clips.labels["shape"][0])
    one = one.having(labels={"shape": one.labels["shape"]}, classes={"shape": one.classes["shape"]})
    assert set(motion_reasons(one).values()) == {
        f"all {len(one)} clips to learn from are of one class: raise --labels, or add clips of other classes"
    }


def test_a_video_without_its_reader_is_one_line(tmp_path, capsys, monkeypatch):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "av", None)
    words = ["--method", "vjepa", "--data", str(tmp_path / "videos"), "--steps", "2", "--out", str(tmp_path / "run")]
    assert train.main(words) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and "pip install" in error


def test_a_folder_of_videos_holds_out_whole_files(tmp_path):
    """Clips of one file are alike, so none of a file that is learned from is held out."""
    generator = torch.Generator().manual_seed(0)
    for i in range(10):
        place = tmp_path / ("up", "down")[i % 2]
        place.mkdir(exist_ok=True)
        frames = torch.randint(0, 255, (16, 40, 40, 3), generator=generator, dtype=torch.uint8).numpy()
        pictures = [Image.fromarray(frame) for frame in frames]
        pictures[0].save(place / f"{i}.gif", save_all=True, append_images=pictures[1:])
    learn, heldout = load_clips(tmp_path)
    assert learn.clips.shape[1:] == (3, 8, 32, 32) and len(learn) == 16 and len(heldout) == 4
    assert not set(learn.factors["file"].tolist()) & set(heldout.factors["file"].tolist())


def test_resume_goes_on_and_an_earlier_run_is_not_overwritten(folder, tmp_path, capsys):
    out = tmp_path / "run"
    assert train.main(arguments(folder, out, "--steps", "3")) == 0
    with pytest.raises(SystemExit) as stop:
        train.main(arguments(folder, out, "--steps", "3"))
    assert stop.value.code == 2 and "holds an earlier run" in capsys.readouterr().err
    assert train.main(arguments(folder, out, "--steps", "3", "--resume")) == 0
    assert train.main(arguments(folder, out, "--steps", "5", "--resume")) == 1  # other settings than the file's
    assert "steps was 3 and is now 5" in capsys.readouterr().err


def test_there_must_be_a_run_to_resume(folder, tmp_path, capsys):
    """A wrong --out would otherwise begin another run, and nobody would see it."""
    with pytest.raises(SystemExit) as stop:
        train.main(arguments(folder, tmp_path / "nothing", "--steps", "3", "--resume"))
    assert stop.value.code == 2
    assert f"argument --resume: there is no run in {tmp_path / 'nothing'} to go on with" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (["--minutes", "0"], "must be above 0"),
        (["--minutes", "1", "--steps", "5"], "not allowed with"),
        (["--size", "enormous"], "invalid choice"),
        (["--weight", "-1"], "must be 0 or more"),
        (["--device", "abacus"], "cannot be used here"),
        (["--steps", "many"], "invalid int value"),
        (["--method", "mae", "--published"], "--published: belongs to --method ijepa, not to mae"),
        (["--method", "vjepa", "--data", "cifar10"], "cifar10 are not clips"),
        (["--method", "mae", "--data", "moving-shapes"], "moving-shapes are not images"),
    ],
)
def test_bad_arguments_get_a_usage_message(wrong, words, capsys):
    with pytest.raises(SystemExit) as stop:
        train.main(wrong)
    error = capsys.readouterr().err
    assert stop.value.code == 2 and words in error and error.startswith("usage:")


def test_data_that_is_not_there_is_one_line_and_no_trace(tmp_path, capsys):
    assert train.main(["--data", str(tmp_path / "nothing"), "--steps", "1", "--out", str(tmp_path / "o")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and "Traceback" not in error and "nothing" in error


@pytest.mark.skipif(sys.platform == "win32", reason="a console Ctrl-C cannot be sent to one process there")
def test_ctrl_c_keeps_what_was_learned(folder, tmp_path):
    out = tmp_path / "run"
    command = [sys.executable, "-m", "minijepa.train", *arguments(folder, out, "--steps", "100000")]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while "training for" not in run.stdout.readline():
        assert run.poll() is None, run.stderr.read()
    time.sleep(2)
    run.send_signal(signal.SIGINT)
    printed, error = run.communicate(timeout=120)
    assert run.returncode == 0, error
    assert "stopped after" in printed and "I-JEPA" in printed
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["interrupted"] and 0 < metrics["steps"] < 100000


def test_minutes_become_steps_by_measuring_on_a_copy():
    model, data = recipe.build(), shapeworld(64, seed=0)
    before = [p.clone() for p in model.parameters()]
    settings = {**recipe.TRAINING, "batch_size": 8}
    assert train.steps_in(0.05, model, data, recipe.masks, settings, torch.device("cpu")) >= 10
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_hardware_names_the_model_of_the_processor(tmp_path, monkeypatch):
    """Where the system tells; `x86_64` would say nothing about a time."""
    assert hardware(torch.device("cpu"))["processor"] == processor_name()
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel\t\t: 85\nmodel name\t: A Processor @ 2.70GHz\nflags\t: fpu\n")
    monkeypatch.setattr(platform, "processor", lambda: "x86_64")
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    assert processor_name(cpuinfo) == "A Processor @ 2.70GHz"
    cpuinfo.write_text("CPU implementer\t: 0x41\n")  # ARM tells no model
    assert processor_name(cpuinfo) == processor_name(tmp_path / "nothing") == "x86_64"
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    done = subprocess.CompletedProcess([], 0, stdout="An Apple\n")
    monkeypatch.setattr(subprocess, "run", lambda command, **how: done if command[0] == "sysctl" else None)
    assert processor_name(cpuinfo) == "An Apple"
    monkeypatch.setattr(platform, "system", lambda: "Windows")
    monkeypatch.setattr(platform, "processor", lambda: "Intel64 Family 6")
    assert processor_name(cpuinfo) == "Intel64 Family 6"


def test_the_recipe_for_longer_runs_brings_its_size_and_batch(tmp_path, capsys):
    plain = train.parse_arguments(["--out", str(tmp_path)])
    longer = train.parse_arguments(["--longer", "--out", str(tmp_path)])
    own = train.parse_arguments(["--longer", "--size", "tiny", "--batch-size", "64", "--out", str(tmp_path)])
    assert (plain.size, plain.batch_size, plain.settings) == ("nano", 32, recipe.TRAINING)
    assert (longer.size, longer.batch_size, longer.settings) == ("micro", 128, recipe.LONGER)
    assert (own.size, own.batch_size) == ("tiny", 64)
    with pytest.raises(SystemExit):
        train.parse_arguments(["--longer", "--published", "--out", str(tmp_path)])
    assert "--longer" in capsys.readouterr().err
