"""The classroom: exercises are what their solutions make them, solutions earn all, blanks nothing, mistakes a hint."""

import contextlib
import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import pytest

REPO = Path(__file__).parents[1]
SOLUTIONS = sorted((REPO / "solutions").glob("*/*.ipynb"))
EXERCISES = [REPO / "exercises" / path.relative_to(REPO / "solutions") for path in SOLUTIONS]
pytestmark = pytest.mark.assignments
WITHOUT_NBGRADER = "compares with nbgrader; `make test` installs it where it can be had, or pip install -e '.[oracles]'"

spec = importlib.util.spec_from_file_location("make_exercises", REPO / "tools" / "make_exercises.py")
make_exercises = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make_exercises)


def marks(cell):
    return cell.metadata.get("nbgrader", {})


def run_notebook(path, change=lambda name, source: source):
    """Run all code cells in this process. Returns (the namespace, name of each graded cell -> its error or None).

    A kernel per notebook would take seconds to start, and the kernel is tested elsewhere. change: may rewrite a cell.
    """
    space, outcome = {}, {}
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type != "code":
            continue
        name, error = marks(cell).get("grade_id"), None
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(change(name, cell.source), f"{path.stem}:{name}", "exec"), space)
        except (Exception, SystemExit) as caught:
            error = caught
        if marks(cell).get("grade"):
            outcome[name] = error
        elif error is not None:
            raise AssertionError(f"{name}: a cell that is not graded fails") from error
    return space, outcome


def without_pictures(name, source):
    """Drawing takes most of the time, and tells a test nothing."""
    return "" if (name or "").startswith("look-") else source


def all_of(path, key):
    return [cell for cell in nbformat.read(path, as_version=4).cells if marks(cell).get(key)]


def test_there_is_something_to_solve():
    assert len(SOLUTIONS) >= 1


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.parent.name)
def test_a_solution_earns_full_marks_without_noise(path, capfd):
    _, outcome = run_notebook(path)
    assert len(outcome) >= 4 and set(outcome.values()) == {None}
    assert capfd.readouterr().err == ""  # in nbgrader a word on stderr costs all points


@pytest.mark.parametrize("path", EXERCISES, ids=lambda path: path.parent.name)
def test_a_blank_exercise_earns_nothing_and_each_check_fails_by_itself(path):
    _, outcome = run_notebook(path)
    assert outcome
    for name, error in outcome.items():
        assert isinstance(error, AssertionError) and "still empty" in str(error), f"{name} on a blank: {error!r}"


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.parent.name)
def test_one_wrong_answer_costs_its_own_marks_alone(path):
    for wrong in all_of(path, "solution"):
        if wrong.cell_type != "code":
            continue
        name, blank = marks(wrong)["grade_id"], "\n".join(make_exercises.CODE_STUB)
        empty = make_exercises.replace_regions(wrong.source, "SOLUTION", blank.split("\n"))
        _, outcome = run_notebook(
            path, lambda cell, text, n=name, e=empty: e if cell == n else without_pictures(cell, text)
        )
        assert [cell for cell, error in outcome.items() if error] == [f"check-{name}"]


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.parent.name)
def test_checks_leave_no_value_behind_and_answers_say_where_they_go(path):
    for cell in all_of(path, "grade"):
        if cell.cell_type == "code":
            assert cell.source.startswith("check."), "a check is a call, and prints its line itself"
            assert not any(output.output_type == "execute_result" for output in cell.outputs), (
                "nbgrader takes it as marks"
            )
            assert "raises-exception" in cell.metadata.tags, "so that Run All goes past it"
        else:
            assert "**Marking scheme.**" in cell.source and marks(cell)["solution"]
    for cell in all_of(path, "solution"):
        if cell.cell_type == "code":
            assert cell.source.count("### BEGIN SOLUTION") == cell.source.count("### END SOLUTION") == 1
    graded = [cell.cell_type for cell in all_of(path, "grade")]
    assert graded.count("code") >= 4 and graded.count("markdown") >= 1


# --- pictures, and numbers in words -----------------------------------------------------------------------


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.parent.name)
def test_before_each_check_stands_its_picture(path):
    cells = nbformat.read(path, as_version=4).cells
    for before, cell in zip(cells, cells[1:], strict=False):
        if cell.cell_type == "code" and marks(cell).get("grade"):
            name = marks(cell)["grade_id"].removeprefix("check-")
            assert marks(before)["grade_id"] == f"look-{name}" and before.source == f"check.show_{name}({name})"
            assert marks(before)["locked"] and "raises-exception" in before.metadata.tags


def empty(*arguments):
    raise NotImplementedError()


def broken(*arguments):
    raise KeyError("x")


