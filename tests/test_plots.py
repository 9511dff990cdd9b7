"""Each figure is drawn once, from plain tensors; what can be checked in numbers is checked."""

import base64
import io
from html.parser import HTMLParser

import torch
from matplotlib.figure import Figure
from PIL import Image

from minijepa import plots
from minijepa.training import recipe


def test_every_picture_is_a_figure():
    images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    masks = recipe.masks(4, torch.Generator().manual_seed(0))
    tokens = torch.randn(4, 64, 96)
    figures = [
        plots.image_grid(images, columns=2, titles=["a", "b", "c", "d"]),
        plots.mask_gallery(images, masks, recipe.GRID),
        plots.heatmaps({"a": torch.rand(8, 8), "b": torch.rand(8, 8)}, "fraction"),
        plots.curves({"a": ([1, 2], [0.1, 0.2])}, "step", "loss", {"level": 0.1}),
        plots.probe_bars({"x": {"kNN": 0.1, "linear": 0.2}, "y": {"kNN": 0.3, "linear": 0.4}}, chance=0.1),
        plots.patch_pca(images, {"encoder": tokens}, recipe.GRID),
        plots.neighbours(images, {"a": images[:, None], "b": images[:, None]}, ["1", "2", "3", "4"]),
        plots.jepa_diagram(),
    ]
    for figure in figures:
        assert isinstance(figure, Figure)
        plots.plt.close(figure)


def test_patch_mask_marks_exactly_the_pixels_of_its_patches():
    mask = plots.patch_mask(torch.tensor([0, 9]), (8, 8), (32, 32))
    assert mask[:4, :4].all() and mask[4:8, 4:8].all() and mask.sum() == 32


def test_principal_colours_find_a_planted_direction():
    tokens = 0.01 * torch.randn(2, 64, 16, generator=torch.Generator().manual_seed(0))
    tokens[:, :32, 3] += 5  # half of the tokens differ along one feature
    colours = plots.principal_colours(tokens)
    assert colours.min() >= 0 and colours.max() <= 1
    first = colours[:, :, 0]
    assert (first[:, :32].mean() - first[:, 32:].mean()).abs() > 0.9


def test_outside_a_notebook_show_prints_its_sentences(capsys):
    plots.show(plots.jepa_diagram(), "A diagram.", "the two paths from the image to the energy.")
    assert capsys.readouterr().out == "A diagram.\nLook for: the two paths from the image to the energy.\n"


def test_a_picture_and_its_words_are_one_piece_of_html():
    """Quotes and brackets in the words stay words; the bytes come back as they were."""
    alt = 'A map: "low" < 0.1 & <b>dark</b>'
    bundle = plots.described(b"\x89PNG bytes", alt)
    (image,) = Images(bundle["text/html"]).found
    assert image["alt"] == bundle["text/plain"] == alt and set(bundle) == {"text/html", "text/plain"}
    kind, data = image["src"].split(",")
    assert kind == "data:image/png;base64" and base64.b64decode(data) == b"\x89PNG bytes"


def test_in_a_notebook_show_displays_the_picture_with_its_words(monkeypatch, capsys):
    shown = []
    monkeypatch.setattr(plots.figures, "in_notebook", lambda: True)
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    plots.show(plots.jepa_diagram(), "A diagram.", "the two paths.")
    (image,) = Images(shown[0]["text/html"]).found
    picture = Image.open(io.BytesIO(base64.b64decode(image["src"].split(",")[1])))
    assert picture.width > 600 and image["alt"] == "A diagram."
    assert capsys.readouterr().out == "Look for: the two paths.\n"


class Images(HTMLParser):
    """The attributes of each image of a piece of HTML, and nothing else may be in it."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        assert tag == "img"
        self.found.append(dict(attributes))


def test_the_palette_is_okabe_and_itos_in_grey_distinct_by_more_than_colour():
    assert len(set(plots.PALETTE)) == len(plots.LINES) == len(plots.MARKERS) == 8
