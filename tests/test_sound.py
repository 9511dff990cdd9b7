"""Log-mel pictures, spoken words, time-frequency masks and A-JEPA, each against another computation."""

import hashlib
import http.server
import importlib
import io
import math
import threading
import wave
import zipfile

import numpy as np
import pytest
import torch
from helpers import planted, seeded
from hypothesis import given, settings
from hypothesis import strategies as st

from minijepa.datasets import (
    WORDS,
    DataCorrupt,
    DataUnavailable,
    at_random_times,
    audio,
    cifar,
    course_sound,
    find_spoken_digits,
    mel,
    spoken_digits,
    synthetic_words,
)
from minijepa.family import a_jepa
from minijepa.masking import Curriculum, time_frequency, time_frequency_masks
from minijepa.masking.sampling import Masks
from minijepa.plots import listen, sounds
from minijepa.vit import ViT

# the function of this name hides the module behind it
digits = importlib.import_module("minijepa.datasets.spoken_digits")


def noise(n=3, samples=1024, seed=0):
    return torch.randn(n, samples, generator=seeded(seed))


# --- pictures of sounds -----------------------------------------------------------------------------------


def mel_by_sums(sound, bands=32):
    """log_mel of one wave [S], from its definitions: a slow Fourier sum, and triangles as loops."""
    x = np.concatenate([sound.double().numpy(), np.zeros(128)])
    i, k = np.arange(256), np.arange(129)
    fourier = np.exp(-2j * np.pi * np.outer(k, i) / 256)  # [129, 256]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * i / 256)
    top = 2595 * math.log10(1 + 4000 / 700)
    corners = [700 * (10 ** (top * j / (bands + 1) / 2595) - 1) for j in range(bands + 2)]
    out = np.zeros((bands, len(sound) // 128))
    for t in range(out.shape[1]):
        power = abs(fourier @ (x[128 * t : 128 * t + 256] * hann)) ** 2
        for b in range(bands):
            low, middle, high = corners[b : b + 3]
            f = k * 8000 / 256
            triangle = np.where(f <= middle, (f - low) / (middle - low), (high - f) / (high - middle)).clip(0)
            out[b, t] = 10 * math.log10((triangle * power).sum() + 1e-4)
    return out


def test_log_mel_is_its_definition():
    x = 0.1 * noise(2, 640)
    ours = mel.log_mel(x)
    assert ours.shape == (2, 32, 5) and ours.dtype == torch.float32
    for wave_, picture in zip(x, ours, strict=True):
        assert np.abs(picture.numpy() - mel_by_sums(wave_)).max() < 1e-3  # decibels; float32 against float64


def test_the_transform_is_scipys():
    from scipy.signal import stft

    x = noise()
    ours = torch.fft.rfft(mel.frames(x))  # [N, T, 129]
    _, _, theirs = stft(x.numpy(), window="hann", nperseg=256, noverlap=128, boundary=None, padded=False)
    theirs = theirs * np.hanning(257)[:-1].sum()  # scipy divides by the sum of the window
    assert np.abs(ours.mT[..., :-1].numpy() - theirs).max() < 1e-4


def test_the_triangles_are_those_of_transformers():
    theirs = pytest.importorskip("transformers.audio_utils").mel_filter_bank(
        129, 32, 0.0, 4000.0, 8000, mel_scale="htk"
    )
    assert np.abs(mel.mel_filters().numpy().T - theirs).max() < 1e-4


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 3), st.integers(1, 20), st.integers(0, 99))
def test_overlap_add_undoes_frames_but_for_the_fade_in(n, t, seed):
    x = noise(n, 128 * t, seed)
    back = mel.overlap_add(mel.frames(x))
    assert back.shape == x.shape
    assert torch.allclose(back[:, 128:], x[:, 128:], atol=1e-5)
    fade = (torch.arange(128) * (math.pi / 256)).sin().square()
    assert torch.allclose(back[:, :128], x[:, :128] * fade, atol=1e-5)


def test_hiding_cells_takes_their_energy_out_and_leaves_the_others():
    time = torch.arange(8192) / 8000
    low, high = torch.sin(2 * math.pi * 300 * time), torch.sin(2 * math.pi * 2500 * time)
    hidden = torch.zeros(1, 32, 64, dtype=torch.bool)
    assert torch.allclose(mel.without((low + high)[None], hidden)[0, 128:], (low + high)[128:], atol=1e-5)
    hidden[:, 16:] = True  # above about 1,250 Hz
    left = mel.without((low + high)[None], hidden)[0]
    assert (left - low)[256:-256].abs().max() < 0.01  # at both ends a cut tone has all frequencies
    hidden[:] = False
    hidden[:, :, 20:30] = True
    left = mel.without((low + high)[None], hidden)[0]
    assert left[21 * 128 : 30 * 128].abs().max() < 1e-5 and left[32 * 128 :].abs().max() > 1