WRONG = {
    "empty": (empty, "nothing yet"),
    "an error": (broken, "an error"),
    "no return": (lambda *arguments: None, "see the check"),
    "no function": (None, "an error"),
    "a word": (lambda *arguments: "a", "see the check"),
}


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.parent.name)
def test_a_picture_of_a_wrong_answer_has_the_target_and_a_few_words(path, kind, capfd, monkeypatch):
    student, words = WRONG[kind]
    check = importlib.import_module(f"minijepa.checks.{path.stem}")
    drawn = []
    for module in ("picture", "curves"):
        module = importlib.import_module(f"minijepa.checks.{module}")
        monkeypatch.setattr(module, "show", lambda fig, alt, see: (drawn.append((fig, alt)), plt.close(fig)))
    names = [name for name in dir(check) if name.startswith("show_")]
    for name in names:
        getattr(check, name)(student)
        fig, alt = drawn[-1]
        assert words in alt, f"{name}: {alt}"
        assert any(ax.images or ax.lines for ax in fig.axes), f"{name} has no target"
    assert len(drawn) == len(names) >= 4 and capfd.readouterr().err == ""


NUMBER = re.compile(r"(?<![\w.:/])(?:\d{1,3}(?:,\d{3})+|\d*\.\d+|\d{3,})(?![\w/])")


def numbers_without_proof(notebook):
    """Decimals and large numbers of the examples by hand, the help and the model answers that no check asserts.

    A model answer may repeat the numbers that its question gives.
    """
    cells = notebook.cells
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code" and not marks(cell).get("solution"))
    proved = {float(number) for number in re.findall(r"\d*\.?\d+", code)}
    found = []
    for before, cell in zip([cells[0], *cells], cells, strict=False):
        if cell.cell_type == "markdown":
            given = before.source if marks(cell).get("solution") else ""
            parts = re.findall(r"(?s)By hand:.*?(?:\n\n|\Z)|<details>.*?</details>|\*\*Model answer.*", cell.source)
            numbers = [number for part in parts for number in NUMBER.findall(part.replace("\\,", ","))]
            numbers = [number for number in numbers if number not in NUMBER.findall(given)]
            found += [number for number in numbers if float(number.replace(",", "")) not in proved]
    return found


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.parent.name)
def test_numbers_in_words_are_asserted_by_a_check(path):
    assert numbers_without_proof(nbformat.read(path, as_version=4)) == []


def test_the_guard_of_numbers_finds_a_planted_one():
    v4 = nbformat.v4
    words = "Given .7.\n\nBy hand: it is .25, or 1,024.\n\n<details>\nabout .31, arXiv:2301.08243\n</details>"
    text = v4.new_markdown_cell(words)
    notebook = v4.new_notebook(cells=[text, v4.new_code_cell("assert 0.25 == x")])
    assert numbers_without_proof(notebook) == ["1,024", ".31"]


# --- the generator ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("solution, exercise", make_exercises.pairs(), ids=[path.parent.name for path in SOLUTIONS])
def test_exercises_are_generated_byte_for_byte(solution, exercise):
    assert exercise.read_bytes().decode("utf-8") == make_exercises.exercise_text(solution), "run `make exercises`"


def test_no_exercise_without_a_solution():
    assert sorted((REPO / "exercises").glob("*/*.ipynb")) == EXERCISES


@pytest.mark.parametrize("path", EXERCISES, ids=lambda path: path.parent.name)
def test_nothing_of_the_answers_is_handed_out(path):
    text = path.read_text(encoding="utf-8")
    for word in ("BEGIN SOLUTION", "HIDDEN TESTS", "Marking scheme", "Model answer"):
        assert word not in text
    for cell in nbformat.read(path, as_version=4).cells:
        assert cell.cell_type == "markdown" or (cell.outputs == [] and cell.execution_count is None)


def answer(source, **flags):
    flags = {"schema_version": 3, "grade": False, "solution": False, "locked": False, "grade_id": "a", **flags}
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source, metadata={"nbgrader": flags})])


def test_regions_become_stubs_with_their_indentation():
    source = "def f(x):\n    ### BEGIN SOLUTION\n    return x\n    ### END SOLUTION\ny = 1"
    cell = make_exercises.student_version(answer(source, solution=True)).cells[0]
    assert cell.source == "def f(x):\n    # YOUR CODE HERE\n    raise NotImplementedError()\ny = 1"
    assert cell.metadata.deletable is False and "editable" not in cell.metadata


