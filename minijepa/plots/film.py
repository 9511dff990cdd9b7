"""Films for notebooks: a strip of all frames, and where the page may run a script a player above it.

The strip is plain HTML with a picture per frame, so it is there in an unopened notebook, on a web page and on paper.
The player is made from it by a few lines of JavaScript, which front ends leave out of a notebook that is not trusted
yet: a large picture, a button and a slider, both of which the keyboard reaches. Nothing moves before it is asked to.
"""

import base64
import html
import io
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from minijepa.plots.figures import in_notebook, plt

GAP, BAND, LETTERS = 4, 30, 20  # pixels: between panels, of the line of titles, of a letter

# Makes a player of every film on the page that has none. Front ends drop `hidden` and the like, so the script makes
# all that works only with it. JupyterLab would take the arrow keys of the slider for its own; so they stop before it.
PLAYER = """
for (const film of document.querySelectorAll("figure.minijepa-film:not([data-ready])")) {
  film.dataset.ready = "yes";
  const strip = film.querySelectorAll("img"), words = film.querySelector("figcaption").textContent;
  const make = (name, into, more) => into.appendChild(Object.assign(document.createElement(name), more));
  const player = document.createElement("div");
  film.prepend(player);
  window.addEventListener("keydown", event => {
    if (player.contains(event.target) && event.key != "Tab") event.stopPropagation();
  }, true);
  const picture = make("img", player, {width: 2 * strip[0].width});
  const bar = make("div", player, {});
  const button = make("button", bar, {type: "button", textContent: "Play"});
  const slider = make("input", bar, {type: "range", min: 0, max: strip.length - 1, value: 0});
  const place = make("output", bar, {});
  slider.setAttribute("aria-label", "frame");
  let timer = null;
  const show = number => {
    slider.value = number;
    picture.src = strip[number].src;
    place.textContent = ` frame ${Number(number) + 1} of ${strip.length}`;
    picture.alt = words + place.textContent;
  };
  const stop = () => { clearInterval(timer); timer = null; button.textContent = "Play"; };
  button.onclick = () => {
    if (timer) return stop();
    button.textContent = "Pause";
    timer = setInterval(() => {
      if (film.isConnected) show((Number(slider.value) + 1) % strip.length); else stop();
    }, MILLISECONDS);
  };
  slider.oninput = () => { stop(); show(slider.value); };
  show(0);
}
"""


def film(rows, titles, alt, see=None, width=480, milliseconds=220):
    """Show a film in a notebook: a strip of its frames, and a player where scripts run; print `see` under it.

    rows: the panels, a list of rows, each with one panel per column: uint8 [T, H, W] grey or [T, H, W, 3].
    titles: a short title per column. alt: one sentence that says what the film shows; it is the text of the output,
    which the notebook tests compare, and stands below the strip. width: pixels of the player's picture, at least;
    the strip shows each frame half as wide. milliseconds: how long a frame stays.
    Returns nothing. Outside a notebook only the sentences are printed. Raises ValueError where `film_html` does.
    Example: film([[clips[0, 0], clips[1, 0]]], ["clip 1", "clip 2"], "Film: two clips, next to each other.")
    """
    page = film_html(rows, titles, alt, width, milliseconds)
    if in_notebook():
        from IPython.display import display

        display({"text/html": page, "text/plain": alt}, raw=True)
    else:
        print(alt)
    if see:
        print(f"Look for: {see}")


def film_html(rows, titles, alt, width=480, milliseconds=220):
    """The film as HTML: a figure with the strip and its caption, then the script. Arguments as in `film`.

    Raises ValueError for settings below 1, and where `film_frames` does.
    """
    if width < 1 or milliseconds < 1:
        raise ValueError(f"width and milliseconds must be >= 1, got {width} and {milliseconds}")
    frames = film_frames(rows, titles, width)
    pictures = "\n".join(
        f'<img alt="frame {number} of {len(frames)}" width="{frame.shape[1] // 2}" style="margin: 0 12px 12px 0" '
        f'src="{source(frame)}">'
        for number, frame in enumerate(frames, 1)
    )
    script = PLAYER.replace("MILLISECONDS", str(milliseconds))
    caption = f"<figcaption>{html.escape(alt)}</figcaption>"
    return f'<figure class="minijepa-film">\n{pictures}\n{caption}\n</figure>\n<script>{script}</script>'


def film_frames(rows, titles, width):
    """The frames as pictures: T arrays of uint8 [height, at least width, 3], titles above, the frame's number below.

    Each pixel of a panel becomes a square of whole pixels. Raises ValueError for no panels, for rows or titles of
    another length, and for panels of another kind or size.
    """
    panels = [[np.asarray(panel) for panel in row] for row in rows]
    kinds = sorted({(panel.shape, str(panel.dtype)) for row in panels for panel in row})
    if len({shape[:3] for shape, _ in kinds}) != 1 or any(
        kind != "uint8" or len(shape) not in (3, 4) or shape[3:] not in ((), (3,)) for shape, kind in kinds
    ):
        raise ValueError(f"a film needs panels of uint8, [T, H, W] or [T, H, W, 3], all of one size; got {kinds}")
    columns = len(titles)
    if any(len(row) != columns for row in panels):
        raise ValueError(f"{columns} titles need as many panels in each row, got {[len(row) for row in panels]}")
    times, high, wide = kinds[0][0][:3]
    scale = -(-(width - GAP * (columns - 1)) // (columns * wide))  # rounded up
    canvas = (columns * (scale * wide + GAP) - GAP, len(rows) * (scale * high + GAP) + 2 * BAND)
    font = ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", LETTERS)
    frames = []
    for time in range(times):
        picture = Image.new("RGB", canvas, "white")
        pen = ImageDraw.Draw(picture)
        for x, title in enumerate(titles):
            middle = x * (scale * wide + GAP) + scale * wide / 2
            pen.text((middle, BAND / 2), title, "black", font, anchor="mm")
            for y, row in enumerate(panels):
                large = Image.fromarray(row[x][time]).resize((scale * wide, scale * high), Image.Resampling.NEAREST)
                picture.paste(large, (x * (scale * wide + GAP), BAND + y * (scale * high + GAP)))
        number = f"frame {time + 1} of {times}"
        pen.text((canvas[0] / 2, canvas[1] - BAND / 2), number, "black", font, anchor="mm")
        frames.append(np.asarray(picture))
    return frames


def heat(values):
    """Numbers as colours: float [T, H, W], >= 0 -> uint8 [T, H, W, 3], dark for 0, yellow for the largest."""
    values = np.asarray(values)
    return (255 * plt.get_cmap("viridis")(values / max(values.max(), 1e-12))[..., :3]).astype(np.uint8)


def source(frame):
    """A frame, uint8 [H, W, 3], as the address of a PNG with a palette of 256 colours, so that notebooks stay light."""
    buffer = io.BytesIO()
    Image.fromarray(frame).quantize(256).save(buffer, "png", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
