"""The sources of the book: copies of notebooks and guides, and the pages that are made from what exists.

Nothing is listed by hand: a notebook, an assignment, a guide in docs/, a recorded result or a public name of the
package is in the book as soon as it is in the repository. Every page keeps its place, so the links between pages stay
as they are. A link to anything else, such as a file of the package, gets the scheme `repo:`, which links.py resolves.
"""

import base64
import json
import os
import re
from pathlib import Path

from book import api, recorded_results

REPO = Path(__file__).resolve().parents[1]
# part: the number of its first notebook. A test compares the parts with the table in README.md
PARTS = {"I. JEPA from its parts": 0, "II. The family": 10, "III. World models": 15, "IV. Other senses": 21}
NO_GUIDES = {"book", "tests", "runs", "seen", "build", "dist", "node_modules", "submitted", "autograded", "feedback"}
# a link in Markdown; or code, in which nothing is one
LINK = re.compile(
    r"(?s:```.*?```)|(?P<open>!?\[(?:[^\[\]]|\[[^\]]*\])*\]\()<?(?P<target>[^)\s>]+)>?(?P<close>(?:\s+\"[^\"]*\")?\))"
    r"|`[^`\n]*`"
)
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|#|//", re.I)  # has a scheme, or stays on the page
PICTURE = re.compile(r'<img (?P<rest>[^>]*?)src="data:image/png;base64,(?P<data>[A-Za-z0-9+/=\s]+)"(?P<more>[^>]*)>')
WIDE = 640  # pixels: a wider figure keeps this width on a telephone, and scrolls by itself
LANGUAGES = {".py": "python", ".sh": "bash", ".toml": "toml", ".yml": "yaml", ".cff": "yaml", "": "text"}


