"""Build the book: notebooks, assignments, recorded results and the docstrings of the package as a static site.

    python tools/build_book.py              into book/_build/html; a second build makes only what has changed
    python tools/build_book.py --strict     a warning is an error
    python tools/build_book.py --out DIR    into DIR/html

Nothing is executed: the outputs are those that are committed. The site needs no network and no server; open
book/_build/html/index.html.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BOOK = ROOT / "book"


def build(out, strict=False):
    """Build the book into `out`/html. strict: a warning is an error. Returns the exit code."""
    from sphinx.cmd.build import build_main

    sys.path.insert(0, str(ROOT))
    from book.pages import Book

    Book(out / "source", out / "extra").write_all()
    arguments = ["-b", "html", "-q", "-c", BOOK, "-d", out / "doctrees", "-D", f"html_extra_path={out / 'extra'}"]
    return build_main([str(each) for each in [*arguments, *["-W"] * strict, out / "source", out / "html"]])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=BOOK / "_build")
    parser.add_argument("--strict", action="store_true", help="a warning is an error")
    arguments = parser.parse_args()
    code = build(arguments.out.resolve(), arguments.strict)
    if code == 0:
        print(f"The book: {arguments.out / 'html' / 'index.html'}")
    return code


if __name__ == "__main__":
    sys.exit(main())