@pytest.mark.parametrize("shape", [(3, 1, 256), (3, 100), (3, 0)])
def test_waves_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match="multiple of 128"):
        mel.frames(torch.zeros(shape))
    with pytest.raises(ValueError, match="too many"):
        mel.mel_filters(bands=128)


def test_each_picture_is_standardised():
    data = synthetic_words(6)
    x = mel.log_mel_data(data)
    louder = mel.log_mel_data(type(data)(data.values * 3, data.labels, data.classes, data.name, data.factors))
    assert x.values.shape == (6, 1, 32, 64) and torch.equal(x.labels, data.labels)
    assert x.values.mean(dim=(1, 2, 3)).abs().max() < 1e-5
    assert torch.allclose(x.values.std(dim=(1, 2, 3)), torch.ones(6), atol=1e-4)
    assert (x.values - louder.values).abs().mean() < 0.1


# --- the synthesiser --------------------------------------------------------------------------------------


def test_pulses_are_the_sum_of_their_harmonics():
    pitch = torch.tensor([[100.0], [230.0]]).expand(2, 2048)
    angle = 2 * math.pi * pitch.double().cumsum(dim=1) / 8000
    for row, most, ours in zip(angle, (40, 17), audio.pulses(pitch), strict=True):
        by_sum = sum((k * row).cos() for k in range(1, most + 1))
        assert (ours - by_sum).abs().max() < 1e-3


def test_the_filter_peaks_at_the_formants():
    gain = audio.formant_filter(torch.tensor([[700.0, 1200.0, 2500.0]]))[0]
    peaks = [k for k in range(1, 128) if gain[k] > gain[k - 1] and gain[k] > gain[k + 1]]
    assert len(peaks) == 3 and all(abs(31.25 * k - f) < 32 for k, f in zip(peaks, (700, 1200, 2500), strict=True))
    f, centre, width = 1000.0, 700.0, 80.0
    one = abs(1 / (1 - (f / centre) ** 2 + 1j * f * width / centre**2))
    rest = [abs(1 / (1 - (f / c) ** 2 + 1j * f * b / c**2)) for c, b in ((1200, 100), (2500, 140))]
    assert gain[32] == pytest.approx(one * math.prod(rest) / math.sqrt(1 + (f / 500) ** 2), rel=1e-4)


def test_words_have_their_factors():
    data = synthetic_words(300, seed=2, speakers=4)
    f = data.factors
    assert data.values.shape == (300, 1, 8192) and data.classes == WORDS
    assert torch.equal(data.values[:70], synthetic_words(70, seed=2, speakers=4).values)
    assert not torch.equal(data.values[:5], synthetic_words(5, seed=3, speakers=4).values)
    assert set(data.labels.tolist()) == set(range(10)) and set(f["speaker"].tolist()) == set(range(4))
    for speaker in range(4):  # one throat, nearly one pitch
        mine = f["speaker"] == speaker
        assert f["throat"][mine].std() < 1e-6 and f["pitch"][mine].std() / f["pitch"][mine].mean() < 0.05
    waves = data.values[:, 0]
    for i in range(20):
        end = f["length"][i]
        assert waves[i, end + 256 :].square().mean().sqrt() < 0.003
        level = 20 * (waves[i, :end].square().mean().sqrt() / audio.LEVEL).log10()
        assert abs(level - f["loudness"][i]) < 0.5


