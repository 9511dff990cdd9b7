"""Images as people have them: deep grey, rotated, transparent, huge, broken; read alike by everything that reads.

Each test goes through all four readers: image_folder, LoaderData for probes, LoaderData for training, and
video_folder for a folder of frames. Files are written by Pillow or, where it writes no such file, byte by byte.
"""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, JpegImagePlugin

from minijepa.datasets import DataCorrupt, denormalise, image_folder, video_folder
from minijepa.datasets.loader import LoaderData

RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)  # every grey level once


def in_memory(root, size):
    return image_folder(root, size).images


def whole_images(root, size):
    data = LoaderData(root, size, workers=0)
    return denormalise(data.batch(), data.mean, data.std)


def training_crops(root, size):
    """Crops that are the whole of a square image, as `fit` gets them."""
    data = LoaderData(root, size, workers=0, scale=(1, 1), aspect=(1, 1), flip=False)
    return torch.stack([data[0, i][2] for i in range(len(data))])


def frames(root, size):
    return video_folder(root, size, frames=1).clips[:, :, 0]


READERS = [in_memory, whole_images, training_crops, frames]


@pytest.fixture(params=READERS, ids=lambda reader: reader.__name__)
def read(request, tmp_path):
    """Read the one image in tmp_path/clip: uint8 [3, size, size] as numbers."""
    return lambda size=16: request.param(tmp_path, size)[0].numpy()


@pytest.fixture
def place(tmp_path):
    (tmp_path / "clip").mkdir()
    return tmp_path / "clip"


def tiff(values, bits, order="<", photometric=1, kind=1, extra=()):
    """An uncompressed greyscale TIFF 6.0 file. values: bytes; extra: (tag, type, value) of single entries."""
    short, long = 3, 4
    entries = [(256, short, 16), (257, short, 16), (258, short, bits), (259, short, 1), (262, short, photometric)]
    entries += [(273, long, 8), (277, short, 1), (278, short, 16), (279, long, len(values)), (339, short, kind), *extra]
    codes = {short: "Hxx", long: "I", 11: "f"}
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8 + len(values))
    table = b"".join(struct.pack(f"{order}HHI{codes[t]}", tag, t, 1, value) for tag, t, value in sorted(entries))
    return head + values + struct.pack(order + "H", len(entries)) + table + struct.pack(order + "I", 0)


def pgm(values, most):
    return b"P5\n16 16\n%d\n" % most + values.astype(">u2").tobytes()


def png(values, **more):
    file = io.BytesIO()
    Image.fromarray(values).save(file, "png", **more)
    return file.getvalue()


def packed_12(values):
    """Two 12-bit numbers in three bytes, the high bits first."""
    a, b = values.reshape(-1, 2).astype(np.uint16).T
    return np.stack([a >> 4, (a & 15) << 4 | b >> 8, b & 255], 1).astype(np.uint8).tobytes()


DEEP = RAMP.astype(np.uint16) * 257  # 0 … 65535
DEEP_12 = RAMP.astype(np.uint16) * 16 + RAMP // 16  # 0 … 4095
FILES = {
    "16-bit PNG": ("a.png", png(DEEP)),
    "16-bit TIFF": ("a.tif", tiff(DEEP.astype("<u2").tobytes(), 16)),
    "16-bit TIFF, big-endian": ("a.tiff", tiff(DEEP.astype(">u2").tobytes(), 16, ">")),
    "16-bit TIFF, white is zero": ("a.tif", tiff((65535 - DEEP).astype("<u2").tobytes(), 16, photometric=0)),
    "12-bit TIFF": ("a.tif", tiff(packed_12(DEEP_12), 12)),
    "16-bit PGM": ("a.pgm", pgm(DEEP, 65535)),
    "12-bit PGM": ("a.pgm", pgm(DEEP_12, 4095)),
    "float TIFF that declares its range": (
        "a.tif",
        tiff((RAMP.astype("<f4") / 255 - 0.5).tobytes(), 32, kind=3, extra=[(340, 11, -0.5), (341, 11, 0.5)]),
    ),
}


@pytest.mark.parametrize("what", FILES)
def test_deep_grey_keeps_its_levels(place, read, what):
    name, content = FILES[what]
    (place / name).write_bytes(content)
    image = read()
    assert np.array_equal(image[0], RAMP) and (image == image[:1]).all()


