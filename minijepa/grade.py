"""Mark submitted assignments, offline and without nbgrader:

    python -m minijepa.grade masks.ipynb                      one file, for example your own
    python -m minijepa.grade submitted/*/*/masks.ipynb --json marks.json

Each submission is assembled anew: given code and checks come from the solutions (so that edited or deleted ones are
restored, and hidden tests run), answers and added cells from the submission. It runs in a kernel of its own, in an
empty temporary folder, with limits of time and memory for each cell. A cell that fails costs its own marks alone: later
cells still run, after a crash in a new kernel that replays the cells before. A check that fails is tried once more by
itself, with the statements that its answer needs and nothing else of the notebook. That costs the start of another
kernel, and for an answer that never ends a second wait of `--seconds`. Answers in words are listed for a reader.

What this does NOT protect against: the submission's code runs with your rights. It can read and delete your files, use
the network, start processes, and edit this package on disk. It runs in the kernel of the checks, so it can replace them
in memory and give itself all points, or read the solutions. Limits of memory for a single process need Linux or macOS;
on other systems memory is only watched. So read what you mark. For marks that matter, run this program as a user
without rights, in a container without network, with hidden tests of your own (`--solutions`).
"""

import argparse
import json
import sys
from pathlib import Path

import nbformat

from minijepa.checks.grading.alone import needed
from minijepa.checks.grading.cells import UNANSWERED, assemble, duplicates, names, read_submission, with_names
from minijepa.checks.grading.kernel import Limits, Sandbox
from minijepa.machine.console import each_file, print_any_name

SOLUTIONS = Path(__file__).resolve().parents[1] / "solutions"


def read_sources(folder):
    """All assignments in a folder of solutions: (assignment, file name) -> notebook."""
    return {(path.parent.name, path.name): nbformat.read(path, 4) for path in sorted(Path(folder).glob("*/*.ipynb"))}


def find_source(path, submission, sources, wanted=None):
    """The key of the assignment that a submission belongs to, by its cells, else by its file name; or None."""
    keys = [key for key in sources if wanted in (None, key[0])]
    if submission is not None:
        shared = {key: len(set(names(with_names(submission, sources[key]))) & set(names(sources[key]))) for key in keys}
        best = max(keys, key=lambda key: (shared[key], key[1] == path.name), default=None)
        if best and shared[best] > 3:
            return best
    by_name = [key for key in keys if key[1] == path.name or wanted]
    return by_name[0] if len(by_name) == 1 else None


def nothing(path, note=""):
    """The marks of a submission before any of its cells has run."""
    notes = [note] if note else []
    return {
        "submission": str(path),
        "assignment": None,
        "points": 0,
        "of": 0,
        "cells": [],
        "to_read": [],
        "notes": notes,
    }


def mark(path, content, sources, limits, wanted=None):
    """The marks of one submission as a dictionary that JSON can hold. Never raises for what the submission does."""
    submission, problem = read_submission(content)
    result = nothing(path, problem)
    key = find_source(Path(path), submission, sources, wanted)
    if key is None:
        result["notes"].append("this file belongs to no assignment: use the original file name, or --assignment")
        return result
    result["assignment"] = key[0]
    named = with_names(submission or nbformat.v4.new_notebook(), sources[key])
    cells, notes = assemble(named, sources[key])
    again = [name for name in names(named) if submission is not None and name not in names(submission)]
    if again:
        notes.insert(0, f"cells without their names (nbgrader's metadata) were recognised: {', '.join(again)}")
    result["notes"] += notes[:20] if submission is not None else []
    with Sandbox(limits) as kernel:
        for i, (cell, text) in enumerate(cells):
            marks = cell.metadata.nbgrader if cell is not None else {}
            if cell is not None and cell.cell_type == "markdown":
                add_words(result, marks, text)
                continue
            graded = bool(marks.get("grade"))
            # without an answer there is nothing to run, and a blank submission costs no time
            status, words = kernel.run(text, replay=not graded) if submission is not None else ("empty", "")
            if graded and status not in ("ok", "empty") and passes_alone(cells[:i], text, limits):
                status, words = "ok", ""
                result["notes"].append(
                    f"{marks.grade_id} is right by itself; another cell makes it fail when all cells run"
                )
            if graded:
                points = marks.points if status == "ok" else 0
                result["points"] += points
                result["of"] += marks.points
                row = {"cell": marks.grade_id, "points": points, "of": marks.points, "status": status}
                result["cells"].append({**row, "message": words[-2000:]})
    return result


