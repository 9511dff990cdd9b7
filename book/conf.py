"""How Sphinx builds the book: `make book`. Its pages are written by pages.py; nothing is executed."""

import importlib.util
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

# The public address of the repository, such as "https://github.com/OWNER/NAME". While it is empty, the book has no
# links that open a notebook in Binder or Colab, and `make book` says so.
REPOSITORY = ""
BRANCH = "main"

project = "minijepa"
author = "The minijepa authors"
copyright = "the minijepa authors, Apache License 2.0"
language = "en"
html_title = "minijepa"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.viewcode", "book.folds", "book.formulas", "book.lines",
              "book.links", "book.mentions", "book.outputs", "book.package", "book.wide"]  # fmt: skip

# --- notebooks and guides: MyST Markdown ---
nb_execution_mode = "off"
nb_merge_streams = False  # what is printed after a figure stays after it
myst_enable_extensions = ["dollarmath", "deflist", "colon_fence", "attrs_inline"]
myst_heading_anchors = 4
myst_dmath_double_inline = True  # a formula between $$ within a paragraph
myst_url_schemes = {"http": None, "https": None, "mailto": None, "repo": None}
html_math_renderer = "mathml"

# --- the package ---
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "none"
add_module_names = False
viewcode_line_numbers = False

# --- the look ---
highlight_language = "none"  # of a block that says nothing of its own: most are diagrams
html_theme = "furo"
html_theme_options = {"sidebar_hide_name": False, "navigation_with_keys": False}
templates_path = ["templates"]
font = Path(importlib.util.find_spec("ziamath").origin).parent / "fonts" / "STIXTwoMath-Regular.ttf"
html_static_path = ["static", str(font)]
html_css_files = ["course.css"]
html_js_files = [("course.js", {"defer": "defer"})]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
