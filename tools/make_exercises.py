"""Derive the exercises from the solutions: without answers, hidden tests and outputs, with nbgrader's metadata.

    python tools/make_exercises.py            write exercises/ from solutions/
    python tools/make_exercises.py --check    write nothing; name what is not up to date

The result equals, byte for byte, what `nbgrader generate_assignment` makes of the same solutions, without nbgrader.
A solution describes its cells by metadata, `cell.metadata.nbgrader`, schema version 3:

    an answer in code    solution: true, grade: false; the lines between ### BEGIN SOLUTION and ### END SOLUTION become
                         a stub, the others stay
    a check              grade: true, solution: false, locked: true, points; the lines between ### BEGIN HIDDEN TESTS
                         and ### END HIDDEN TESTS are left out
    an answer in words   a markdown cell with solution: true, grade: true, points; its whole text (model answer and
                         marking scheme) is replaced
    given code           locked: true, grade: false, solution: false; it is restored before marking
"""

import argparse
import hashlib
import re
import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parent.parent
CODE_STUB = ["# YOUR CODE HERE", "raise NotImplementedError()"]
TEXT_STUB = ["YOUR ANSWER HERE"]


def student_version(notebook):
    """The notebook that students get; it changes `notebook` in place and returns it."""
    for cell in notebook.cells:
        marks = cell.metadata.get("nbgrader", {})
        grade, solution, locked = (marks.get(key, False) for key in ("grade", "solution", "locked"))
        if solution or grade or locked:
            cell.metadata["deletable"] = False
        if (grade or locked) and not solution:
            cell.metadata["editable"] = False
        stub = CODE_STUB if cell.cell_type == "code" else TEXT_STUB
        source = replace_regions(cell.source, "SOLUTION", stub)
        if source != cell.source and not solution:
            raise ValueError(f"a cell holds a solution but is not marked as an answer (solution: true):\n{cell.source}")
        if solution and source == cell.source:
            source = "\n".join(stub)
        without = replace_regions(source, "HIDDEN TESTS", [])
        if without != source and not grade:
            raise ValueError(f"a cell holds hidden tests but is not marked as a check (grade: true):\n{cell.source}")
        cell.source = without
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            for key in ("collapsed", "scrolled"):
                cell.metadata.pop(key, None)
        if solution or grade or locked:
            marks["cell_type"], marks["checksum"] = cell.cell_type, checksum(cell)
    return notebook


def replace_regions(source, what, stub):
    """Replace every region from a line with `BEGIN what` to one with `END what` by the lines of `stub`, indented."""
    lines, inside = [], False
    for line in source.split("\n"):
        if f"BEGIN {what}" in line:
            if inside:
                raise ValueError(f"BEGIN {what} follows BEGIN {what} without an END between them:\n{source}")
            inside = True
            indent = re.match(r"\s*", line)[0]
            lines += [indent + text for text in stub]
        elif f"END {what}" in line:
            inside = False
        elif not inside:
            lines.append(line)
    if inside:
        raise ValueError(f"BEGIN {what} has no END {what}:\n{source}")
    return "\n".join(lines)


def checksum(cell):
    """nbgrader's fingerprint of a cell: its text, type, flags, name and points."""
    marks = cell.metadata["nbgrader"]
    grade, solution = marks.get("grade", False), marks.get("solution", False)
    locked = not solution and (grade or marks.get("locked", False))
    parts = [cell.source, cell.cell_type, str(grade), str(solution), str(locked), marks["grade_id"]]
    parts += [str(float(marks["points"]))] if grade else []
    return hashlib.md5("".join(parts).encode()).hexdigest()


def exercise_text(path):
    """The file content of the exercise that belongs to the solution at `path`."""
    notebook = student_version(nbformat.read(path, as_version=4))
    return nbformat.writes(notebook, version=4).rstrip("\n") + "\n"


def pairs(root=ROOT):
    """All (solution, exercise) paths."""
    found = sorted((root / "solutions").glob("*/*.ipynb"))
    return [(path, root / "exercises" / path.relative_to(root / "solutions")) for path in found]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing, fail if an exercise is not up to date")
    check = parser.parse_args().check
    texts = {exercise: exercise_text(solution).encode() for solution, exercise in pairs()}
    changed = [path for path, text in texts.items() if not path.exists() or path.read_bytes() != text]
    left_over = [path for path in sorted((ROOT / "exercises").glob("*/*.ipynb")) if path not in texts]
    for path in changed + left_over:
        print(f"{path.relative_to(ROOT)}: {'not up to date' if check else 'written' if path in texts else 'removed'}")
        if not check:
            if path in texts:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(texts[path])
            else:
                path.unlink()
    return int(check and bool(changed + left_over))


if __name__ == "__main__":
    sys.exit(main())
