"""Films: a strip that needs no script. The player is driven in tests/browser/test_film_player.py."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from minijepa.plots.film import film, film_html

FRAMES = [np.full((4, 6), 60 * i, np.uint8) for i in range(4)]
ALT = 'A square < a circle, growing "brighter".'


def test_the_strip_has_every_frame_with_words():
    page = film_html(FRAMES, ALT, scale=3)
    strip, script = page.split("<script>")
    assert strip.count("<img ") == strip.count("data:image/png;base64,") == 4
    assert [f'alt="frame {i} of 4" width="18"' in strip for i in (1, 2, 3, 4)] == [True] * 4
    assert "A square &lt; a circle" in strip and "<img" not in script and "base64" not in script
    coloured = film_html([np.zeros((2, 2, 3), np.uint8)], ALT)
    assert coloured.count("<img ") == 1


def test_pixels_of_the_strip_are_those_of_the_frames():
    frame = np.arange(0, 240, 10, dtype=np.uint8).reshape(4, 6)
    (data,) = re.findall(r"base64,([^\"]+)", film_html([frame], ALT, scale=3))
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("L"))
    assert picture.shape == (12, 18) and np.array_equal(picture[1::3, 1::3], frame)


def test_outside_a_notebook_only_the_sentences_are_printed(capsys):
    film(FRAMES, ALT, "it grows brighter.")
    assert capsys.readouterr().out == f"{ALT}\nWhat to see: it grows brighter.\n"


@pytest.mark.parametrize(
    ("frames", "settings", "named"),
    [
        ([], {}, "got 0"),
        ([np.zeros((2, 2))], {}, "float64"),
        ([FRAMES[0], np.zeros((2, 2), np.uint8)], {}, r"\(2, 2\), \(4, 6\)"),
        ([np.zeros(3, np.uint8)], {}, r"\(3,\)"),
        (FRAMES, {"scale": 0}, "got 0, 2 and 220"),
    ],
)
def test_errors_name_what_is_wrong(frames, settings, named):
    with pytest.raises(ValueError, match=named):
        film_html(frames, ALT, **settings)
