"""Planted mistakes, as students make them: each must fail its check, with the hint that belongs to it.

The wrong functions that stand in the file of an exercise (`MISTAKES`) are tried as they are. `MUTANTS` holds those that
no table can hold, of exercises that are checked by properties or of a general kind. Its rows: exercise, what stands in
the solution, what a student wrote instead, words of the hint.
"""

import importlib
import re

import pytest
from mutants import MUTANTS
from test_exercises import SOLUTIONS, run_notebook, without_pictures

from minijepa.checks import CheckFailed, report

pytestmark = pytest.mark.assignments
BY_NAME = {path.parent.name: path for path in SOLUTIONS}
ROWS = [(assignment, *row) for assignment, rows in MUTANTS.items() for row in rows]
_spaces = {}


def exercises_of(assignment):
    """Name of each exercise of an assignment -> the module that holds it."""
    folder = f"minijepa.checks.{BY_NAME[assignment].stem}"
    names = [name for name in importlib.import_module(folder).__all__ if name.startswith("show_")]
    return {name[5:]: importlib.import_module(f"{folder}.{name[5:]}") for name in names}


def table_of(module):
    return getattr(module, "MISTAKES", [])


def hint_in(error):
    return re.sub(r"\s+", " ", str(error)).split("hint: ")[-1]


@pytest.mark.parametrize("assignment", BY_NAME)
def test_each_wrong_function_of_a_table_gets_its_own_hint(assignment):
    tried = 0
    for name, module in exercises_of(assignment).items():
        for wrong, hint in table_of(module):
            with pytest.raises(CheckFailed) as caught:
                report.compare(name, wrong, getattr(module, f"spec_{name}"), module.CASES, module.MISTAKES, quiet=True)
            assert hint_in(caught.value) == hint, name
            tried += 1
    assert tried > 5


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
    assert "not right yet" in str(caught.value) and hint in hint_in(caught.value), str(caught.value)


@pytest.mark.parametrize("assignment", BY_NAME)
def test_every_graded_function_has_three_mistakes_and_no_mistake_stands_twice(assignment):
    modules, rows = exercises_of(assignment), MUTANTS.get(assignment, [])
    assert {name.removeprefix("check-") for name in solved(assignment)[1] if (name or "").startswith("check-")} == set(
        modules
    )
    planted = {name: [hint for _, hint in table_of(module)] for name, module in modules.items()}
    for exercise, _, _, hint in rows:
        assert not any(hint in other for other in planted[exercise] if other not in rows), f"{exercise}: {hint}"
    count = {name: len(hints) + sum(row[0] == name for row in rows) for name, hints in planted.items()}
    assert {name: number for name, number in count.items() if number < 3} == {}
