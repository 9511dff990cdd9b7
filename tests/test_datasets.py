"""ImageData, CIFAR-10 from both layouts and over the network, image folders, and what the course calls.

No test needs a network: downloads come from a server on this machine, and the real CIFAR-10 is used only
where it is found.
"""

import collections
import hashlib
import http.server
import io
import os
import pickle
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision.datasets
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import minijepa.datasets as datasets
from minijepa.datasets import (
    DataCorrupt,
    DataUnavailable,
    ImageData,
    cifar,
    cifar10,
    course_data,
    denormalise,
    download,
    find_cifar10,
    image_folder,
    load,
    normalise,
)
from minijepa.datasets import __main__ as command

PYTHON, BINARY = "cifar-10-batches-py", "cifar-10-batches-bin"
FEW = 6  # images in a file of the small copies below
NAMES = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
REPO = Path(datasets.__file__).parents[2]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty place for data that is the only one looked at, no download allowed, small files expected."""
    monkeypatch.setattr(cifar, "PER_FILE", FEW)
    monkeypatch.setattr(cifar, "places", lambda: [tmp_path / "data"])
    monkeypatch.setenv("MINIJEPA_OFFLINE", "1")
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    cifar.read.cache_clear()
    yield tmp_path / "data"
    cifar.read.cache_clear()


def records(seed=0):
    """For each file labels [FEW] and images [FEW, 3, 32, 32], random."""
    rng = np.random.default_rng(seed)
    return {name: (rng.integers(0, 10, FEW), rng.integers(0, 256, (FEW, 3, 32, 32), np.uint8)) for name in NAMES}


def write_binary(place, content):
    (place / BINARY).mkdir(parents=True)
    for name, (labels, images) in content.items():
        with open(place / BINARY / f"{name}.bin", "wb") as file:
            for label, image in zip(labels, images, strict=True):
                file.write(bytes([label]))
                for plane in image:  # red, green, blue
                    for row in plane:
                        file.write(bytes(row.tolist()))


def write_python(place, content, monkeypatch):
    """The python layout, and its sums in the place of the official ones."""
    folder = place / PYTHON
    folder.mkdir(parents=True)
    sums = []
    for name, (labels, images) in content.items():
        entry = {"data": images.reshape(FEW, 3072), "labels": labels.tolist()}
        (folder / name).write_bytes(pickle.dumps(entry))
        sums.append([name, hashlib.md5((folder / name).read_bytes()).hexdigest()])
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list(cifar.CLASSES)}))
    meta = {**torchvision.datasets.CIFAR10.meta}
    meta["md5"] = hashlib.md5((folder / "batches.meta").read_bytes()).hexdigest()
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "train_list", sums[:5])
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "test_list", sums[5:])
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "meta", meta)


def check_splits(content):
    splits = {"train": NAMES[:4], "heldout": NAMES[4:5], "test": NAMES[5:]}
    for split, names in splits.items():
        data = cifar10(split)
        assert data.images.dtype == torch.uint8 and data.labels.dtype == torch.int64
        assert data.images.is_contiguous()
        assert np.array_equal(data.images.numpy(), np.concatenate([content[name][1] for name in names]))
        assert data.labels.tolist() == [int(label) for name in names for label in content[name][0]]
        assert data.classes[3] == "cat" and len(data.classes) == 10
        assert data.factors == {}


# --- ImageData ----------------------------------------------------------------------------------------------


def small(n=4):
    g = torch.Generator().manual_seed(0)
    return ImageData(
        images=torch.randint(0, 256, (n, 3, 5, 6), dtype=torch.uint8, generator=g),
        labels=torch.arange(n) % 2,
        classes=("a", "b"),
        name="small",
        mean=(0.4, 0.5, 0.6),
        std=(0.2, 0.3, 0.25),
        factors={"x": torch.rand(n, 2, generator=g), "count": torch.arange(n)},
    )


def test_batches_are_the_formula_and_denormalise_undoes_it():
    data = small()
    x = data.batch()
    assert x.shape == (4, 3, 5, 6) and x.dtype == torch.float32
    for c in range(3):
        want = (data.images[:, c].numpy().astype(np.float64) / 255 - data.mean[c]) / data.std[c]
        assert np.allclose(x[:, c].numpy(), want, atol=1e-6)
    assert torch.equal(denormalise(x, data.mean, data.std), data.images)
    assert torch.equal(data.batch([2, 0]), x[[2, 0]])
    assert torch.equal(data.batch(torch.tensor([True, False, False, True])), x[[0, 3]])
    assert torch.equal(data.batch(slice(1, 3), device="cpu"), x[1:3])
    assert torch.equal(data.batch(torch.tensor(1)), x[1:2])
    assert data.images.dtype == torch.uint8  # untouched


def test_every_byte_survives_a_round_trip_and_denormalise_clamps():
    every = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(2, 3, 16, 16)
    mean, std = cifar.MEAN, cifar.STD
    assert torch.equal(denormalise(normalise(every, mean, std), mean, std), every)
    assert denormalise(torch.full((3, 1, 1), 99.0), mean, std).unique().tolist() == [255]
    assert denormalise(torch.full((3, 1, 1), -99.0), mean, std).unique().tolist() == [0]


def test_subset_cuts_everything_alike():
    data = small()
    for index in ([3, 1], slice(1, 4, 2), torch.tensor([False, True, False, True])):
        rows = torch.arange(4)[index]
        part = data.subset(index)
        assert len(part) == len(rows) and part.name == data.name and part.mean == data.mean
        for name in ("images", "labels"):
            assert torch.equal(getattr(part, name), getattr(data, name)[rows])
        assert all(torch.equal(part.factors[name], data.factors[name][rows]) for name in data.factors)
    assert data.subset(slice(2)).images.data_ptr() == data.images.data_ptr()
    assert "4 images 5×6" in repr(data)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"images": torch.zeros(4, 3, 5, 6)}, "uint8"),
        ({"images": torch.zeros(4, 5, 6, 3, dtype=torch.uint8)}, r"\[N, 3, H, W\]"),
        ({"labels": torch.zeros(3, dtype=torch.int64)}, r"int64 \[4\]"),
        ({"labels": torch.zeros(4)}, "float32"),
        ({"factors": {"x": torch.zeros(5)}}, "x has 5 rows for 4"),
    ],
)
def test_image_data_refuses_what_does_not_fit(change, words):
    fields = {name: getattr(small(), name) for name in ImageData.__dataclass_fields__}
    with pytest.raises(ValueError, match=words):
        ImageData(**{**fields, **change})


# --- CIFAR-10 on the disk -----------------------------------------------------------------------------------


def test_binary_layout(place):
    content = records()
    write_binary(place, content)
    assert find_cifar10() == place / BINARY
    check_splits(content)


def test_python_layout(place, monkeypatch):
    content = records(1)
    write_python(place, content, monkeypatch)
    assert find_cifar10() == place / PYTHON
    check_splits(content)


def test_python_layout_through_a_link(place, monkeypatch, tmp_path):
    content = records(2)
    write_python(tmp_path / "elsewhere", content, monkeypatch)
    place.mkdir()
    (tmp_path / "elsewhere" / PYTHON).rename(tmp_path / "elsewhere" / "renamed")
    try:
        (place / PYTHON).symlink_to(tmp_path / "elsewhere" / "renamed", target_is_directory=True)
    except OSError:
        pytest.skip("this system lets no ordinary user make links")
    check_splits(content)


def test_files_are_read_once_and_shared(place, monkeypatch):
    write_binary(place, records())
    reads = []
    original = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: reads.append(path.name) or original(path))
    train, heldout, again = cifar10("train"), cifar10("heldout"), cifar10("train")
    assert len(reads) == 5
    assert again.images.data_ptr() == train.images.data_ptr()
    assert heldout.images.data_ptr() == train.images.data_ptr() + train.images.numel()


def test_unknown_split(place):
    with pytest.raises(ValueError, match="'validation'.*'train', 'heldout' or 'test'"):
        cifar10("validation")


def damage_short(path):
    path.write_bytes(path.read_bytes()[:-1])


def damage_long(path):
    path.write_bytes(path.read_bytes() + b"\0")


def damage_foreign(path):  # the right length, but no CIFAR-10: text
    path.write_bytes(b"a" * path.stat().st_size)


@pytest.mark.parametrize("damage", [damage_short, damage_long, damage_foreign, Path.unlink])
@pytest.mark.parametrize("layout", [PYTHON, BINARY])
def test_damaged_files_are_named(place, monkeypatch, layout, damage):
    if layout == PYTHON:
        write_python(place, records(), monkeypatch)
    else:
        write_binary(place, records())
    path = place / layout / ("data_batch_3" + ("" if layout == PYTHON else ".bin"))
    whole = path.read_bytes()
    damage(path)
    with pytest.raises(DataCorrupt) as error:
        cifar10("train")
    text = str(error.value)
    assert text.startswith(str(path)) and "expected" in text and "found" in text
    assert f"Delete the folder {path.parent}" in text and "python -m minijepa.datasets" in text
    if damage is Path.unlink:
        assert "no such file" in text
    elif layout == BINARY and damage is not damage_foreign:
        assert f"{FEW * 3073:,} bytes" in text and f"{path.stat().st_size:,} bytes" in text
    with pytest.raises(DataCorrupt):  # not taken for CIFAR-10's absence
        course_data(1, 1)
    path.write_bytes(whole)
    assert len(cifar10("train")) == 4 * FEW  # repaired: the error was not kept


def test_a_foreign_pickle_is_never_opened(place, monkeypatch, tmp_path):
    write_python(place, records(), monkeypatch)
    trace = tmp_path / "opened"

    class Bomb:
        def __reduce__(self):
            return (Path.touch, (trace,))

    (place / PYTHON / "data_batch_2").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(DataCorrupt, match="data_batch_2"):
        cifar10("train")
    assert not trace.exists()


def test_label_in_a_later_record_is_located(place):
    write_binary(place, records())
    path = place / BINARY / "test_batch.bin"
    raw = bytearray(path.read_bytes())
    raw[4 * 3073] = 10
    path.write_bytes(raw)
    with pytest.raises(DataCorrupt, match="0 to 9.*found 10 in record 4"):
        cifar10("test")


def test_places(monkeypatch, tmp_path):
    monkeypatch.delenv("MINIJEPA_DATA", raising=False)
    assert cifar.places() == [REPO / "data"] or not (REPO / "pyproject.toml").is_file()
    monkeypatch.setenv("MINIJEPA_DATA", str(tmp_path))
    assert cifar.places()[0] == tmp_path and cifar.places()[1:] == cifar.places()[-1:]
    (tmp_path / BINARY).mkdir()
    assert find_cifar10() == tmp_path / BINARY
    (tmp_path / PYTHON).mkdir()
    assert find_cifar10() == tmp_path / PYTHON  # the one whose sums are known comes first


@pytest.mark.skipif(find_cifar10() is None, reason="CIFAR-10 is not on this machine")
def test_the_real_files():
    train, heldout = cifar10("train"), cifar10("heldout")
    assert (len(train), len(heldout)) == (40_000, 10_000)
    count = torch.bincount(train.labels, minlength=10) + torch.bincount(heldout.labels, minlength=10)
    assert count.tolist() == [5000] * 10
    sums = torch.zeros(3)
    for part in (train, heldout):
        sums += part.images.sum((0, 2, 3)) / (50_000 * 1024 * 255)
    assert torch.allclose(sums, torch.tensor(train.mean), atol=2e-4)
    x = heldout.batch()
    assert x.mean((0, 2, 3)).abs().max() < 0.02 and (x.std((0, 2, 3)) - 1).abs().max() < 0.02
    if find_cifar10().name == BINARY:
        raw = (find_cifar10() / "data_batch_1.bin").read_bytes()
        want = collections.Counter(raw[::3073])
        assert torch.bincount(train.labels[:10_000]).tolist() == [want[label] for label in range(10)]
        assert train.images[0].sum((1, 2)).tolist() == [sum(raw[1 + 1024 * c : 1025 + 1024 * c]) for c in range(3)]


# --- no network, downloads ----------------------------------------------------------------------------------


def test_offline_and_download_false_are_named(place, monkeypatch):
    with pytest.raises(DataUnavailable, match="MINIJEPA_OFFLINE") as error:
        cifar10("train")
    for words in (str(place), PYTHON, BINARY, "MINIJEPA_DATA"):
        assert words in str(error.value)
    monkeypatch.setenv("MINIJEPA_OFFLINE", "0")
    with pytest.raises(DataUnavailable, match="download=False"):
        cifar10("train", download=False)
    assert not place.exists()  # nothing was made


class Site(http.server.BaseHTTPRequestHandler):
    """Answers with `body`, or badly in the way `manner` says."""

    body, manner = b"", "whole"

    def do_GET(self):
        if self.manner == "silent":
            self.server.patience.wait(20)
            return
        if self.manner == "missing":
            return self.send_error(404)
        body = self.body if self.manner != "foreign" else b"<html>please log in</html>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if self.manner == "cut" else body)

    def log_message(self, *args):
        pass


@pytest.fixture
def site(place, monkeypatch, tmp_path):
    """A small CIFAR-10 archive behind a server on this machine, in the place of the official one."""
    content = records(3)
    write_python(tmp_path / "made", content, monkeypatch)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.add(tmp_path / "made" / PYTHON, PYTHON)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.patience = threading.Event()
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/cifar-10-python.tar.gz"
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "url", url)
    md5 = hashlib.md5(buffer.getvalue()).hexdigest()
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "tgz_md5", md5)
    monkeypatch.setattr(Site, "body", buffer.getvalue())
    monkeypatch.setattr(Site, "manner", "whole")
    monkeypatch.setenv("MINIJEPA_OFFLINE", "")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield content
    server.patience.set()
    server.shutdown()
    server.server_close()


def test_download(place, site, capfd):
    assert cifar10("train").images.shape == (4 * FEW, 3, 32, 32)
    check_splits(site)
    assert [path.name for path in place.iterdir()] == [PYTHON]  # no archive, no temporary folder
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "manner, words",
    [("cut", "corrupted"), ("foreign", "corrupted"), ("missing", "404"), ("silent", "timed out")],
)
def test_a_failed_download_leaves_nothing(place, site, manner, words, monkeypatch, capfd):
    monkeypatch.setattr(Site, "manner", manner)
    monkeypatch.setattr(download, "TIMEOUT", 0.3)
    with pytest.raises(DataUnavailable, match=f"download failed.*{words}.*MINIJEPA_DATA"):
        cifar10("train")
    assert list(place.iterdir()) == []
    assert find_cifar10() is None
    assert capfd.readouterr() == ("", "")
    monkeypatch.setattr(Site, "manner", "whole")
    monkeypatch.setattr(download, "TIMEOUT", 10.0)
    check_splits(site)  # the next attempt is not hindered


def test_no_server_answers(place, site, monkeypatch):
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "url", "http://127.0.0.1:9/cifar-10-python.tar.gz")
    with pytest.raises(DataUnavailable, match="URLError"):
        cifar10("heldout")


def test_a_killed_download_is_not_taken_for_a_whole_one(place, site):
    """A process dies after unpacking half of the files; nothing of it is used, its remains are removed."""
    place.mkdir()
    script = """
