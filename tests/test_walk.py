"""What a folder is taken for: classes, splits, clutter, earlier runs, links; by images and by clips alike."""

import os
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from minijepa.datasets import image_folder, load, video_folder
from minijepa.datasets.loader import LoaderData


def picture(value):
    pixels = np.full((8, 8, 3), value, np.uint8)
    pixels[4:] = 255  # not of one colour
    return Image.fromarray(pixels)


class Images:
    what, suffix = "image", ".png"

    @staticmethod
    def write(path, value=0):
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(value).save(path.with_name(path.name + ".png"))

    @staticmethod
    def read(root):
        data = image_folder(root, size=8)
        return data.classes, data.labels.tolist(), data.images[:, 0, 0, 0].tolist(), data.factors.get("heldout")


class Clips:
    """GIFs of one frame."""

    what, suffix = "clip", ".gif"

    @staticmethod
    def write(path, value=0):
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(value).save(path.with_name(path.name + ".gif"))

    @staticmethod
    def read(root):
        data = video_folder(root, size=8, frames=1)
        values = data.clips[:, 0, 0, 0, 0].tolist()
        return data.classes["class"], data.labels["class"].tolist(), values, data.factors.get("heldout")


class FrameFolders(Clips):
    """Clips as folders of one picture."""

    @staticmethod
    def write(path, value=0):
        path.mkdir(parents=True)
        picture(value).save(path / "0.png")


@pytest.fixture(params=[Images, Clips, FrameFolders], ids=lambda kind: kind.__name__)
def kind(request):
    return request.param


@pytest.fixture
def line(capsys):
    """The one line that was printed."""

    def get():
        out = capsys.readouterr().out
        assert out.count("\n") == 1
        return out[:-1]

    return get


def test_classes_and_counts_are_printed(tmp_path, kind, line):
    for i, name in enumerate(["dogs", "cats", "dogs"]):
        kind.write(tmp_path / name / f"{i}", i)
    assert kind.read(tmp_path)[:3] == (("cats", "dogs"), [0, 1, 1], [1, 0, 2])
    assert line() == f"{tmp_path.name}: 3 {kind.what}s, 2 classes: cats 1, dogs 2"


def test_many_classes_stay_one_line(tmp_path, kind, line):
    for i in range(30):
        kind.write(tmp_path / f"c{i}" / "a", i)
    kind.read(tmp_path)
    said = line()
    assert "30 classes" in said and said.endswith("and 20 more") and len(said) < 200


def test_without_classes(tmp_path, kind, line):
    for i in range(3):
        kind.write(tmp_path / "album" / f"{i}", i)
    assert kind.read(tmp_path / "album")[:3] == (("album",), [0, 0, 0], [0, 1, 2])
    assert line() == f"album: 3 {kind.what}s, no classes: all lie in one folder"
    assert kind.read(tmp_path)[1:3] == ([0, 0, 0], [0, 1, 2])  # one sub-folder alone is no class
    assert line() == f"{tmp_path.name}: 3 {kind.what}s, no classes: all lie in one folder, album"


def test_a_folder_around_the_classes_is_no_class(tmp_path, kind):
    kind.write(tmp_path / "archive" / "cats" / "a", 1)
    kind.write(tmp_path / "archive" / "dogs" / "a", 2)
    assert kind.read(tmp_path)[:3] == (("cats", "dogs"), [0, 1], [1, 2])


@pytest.mark.parametrize(
    "train, held",
    [("train", "val"), ("Train", "VALID"), ("training", "validation"), ("TRAIN", "Test"), ("train", "testing")],
)
def test_a_split_is_no_pair_of_classes(tmp_path, kind, line, train, held):
    for i, (part, name) in enumerate([(train, "cats"), (train, "dogs"), (held, "cats"), (train, "dogs")]):
        kind.write(tmp_path / part / name / str(i), i)
    classes, labels, values, heldout = kind.read(tmp_path)
    assert classes == ("cats", "dogs") and labels == [0, 1, 1, 0] and values == [0, 1, 3, 2]
    assert heldout.dtype == torch.bool and heldout.tolist() == [False] * 3 + [True]
    said = line()
    assert f"3 to learn from ({train}), 1 held out ({held})" in said and f"{held} has none of dogs" in said


