"""The leaderboard: one JSON file in which results accumulate, and one page made from it, without scripts or network.

Results are compared within a board: one track, one seed, one budget. A second result of the same file in the same board
replaces the first; results that were refused are listed below with their reason.
"""

import json
from html import escape

from minijepa.machine.files import whole_file

JSON, PAGE = "leaderboard.json", "leaderboard.html"
VERSION = 1
STYLE = """
:root { color-scheme: light dark; --line: #8888; --bar: #2f6fb744; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 96rem; margin: 2rem auto; padding: 0 1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
small { font-weight: 400; overflow-wrap: anywhere; }
caption { text-align: left; font-weight: 600; padding: .5rem 0; }
tbody th { min-width: 10.5rem; }
th, td { padding: .35rem .4rem; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child, .text { text-align: left; }
thead th { vertical-align: bottom; }
tr.baseline th { font-weight: 400; font-style: italic; }
.main { background: linear-gradient(to right, var(--bar) var(--part), transparent var(--part)); font-weight: 600; }
.reason { white-space: pre-wrap; overflow-wrap: anywhere; }
"""


def read(folder):
    """The rows of the leaderboard in a folder, a list of dicts; empty where there is none.

    Raises ValueError if the file there is no leaderboard of this version.
    """
    path = folder / JSON
    if not path.exists():
        return []
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        version, rows = table["version"], table["rows"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no leaderboard ({error}): move it away, or give another --out") from error
    if version != VERSION:
        raise ValueError(f"{path} is a leaderboard of version {version}, expected {VERSION}: give another --out")
    return rows


def board(row):
    """What must agree for two rows to be compared: (track, seed, samples, operations)."""
    return row["track"], row["seed"], row["budget"]["samples"], row["budget"]["operations"]


def added(rows, new):
    """The rows with a new one, which takes the place of that of the same file in the same board."""
    return [row for row in rows if (board(row), row["file"]) != (board(new), new["file"])] + [new]


def write(folder, rows):
    """Write both files, each completely or not at all. Raises CannotWrite where there is no room."""
    with whole_file(folder / JSON) as file:
        file.write((json.dumps({"version": VERSION, "rows": rows}, indent=1, ensure_ascii=False) + "\n").encode())
    with whole_file(folder / PAGE) as file:
        file.write(page(rows).encode())


def ranked(rows):
    """The scored rows, the best first; of equals the earlier one."""
    scored = [row for row in rows if not row["refused"]]
    return sorted(scored, key=lambda row: -row["scores"][row["main"]])


def columns(rows, part):
    """The names of the numbers in a part ("scores", "monitors") of the rows, each once."""
    return list(dict.fromkeys(name for row in rows for name in row[part]))


def number(value):
    """A number, a word or nothing, as it is shown."""
    return "–" if value is None else value if isinstance(value, str) else f"{value:.3f}"


def used(row):
    """What a row used of its budget: (samples, operations, processor seconds) in words."""
    spent = row["used"]
    if not spent:
        return "–", "–", "–"
    return f"{spent['samples']:,}", f"{spent['operations'] / 1e12:.3g}", f"{spent['cpu_seconds']:.0f}"


def as_text(rows):
    """One board as aligned text, the best first, baselines marked by a star."""
    rows = ranked(rows)
    names = columns(rows, "scores")
    head = ["", *names, "verdict", "samples", "10^12 ops"]
    lines = [[("* " if row["baseline"] else "  ") + title(row), *(number(row["scores"].get(name)) for name in names),
              row["monitors"].get("verdict", "–"), *used(row)[:2]] for row in rows]  # fmt: skip
    widths = [max(len(line[i]) for line in [head, *lines]) for i in range(len(head))]
    cells = [[line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))]
             for line in [head, *lines]]  # fmt: skip
    return "\n".join("  ".join(line).rstrip() for line in [*cells, ["* baseline"]])


def title(row):
    """What a row is called: the name that the submission gave itself, and its file."""
    return row["name"] if row["baseline"] else f"{row['name']} ({row['file']})"


def page(rows):
    """The leaderboard as one HTML page. Every word of a submission is escaped."""
    boards = {}
    for row in rows:
        boards.setdefault(board(row), []).append(row)
    parts = [table_of(key, boards[key]) for key in sorted(boards, key=str)]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>minijepa challenge: leaderboard</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        "<h1>Challenge: leaderboard</h1>\n<p>Compare rows of one table only. A small margin is no result: "
        "run three seeds, and report the worst.</p>\n" + "\n".join(parts) + "\n</main>\n</body>\n</html>\n"
    )


def table_of(key, rows):
    """One board as HTML: heading, table, and the submissions that were refused."""
    track, seed, samples, operations = key
    scores, monitors = columns(ranked(rows), "scores"), columns(ranked(rows), "monitors")
    words = f"{track}, seed {seed}, {samples:,} samples, {operations / 1e12:g} × 10¹² operations"
    head = "".join(f'<th scope="col">{escape(name.replace("_", " "))}</th>' for name in
                   ["method", *scores, *monitors, "samples drawn", "10¹² operations", "CPU seconds"])  # fmt: skip
    body = []
    for row in ranked(rows):
        where = "(baseline)" if row["baseline"] else f"<small>{escape(row['file'])}</small>"
        cells = [f'<th scope="row">{escape(row["name"])} {where}</th>']
        for name in scores:
            value = row["scores"].get(name)
            bar = f' class="main" style="--part: {100 * value:.0f}%"' if name == row["main"] else ""
            cells.append(f"<td{bar}>{number(value)}</td>")
        cells += [f"<td>{escape(number(row['monitors'].get(name)))}</td>" for name in monitors]
        cells += [f"<td>{words}</td>" for words in used(row)]
        kind = ' class="baseline"' if row["baseline"] else ""
        body.append(f"<tr{kind}>{''.join(cells)}</tr>")
    refused = [
        f'<li>{escape(title(row))}: <span class="reason">{escape(row["refused"])}</span></li>'
        for row in rows
        if row["refused"]
    ]
    listed = f"<h3>Refused</h3>\n<ul>{''.join(refused)}</ul>\n" if refused else ""
    return (
        f"<section>\n<h2>{escape(words)}</h2>\n"
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(words)}">\n'
        f"<table>\n<caption>The best first, by {escape(rows[0]['main'])}</caption>\n<thead><tr>{head}</tr></thead>\n"
        f"<tbody>\n{chr(10).join(body)}\n</tbody>\n</table>\n</div>\n{listed}</section>"
    )