def test_the_pitch_is_heard_as_the_distance_of_the_pulses():
    data = synthetic_words(12, seed=1)
    for x, pitch, length in zip(data.values[:, 0], data.factors["pitch"], data.factors["length"], strict=True):
        middle = x[length // 2 - 512 : length // 2 + 512]
        spectrum = torch.fft.rfft(middle, n=4096).abs().square()
        period = torch.fft.irfft(spectrum)[30:100].argmax() + 30  # the highest peak of the autocorrelation
        assert abs(8000 / period - pitch) < 0.06 * pitch or abs(16000 / period - pitch) < 0.06 * pitch


def test_a_longer_throat_lowers_all_formants_and_words_are_paths():
    word = {"word": torch.tensor([0, 0]), "jitter": torch.ones(2, 2, 3), "throat": torch.tensor([1.0, 1.2])}
    path = audio.formants(word, torch.tensor([[0.0, 0.5, 1.0]] * 2))  # [2, 3, 3]
    assert torch.allclose(path[0, 0], torch.tensor(audio.VOWELS["a"])) and torch.allclose(
        path[0] / path[1], torch.tensor(1.2)
    )
    assert torch.allclose(path[0, 2], torch.tensor(audio.VOWELS["i"])) and torch.allclose(
        path[0, 1], (path[0, 0] * path[0, 2]).sqrt()
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 999))
def test_sounds_move_as_a_whole(seed):
    data = synthetic_words(8)
    moved = at_random_times(data, seed=seed)
    for a, b, start, length in zip(
        data.values[:, 0], moved.values[:, 0], moved.factors["start"], data.factors["length"], strict=True
    ):
        assert 0 <= start <= 8192 - length
        assert torch.equal(b.roll(-int(start)), a)
    assert data.factors["start"].eq(0).all()  # the original stays
    if moved.factors["start"].any():
        with pytest.raises(ValueError, match="as they were loaded"):
            at_random_times(moved)


def test_requests_that_cannot_be_met():
    for wrong in ({"n": 0}, {"n": 3, "seed": -1}, {"n": 3, "speakers": 1}):
        with pytest.raises(ValueError, match="expected"):
            synthetic_words(**wrong)


# --- spoken digits ----------------------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder for data, and a data set of two takes of two speakers in the place of the real one."""
    monkeypatch.setenv("MINIJEPA_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("MINIJEPA_OFFLINE", "1")
    monkeypatch.setattr(cifar, "places", lambda: [tmp_path / "data"])
    monkeypatch.setattr(digits, "TAKES", 2)
    monkeypatch.setattr(digits, "SPEAKERS", ("ann", "bob"))
    files = {name: recording(1000 + 300 * i, i) for i, name in enumerate(digits.names())}
    total = hashlib.sha256()
    for name, content in files.items():
        total.update(f"{name} {len(content)}\n".encode() + content)
    monkeypatch.setattr(digits, "SHA256", total.hexdigest())
    digits.read.cache_clear()
    yield tmp_path / "data", files
    digits.read.cache_clear()


def recording(samples, seed, rate=8000):
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        values = (torch.randn(samples, generator=seeded(seed)) * 1000 + 50).to(torch.int16)
        out.writeframes(values.numpy().astype("<i2").tobytes())
    return file.getvalue()


def write(place, files):
    folder = place / digits.FOLDER / digits.INSIDE
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def test_recordings_are_read_in_order(place):
    folder = write(*place)
    data = spoken_digits()
    assert find_spoken_digits() == folder and data.values.shape == (40, 1, 8192)
    for i, name in enumerate(place[1]):
        digit, speaker, take = name[:-4].split("_")
        row = [int(data.labels[i])] + [int(data.factors[key][i]) for key in ("speaker", "take", "length", "start")]
        assert row == [int(digit), ("ann", "bob").index(speaker), int(take), min(1000 + 300 * i, 8192), 0]
        sound = data.values[i, 0, : row[3]]
        if row[3] < 8192:
            assert sound.square().mean().sqrt() == pytest.approx(0.1, rel=1e-3) and abs(sound.mean()) < 1e-5
            assert data.values[i, 0, row[3] :].eq(0).all()
    with wave.open(io.BytesIO(place[1]["3_bob_1.wav"])) as file:
        original = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(float)
    i = list(place[1]).index("3_bob_1.wav")
    assert np.corrcoef(original[:8192], data.values[i, 0, : len(original)].numpy())[0, 1] > 0.99999


@pytest.mark.parametrize(
    "damage, words",
    [
        (lambda folder: (folder / "4_ann_1.wav").unlink(), "4_ann_1.wav: expected a recording, found no such file"),
        (lambda folder: (folder / "4_eve_1.wav").write_bytes(b""), "4_eve_1.wav: expected no such file"),
        (lambda folder: (folder / "4_ann_1.wav").write_bytes(recording(900, 1)), "at least one that differs"),
        (lambda folder: (folder / "4_ann_1.wav").write_bytes(b"RIFF"), "at least one that differs"),
    ],
)
def test_damaged_recordings_are_named(place, damage, words):
    damage(write(*place))
    with pytest.raises(DataCorrupt, match=words + ".*python -m minijepa.datasets"):
        spoken_digits()


def test_another_format_is_named(place, tmp_path):
    (tmp_path / "x.wav").write_bytes(recording(100, 0, rate=16_000))
    with pytest.raises(DataCorrupt, match="expected 8000 Hz"):
        digits.samples_of(tmp_path / "x.wav")


def test_offline_and_download_false(place, monkeypatch, capsys):
    with pytest.raises(DataUnavailable, match="MINIJEPA_OFFLINE forbids"):
        spoken_digits()
    monkeypatch.setenv("MINIJEPA_OFFLINE", "0")
    with pytest.raises(DataUnavailable, match="download=False"):
        spoken_digits(download=False)


class Site(http.server.BaseHTTPRequestHandler):
    """Answers every request with `body`."""

    body = b""

    def do_GET(self):
        self.send_response(200 if self.body else 404)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *args):
        pass