@pytest.mark.parametrize(
    "source, flags",
    [
        ("### BEGIN SOLUTION\n1", {"solution": True}),
        ("### BEGIN SOLUTION\n### BEGIN SOLUTION\n### END SOLUTION", {"solution": True}),
        ("### BEGIN SOLUTION\n### END SOLUTION", {"locked": True}),
        ("### BEGIN HIDDEN TESTS\n### END HIDDEN TESTS", {"locked": True}),
    ],
)
def test_the_generator_refuses_what_would_leak(source, flags):
    with pytest.raises(ValueError):
        make_exercises.student_version(answer(source, **flags))


# --- the real nbgrader, where it is installed -------------------------------------------------------------


def nbgrader(course, *arguments):
    """Run nbgrader in a course folder; its own helpers must be on the path."""
    pytest.importorskip("nbgrader", reason=WITHOUT_NBGRADER)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    environment = dict(os.environ, PATH=path, JUPYTER_PREFER_ENV_PATH="1", PYTHONPATH=str(REPO))
    command = [sys.executable, "-c", "from nbgrader.apps.nbgraderapp import main; main()", *arguments]
    done = subprocess.run(command, cwd=course, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def course_in(folder):
    """A course folder with our configuration and solutions."""
    shutil.copy(REPO / "nbgrader_config.py", folder)
    for solution in SOLUTIONS:
        target = folder / solution.relative_to(REPO)
        target.parent.mkdir(parents=True)
        shutil.copy(solution, target)
    return folder


def test_nbgrader_makes_the_same_exercises(tmp_path):
    pytest.importorskip("nbgrader", reason=WITHOUT_NBGRADER)
    course = course_in(tmp_path)
    for solution, exercise in make_exercises.pairs():
        nbgrader(course, "generate_assignment", solution.parent.name, "--no-db")
        made = course / exercise.relative_to(REPO)
        assert made.read_bytes().decode("utf-8").replace("\r\n", "\n") == exercise.read_text(encoding="utf-8")


def test_nbgrader_marks_perfect_blank_and_wrong_as_expected(tmp_path):
    pytest.importorskip("nbgrader", reason=WITHOUT_NBGRADER)
    from nbgrader.api import Gradebook

    course, name = course_in(tmp_path), "03_masks"
    nbgrader(course, "generate_assignment", name)
    perfect = nbformat.read(REPO / "solutions" / name / "masks.ipynb", 4)
    wrong = nbformat.read(REPO / "solutions" / name / "masks.ipynb", 4)
    for cell in wrong.cells:
        if marks(cell).get("grade_id") == "block_size":
            cell.source = cell.source.replace("area * aspect", "area / aspect")
        if marks(cell).get("grade_id") == "check-block_size":
            cell.source = "pass"  # tampered with
    blank = nbformat.read(REPO / "exercises" / name / "masks.ipynb", 4)
    for student, notebook in {"perfect": perfect, "wrong": wrong, "blank": blank}.items():
        folder = course / "submitted" / student / name
        folder.mkdir(parents=True)
        nbformat.write(notebook, folder / "masks.ipynb")
    nbgrader(course, "autograde", name)
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        scores = {student: book.find_submission(name, student).score for student in ("perfect", "wrong", "blank")}
    assert scores == {"perfect": 14, "wrong": 12, "blank": 0}


def test_where_nbgrader_and_ours_differ_is_as_the_page_says(tmp_path):
    """quit() costs a whole notebook there, a cell that stands twice the whole batch; here neither costs a mark."""
    pytest.importorskip("nbgrader", reason=WITHOUT_NBGRADER)
    from nbgrader.api import Gradebook

    from minijepa.checks.grading.kernel import Limits
    from minijepa.grade import mark, read_sources

    course, name = course_in(tmp_path), "03_masks"
    nbgrader(course, "generate_assignment", name)
    quits, twice, sound = (nbformat.read(REPO / "solutions" / name / "masks.ipynb", 4) for _ in range(3))
    at = [marks(cell).get("grade_id") for cell in sound.cells].index("block_indices")
    quits.cells[at].source += "\nquit()"
    twice.cells.insert(at + 1, nbformat.from_dict({**twice.cells[at], "id": "a-copy"}))
    for student, notebook in {"ann": quits, "bob": twice, "cid": sound}.items():
        folder = course / "submitted" / student / name
        folder.mkdir(parents=True)
        nbformat.write(notebook, folder / "masks.ipynb")
    with pytest.raises(AssertionError, match="block_indices' exists multiple times"):
        nbgrader(course, "autograde", name)
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        scored = {submission.student_id: submission.score for submission in book.assignment_submissions(name)}
    assert scored.get("ann", 0) == scored.get("bob", 0) == 0 and "cid" not in scored
    sources = read_sources(course / "solutions")
    for student in ("ann", "bob"):
        path = course / "submitted" / student / name / "masks.ipynb"
        assert mark(path, path.read_bytes(), sources, Limits())["points"] == 14