def test_deep_grey_is_rounded_to_the_nearest_level(place, read):
    values = np.random.default_rng(0).integers(0, 65536, (16, 16)).astype(np.uint16)
    (place / "a.png").write_bytes(png(values))
    assert np.array_equal(read()[0], [[(2 * int(v) * 255 + 65535) // (2 * 65535) for v in row] for row in values])


@pytest.mark.parametrize(
    "content",
    [
        tiff(RAMP.astype("<f4").tobytes(), 32, kind=3),
        tiff(RAMP.astype("<i4").tobytes(), 32, kind=2),
        tiff(RAMP.astype("<i2").tobytes(), 16, kind=2),
        tiff(RAMP.astype("<f4").tobytes(), 32, kind=3, extra=[(340, 11, 1.0), (341, 11, 1.0)]),
    ],
    ids=["float", "32-bit", "signed", "an empty range"],
)
def test_numbers_without_a_known_black_and_white_are_refused(place, read, content):
    (place / "a.tif").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.tif.*which value is white.*8 or 16 bits"):
        read()


def test_holes_in_a_float_image_are_black(place, read):
    values = RAMP.astype("<f4")
    values[0, 5] = np.nan
    (place / "a.tif").write_bytes(tiff(values.tobytes(), 32, kind=3, extra=[(340, 11, 0.0), (341, 11, 255.0)]))
    want = RAMP.copy()
    want[0, 5] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(read()[0], want)


def test_deep_colour_keeps_its_levels(place, read):
    """Pillow takes the high byte of each sample itself."""
    rows = [b"\0" + np.repeat(DEEP[row], 3).astype(">u2").tobytes() for row in range(16)]

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 16, 16, 2, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(b"".join(rows)))
    (place / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + data + chunk(b"IEND", b""))
    assert np.array_equal(read(), np.stack([RAMP] * 3))


# what the number in the EXIF tag asks of the stored pixels (EXIF 2.3, tag 274: where row 0 and column 0 belong)
SHOWN = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.T,
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].T,
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("pixels", [RAMP, DEEP], ids=["8-bit", "16-bit"])
@pytest.mark.parametrize("kind", ["png", "tif"])
@pytest.mark.parametrize("number", SHOWN)
def test_orientation_from_the_camera(place, read, number, kind, pixels):
    exif = Image.Exif()
    exif[0x0112] = number
    Image.fromarray(pixels).save(place / f"a.{kind}", exif=exif)
    assert np.array_equal(read()[0], SHOWN[number](RAMP))


def palette(transparency):
    image = Image.new("P", (16, 16))
    image.putpalette([250, 0, 0, 0, 0, 250])
    image.paste(1, (8, 0, 16, 16))
    return image, {"transparency": transparency}


def hidden_red():
    """Red that is hidden on the left, blue that is seen on the right."""
    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[:, :8] = 250, 0, 0, 0
    pixels[:, 8:] = 0, 0, 250, 255
    return Image.fromarray(pixels), {}


def hidden_grey(dtype):
    pixels = np.full((16, 16), 7, dtype)
    pixels[:, 8:] = 0
    return Image.fromarray(pixels), {"transparency": 7}


TRANSPARENT = {
    "RGBA.png": hidden_red,
    "RGBA.webp": lambda: (hidden_red()[0], {"lossless": True, "exact": True}),
    "RGBA.tif": hidden_red,
    "LA.png": lambda: (hidden_red()[0].convert("LA"), {}),
    "a palette entry.png": lambda: palette(0),
    "palette alphas.png": lambda: palette(b"\0\xff"),
    "a colour.png": lambda: (palette(0)[0].convert("RGB"), {"transparency": (250, 0, 0)}),
    "a grey.png": lambda: hidden_grey(np.uint8),
    "a 16-bit grey.png": lambda: hidden_grey(np.uint16),
}


@pytest.mark.parametrize("name", TRANSPARENT)
def test_transparent_pixels_are_white_whatever_they_hide(place, read, name):
    image, more = TRANSPARENT[name]()
    image.save(place / name, **more)
    shown = read()
    assert (shown[:, :, :8] == 255).all() and (shown[:2, :, 8:] < 30).all()


def test_half_transparent_pixels_are_mixed_with_white(place, read):
    Image.new("RGBA", (16, 16), (200, 0, 100, 51)).save(place / "a.png")  # 51 / 255 is a fifth
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is of one colour
        assert np.abs(read()[:, 0, 0].astype(int) - [244, 204, 224]).max() <= 1


def test_palette_with_alpha():
    """Mode PA, which no file has but a GIF in the making."""
    from minijepa.datasets.open_image import to_rgb

    image = hidden_red()[0].convert("PA")
    assert to_rgb(image).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("content", [b"", b"no image at all", png(RAMP)[:-90], tiff(b"\0" * 256, 8)[:20]])
def test_broken_files_are_named(place, read, content):
    (place / "bad.png").write_bytes(content)
    warnings.simplefilter("ignore")  # Pillow's own, of the last one
    with pytest.raises(DataCorrupt, match=r"bad\.png.*delete it or replace it"):
        read()


def test_damaged_bytes_never_escape_as_a_foreign_error(place, read):
    """Single bytes changed at random: an image, or the file's name and the remedy."""
    random = np.random.default_rng(0)
    whole = {"a.png": png(RAMP), "a.tif": FILES["12-bit TIFF"][1], "a.pgm": FILES["16-bit PGM"][1]}
    for name, content in whole.items():
        for _ in range(60):
            damaged = bytearray(content)
            for at in random.integers(0, len(content), 3):
                damaged[at] = random.integers(0, 256)
            (place / name).write_bytes(damaged)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    read()
            except (DataCorrupt, ValueError) as error:
                assert name in str(error)
        (place / name).unlink()


def test_an_enormous_image_is_named(place, read, monkeypatch):
    (place / "huge.png").write_bytes(png(RAMP))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 127)  # 256 pixels are more than twice as many
    with pytest.raises(DataCorrupt, match=r"huge\.png.*256 pixels.*smaller copy"):
        read()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200)
    with pytest.warns(UserWarning, match=r"huge\.png.*16 x 16 pixels") as caught:
        assert np.array_equal(read()[0], RAMP)
    assert not [w for w in caught if "bomb" in str(w.message)]