@pytest.fixture
def site(place, monkeypatch):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("fsdd-1/README.md", "digits")
        archive.writestr("fsdd-1/../../recordings/evil.wav", "no")
        for name, content in place[1].items():
            archive.writestr(f"fsdd-1/recordings/{name}", content)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    monkeypatch.setattr(digits, "URL", f"http://127.0.0.1:{server.server_port}/x.zip")
    monkeypatch.setattr(Site, "body", buffer.getvalue())
    monkeypatch.setenv("MINIJEPA_OFFLINE", "")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield place
    server.shutdown()
    server.server_close()


def test_download(site):
    data = spoken_digits()
    place, files = site
    assert len(data) == 40 and [path.name for path in place.iterdir()] == [digits.FOLDER]
    assert {path.name for path in (place / digits.FOLDER / digits.INSIDE).iterdir()} == set(files)


def test_a_failed_download_leaves_nothing(site, monkeypatch):
    place, whole = site[0], Site.body
    other = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as old, zipfile.ZipFile(other, "w") as new:
        for name in old.namelist():
            new.writestr(name, b"x" if name.endswith("9_bob_1.wav") else old.read(name))
    for body, words in ((b"", "404"), (b"<html>log in</html>", "BadZipFile"), (other.getvalue(), "SHA-256")):
        monkeypatch.setattr(Site, "body", body)
        with pytest.raises(DataUnavailable, match=f"download failed.*{words}.*MINIJEPA_DATA"):
            spoken_digits()
        assert list(place.iterdir()) == [] and find_spoken_digits() is None
    monkeypatch.setattr(Site, "body", whole)
    assert len(spoken_digits()) == 40  # the next attempt is not hindered


def test_another_process_may_finish_first(site, monkeypatch):
    place, files = site
    replace = digits.os.replace

    def late(source, target):
        write(place, files)
        replace(source, target)

    monkeypatch.setattr(digits.os, "replace", late)
    assert len(spoken_digits()) == 40


def test_course_sound_says_which_data(place, monkeypatch, capsys):
    monkeypatch.setattr("minijepa.datasets.course.synthetic_words", lambda n: synthetic_words(10))
    assert len(course_sound()) == 10
    out = capsys.readouterr().out
    assert out.startswith("data in use: synthetic words") and out.count("\n") == 1 and "MINIJEPA_DATA" in out
    write(*place)
    assert len(course_sound()) == 40
    assert capsys.readouterr().out.startswith("data in use: Free Spoken Digit Dataset,")


def test_the_real_recordings():
    if find_spoken_digits() is None:
        pytest.skip("the Free Spoken Digit Dataset is not on this machine")
    digits.read.cache_clear()
    data = spoken_digits()
    assert data.values.shape == (3000, 1, 8192) and data.labels.bincount().tolist() == [300] * 10
    assert data.factors["speaker"].bincount().tolist() == [500] * 6
    assert (data.factors["length"] == 8192).sum() == 17
    first = data.subset(slice(60))
    assert first.factors["take"].eq(0).all() and first.labels.bincount().tolist() == [6] * 10


# --- masks ------------------------------------------------------------------------------------------------