@pytest.mark.parametrize("layout", ["images/{}/{}", "{}/images/{}"])
def test_a_split_inside_or_around_a_folder_images(tmp_path, kind, layout):
    for i, part in enumerate(["train", "val"]):
        for name in "ab":
            kind.write(tmp_path / layout.format(part, name) / str(i), i)
    (tmp_path / "labels").mkdir()
    assert kind.read(tmp_path)[0] == ("a", "b") and kind.read(tmp_path)[3].tolist() == [False, False, True, True]


def test_a_split_without_classes(tmp_path, kind, line):
    for i in range(4):
        kind.write(tmp_path / ("train" if i else "val") / str(i), i)
    classes, labels, values, heldout = kind.read(tmp_path)
    assert classes == (tmp_path.name,) and labels == [0] * 4 and values == [1, 2, 3, 0] and heldout.sum() == 1
    assert "no classes; 3 to learn from (train), 1 held out (val)" in line()


def test_test_is_left_alone_where_there_is_val(tmp_path, kind, line):
    for i, part in enumerate(["train", "val", "test", "masks"]):
        kind.write(tmp_path / part / "a" / str(i), i)
        kind.write(tmp_path / part / "b" / str(i), i)
    assert kind.read(tmp_path)[2] == [0, 0, 1, 1]
    assert "not used: test, masks" in line()


def test_classes_that_differ_between_the_parts_are_refused(tmp_path, kind):
    kind.write(tmp_path / "train" / "cats" / "a")
    kind.write(tmp_path / "train" / "dogs" / "a")
    kind.write(tmp_path / "val" / "Cats" / "a")
    with pytest.raises(ValueError, match="val has the classes Cats, but .*train has the classes cats, dogs; name"):
        kind.read(tmp_path)
    for root in ("flat test", "flat train"):
        kind.write(tmp_path / root / root[5:] / "a")
        kind.write(tmp_path / root / ("test" if "train" in root else "train") / "cats" / "a")
    with pytest.raises(ValueError, match="test has no class folders, but .*train has the classes cats"):
        kind.read(tmp_path / "flat test")
    with pytest.raises(ValueError, match="test has the classes cats, but .*train has no class folders"):
        kind.read(tmp_path / "flat train")
    kind.write(tmp_path / "none" / "val" / "a")
    kind.write(tmp_path / "none" / "test" / "a")
    with pytest.raises(ValueError, match="test, val, but none to learn from; rename one to train"):
        kind.read(tmp_path / "none")


def test_a_class_may_be_called_train(tmp_path, kind):
    for name in ("bus", "car", "train"):
        kind.write(tmp_path / name / "a")
    assert kind.read(tmp_path)[0] == ("bus", "car", "train")


@pytest.mark.parametrize("name", [".ipynb_checkpoints", ".@__thumb", "__MACOSX", "@eaDir", ".hidden", "$RECYCLE.BIN"])
def test_what_systems_leave_behind_is_not_read(tmp_path, kind, line, name):
    kind.write(tmp_path / "a" / "1", 1)
    kind.write(tmp_path / "b" / "2", 2)
    kind.write(tmp_path / name / "3", 3)
    kind.write(tmp_path / "a" / name / "4", 4)
    kind.write(tmp_path / "a" / "deep" / name / "5", 5)
    kind.write(tmp_path / "b" / "._2", 6)
    (tmp_path / "b" / "Thumbs.db").write_bytes(b"x")
    assert kind.read(tmp_path)[:3] == (("a", "b"), [0, 1], [1, 2])
    assert "left out: 5 hidden or of the system" in line()


@pytest.mark.parametrize("mark", ["metrics.json", "encoder.safetensors", "checkpoint.pt"])
def test_earlier_runs_are_not_read(tmp_path, kind, line, mark):
    """Neither those below nor the one in the folder itself."""
    kind.write(tmp_path / "a" / "1", 1)
    kind.write(tmp_path / "b" / "2", 2)
    for run in (tmp_path / "mine", tmp_path / "a" / "runs" / "x"):
        run.mkdir(parents=True)
        (run / mark).write_text("{}")
        for name in ("curves", "patches"):
            picture(3).save(run / f"{name}.png")
            kind.write(run / f"{name}{'-' if kind is FrameFolders else ''}", 3)
    assert kind.read(tmp_path)[:3] == (("a", "b"), [0, 1], [1, 2])
    said = line()
    assert "1 folder of a run (mine)" in said and f"no {kind.what} in" not in said