def photograph(width, height):
    """Waves of all lengths in three colours: what a JPEG keeps well."""
    y, x = np.mgrid[:height, :width] / height
    waves = [np.sin(3 * x + 5 * y * y), np.sin(9 * x * y + 1), np.cos(20 * x) * np.sin(17 * y)]
    return Image.fromarray(np.stack([127 + 90 * w for w in waves], -1).astype(np.uint8))


def test_a_large_photograph_decoded_smaller_looks_the_same(place, read, monkeypatch):
    photograph(400, 400).save(place / "a.jpg", quality=92)
    sizes, draft = [], JpegImagePlugin.JpegImageFile.draft

    def watch(file, *arguments):
        draft(file, *arguments)
        sizes.append(file.size)

    monkeypatch.setattr(JpegImagePlugin.JpegImageFile, "draft", watch)
    small = read(32).astype(int)
    assert sizes == [(100, 100)]  # a quarter: an eighth would be less than twice the 32 pixels asked for
    monkeypatch.setattr(JpegImagePlugin.JpegImageFile, "draft", lambda *_: None)
    whole = read(32).astype(int)
    assert np.abs(small - whole).mean() < 1 and np.abs(small - whole).max() <= 6


def test_a_photograph_of_little_more_than_the_size_is_decoded_whole(place, read, monkeypatch):
    photograph(60, 60).save(place / "a.jpg", quality=92)
    image = read(32)
    monkeypatch.setattr(JpegImagePlugin.JpegImageFile, "draft", lambda *_: None)
    assert np.array_equal(image, read(32))


def test_images_of_one_colour_are_reported(place, read):
    Image.fromarray(RAMP).save(place / "b.png")
    Image.new("RGB", (16, 16), (9, 8, 7)).save(place / "a.png")
    with pytest.warns(UserWarning, match=r"one colour.*(a\.png|clip)"):
        read()


def test_an_image_without_red_is_not_of_one_colour(place, read):
    Image.fromarray(np.stack([RAMP * 0, RAMP, RAMP], -1)).save(place / "a.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read()


@pytest.mark.parametrize("reader", [in_memory, frames])
def test_how_many_are_of_one_colour(place, tmp_path, reader):
    for i in range(5):
        folder = place if reader is in_memory else tmp_path / f"clip{i}"
        folder.mkdir(exist_ok=True)
        pixels = RAMP if i == 2 else np.full((16, 16), i, np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    with pytest.warns(UserWarning, match="4 of 5"):
        reader(tmp_path, 16)
    for path in tmp_path.rglob("*.png"):
        Image.new("L", (16, 16), 255).save(path)
    with pytest.raises(ValueError, match=r"all 5 .* same colour, \(255, 255, 255\).*(0\.png|clip0)"):
        reader(tmp_path, 16)
