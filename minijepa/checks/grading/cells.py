"""Which cell of a submission answers which exercise, also where an editor or a tool has changed the file.

A cell is identified by nbgrader's name for it (grade_id). Where that metadata was lost, cells are recognised by their
text or by the functions that they define, and answers in words by the question before them.
"""

import json
import re
from collections import Counter

import nbformat

UNANSWERED = ("", "YOUR ANSWER HERE")
DEFINES = re.compile(r"(?m)^(?:def|class) (\w+)")
HEADING = re.compile(r"(?m)^#+ .*$")


def grade_id(cell):
    """nbgrader's name of a cell, or None."""
    return cell.metadata.get("nbgrader", {}).get("grade_id")


def names(notebook):
    """nbgrader's names of the cells that have one: grade_id -> cell. The first of several with one name counts."""
    found = {}
    for cell in notebook.cells:
        found.setdefault(grade_id(cell), cell)
    found.pop(None, None)
    return found


def duplicates(notebook):
    """grade_id -> how often it occurs, of those that occur more than once (a copied cell keeps its name)."""
    counts = Counter(grade_id(cell) for cell in notebook.cells)
    return {name: count for name, count in counts.items() if name is not None and count > 1}


def read_submission(content):
    """The notebook in these bytes and '', or the notebook (None if there is none) and what is wrong with it.

    UTF-8 with or without a byte-order mark, UTF-16, and the line endings of all systems are read.
    """
    try:
        text = content.decode(json.detect_encoding(content), "replace")
        notebook = nbformat.reads(text, as_version=4)
        notebook = nbformat.from_dict({**notebook, "cells": [readable(cell) for cell in notebook.cells]})
    except Exception as error:  # whatever is wrong with this file, the next one must be marked
        return None, f"not a readable notebook ({type(error).__name__})"
    return notebook, "some characters are not UTF-8, and are shown as \ufffd" if "\ufffd" in text else ""


def readable(cell):
    """The parts of a cell that are needed here, whatever else it lacks."""
    metadata = cell.get("metadata") or {}
    marks = metadata.get("nbgrader")
    metadata = {"nbgrader": marks} if isinstance(marks, dict) else {}
    source = str(cell.get("source", "")).replace("\r\n", "\n").replace("\r", "\n")
    return {"cell_type": cell.get("cell_type", "raw"), "source": source, "metadata": metadata}


def student_text(source):
    """A check as the student got it, without its hidden tests."""
    head, _, rest = source.partition("### BEGIN HIDDEN TESTS")
    return (head + rest.partition("### END HIDDEN TESTS")[2]).strip()


def with_names(submission, source):
    """The submission with the names of its cells restored where they were lost, as far as cells can be recognised.

    Given code and checks are recognised by their text, answers in code by the functions that they define, answers in
    words by their place: the student's first text cell after the question (the cell before it in the source).
    """
    missing = {name: cell for name, cell in names(source).items() if name not in names(submission)}
    code = {name: cell for name, cell in missing.items() if cell.cell_type == "code"}
    found = [grade_id(cell) for cell in submission.cells]
    for i, cell in enumerate(submission.cells):
        if found[i] is None and cell.cell_type == "code":
            defined = set(DEFINES.findall(cell.source))
            found[i] = next((name for name, given in code.items() if is_this(cell, defined, given)), None)
            code.pop(found[i], None)
    for question, answer in zip(source.cells, source.cells[1:], strict=False):
        if grade_id(answer) in missing and answer.cell_type == "markdown":
            place = place_of(question, submission, found)
            for i in range(place + 1, len(found)) if place is not None else ():
                if (
                    found[i] is not None
                    or place_of(submission.cells[i], source, [None] * len(source.cells)) is not None
                ):
                    break  # this is the next given cell: the answer is missing
                if submission.cells[i].cell_type == "markdown":
                    found[i] = grade_id(answer)
                    break
    cells = [
        cell if name == grade_id(cell) else {**cell, "metadata": {"nbgrader": {"grade_id": name}}}
        for cell, name in zip(submission.cells, found, strict=True)
    ]
    return nbformat.from_dict({**submission, "cells": cells})


def is_this(cell, defined, given):
    """Whether a code cell is this cell of the source: an answer defines the same, all else has the same text."""
    if given.metadata.nbgrader.solution:
        return bool(defined & set(DEFINES.findall(given.source)))
    return cell.source.strip() in (given.source.strip(), student_text(given.source))


def place_of(cell, notebook, found):
    """The place of a cell in another notebook, by its name in `found`, its text, or its last heading; else None."""
    if grade_id(cell) is not None:
        return found.index(grade_id(cell)) if grade_id(cell) in found else None
    heading = HEADING.findall(cell.source)[-1:]
    for i, other in enumerate(notebook.cells):
        same = other.source.strip() == cell.source.strip() or heading and heading == HEADING.findall(other.source)[-1:]
        if other.cell_type == cell.cell_type == "markdown" and same and grade_id(other) is None:
            return i
    return None


def assemble(submission, source):
    """The cells to run, and notes on what was restored.

    Given code and checks are the source's, in the source's order; each answer is the submission's. Cells that the
    student added stay after the cell that they followed; added text belongs to the answer in words that it followed.
    Returns (list of (source cell or None, text), notes).
    """
    theirs, notes = names(submission), []
    for name, count in duplicates(submission).items():
        notes.append(f"the cell {name} occurs {count} times: the first is the answer, the others run after it")
    extra, words, last = {}, {}, None
    given = {cell.source.strip() for cell in source.cells}
    for cell in submission.cells:
        name = grade_id(cell)
        if name in names(source) and theirs[name] is cell:
            last = name
        elif cell.cell_type == "code" and cell.source.strip():
            extra.setdefault(last, []).append(cell.source)
        elif cell.cell_type == "markdown" and cell.source.strip() not in given:
            words.setdefault(last, []).append(cell.source)
    cells = [(None, text) for text in extra.get(None, [])]
    for before, cell in zip([None, *source.cells], source.cells, strict=False):
        name = grade_id(cell)
        if name is None:
            continue
        marks, own = cell.metadata.nbgrader, theirs.get(name)
        if own is None:
            by_hand = ", look for it by hand" if cell.cell_type == "markdown" else ""
            notes.append(f"{name} was missing{by_hand}")
        text = own.source if own is not None else ""
        if cell.cell_type == "markdown":
            parts = [part for part in [text, *words.get(name, [])] if part.strip() not in UNANSWERED]
            place = place_of(before, submission, []) if before is not None and not parts else None
            if place is not None and submission.cells[place].source.strip() not in given:
                parts = [submission.cells[place].source]  # the answer was written into the question
            text = "\n\n".join(parts) or text
        elif not marks.solution:
            text = cell.source
            if own is not None and own.source.strip() not in (cell.source, student_text(cell.source)):
                notes.append(f"{name} was changed and is restored")
        cells.append((cell, text))
        cells += [(None, text) for text in extra.get(name, [])]
    return cells, notes
