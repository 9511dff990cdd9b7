"""What goes wrong on other people's machines: no labels, a full disk, two runs in one folder, Ctrl-C, odd names.

Nothing that was learned may be lost, and every message is one plain sentence without a traceback.
"""

import errno
import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from minijepa import shapeworld, train
from minijepa.training import recipe

REPO = Path(__file__).parents[1]
FULL = Path("/dev/full")


def images(root, count=40, classes=("even", "odd"), seed=0):
    """A folder of drawn images: in class folders, or without labels where `classes` is empty."""
    for i, image in enumerate(shapeworld(count, seed=seed).images):
        place = root / classes[i % len(classes)] if classes else root
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(place / f"{i:02d}.png")
    return root


def words(folder, out, *more):
    return ["--data", str(folder), "--batch-size", "8", "--device", "cpu", "--out", str(out), *more]


def read(out):
    return json.loads((out / "metrics.json").read_text(encoding="utf-8"))


def left_behind(out):
    """Names of files that only a run at work may have."""
    return [path.name for path in out.glob("*") if path.suffix in (".part", ".lock")] if out.is_dir() else []


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return images(tmp_path_factory.mktemp("images"))


# --- images that no probe can judge ---


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        ({"classes": ()}, "the images carry no labels"),
        ({"classes": ("everything",)}, "the images carry no labels"),
        ({"count": 18}, "20 neighbours"),
    ],
)
def test_a_run_ends_well_where_a_probe_does_not_apply(make, reason, tmp_path, capsys):
    folder, out = images(tmp_path / "images", **make), tmp_path / "run"
    assert train.main(words(folder, out, "--steps", "3")) == 0
    printed = capsys.readouterr()
    assert printed.err == "" and "not applicable" in printed.out and reason in printed.out
    names = {path.name for path in out.iterdir()}
    assert names == {"checkpoint.pt", "encoder.safetensors", "metrics.json", "curves.png", "patches.png"}
    metrics = read(out)
    assert reason in metrics["not_applicable"]["kNN"]
    assert all("kNN" not in row for row in metrics["probes"].values())
    linear_applies = "count" in make
    assert all(("linear" in row) == linear_applies for row in metrics["probes"].values())
    assert train.main(words(folder, out, "--steps", "3", "--resume")) == 0


def test_few_images_and_the_usual_batch_get_a_remedy(tmp_path, capsys):
    folder = images(tmp_path / "images", count=12)
    assert train.main(["--data", str(folder), "--steps", "2", "--device", "cpu", "--out", str(tmp_path / "run")]) == 1
    error = capsys.readouterr().err
    assert "batch_size 32 is more than the 10 examples" in error and "--batch-size" in error


def test_the_classes_and_their_counts_are_printed(tmp_path, capsys):
    """One line shows a folder that was read otherwise than it was meant."""
    folder = images(tmp_path / "images", count=30, classes=("cats", "cats", "dogs"))
    assert train.main(words(folder, tmp_path / "run", "--steps", "2")) == 0
    assert "30 images, 2 classes: cats 20, dogs 10\n" in capsys.readouterr().out


# --- after the training nothing is lost ---


def break_probes(monkeypatch, error):
    def broken(*_, **__):
        if error is KeyboardInterrupt:
            signal.raise_signal(signal.SIGINT)
        raise error("the judge has left")

    monkeypatch.setattr(train, "probe_table", broken)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, KeyError, MemoryError])
def test_whatever_stops_the_probes_the_encoder_is_kept(error, folder, tmp_path, monkeypatch, capsys):
    out = tmp_path / "run"
    break_probes(monkeypatch, error)
    assert train.main(words(folder, out, "--steps", "3")) == (130 if error is KeyboardInterrupt else 1)
    said = capsys.readouterr().err
    assert "Traceback" not in said and all(word in said for word in ("probes", "--resume", "--steps 3"))
    metrics = read(out)
    assert metrics["steps"] == 3 and len(metrics["history"]) == 3 and "probes" not in metrics
    encoder = recipe.build().encoder
    encoder.load_state_dict(load_file(out / "encoder.safetensors"))
    assert left_behind(out) == []
    monkeypatch.undo()
    assert train.main(words(folder, out, "--steps", "3", "--resume")) == 0  # what is missing is made now
    assert "I-JEPA" in read(out)["probes"] and (out / "curves.png").is_file()
    assert read(out)["seconds"] >= metrics["seconds"]  # those of both calls


