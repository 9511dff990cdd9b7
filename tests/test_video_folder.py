"""A folder of one's own clips: GIFs, folders of frames and videos, read frame by frame."""

import struct
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from minijepa.datasets.images import DataCorrupt
from minijepa.datasets.video_folder import video_folder

WITHOUT_AV = "reads videos with PyAV; `make test` installs it where it can be had, or pip install -e '.[oracles]'"


def frame(value, size=(40, 32)):
    """A flat grey picture: its value says which frame it is."""
    return Image.new("L", size, value)


def write_gif(path, count, start=0):
    first, *rest = [frame(start + 10 * i) for i in range(count)]
    first.save(path, save_all=True, append_images=rest, duration=50)


def write_frames(folder, count, start=0):
    folder.mkdir(parents=True)
    for i in range(count):
        frame(start + 10 * i).save(folder / f"{i:03}.png")


def values(data):
    """The grey value of each frame: [N, T] as lists."""
    clips = data.clips.float()
    assert (clips.flatten(3).amax(3) - clips.flatten(3).amin(3)).max() <= 2  # flat, as drawn
    return clips.mean((1, 3, 4)).round().long().tolist()


def test_gifs_and_frame_folders_in_class_folders(tmp_path):
    (tmp_path / "left").mkdir()
    write_gif(tmp_path / "left" / "a.gif", 8)
    write_frames(tmp_path / "right" / "b", 4, start=100)
    data = video_folder(tmp_path, size=16, frames=4)
    assert data.clips.shape == (3, 3, 4, 16, 16) and data.clips.dtype == torch.uint8
    assert values(data) == [[0, 10, 20, 30], [40, 50, 60, 70], [100, 110, 120, 130]]
    assert data.classes["class"] == ("left", "right") and data.labels["class"].tolist() == [0, 0, 1]
    assert data.factors["file"].tolist() == [0, 0, 1] and data.factors["first"].tolist() == [0, 4, 0]
    x = data.batch()
    assert abs(float(x.mean())) < 1e-4 and abs(float(x.var()) - 1) < 1e-2


def test_stride_and_length(tmp_path):
    write_gif(tmp_path / "a.gif", 9)
    data = video_folder(tmp_path, size=8, frames=2, stride=3)
    assert values(data) == [[0, 30]] and data.classes["class"] == (tmp_path.name,)
    assert values(video_folder(tmp_path, size=8, frames=2, stride=2)) == [[0, 20], [40, 60]]
    assert video_folder(tmp_path, size=8, frames=2, stride=2).factors["first"].tolist() == [0, 4]


def test_limit_takes_files_evenly(tmp_path):
    for i in range(6):
        write_gif(tmp_path / f"{i}.gif", 2, start=40 * i)
    assert [v[0] for v in values(video_folder(tmp_path, size=8, frames=2, limit=3))] == [0, 80, 160]


def test_the_centre_of_the_frame_is_kept(tmp_path):
    folder = tmp_path / "clip"
    folder.mkdir()
    for i in range(2):
        picture = Image.new("RGB", (60, 20), (0, 0, 0))
        picture.paste((255, 0, 0), (20, 0, 40, 20))  # the middle square is red
        picture.save(folder / f"{i}.png")
    with pytest.warns(UserWarning, match="one colour"):
        data = video_folder(tmp_path, size=20, frames=2)
    assert (data.clips[0, 0] == 255).all() and (data.clips[0, 1:] == 0).all()


def test_videos(tmp_path):
    av = pytest.importorskip("av", reason=WITHOUT_AV)
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        for i in range(6):
            picture = frame(20 + 30 * i, (48, 32)).convert("RGB")
            container.mux(stream.encode(av.VideoFrame.from_image(picture)))
        container.mux(stream.encode())
    data = video_folder(tmp_path, size=16, frames=3, stride=2)
    assert data.clips.shape == (1, 3, 3, 16, 16)
    assert all(abs(v - e) < 8 for v, e in zip(values(data)[0], [20, 80, 140], strict=True))


def test_a_video_without_the_decoder_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "a.mp4").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ImportError, match=r"a\.mp4.*pip install av"):
        video_folder(tmp_path)


def test_broken_files_are_named(tmp_path):
    (tmp_path / "broken.gif").write_bytes(b"GIF89a and then nothing")
    with pytest.raises(DataCorrupt, match=r"broken\.gif"):
        video_folder(tmp_path)
    (tmp_path / "broken.gif").unlink()
    write_frames(tmp_path / "clip", 3)
    (tmp_path / "clip" / "001.png").write_bytes(b"no picture")
    with pytest.raises(DataCorrupt, match=r"001\.png"):
        video_folder(tmp_path, frames=2)


def test_a_broken_video_is_named(tmp_path):
    pytest.importorskip("av", reason=WITHOUT_AV)
    (tmp_path / "a.mp4").write_bytes(b"no video at all")
    with pytest.raises(DataCorrupt, match=r"a\.mp4"):
        video_folder(tmp_path)