def test_the_folder_of_the_run_that_asks_is_no_class_without_images(tmp_path, kind, line):
    """`--data .` writes into runs/NAME-seed0, where so far only the lock lies."""
    kind.write(tmp_path / "a" / "1", 1)
    (tmp_path / "empty" / "deep").mkdir(parents=True)
    for folder in ("runs/mine", "other/runs/yours"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "run.lock").write_text("process 1 on laptop", encoding="utf-8")
    kind.read(tmp_path)
    said = line()
    assert said.endswith(f"; no {kind.what} in empty; left out: 1 folder of a run (yours), 1 folder of a run (mine)")


def test_the_lock_of_a_run_among_the_images_is_not_counted(tmp_path, line):
    Images.write(tmp_path / "1", 1)
    (tmp_path / "run.lock").write_text("process 1 on laptop", encoding="utf-8")
    Images.read(tmp_path)
    assert "left out" not in line()


def test_a_run_written_among_the_images_is_not_read(tmp_path, line):
    for i in range(3):
        Images.write(tmp_path / str(i), i)
    for name in ("curves", "patches"):
        Images.write(tmp_path / name, 9)
    assert Images.read(tmp_path)[2] == [0, 1, 2, 9, 9]  # their names alone mean nothing
    line()
    (tmp_path / "metrics.json").write_text("{}")
    assert Images.read(tmp_path)[2] == [0, 1, 2]
    assert "2 pictures of an earlier run" in line()


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_links_are_followed_but_not_round_in_a_circle(tmp_path, kind, line):
    root = tmp_path / "root"
    kind.write(root / "a" / "1", 1)
    kind.write(tmp_path / "elsewhere" / "more" / "2", 2)
    (root / "a" / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (root / "b").symlink_to(tmp_path / "elsewhere" / "more", target_is_directory=True)
    (root / "a" / "circle").symlink_to(root, target_is_directory=True)
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (root / "a" / f"self{kind.suffix}").symlink_to(root / "a" / f"self{kind.suffix}")
    (root / "a" / f"gone{kind.suffix}").symlink_to(tmp_path / "nowhere")
    assert kind.read(root)[:3] == (("a", "b"), [0, 0, 1], [1, 2, 2])
    said = line()
    assert "2 links back to a folder above" in said and "2 links that lead nowhere" in said


def test_empty_classes_and_other_files_are_named(tmp_path, kind, line):
    kind.write(tmp_path / "a" / "1", 1)
    kind.write(tmp_path / "b" / "2", 2)
    (tmp_path / "birds").mkdir()
    (tmp_path / "fish").mkdir()
    for name in ("IMG_1.HEIC", "IMG_2.heic", "list.txt", "README"):
        (tmp_path / "fish" / name).write_bytes(b"x")
    assert kind.read(tmp_path)[0] == ("a", "b")
    said = line()
    assert f"no {kind.what} in birds, fish" in said
    for words in ("2 .heic", "1 .txt", "1 without a suffix"):
        assert words in said
    with pytest.raises(ValueError, match=rf"fish: no {kind.what} in this folder.*left out: .*2 \.heic"):
        kind.read(tmp_path / "fish")


def test_one_class_and_an_empty_one(tmp_path, kind, line):
    kind.write(tmp_path / "cats" / "1", 1)
    (tmp_path / "dogs").mkdir()
    assert kind.read(tmp_path)[:3] == ((tmp_path.name,), [0], [1])
    assert f"no {kind.what} in dogs" in line()


def test_an_empty_class_in_an_inner_folder(tmp_path, kind, line):
    kind.write(tmp_path / "archive" / "cats" / "1", 1)
    (tmp_path / "archive" / "dogs").mkdir()
    kind.read(tmp_path)
    assert f"no {kind.what} in dogs" in line()


def test_an_empty_class_of_a_split_is_named(tmp_path, kind, line):
    for i, name in enumerate(["train/a", "train/b", "val/a"]):
        kind.write(tmp_path / name / "x", i)
    (tmp_path / "val" / "b").mkdir()
    kind.read(tmp_path)
    said = line()
    assert "val has none of b" in said and f"no {kind.what} in b" in said


def test_numbers_in_names_count_as_numbers(tmp_path, kind):
    names = ["10", "2", "1", "x10y2", "x10y10", "x9", "01"]
    for i, name in enumerate(names):
        kind.write(tmp_path / f"class{name}" / "f11", 2 * i)
        kind.write(tmp_path / f"class{name}" / "f2", 2 * i + 1)
    order = ["01", "1", "2", "10", "x9", "x10y2", "x10y10"]
    classes, _, values, _ = kind.read(tmp_path)
    assert classes == tuple(f"class{name}" for name in order)
    assert values == [2 * names.index(name) + second for name in order for second in (1, 0)]


def test_data_among_class_folders_is_refused(tmp_path, kind):
    kind.write(tmp_path / "train" / "a" / "1")
    kind.write(tmp_path / "val" / "a" / "1")
    kind.write(tmp_path / "stray")
    with pytest.raises(ValueError, match=f"stray.*{kind.what}s lie next to the class folders train, val"):
        kind.read(tmp_path)


def split(tmp_path):
    for i in range(12):
        Images.write(tmp_path / ("val" if i % 3 == 0 else "train") / "ab"[i % 2] / str(i), i)
    return tmp_path


def test_load_keeps_to_the_split(tmp_path):
    train, heldout = load(split(tmp_path), size=8)
    for part, values in ((train, [1, 2, 4, 5, 7, 8, 10, 11]), (heldout, [0, 3, 6, 9])):
        shades = part.images[:, 0, 0, 0].tolist()
        assert sorted(shades) == values and shades != values  # in a random order, so a limit takes of all classes
        assert part.labels.tolist() == [shade % 2 for shade in shades]
    assert train.mean == heldout.mean
    train, heldout = load(tmp_path, size=8, train=3, heldout=2)
    assert (len(train), len(heldout)) == (3, 2)


def test_the_loader_learns_only_from_train(tmp_path, line):
    data = LoaderData(split(tmp_path), size=8, workers=0)
    assert {path.parent.parent.name for path in data.files} == {"train"}
    assert len(data) == len(data.labels) == 8 and data.classes == ("a", "b")
    assert "4 held out (val)" in line()


def test_white_images_in_a_batch_by_chance_stop_no_run(tmp_path):
    """Of the whole folder one may say that nothing can be learned, of a batch not."""
    for i in range(3):
        Images.write(tmp_path / str(i), i)
    for i in range(2):
        Image.new("RGB", (8, 8), "white").save(tmp_path / f"{i}.png")
    with pytest.warns(UserWarning, match=r"1\.png"), pytest.warns(UserWarning, match=r"0\.png"):
        assert LoaderData(tmp_path, size=8, workers=0).batch(slice(0, 2)).shape == (2, 3, 8, 8)


def test_one_process_of_several_speaks(tmp_path, capsys, monkeypatch):
    from minijepa.training.distributed import Team

    Images.write(tmp_path / "1")
    monkeypatch.setattr(Team, "current", classmethod(lambda cls: cls(1, 2)))
    Images.read(tmp_path)
    assert capsys.readouterr().out == ""


def test_a_console_without_the_letters(tmp_path, monkeypatch):
    """As on Windows where output goes to a file."""
    import io

    Images.write(tmp_path / "照片" / "1", 1)
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="cp1252"))
    assert Images.read(tmp_path)[2] == [1]
    sys.stdout.flush()
    assert b"1 image, no classes" in raw.getvalue()


def test_a_bar_shows_where_somebody_watches(tmp_path, kind, capfd, monkeypatch):
    from minijepa.machine import progress as process

    kind.write(tmp_path / "1")
    kind.read(tmp_path)
    assert capfd.readouterr().err == ""
    monkeypatch.setattr(process, "live_front_end", lambda: True)
    kind.read(tmp_path)
    assert f"reading {kind.what}s" in capfd.readouterr().err


def test_a_folder_of_the_current_directory(tmp_path, monkeypatch, line):
    Images.write(tmp_path / "1", 1)
    monkeypatch.chdir(tmp_path)
    assert Images.read(os.curdir)[0] == (tmp_path.name,)
    assert line().startswith(f"{tmp_path.name}: 1 image")
