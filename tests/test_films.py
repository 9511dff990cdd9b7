"""Films: a strip that needs no script. The player is driven in tests/browser/test_film_player.py."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from minijepa.plots import film, heat
from minijepa.plots.film import BAND, GAP, film_frames, film_html

PANEL = np.stack([np.full((4, 6), 60 * i, np.uint8) for i in range(4)])  # 4 frames of 4 x 6 pixels
ALT = 'A square < a circle, growing "brighter".'


def test_the_strip_has_every_frame_with_words():
    page = film_html([[PANEL]], ["one"], ALT, width=18)
    strip, script = page.split("<script>")
    assert strip.count("<img ") == strip.count("data:image/png;base64,") == 4
    assert [f'alt="frame {i} of 4" width="9"' in strip for i in (1, 2, 3, 4)] == [True] * 4
    assert "A square &lt; a circle" in strip and "<img" not in script and "base64" not in script
    coloured = film_html([[np.zeros((1, 2, 2, 3), np.uint8)]], ["one"], ALT)
    assert coloured.count("<img ") == 1


def test_pixels_of_the_strip_are_those_of_the_panels():
    panels = np.arange(0, 240, 10, dtype=np.uint8).reshape(2, 1, 4, 3)
    (data,) = re.findall(r"base64,([^\"]+)", film_html([[panels[0], panels[1]]], ["a", "b"], ALT, width=18 + GAP))
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("L"))
    assert picture.shape == (12 + GAP + 2 * BAND, 18 + GAP)
    drawn = picture[BAND : BAND + 12]
    assert np.array_equal(drawn[1::3, 1:9:3], panels[0, 0]) and np.array_equal(drawn[1::3, 10 + GAP :: 3], panels[1, 0])


def test_a_film_is_as_wide_as_asked_and_says_what_its_columns_show():
    frames = film_frames([[PANEL] * 3] * 2, ["one", "two", "three"], 480)
    untitled = film_frames([[PANEL] * 3] * 2, ["", "", ""], 480)
    assert len(frames) == 4 and {frame.shape for frame in frames} == {untitled[0].shape}
    assert 480 <= frames[0].shape[1] < 480 + 3 * 6
    third = frames[0].shape[1] // 3
    for column in range(3):
        title = frames[0][:BAND, column * third : (column + 1) * third]
        assert title.min() < 100, "a title above each column"
    assert untitled[0][:BAND].min() == 255
    assert np.array_equal(frames[0][BAND:], untitled[0][BAND:])
    assert (frames[0][-BAND:] != frames[1][-BAND:]).any(), "each frame has its own number"


def test_heat_is_dark_at_zero_and_brightest_at_the_largest():
    colours = heat(np.array([[[0.0, 1.0, 2.0]]]))
    assert colours.dtype == np.uint8 and colours.shape == (1, 1, 3, 3)
    assert (np.diff(colours[0, 0].sum(1).astype(int)) > 0).all()
    assert np.array_equal(heat(np.zeros((1, 1, 1)))[0, 0, 0], colours[0, 0, 0]), "zero everywhere is dark, not an error"


def test_outside_a_notebook_only_the_sentences_are_printed(capsys):
    film([[PANEL]], ["one"], ALT, "it grows brighter.")
    assert capsys.readouterr().out == f"{ALT}\nLook for: it grows brighter.\n"


@pytest.mark.parametrize(
    ("rows", "settings", "named"),
    [
        ([], {}, r"got \[\]"),
        ([[np.zeros((1, 2, 2))]], {}, "float64"),
        ([[PANEL], [np.zeros((4, 2, 2), np.uint8)]], {}, r"\(4, 2, 2\).*\(4, 4, 6\)"),
        ([[np.zeros((2, 2), np.uint8)]], {}, r"\(2, 2\)"),
        ([[PANEL, PANEL]], {}, r"1 titles need as many panels in each row, got \[2\]"),
        ([[PANEL]], {"width": 0}, "got 0 and 220"),
    ],
)
def test_errors_name_what_is_wrong(rows, settings, named):
    with pytest.raises(ValueError, match=named):
        film_html(rows, ["one"], ALT, **settings)
