"""Films for notebooks: a strip of all frames, and where the page may run a script a player above it.

The strip is plain HTML with a picture per frame, so it is there in an unopened notebook, on a web page and on paper.
The player is made from it by a few lines of JavaScript, which front ends leave out of a notebook nobody trusts yet:
a large picture, a button and a slider, both of which the keyboard reaches. Nothing moves before it is asked to.
"""

import base64
import html
import io

import numpy as np
from PIL import Image

from minijepa.plots.figures import in_notebook

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
  const picture = make("img", player, {width: ENLARGED * strip[0].width});
  picture.style.imageRendering = "pixelated";
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


def film(frames, alt, see=None, scale=5, enlarged=2, milliseconds=220):
    """Show a film in a notebook: a strip of its frames, and a player where scripts run; print `see` under it.

    frames: arrays of uint8, [H, W] grey or [H, W, 3], all of one size, at least one. alt: one sentence that says what
    the film shows; it is the text of the output, which the notebook tests compare, and stands below the strip.
    scale: pixels of the strip per pixel of a frame, >= 1; enlarged: how much larger the player's picture is;
    milliseconds: how long a frame stays. Returns nothing. Outside a notebook only the sentences are printed.
    Raises ValueError where `film_html` does.
    """
    page = film_html(frames, alt, scale, enlarged, milliseconds)
    if in_notebook():
        from IPython.display import display

        display({"text/html": page, "text/plain": alt}, raw=True)
    else:
        print(alt)
    if see:
        print(f"What to see: {see}")


def film_html(frames, alt, scale=5, enlarged=2, milliseconds=220):
    """The film as HTML: a figure with the strip and its caption, then the script. Arguments as in `film`.

    Raises ValueError for no frames, for frames of other kinds or several sizes, and for settings below 1.
    """
    frames = [np.asarray(frame) for frame in frames]
    shapes = sorted({frame.shape for frame in frames})
    if len(shapes) != 1 or len(shapes[0]) not in (2, 3) or any(frame.dtype != np.uint8 for frame in frames):
        kinds = sorted({str(frame.dtype) for frame in frames})
        raise ValueError(
            f"a film needs frames of uint8, [H, W] or [H, W, 3], all of one size; got {len(frames)} of shapes {shapes} "
            f"and types {kinds}"
        )
    if scale < 1 or enlarged < 1 or milliseconds < 1:
        raise ValueError(f"scale, enlarged and milliseconds must be >= 1, got {scale}, {enlarged} and {milliseconds}")
    pictures = "\n".join(
        f'<img alt="frame {number} of {len(frames)}" width="{scale * frame.shape[1]}" style="margin: 0 12px 12px 0" '
        f'src="{source(frame, scale)}">'
        for number, frame in enumerate(frames, 1)
    )
    script = PLAYER.replace("ENLARGED", str(enlarged)).replace("MILLISECONDS", str(milliseconds))
    caption = f"<figcaption>{html.escape(alt)}</figcaption>"
    return f'<figure class="minijepa-film">\n{pictures}\n{caption}\n</figure>\n<script>{script}</script>'


def source(frame, scale):
    """A frame, uint8 [H, W] or [H, W, 3], as the address of a PNG in which each pixel is `scale` wide and high."""
    large = frame.repeat(scale, 0).repeat(scale, 1)  # [scale H, scale W, ...]: not every page keeps pixels sharp
    buffer = io.BytesIO()
    Image.fromarray(large).save(buffer, "png", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