def is_rectangle(index, grid):
    """Whether tokens are whole neighbouring columns, or whole neighbouring rows, of the grid."""
    rows, columns = grid
    places = [divmod(i, columns) for i in index]
    r, c = sorted({p[0] for p in places}), sorted({p[1] for p in places})
    whole = len(places) == len(r) * len(c) and (len(r) == rows or len(c) == columns)
    return whole and r == list(range(r[0], r[-1] + 1)) and c == list(range(c[0], c[-1] + 1))


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_time_frequency_masks_keep_their_promises(data):
    grid = data.draw(st.integers(2, 8)), data.draw(st.integers(2, 12))
    n = grid[0] * grid[1]
    low = data.draw(st.floats(0.01, 0.4))
    scale = low, data.draw(st.floats(low, 0.45))
    batch, m, seed = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 4)), data.draw(st.integers(0, 999))
    largest = max(math.prod(time_frequency.size_of(kind, grid, scale[1])) for kind in ("moments", "bands"))
    keep = data.draw(st.none() | st.integers(1, n - largest)) if largest < n else None
    try:
        masks = time_frequency_masks(
            batch, grid, n_targets=m, target_scale=scale, context_keep=keep, generator=seeded(seed)
        )
    except ValueError:
        assert largest + (keep or max(1, n // 16)) > n
        return
    assert largest + (keep or max(1, n // 16)) <= n
    check_masks(masks, grid, batch, m, keep)
    again = time_frequency_masks(
        batch, grid, n_targets=m, target_scale=scale, context_keep=keep, generator=seeded(seed)
    )
    assert torch.equal(masks.context, again.context) and torch.equal(masks.targets, again.targets)


def check_masks(masks, grid, batch, m, keep):
    """Equal sizes, sorted, no leak, whole rows or columns."""
    assert masks.targets.shape[:2] == (batch, m) and masks.context.dtype == torch.int64
    assert masks.context.shape[1] == keep if keep else masks.context.shape[1] >= max(1, math.prod(grid) // 16)
    for context, targets in zip(masks.context.tolist(), masks.targets.tolist(), strict=True):
        assert context == sorted(set(context)) and context[-1] < math.prod(grid)
        for target in targets:
            assert target == sorted(set(target)) and is_rectangle(target, grid) and not set(target) & set(context)


def test_both_kinds_and_every_patch_are_reached():
    seen, kinds = torch.zeros(32), set()
    for seed in range(200):
        masks = time_frequency_masks(8, (4, 8), n_targets=2, target_scale=(0.25, 0.25), generator=seeded(seed))
        kinds.add(tuple((masks.targets[0, 0] // 8).unique().tolist()).__len__())
        seen += masks.targets.flatten().bincount(minlength=32)
    assert kinds == {1, 4}  # one whole row, or two columns of all four rows
    assert seen.min() > 0.6 * seen.mean() and seen.max() < 1.5 * seen.mean()


@pytest.mark.parametrize(
    "grid, settings_, words",
    [
        ((1, 8), {}, "2 bands and 2 times"),
        ((4, 8), {"target_scale": (0.1, 1.2)}, "0 < low"),
        ((4, 8), {"target_scale": (0.1, 1.0)}, "fewer than"),
        ((4, 8), {"context_keep": 25, "target_scale": (0.25, 0.25)}, "lower target_scale"),
        ((4, 8), {"context_keep": 0}, "at least 1 patch"),
        ((4, 8), {"n_targets": 0}, "n_targets"),
    ],
)
def test_masks_that_cannot_be(grid, settings_, words):
    with pytest.raises(ValueError, match=words):
        time_frequency_masks(2, grid, **settings_)


BUGS = {
    "leak": ("everywhere.scatter(1, targets.flatten(1), False)", "everywhere.scatter(1, targets[:, 0], False)"),
    "part of a column": (
        "return rows, max(1, round(scale * columns))",
        "return rows - 1, max(1, round(scale * columns))",
    ),
    "no room": ("if free.sum(dim=1).min() < least:", "if False:"),
}


@pytest.mark.parametrize("bug", BUGS)
def test_planted_bugs_in_the_masks_are_caught(bug):
    module = planted(time_frequency, *BUGS[bug])
    with pytest.raises((AssertionError, RuntimeError, IndexError)):
        for seed in range(60):
            masks = module.time_frequency_masks(
                6, (4, 8), n_targets=3, target_scale=(0.25, 0.25), context_keep=10, generator=seeded(seed)
            )
            check_masks(masks, (4, 8), 6, 3, 10)


@pytest.mark.parametrize(
    "module, old, new",
    [
        (mel, "HOP = 256, 128", "HOP = 256, 64"),
        (mel, "return 2595 * torch.log10(1 + hertz / 700)", "return hertz"),
        (mel, ".sin().square()", ".sin()"),
        (mel, "first[:, 1:] + second[:, :-1]", "first[:, 1:] + second[:, 1:]"),
        (audio, "(most + 0.5) * angle", "most * angle"),
        (audio, '/ word["throat"][:, None, None]', '* word["throat"][:, None, None]'),
    ],
)
def test_planted_bugs_in_the_sounds_are_caught(module, old, new, monkeypatch):
    name = module.__name__.rpartition(".")[2]
    monkeypatch.setitem(globals(), name, planted(module, old, new))
    tests = {
        "mel": (test_log_mel_is_its_definition, test_overlap_add_undoes_frames_but_for_the_fade_in),
        "audio": (
            test_pulses_are_the_sum_of_their_harmonics,
            test_a_longer_throat_lowers_all_formants_and_words_are_paths,
        ),
    }[name]
    caught = 0
    for each in tests:
        try:
            each()
        except Exception:  # of hypothesis a group of them
            caught += 1
    assert caught


# --- A-JEPA -----------------------------------------------------------------------------------------------


def test_both_masks_of_a_jepa_have_the_same_sizes():
    for seed in range(30):
        shapes = set()
        for sampler in (a_jepa.random_blocks, a_jepa.time_frequency):
            masks = sampler(5, seeded(seed))
            assert isinstance(masks, Masks)
            shapes.add((masks.context.shape, masks.targets.shape))
        assert shapes == {((5, 10), (5, 2, 8))}


def test_the_curriculum_goes_from_blocks_to_times_and_bands():
    def hard(curriculum, step):
        drawn = [curriculum.at(step)(3, seeded(seed)) for seed in range(200)]
        return sum(all(is_rectangle(t, a_jepa.GRID) for t in masks.targets[0].tolist()) for masks in drawn) / 200

    forth, back = a_jepa.curriculum(100), a_jepa.curriculum(100, inverse=True)
    assert isinstance(forth, Curriculum)
    assert hard(forth, 0) < 0.45 and hard(forth, 99) > 0.95 and abs(hard(forth, 25) - 0.5) < 0.2
    assert hard(back, 0) > 0.95 and hard(back, 99) < 0.45


def test_any_time_turns_each_picture_round():
    x = torch.randn(5, 1, 32, 64, generator=seeded(1))
    y = a_jepa.any_time(x, seeded(2))
    shifts = set()
    for a, b in zip(x, y, strict=True):
        found = [k for k in range(64) if torch.equal(a.roll(-k, dims=-1), b)]
        assert len(found) == 1
        shifts.add(found[0])
    assert len(shifts) > 1


def test_a_jepa_trains():
    torch.manual_seed(0)
    encoder = ViT(img_size=(32, 64), patch_size=8, dim=16, depth=1, heads=2, in_chans=1)
    data = mel.log_mel_data(synthetic_words(40))
    from minijepa.training.fit import fit

    settings_ = a_jepa.TRAINING | {"batch_size": 16}
    history = fit(a_jepa.model(encoder), data, a_jepa.curriculum(30), steps=30, **settings_)
    losses = history.curve("loss")[1]
    assert sum(losses[-5:]) < sum(losses[:5])


# --- players ----------------------------------------------------------------------------------------------


def test_a_wav_file_gives_its_samples_back():
    x = torch.tensor([0.0, 0.5, -0.5, 2.0, -2.0])
    with wave.open(io.BytesIO(sounds.wav(x))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        back = np.frombuffer(file.readframes(9), "<i2") / 32767
    assert np.abs(back - x.clamp(-1, 1).numpy()).max() < 1e-4


def test_outside_a_notebook_players_are_a_sentence(capsys):
    listen({"five": torch.zeros(100)}, "A five.")
    assert capsys.readouterr().out == "A five.\n"


def test_figures_are_drawn():
    pictures = torch.randn(3, 32, 64, generator=seeded(0))
    fig = sounds.spectrograms(pictures, ["a", "b", "c"], columns=2, hidden=[torch.tensor([0, 9])] * 3, grid=(4, 8))
    assert [ax.get_title() for ax in fig.axes[:3]] == ["a", "b", "c"] and len(fig.axes[0].images) == 2
    shade = fig.axes[0].images[1].get_array()
    assert shade[:8, :8, 3].min() == 1 and shade[8:16, 8:16, 3].min() == 1 and shade[16:, :, 3].max() == 0
    assert len(sounds.source_and_filter(*torch.rand(3, 129, generator=seeded(0))).axes) == 3