def test_pictures_that_cannot_be_drawn_cost_no_number(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(train, "draw", lambda *_: 1 / 0)
    assert train.main(words(folder, tmp_path / "run", "--steps", "2")) == 1
    assert "ZeroDivisionError" in capsys.readouterr().err and "I-JEPA" in read(tmp_path / "run")["probes"]


# --- the folder for the results ---


def never_trains(monkeypatch):
    monkeypatch.setattr(train, "fit", lambda *_, **__: pytest.fail("trained, although nothing can be written"))


def test_a_file_in_place_of_the_folder_is_seen_before_the_training(folder, tmp_path, monkeypatch, capsys):
    never_trains(monkeypatch)
    (tmp_path / "notes").write_text("mine", encoding="utf-8")
    for out in (tmp_path / "notes", tmp_path / "notes" / "run"):
        assert train.main(words(folder, out, "--steps", "2")) == 1
        error = capsys.readouterr().err
        assert error.startswith(f"error: {out} ") and "--out" in error and error.count("\n") == 1
    assert (tmp_path / "notes").read_text(encoding="utf-8") == "mine"


def test_a_run_that_wrote_nothing_leaves_no_empty_folder(tmp_path, capsys):
    """Those that it made; what was there before stays."""
    mine = tmp_path / "mine"
    mine.mkdir()
    for out in (tmp_path / "new" / "run", mine / "run", mine):
        assert train.main(words(tmp_path / "no images", out, "--steps", "2")) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["mine"] and not list(mine.iterdir())


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_a_folder_that_takes_no_file_is_seen_before_the_training(number, folder, tmp_path, monkeypatch, capsys):
    """Read-only, or full: whoever is root may write anywhere, so the refusal is played."""
    never_trains(monkeypatch)
    out, before = tmp_path / "run", open

    def refuse(file, *how, **more):
        if Path(str(file)).parent == out and how and how[0][0] in "wax":
            raise OSError(number, os.strerror(number), str(file))
        return before(file, *how, **more)

    monkeypatch.setattr("builtins.open", refuse)
    assert train.main(words(folder, out, "--steps", "2")) == 1
    error = capsys.readouterr().err
    assert os.strerror(number) in error and "--out" in error and error.count("\n") == 1


@pytest.mark.skipif(not FULL.exists(), reason="/dev/full stands for a full disk, and there is none")
@pytest.mark.parametrize("name", ["checkpoint.pt", "encoder.safetensors", "metrics.json"])
def test_a_disk_that_fills_up_is_one_line_and_leaves_no_part(name, folder, tmp_path, monkeypatch, capsys):
    """A `.part` that leads to /dev/full: all that is written there meets a full disk."""
    out = tmp_path / "run"
    out.mkdir()
    (out / f"{name}.part").symlink_to(FULL)
    assert train.main(words(folder, out, "--steps", "3")) == 1
    error = capsys.readouterr().err
    assert "No space left on device" in error and name in error
    assert "inline_container" not in error and "Traceback" not in error
    assert left_behind(out) == []
    assert (out / "encoder.safetensors").is_file() == (name != "encoder.safetensors")  # what can be kept, is


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be stopped so there")
def test_two_runs_do_not_share_a_folder(folder, tmp_path, capsys):
    out = tmp_path / "run"
    command = [sys.executable, "-m", "minijepa.train", *words(folder, out, "--steps", "100000")]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        while "training for" not in first.stdout.readline():
            assert first.poll() is None, first.stderr.read()
        assert train.main(words(folder, out, "--steps", "2")) == 1
        error = capsys.readouterr().err
        assert f"process {first.pid}" in error and str(out) in error and error.count("\n") == 1
    finally:
        first.kill()  # it can tidy nothing up
        first.communicate()
    assert train.main(words(folder, out, "--steps", "2")) == 0  # nothing of the dead one is in the way
    assert left_behind(out) == []


def test_a_tilde_is_the_home_folder(folder, tmp_path, monkeypatch):
    """The shell leaves it alone in --out=~/x."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    images(tmp_path / "mine")
    more = ["--data=~/mine", "--out=~/results/run", "--batch-size=8", "--steps=2", "--device=cpu"]
    monkeypatch.chdir(tmp_path)
    assert train.main(more) == 0
    assert read(tmp_path / "results" / "run")["data"]["train"] == 32 and not (tmp_path / "~").exists()


def test_the_folder_has_a_name_wherever_the_data_lie(tmp_path, monkeypatch):
    monkeypatch.chdir(images(tmp_path / "birds"))
    assert train.parse_arguments(["--data", "."]).out == Path("runs", "birds-seed0")


# --- going on ---


def stop_after(monkeypatch, step, during=train.recipe.masks):
    """Ctrl-C in the middle of a step."""
    calls = []

    def masks(batch, generator=None):
        calls.append(batch)
        if len(calls) == step:
            signal.raise_signal(signal.SIGINT)
        return during(batch, generator)

    monkeypatch.setattr(train.recipe, "masks", masks)


@pytest.fixture
def stopped(folder, tmp_path, monkeypatch, capsys):
    """A run of weight 0 and of six steps that Ctrl-C ended after two: its folder and what it printed."""
    out = tmp_path / "a run"
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        assert train.main(words(folder, out, "--steps", "6", "--weight", "0", "--seed", "3")) == 0
    assert read(out)["steps"] == 2
    return out, capsys.readouterr().out


def test_the_printed_command_goes_on_with_the_same_run(stopped):
    out, printed = stopped
    line = next(line for line in printed.splitlines() if "stopped after 2 of 6 steps" in line)
    command = shlex.split(line.split("go on with: ")[1])
    assert command[:3] == ["python", "-m", "minijepa.train"]
    assert train.main(command[3:]) == 0
    assert read(out)["steps"] == 6 and read(out)["recipe"]["weight"] == 0 and read(out)["seed"] == 3
    assert shlex.split(read(out)["command"]) == command  # as it was given, spaces in names too


def test_one_process_cannot_be_cut_in_shards_and_says_so(folder, tmp_path, capsys):
    more = ["--steps", "2", "--shard", "--optimizer", "adamw"]
    assert train.main(words(folder, tmp_path / "run", *more)) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and "torchrun" in error and "--shard" in error


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--weight", "0.03"], "weight was 0.0 and is now 0.03"),
        (["--weight", "0", "--size", "micro"], "size was 'nano' and is now 'micro'"),
        (["--weight", "0", "--published"], "published was False and is now True"),
    ],
)
def test_another_experiment_does_not_go_on(change, said, stopped, folder, capsys):
    out, _ = stopped
    before = (out / "checkpoint.pt").read_bytes()
    assert train.main(words(folder, out, "--steps", "6", "--seed", "3", "--resume", *change)) == 1
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert (out / "checkpoint.pt").read_bytes() == before and read(out)["recipe"]["weight"] == 0


def test_other_images_of_equal_number_do_not_go_on(stopped, tmp_path, capsys):
    out, _ = stopped
    others = images(tmp_path / "others" / "images", seed=1)
    assert train.main(words(others, out, "--steps", "6", "--seed", "3", "--weight", "0", "--resume")) == 1
    error = capsys.readouterr().err
    assert "data was " in error and " and is now " in error and error.count("\n") == 1


@pytest.mark.parametrize("left", [0, 1, 1000, -1])
def test_a_checkpoint_that_was_cut_is_one_plain_line(left, stopped, folder, capsys):
    out, _ = stopped
    path = out / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:left])
    assert train.main(words(folder, out, "--steps", "6", "--seed", "3", "--weight", "0", "--resume")) == 1
    error = capsys.readouterr().err
    assert "checkpoint.pt" in error and "cut short or damaged" in error and error.count("\n") == 1


def test_an_earlier_version_s_checkpoint_goes_on_and_says_what_cannot_be_checked(stopped, folder, capsys):
    out, _ = stopped
    content = torch.load(out / "checkpoint.pt", weights_only=True)
    for name in ("size", "weight", "published", "longer", "data"):
        del content["settings"][name]
    torch.save(content, out / "checkpoint.pt")
    with pytest.warns(UserWarning, match="size, weight, published, longer, data.*earlier version"):
        assert train.main(words(folder, out, "--steps", "6", "--seed", "3", "--weight", "0", "--resume")) == 0
    assert read(out)["steps"] == 6


# --- Ctrl-C before there is anything to keep ---


@pytest.mark.parametrize("step", [1, 8, 20, 32])
def test_ctrl_c_while_the_steps_are_timed_ends_the_program(step, folder, tmp_path, monkeypatch, capsys):
    """Also in the last of the eight, or of the twenty-four steps that are timed."""
    stop_after(monkeypatch, step)
    assert train.main(words(folder, tmp_path / "run", "--minutes", "0.01")) == 130
    printed = capsys.readouterr()
    assert "training for" not in printed.out and printed.err.count("\n") == 1 and "nothing is lost" in printed.err
    assert not (tmp_path / "run" / "checkpoint.pt").exists() and left_behind(tmp_path / "run") == []


# --- arguments and names ---


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--minutes", "inf"], "inf"),
        (["--minutes", "nan"], "nan"),
        (["--lr", "inf"], "inf"),
        (["--weight", "nan"], "nan"),
        (["--weight", "inf"], "inf"),
        (["--seed", "1e20"], "1e20"),
        (["--seed", "100000000000000000000"], "4,294,967,295"),
        (["--seed", "-1"], "4,294,967,295"),
    ],
)
def test_numbers_without_an_end_get_a_usage_message(wrong, said, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        train.main(["--out", str(tmp_path / "run"), "--device", "cpu", *wrong])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and f"argument {wrong[0]}: " in error and said in error


def test_the_largest_seed_trains(folder, tmp_path):
    assert train.main(words(folder, tmp_path / "run", "--steps", "2", "--seed", str(2**32 - 1))) == 0


def test_compile_without_a_compiler_is_one_line(folder, tmp_path):
    """The compiler is named by CXX, and its products are looked for in an empty place."""
    own = {"CXX": "no-such-compiler", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(REPO)}
    command = [sys.executable, "-m", "minijepa.train", *words(folder, tmp_path / "run", "--steps", "2", "--compile")]
    done = subprocess.run(command, env={**os.environ, **own}, capture_output=True, text=True, timeout=300)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert last.startswith("error: ") and "compiler" in last and "--compile" in last


NAME = "图片"
SMALL = ["--steps", "2", "--batch-size", "8", "--device", "cpu"]


@pytest.mark.parametrize(
    "command",
    [
        ["minijepa.train", *SMALL, "--out", f"{NAME}/run", "--data", NAME],
        ["minijepa.train", *SMALL, "--out", f"{NAME}/run", "--data", f"no {NAME}"],
        ["minijepa.datasets"],
        ["minijepa.check"],
        ["minijepa.grade", f"{NAME}.ipynb"],
    ],
    ids=["train", "train-fails", "datasets", "check", "grade"],
)
def test_names_that_the_console_cannot_show_stop_no_command(command, tmp_path):
    """As on Windows, where output that goes to a file is written in the code page of the country."""
    images(tmp_path / NAME, count=30, classes=("猫", "狗"))
    (tmp_path / f"{NAME}.ipynb").write_text("no notebook", encoding="utf-8")
    own = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "PYTHONPATH": str(REPO)}
    own.update(MINIJEPA_DATA=str(tmp_path / NAME), MINIJEPA_OFFLINE="1")
    pipes = {"cwd": tmp_path, "env": {**os.environ, **own}, "capture_output": True, "text": True, "timeout": 300}
    done = subprocess.run([sys.executable, "-m", *command], **pipes)
    assert "UnicodeEncodeError" not in done.stdout + done.stderr and "Traceback" not in done.stderr, done.stderr
    shown = NAME.encode("ascii", "backslashreplace").decode("ascii")
    assert command == ["minijepa.check"] or shown in done.stdout + done.stderr  # the check names no such place