def test_folders_that_cannot_be_read(tmp_path):
    with pytest.raises(ValueError, match="gone.*nothing"):
        video_folder(tmp_path / "gone")
    with pytest.raises(ValueError, match="no clip"):
        video_folder(tmp_path)
    write_gif(tmp_path / "a.gif", 3)
    with pytest.raises(ValueError, match=r"a\.gif: 3 frames at stride 1, expected at least 8"):
        video_folder(tmp_path)
    (tmp_path / "class").mkdir()
    write_gif(tmp_path / "class" / "b.gif", 3)
    with pytest.raises(ValueError, match=r"a\.gif.*class folders class"):
        video_folder(tmp_path)
    for name in ("size", "frames", "stride", "limit"):
        with pytest.raises(ValueError, match=f"{name} is 0"):
            video_folder(tmp_path, **{name: 0})


# what a player shows of the stored pixels, as the first two rows of the display matrix (a b, c d) say
SHOWN = {
    (1, 0, 0, 1): lambda a: a,
    (0, 1, -1, 0): lambda a: np.rot90(a, -1),  # a phone held upright: a quarter clockwise
    (-1, 0, 0, -1): lambda a: a[::-1, ::-1],
    (0, -1, 1, 0): lambda a: np.rot90(a),
    (-1, 0, 0, 1): lambda a: a[:, ::-1],  # a mirrored selfie
    (1, 0, 0, -1): lambda a: a[::-1],
    (0, 1, 1, 0): lambda a: a.transpose(1, 0, 2),
    (0, -1, -1, 0): lambda a: a[::-1, ::-1].transpose(1, 0, 2),
}


def write_video(path, picture, count=2, matrix=None):
    """An mp4 of one picture [H, W, 3]; its display matrix is put where ISO 14496-12 has it, in the track's header."""
    av = pytest.importorskip("av", reason=WITHOUT_AV)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.height, stream.width, stream.pix_fmt = *picture.shape[:2], "yuv420p"
        stream.bit_rate = 10_000_000
        for _ in range(count):
            container.mux(stream.encode(av.VideoFrame.from_image(Image.fromarray(picture))))
        container.mux(stream.encode())
    if matrix:
        a, b, c, d = matrix
        content = bytearray(path.read_bytes())
        at = content.index(b"tkhd") + 44  # after version, flags, times, number, duration, layer and volume
        assert content[at : at + 4] == struct.pack(">i", 1 << 16)  # as PyAV wrote it: the identity
        content[at : at + 36] = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
        path.write_bytes(content)


@pytest.mark.parametrize("matrix", SHOWN)
def test_a_video_is_turned_as_a_player_turns_it(tmp_path, matrix):
    picture = np.full((64, 64, 3), 128, np.uint8)
    picture[:16, :16], picture[:16, -16:], picture[-16:, :16] = (250, 0, 0), (0, 250, 0), (0, 0, 250)
    write_video(tmp_path / "a.mp4", picture, matrix=matrix)
    shown = video_folder(tmp_path, size=64, frames=2).clips[0, :, 1].permute(1, 2, 0).numpy().astype(int)  # [H, W, 3]
    centres = [8, 32, 56]
    want = SHOWN[matrix](picture)[centres][:, centres].astype(int)
    assert np.abs(shown[centres][:, centres] - want).max() < 40


def test_a_file_of_only_sound_is_named(tmp_path):
    av = pytest.importorskip("av", reason=WITHOUT_AV)
    with av.open(str(tmp_path / "talk.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=16_000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 16_000
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    with pytest.raises(DataCorrupt, match=r"talk\.mp4.*without pictures"):
        video_folder(tmp_path)


def test_frames_are_in_the_order_of_their_numbers(tmp_path):
    (tmp_path / "clip").mkdir()
    for i in range(24):
        frame(10 * i).save(tmp_path / "clip" / f"{i}.png")
    assert values(video_folder(tmp_path, size=8, frames=24)) == [[10 * i for i in range(24)]]


def test_a_thumbnail_next_to_videos_makes_no_clip_of_their_folder(tmp_path):
    for name in ("left", "right"):
        (tmp_path / name).mkdir()
        write_gif(tmp_path / name / "a.gif", 4)
        frame(200).save(tmp_path / name / "thumbnail.jpg")
    data = video_folder(tmp_path, size=8, frames=4)
    assert data.classes["class"] == ("left", "right") and values(data) == [[0, 10, 20, 30]] * 2


def test_transparent_frames_of_a_gif_lie_on_white(tmp_path):
    first = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    first.paste((0, 0, 255, 255), (4, 0, 8, 8))
    first.save(tmp_path / "a.gif", save_all=True, append_images=[first.transpose(Image.Transpose.FLIP_LEFT_RIGHT)])
    clip = video_folder(tmp_path, size=8, frames=2).clips
    assert (clip[0, :, 0, :, :4] == 255).all() and (clip[0, :2, 0, :, 4:] == 0).all()