def passes_alone(before, check, limits):
    """Whether a check that failed passes in a new kernel, after only the statements that it needs.

    before: (source cell or None, text) of the cells before it. An answer that is still empty is not tried again.
    """
    code = [(cell is not None and not cell.metadata.nbgrader.solution, text) for cell, text in before
            if cell is None or cell.cell_type == "code" and not cell.metadata.nbgrader.grade]  # fmt: skip
    program = needed(code, check)
    if any("raise NotImplementedError" in text for text in program):
        return False
    with Sandbox(limits) as kernel:
        for text in program:
            kernel.run(text)
        return kernel.run(check, replay=False)[0] == "ok"


def add_words(result, marks, text):
    """List an answer in words for a reader; an empty answer gets 0 points."""
    answered = text.strip() not in UNANSWERED
    row = {"cell": marks.grade_id, "of": marks.points, "points": None if answered else 0}
    result["to_read"].append({**row, "text": text[:20_000] if answered else ""})


def table(results):
    """The marks as text: a row per submission, followed by the cells that cost points."""
    width = max([len(result["submission"]) for result in results] + [10])
    lines = [f"{'submission':<{width}}  {'assignment':<18}  checks   to read"]
    for result in results:
        checks = f"{result['points']:g}/{result['of']:g}"
        waiting = sum(row["of"] for row in result["to_read"] if row["points"] is None)
        lines.append(f"{result['submission']:<{width}}  {result['assignment'] or '-':<18}  {checks:<7}  {waiting:g}")
        for row in result["cells"]:
            if row["points"] < row["of"]:
                lines.append(f"    {row['cell']}: 0/{row['of']:g}, {row['status']}")
                lines += [f"        {line}" for line in row["message"].splitlines()[:8] if line.strip()]
        lines += [f"    note: {note}" for note in result["notes"]]
    return "\n".join(lines)


def main(argv=None):
    """The command line. The exit code is 0 when all submissions were read, whatever their marks."""
    print_any_name()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("submissions", nargs="+", type=Path)
    parser.add_argument(
        "--solutions", type=Path, default=SOLUTIONS, help="the folder of solutions, with hidden tests of your own"
    )
    parser.add_argument("--assignment", help="mark all files as this assignment, for example 03_masks")
    parser.add_argument("--json", type=Path, help="write all marks and messages to this file")
    parser.add_argument("--seconds", type=float, default=60, help="limit of time per cell (default 60)")
    parser.add_argument("--megabytes", type=float, default=4096, help="limit of memory per submission (default 4096)")
    arguments = parser.parse_args(argv)
    arguments.submissions = each_file(arguments.submissions)
    sources = read_sources(arguments.solutions)
    if not sources:
        parser.error(
            f"there is no solutions notebook under {arguments.solutions}: give --solutions, a copy of the folder "
            f"solutions/ of the course's repository (it is not installed with the package)"
        )
    missing = [str(path) for path in arguments.submissions if not path.is_file()]
    if missing:
        parser.error(f"no such file: {', '.join(missing)}")
    contents = [(path, path.read_bytes()) for path in arguments.submissions]  # all, before the first one runs
    for path, content in contents:
        for name, count in duplicates(read_submission(content)[0] or nbformat.v4.new_notebook()).items():
            print(
                f"WARNING {path}: the cell {name} occurs {count} times. It is marked here, but nbgrader's autograde "
                f"stops at this file and leaves all after it unmarked: delete the copies before you use it.",
                file=sys.stderr,
            )
    limits, results = Limits(arguments.seconds, arguments.megabytes), []
    for path, content in contents:
        try:
            results.append(mark(path, content, sources, limits, arguments.assignment))
        except Exception as error:  # a kernel that cannot start, a full disk: the next submission is still marked
            results.append(nothing(path, f"NOT MARKED, look at this file: {type(error).__name__}: {error}"))
    print(table(results))
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