import os, sys, torchvision.datasets
from pathlib import Path
from minijepa.datasets import download
class Dies:
    def __init__(self, root, download):
        (root / "cifar-10-python.tar.gz").write_bytes(b"half")
        (root / "cifar-10-batches-py").mkdir()
        (root / "cifar-10-batches-py" / "data_batch_1").write_bytes(b"whole")
        os._exit(9)
torchvision.datasets.CIFAR10 = Dies
download.download_cifar10([Path(sys.argv[1])], "cifar-10-batches-py")
"""
    dead = subprocess.run([sys.executable, "-c", script, str(place)], cwd=REPO)
    assert dead.returncode == 9
    (remains,) = place.iterdir()
    assert find_cifar10() is None
    check_splits(site)  # downloads anew
    assert remains.exists()  # young: it might be another process at work
    old = time.time() - 2 * download.IDLE
    for path in (*remains.iterdir(), remains):
        os.utime(path, (old, old))
    cifar.read.cache_clear()
    check_splits(site)
    assert [path.name for path in place.iterdir()] == [PYTHON]


def test_the_first_folder_that_can_be_written_is_taken(site, tmp_path):
    blocked = tmp_path / "a file"
    blocked.write_text("")
    assert download.download_cifar10([blocked / "data", tmp_path / "free"], PYTHON) == tmp_path / "free" / PYTHON
    with pytest.raises(OSError):
        download.download_cifar10([blocked / "data"], PYTHON)


def test_another_process_may_finish_first(place, site, monkeypatch):
    class Slow(torchvision.datasets.CIFAR10):
        def __init__(self, root, **options):
            super().__init__(root, **options)
            if not (place / PYTHON).exists():
                download_by_another()

    def download_by_another():
        monkeypatch.setattr(torchvision.datasets, "CIFAR10", Slow.__mro__[1])
        download.download_cifar10([place], PYTHON)

    monkeypatch.setattr(torchvision.datasets, "CIFAR10", Slow)
    check_splits(site)
    assert [path.name for path in place.iterdir()] == [PYTHON]


def test_the_progress_bar_is_for_people(place, site, capfd, monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "a notebook")
    cifar10("train")
    assert "100%" in capfd.readouterr().err


# --- folders of images --------------------------------------------------------------------------------------


def picture(seed, width=32, height=32):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def test_folder_of_classes(tmp_path):
    pixels = {"dogs/b.png": 0, "dogs/a.png": 1, "cats/deep/c.PNG": 2, "cats/d.bmp": 3}
    for name, seed in pixels.items():
        save(tmp_path / name, picture(seed))
    (tmp_path / "dogs" / "notes.txt").write_text("not an image by its name")
    (tmp_path / "empty").mkdir()
    data = image_folder(tmp_path)
    assert data.classes == ("cats", "dogs") and data.labels.tolist() == [0, 0, 1, 1]
    assert data.name == tmp_path.name
    order = [3, 2, 1, 0]  # sorted by path within each class
    stack = np.stack([picture(seed) for seed in order])
    assert np.array_equal(data.images.permute(0, 2, 3, 1).numpy(), stack)  # right size: pixels untouched
    assert np.allclose(data.mean, stack.reshape(-1, 3).mean(0) / 255)
    assert np.allclose(data.std, stack.reshape(-1, 3).std(0) / 255)


def test_flat_folder_resize_and_crop(tmp_path):
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = (250, 100, 50)  # the centre square
    save(tmp_path / "wide.png", wide)
    Image.fromarray(wide[:, :, 0]).convert("L").save(tmp_path / "x_grey.png")
    Image.fromarray(wide).convert("P").save(tmp_path / "y_palette.png")
    data = image_folder(tmp_path, size=10)
    assert data.images.shape == (3, 3, 10, 10)
    assert data.classes == (tmp_path.name,) and data.labels.tolist() == [0, 0, 0]
    inner = data.images[0, :, :, 1:-1]
    assert (inner == torch.tensor([250, 100, 50]).view(3, 1, 1)).all()
    assert (data.images[1] == data.images[1][:1]).all()  # grey becomes three equal channels


def test_orientation_from_the_camera_is_applied(tmp_path):
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:4] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was rotated: show it a quarter clockwise
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    image = image_folder(tmp_path, size=8).images[0, 0]
    assert (image[:, 4:] == 255).all() and (image[:, :4] == 0).all()


def test_limit_spreads_over_the_classes(tmp_path):
    for name in ("a", "b", "c"):
        for i in range(6):
            save(tmp_path / name / f"{i}.png", picture(i, 8, 8))
    data = image_folder(tmp_path, size=8, limit=6)
    assert torch.bincount(data.labels).tolist() == [2, 2, 2]
    assert len(image_folder(tmp_path, size=8, limit=99)) == 18


def test_flat_images_of_one_colour_can_be_normalised(tmp_path):
    save(tmp_path / "a.png", np.full((8, 8, 3), 7, np.uint8))
    with pytest.warns(UserWarning, match="1 of 1 images show one colour"):
        assert torch.isfinite(image_folder(tmp_path, size=8).batch()).all()


@pytest.mark.parametrize("content", [b"", b"no image at all", None])
def test_an_unreadable_image_is_named(tmp_path, content):
    save(tmp_path / "good.jpg", picture(0, 64, 64))
    whole = (tmp_path / "good.jpg").read_bytes()
    (tmp_path / "bad.jpg").write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(DataCorrupt, match=r"bad\.jpg.*delete it or replace it"):
        image_folder(tmp_path)


def test_folders_that_hold_no_data_set(tmp_path):
    with pytest.raises(ValueError, match="found nothing"):
        image_folder(tmp_path / "none")
    with pytest.raises(ValueError, match="no image in this folder.*png"):
        image_folder(tmp_path)
    save(tmp_path / "cats" / "a.png", picture(0))
    save(tmp_path / "stray.png", picture(1))
    with pytest.raises(ValueError, match=r"stray\.png.*next to the class folders cats"):
        image_folder(tmp_path)
    with pytest.raises(ValueError, match="found a file"):
        image_folder(tmp_path / "stray.png")
    with pytest.raises(ValueError, match="size is 0"):
        image_folder(tmp_path, size=0)
    with pytest.raises(ValueError, match="limit is 0"):
        image_folder(tmp_path, limit=0)


# --- what the course calls ----------------------------------------------------------------------------------


def test_course_data_with_cifar(place, capsys):
    content = records()
    write_binary(place, content)
    train, heldout = course_data(train=10, heldout=4)
    assert capsys.readouterr().out == "data in use: CIFAR-10, 10 training and 4 held-out images\n"
    want = np.concatenate([content[name][1] for name in NAMES[:4]])[:10]
    assert np.array_equal(train.images.numpy(), want)
    assert np.array_equal(heldout.images.numpy(), content["data_batch_5"][1][:4])


def test_course_data_without(place, capsys):
    train, heldout = course_data(train=300, heldout=100)
    out, err = capsys.readouterr()
    assert out.startswith("data in use: ShapeWorld") and out.count("\n") == 1 and err == ""
    assert "MINIJEPA_DATA" in out and "python -m minijepa.datasets" in out and str(place) not in out
    assert (len(train), len(heldout)) == (300, 100)
    assert train.images.shape[1:] == (3, 32, 32) and len(train.classes) == 10
    assert train.mean == heldout.mean and train.std == heldout.std
    both = torch.cat([train.images, heldout.images]).flatten(1)
    assert len(torch.unique(both, dim=0)) == 400  # nothing held out is trained on


@pytest.mark.parametrize("counts", [(0, 1), (1, 0), (40_001, 1), (1, 10_001)])
def test_course_data_counts(place, counts, capsys):
    with pytest.raises(ValueError, match="expected 1 to"):
        course_data(*counts)
    assert capsys.readouterr().out == ""


def test_load_by_name(place, tmp_path):
    with pytest.raises(DataUnavailable):
        load("cifar10")
    train, heldout = load("shapeworld", train=30, heldout=20, size=24, seed=4)
    assert train.images.shape == (30, 3, 24, 24) and len(heldout) == 20
    assert torch.equal(train.images, datasets.shapeworld(30, seed=4, size=24, colour="grey").images)
    assert not torch.equal(train.images[:20], heldout.images)
    write_binary(place, records())
    assert [len(part) for part in load("cifar10")] == [4 * FEW, FEW]
    assert [len(part) for part in load("cifar10", train=5, heldout=2)] == [5, 2]
    with pytest.raises(ValueError, match="size is 24; CIFAR-10"):
        load("cifar10", size=24)
    with pytest.raises(ValueError, match="'cifar100'; expected 'cifar10', 'shapeworld' or the path"):
        load("cifar100")
    with pytest.raises(ValueError, match="train is 0"):
        load("shapeworld", train=0)


def test_load_splits_a_folder(place, tmp_path):
    for i in range(23):
        pixels = np.full((8, 8, 3), i, np.uint8)
        pixels[4:] = 255
        save(tmp_path / "mine" / "ab"[i % 2] / f"{i}.png", pixels)
    train, heldout = load(tmp_path / "mine", size=8, seed=1)
    assert (len(train), len(heldout)) == (19, 4)
    values = [part.images[:, 0, 0, 0].tolist() for part in (train, heldout)]
    assert sorted(values[0] + values[1]) == list(range(23))
    for part, shades in zip((train, heldout), values, strict=True):
        assert part.labels.tolist() == [shade % 2 for shade in shades]
    again = load(str(tmp_path / "mine"), size=8, seed=1)
    assert torch.equal(again[0].images, train.images)
    assert not torch.equal(load(tmp_path / "mine", size=8, seed=2)[0].images, train.images)
    for i in range(4):
        save(tmp_path / "few" / f"{i}.png", picture(i, 8, 8))
    with pytest.raises(ValueError, match="4 images.*at least 5"):
        load(tmp_path / "few", size=8)


@settings(max_examples=20)
@given(st.integers(1, 60), st.integers(1, 60))
def test_limits_are_upper_bounds(train, heldout):
    parts = load("shapeworld", train=train, heldout=heldout, size=16)
    assert [len(part) for part in parts] == [train, heldout]


def test_the_command(place, capsys, monkeypatch):
    assert command.main() == 0
    out, err = capsys.readouterr()
    photographs, recordings = out.splitlines()
    assert "MINIJEPA_OFFLINE" in photographs and "ShapeWorld" in photographs and err == ""
    assert "MINIJEPA_OFFLINE" in recordings and "synthetic words" in recordings
    write_binary(place, records())
    assert command.main() == 0
    out = capsys.readouterr().out
    assert out.startswith(f"CIFAR-10 is ready in {place / BINARY}: 24 training, 6 held-out and 6 test images.\n")
    damage_short(place / BINARY / "test_batch.bin")
    cifar.read.cache_clear()
    assert command.main() == 1
    out, err = capsys.readouterr()
    assert "CIFAR-10" not in out and "test_batch.bin" in err


def test_importing_is_cheap():
    """torchvision and PIL are loaded where they are used, so that `import minijepa` stays quick."""
    script = "import sys, minijepa.datasets; sys.exit('torchvision' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=REPO).returncode == 0
