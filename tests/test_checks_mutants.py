"""Planted mistakes, as students make them: each must fail its check, with the hint that belongs to it.

A row of `MUTANTS`: exercise, what stands in the solution, what a student wrote instead, words of the hint.
"""

import re

import pytest
from mutants import MUTANTS
from test_exercises import SOLUTIONS, run_notebook, without_pictures

from minijepa.checks import report

pytestmark = pytest.mark.assignments
BY_NAME = {path.parent.name: path for path in SOLUTIONS}
ROWS = [(assignment, *row) for assignment, rows in MUTANTS.items() for row in rows]
_spaces = {}


def solved(assignment):
    """The namespace after the solution ran, and the text of each cell: computed once for all mutants."""
    if assignment not in _spaces:
        texts = {}

        def keep(name, source):
            return without_pictures(name, texts.setdefault(name, source))

        space, _ = run_notebook(BY_NAME[assignment], keep)
        _spaces[assignment] = space, texts
    return _spaces[assignment]


@pytest.mark.parametrize("assignment, exercise, right, wrong, hint", ROWS)
def test_a_mistake_gets_its_hint(assignment, exercise, right, wrong, hint, monkeypatch):
    monkeypatch.setattr(report, "PATIENCE", 2.0)
    space, texts = solved(assignment)
    assert right in texts[exercise], "the solution has changed: adapt the mutant"
    space = dict(space)
    exec(texts[exercise].replace(right, wrong), space)
    with pytest.raises(AssertionError) as caught:
        exec(f"check.{exercise}({exercise})", space)  # without the hidden tests: the public check must find it
    message = re.sub(r"\s+", " ", str(caught.value))
    assert "not right yet" in message and hint in message.split("hint:")[-1], message


@pytest.mark.parametrize("assignment", BY_NAME)
def test_every_graded_function_has_three_mutants(assignment):
    exercises = [name.removeprefix("check-") for name in run_names(assignment)]
    rows = [row[0] for row in MUTANTS[assignment]]
    assert set(rows) == set(exercises)
    assert {name: rows.count(name) for name in exercises if rows.count(name) < 3} == {}


def run_names(assignment):
    return [name for name in solved(assignment)[1] if name and name.startswith("check-")]