class Book:
    """The folders of the sources. Only what differs is written, so that a second build reads only what has changed.

    folder: of the pages. extra: of files that the site holds as they are.
    """

    def __init__(self, folder, extra):
        self.folder, self.extra = Path(folder), Path(extra)
        self.written, self.linked = set(), set()
        order = list(readme_rows())  # of notebooks with one number
        self.notebooks = sorted(
            (REPO / "notebooks").glob("*.ipynb"),
            key=lambda path: (path.name[:2], order.index(path.stem) if path.stem in order else len(order), path.name),
        )
        self.exercises = sorted((REPO / "exercises").glob("*/*.ipynb"))
        self.guides = guides()
        self.pages = {*self.notebooks, *self.exercises, *self.guides}

    def write(self, path, content, folder=None):
        """Write a file. path: relative to the folder of the pages, or to the one given. content: text or bytes."""
        place = (folder or self.folder) / path
        data = content.encode() if isinstance(content, str) else content
        self.written.add(place)
        if not place.is_file() or place.read_bytes() != data:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)

    def write_all(self):
        """Write every page, and remove what an earlier build wrote for a page that is gone."""
        for path in [*self.notebooks, *self.exercises]:
            self.write_notebook(path)
        for path in self.guides:
            text = self.linked_text(path.read_text(encoding="utf-8"), path)
            if name_of(path) == "exercises/README.md":
                text += "\n" + "\n".join(
                    toctree("", [p.relative_to(path.parent).as_posix()[:-6] for p in self.exercises])
                )
            self.write(name_of(path), text)
        for path in sorted((REPO / "docs").rglob("*")):
            if path.suffix in (".png", ".gif"):
                self.write(name_of(path), path.read_bytes())
        self.write("results.md", recorded_results.page(REPO))
        for name, text in api.pages(REPO / "minijepa").items():
            self.write(name, text)
        self.write("index.md", self.index())
        self.write_linked_files()
        for folder in (self.folder, self.extra):
            for path in [path for path in folder.rglob("*") if path.is_file() and path not in self.written]:
                path.unlink()

    # --- copies ---

    def write_notebook(self, path):
        """A notebook with its links for the book and its pictures in files; and the notebook as it is, to download."""
        committed = path.read_bytes()
        self.write(name_of(path), committed, self.extra / "download")
        notebook, number = json.loads(committed), 0
        for cell in notebook["cells"]:
            if cell["cell_type"] == "markdown":
                cell["source"] = self.linked_text("".join(cell["source"]), path)
            for output in cell.get("outputs", []):
                if "text/html" in output.get("data", {}):
                    output["data"]["text/html"], number = self.pictures(
                        "".join(output["data"]["text/html"]), path, number
                    )
        notebook["metadata"].setdefault("language_info", {"name": "python"})
        self.write(name_of(path), json.dumps(notebook, ensure_ascii=False))

    def pictures(self, page, path, number):
        """HTML whose pictures are files, which a click opens in full; and the number of the last. number: so far."""
        found = list(PICTURE.finditer(page))
        for number, match in enumerate(found, start=number + 1):  # noqa: B020
            data = base64.b64decode(match["data"])
            name = f"figures/{path.stem}-{number}.png"
            self.write(name, data, self.extra)
            source = "../" * name_of(path).count("/") + name
            attributes = f'{match["rest"].strip()} src="{source}"{match["more"]}'
            if "width=" in attributes:  # a frame of a film, which its player shows
                image = f"<img {attributes}>"
            else:
                width, height = (int.from_bytes(data[i : i + 4], "big") for i in (16, 20))  # from the header of a PNG
                image = f'<img {attributes} width="{width}" height="{height}" loading="lazy">'
                image = f'<a class="whole-figure" href="{source}" title="Click or tap to enlarge">{image}</a>'
                image = f'<div class="wide-figure">{image}</div>' if width > WIDE else image
            page = page.replace(match[0], image, 1)
        return page, number

    def linked_text(self, markdown, path):
        """Markdown in which a link to what is no page of the book has the scheme `repo:`. path: of its file."""

        def replaced(match):
            if not match["open"] or match["open"].startswith("!") or ELSEWHERE.match(match["target"]):
                return match[0]
            target = match["target"].partition("#")[0].replace("%20", " ")
            found = Path(os.path.normpath(path.parent / target))
            if found in self.pages or not found.is_file():
                return match[0]  # if there is none, Sphinx warns
            self.linked.add(found)
            return f"{match['open']}repo:{name_of(found)}{match['close']}"

        return LINK.sub(replaced, markdown)

    def write_linked_files(self):
        """Each file that a page links to: a text as a page, unless the pages of the package show it; else as it is."""
        shown = api.shown_files(REPO / "minijepa")
        for path in sorted(self.linked):
            name, language = name_of(path), LANGUAGES.get(path.suffix)
            if language is None:
                self.write(name, path.read_bytes(), self.extra / "download")
            elif path not in shown:
                text = path.read_text(encoding="utf-8")
                fence = "`" * 8
                self.write(
                    f"files/{name}.md", f"---\norphan: true\n---\n\n# {name}\n\n{fence}{language}\n{text}{fence}\n"
                )

    # --- the first page ---

    def index(self):
        """The first page: `index.md` of this folder, with the parts of the course, and all tables of contents."""
        rows, parts, contents = readme_rows(), [], []
        for part, notebooks in self.by_part().items():
            number, _, name = part.partition(". ")
            parts += [f"### Part {number} · {name}", "", ":::{container} course-map", ""]
            parts += ["| notebook | you will | computing |", "|---|---|---|"]
            for path in notebooks:
                title, aim, minutes = rows.get(path.stem) or (title_of(path), promise_of(path), "")
                parts.append(f"| [{title}](notebooks/{path.name}) | {aim} | {minutes} |")
            parts += ["", ":::", ""]
            contents += toctree(f"Part {number} · {name}", [f"notebooks/{path.stem}" for path in notebooks])
        guides = [name_of(path)[:-3] for path in self.guides]
        docs = [name for name in guides if re.fullmatch(r"docs/[^/]+", name)]
        contents += toctree("Assignments", ["exercises/README"])
        contents += toctree("Guides and reference", [*docs, "results", "api/index"])
        rest = [name for name in guides if name not in docs and name not in ("README", "exercises/README")]
        contents += toctree("The repository", ["README", *rest])
        page = (REPO / "book" / "index.md").read_text(encoding="utf-8")
        page = page.replace("](../", "](")  # it moves from its folder to the top
        return page.replace("{parts}", "\n".join(parts)) + "\n" + "\n".join(contents)

    def by_part(self):
        """{part: its notebooks}, without the parts that have none yet."""
        ends = [*PARTS.values(), 100][1:]
        found = {
            part: [path for path in self.notebooks if start <= int(path.name[:2]) < end]
            for (part, start), end in zip(PARTS.items(), ends, strict=True)
        }
        return {part: notebooks for part, notebooks in found.items() if notebooks}


def name_of(path):
    """A path as the repository names it, with forward slashes."""
    return path.relative_to(REPO).as_posix()


def guides():
    """The pages in Markdown, those of tests and of what runs leave behind excepted."""
    found = []
    for folder, folders, files in os.walk(REPO):
        folders[:] = sorted(name for name in folders if name not in NO_GUIDES and not name.startswith("."))
        found += [Path(folder) / name for name in files if name.endswith(".md")]
    return sorted(found)


def readme_rows():
    """{stem of a notebook: (title, what you will do, minutes)} from the tables in README.md."""
    text = (REPO / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[(.+?)\]\(notebooks/(.+?)\.ipynb\) \| (.*?) \| (.*?) \|$", text, re.M)
    return {stem: (title, aim, minutes) for title, stem, aim, minutes in rows}


def first_cell(path):
    return "".join(json.loads(path.read_bytes())["cells"][0]["source"])


def title_of(path):
    """Number and title of a notebook."""
    return first_cell(path).split("\n")[0].lstrip("# ").replace(" · ", " ")


def promise_of(path):
    """What a notebook promises in bold below its title, as the tables say it: without "You will"."""
    promise = re.search(r"(?s)\*\*(.+?)\*\*", first_cell(path))
    return re.sub(r"\s+", " ", promise[1]).removeprefix("You will ").rstrip(".") if promise else ""


def toctree(caption, names):
    """The lines of a hidden table of contents, which the side bar shows under its caption, if it has one."""
    return ["```{toctree}", ":hidden:", *[f":caption: {caption}"] * bool(caption), "", *names, "```", ""]
