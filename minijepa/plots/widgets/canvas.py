"""Pictures put together from pixels and text, about ten times faster than matplotlib redraws a figure.

A slider must be answered within 100 ms, so explorers draw with Pillow; colours are those of `minijepa.plots`.
Sizes are pixels. Every function returns a new PIL image (RGB), except `png`, which returns bytes.
"""

import io
from functools import lru_cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from minijepa.plots.figures import GREY, to_numpy

HIDDEN = 225  # grey value of patches that are not shown
INK = "#222222"


@lru_cache
def letters(size):
    """The font that matplotlib brings, so that text looks alike on every machine."""
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size)


def enlarge(image, side):
    """A small image as sharp squares. image: uint8 [3, H, W] -> PIL image, `side` pixels wide."""
    picture = Image.fromarray(to_numpy(image))
    return picture.resize((side, side * picture.height // picture.width), Image.Resampling.NEAREST)


def outline(picture, box, grid, colour, width=3):
    """Draw a frame around a block of patches, into the picture. box: (top, left, rows, columns) in patches."""
    h, w = picture.height / grid[0], picture.width / grid[1]
    top, left, rows, columns = box
    corners = (left * w, top * h, (left + columns) * w - 1, (top + rows) * h - 1)
    ImageDraw.Draw(picture).rectangle([round(c) for c in corners], outline=colour, width=width)
    return picture


def panel(picture, title, colour=GREY, size=11):
    """A picture in a coloured frame under its title."""
    out = Image.new("RGB", (picture.width + 4, picture.height + size + 9), "white")
    pen = ImageDraw.Draw(out)
    pen.text((1, 0), title, fill=INK, font=letters(size))
    pen.rectangle((0, size + 5, out.width - 1, out.height - 1), outline=colour, width=2)
    out.paste(picture, (2, size + 7))
    return out


def side_by_side(pictures, gap=8):
    """Pictures in a row, their upper edges level."""
    out = Image.new("RGB", (sum(p.width + gap for p in pictures) - gap, max(p.height for p in pictures)), "white")
    x = 0
    for picture in pictures:
        out.paste(picture, (x, 0))
        x += picture.width + gap
    return out


def stack(pictures, gap=8):
    """Pictures under each other, their left edges level."""
    out = Image.new("RGB", (max(p.width for p in pictures), sum(p.height + gap for p in pictures) - gap), "white")
    y = 0
    for picture in pictures:
        out.paste(picture, (0, y))
        y += picture.height + gap
    return out


def wrap(text, width, size):
    """Lines of at most `width` pixels, broken between words."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if letters(size).getlength(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def words(text, width, size=12, colour=INK, paper="white"):
    """A paragraph as a picture of that width."""
    lines = wrap(text, width - 4, size)
    out = Image.new("RGB", (width, len(lines) * (size + 5) + 4), paper)
    pen = ImageDraw.Draw(out)
    for i, line in enumerate(lines):
        pen.text((2, 1 + i * (size + 5)), line, fill=colour, font=letters(size))
    return out


def message(text, width=620):
    """A panel in place of a picture that cannot be drawn; it says why."""
    paper = "#FFF4E5"  # light orange: a hint, not a crash
    lines = [words("Not possible", width - 24, 15, paper=paper), words(text, width - 24, paper=paper)]
    out = Image.new("RGB", (width, sum(line.height for line in lines) + 24), paper)
    ImageDraw.Draw(out).rectangle((0, 0, width - 1, out.height - 1), outline="#D55E00", width=2)
    out.paste(lines[0], (12, 8))
    out.paste(lines[1], (12, 8 + lines[0].height))
    return out


def png(picture, small=False):
    """PNG bytes. Fast by default, for a live picture; small=True: 256 colours, compressed, for a notebook file."""
    out = io.BytesIO()
    if small:
        picture.quantize(256).save(out, format="png", optimize=True)
    else:
        picture.save(out, format="png", compress_level=1)
    return out.getvalue()


def plot(lines, size, xlim, ylim, title, cursor=None):
    """A small line plot. lines: list of (x, y, colour, kind), x and y of equal length; kind: "line", "dots" or "both".

    size: (width, height). title: a text, or a list of (text, colour), which makes it the legend too. Values outside
    the limits are drawn at the edge; those that are not finite are left out. cursor: x of a vertical line, or None.
    """
    twice = 2  # drawn at twice the size and shrunk, which smooths the lines
    left, top, right, bottom = 44 * twice, 20 * twice, (size[0] - 6) * twice, (size[1] - 18) * twice
    out = Image.new("RGB", (size[0] * twice, size[1] * twice), "white")
    pen = ImageDraw.Draw(out)

    def at(x, y):
        x, y = ((np.asarray(v, dtype=float) - a) / ((b - a) or 1) for v, (a, b) in ((x, xlim), (y, ylim)))
        good = np.isfinite(x) & np.isfinite(y)
        x, y = (np.clip(v[good], 0, 1) for v in (x, y))
        return np.stack([left + x * (right - left), bottom - y * (bottom - top)], axis=1)  # [points, 2]

    pen.rectangle((left, top, right, bottom), outline="#BBBBBB", width=twice)
    if cursor is not None:
        x = float(at([cursor], [ylim[0]])[0, 0])
        pen.line((x, top, x, bottom), fill=GREY, width=twice)
    for x, y, colour, kind in lines:
        points = at(x, y)
        if kind != "line":
            r = 2.2 * twice
            for px, py in points:
                pen.ellipse((px - r, py - r, px + r, py + r), fill=colour)
        if kind != "dots" and len(points) > 1:
            pen.line([tuple(p) for p in points], fill=colour, width=2 * twice, joint="curve")
    x, font = left, letters(11 * twice)
    for text, colour in [(title, INK)] if isinstance(title, str) else title:
        pen.text((x, 0), text, fill=colour, font=font)
        x += font.getlength(text + "  ")
    small = letters(9 * twice)
    for value, y, anchor in ((ylim[1], top, "ra"), (ylim[0], bottom, "rd")):
        pen.text((left - 3 * twice, y), f"{value:.3g}", fill=INK, font=small, anchor=anchor)
    for value, x, anchor in ((xlim[0], left, "la"), (xlim[1], right, "ra")):
        pen.text((x, bottom + 2 * twice), f"{value:.3g}", fill=INK, font=small, anchor=anchor)
    return out.reduce(twice)
