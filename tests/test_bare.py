"""The course as a new reader installs it: with only what `make lab` installs, and, in a second place, only a wheel.

The environment is built without a network: a new venv with links to the installed packages that the course requires,
directly or not, and to none that only an extra requires. Packages that a developer or CI added are not in it.
"""

import contextlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import nbformat
import pytest
from packaging.requirements import Requirement
from PIL import Image

import minijepa
from minijepa.pretrained.shipped import pretrained_names

REPO = Path(__file__).parents[1]
SITE = Path(sysconfig.get_path("purelib"))


def required(name):
    """The distributions that `name` needs, itself included, without the extras that nothing here requires."""
    found, waiting = {}, [(name, frozenset())]
    while waiting:
        name, extras = waiting.pop()
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # needed on another system only
            distribution = importlib.metadata.distribution(name)
            seen = found.setdefault(distribution.name, [distribution, set()])
            if extras <= seen[1] and seen[1]:
                continue
            seen[1].update(extras | {""})
            for line in distribution.requires or []:
                requirement = Requirement(line)
                marker = requirement.marker
                if marker is None or any(marker.evaluate({"extra": extra}) for extra in seen[1]):
                    waiting.append((requirement.name, frozenset(requirement.extras)))
    return [distribution for distribution, _ in found.values()]


def new_environment(folder, distributions):
    """A venv without pip that holds these distributions. Returns its interpreter and its packages' folder."""
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(subprocess.check_output([python, "-I", "-c", code], text=True).strip())
    if (Path(sys.prefix) / "share").is_dir():  # JupyterLab finds the kernel there
        os.symlink(Path(sys.prefix) / "share", folder / "share")
    for distribution in distributions:
        for top in {Path(file).parts[0] for file in distribution.files or []} - {"..", "__pycache__"}:
            if not (site / top).exists():
                os.symlink(SITE / top, site / top)
    return python, site


@pytest.fixture(scope="module", autouse=True)
def links(tmp_path_factory):
    try:
        os.symlink(REPO, tmp_path_factory.mktemp("links") / "link")
    except OSError:
        pytest.skip("this system lets no ordinary user make links, of which the bare environment is made")
    if sys.prefix == sys.base_prefix or not (SITE / "torch").is_dir():
        pytest.skip("needs an environment of its own, as `make test` makes it")


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """The interpreter that has what `make lab` installs, with the course as an editable package."""
    python, _ = new_environment(tmp_path_factory.mktemp("bare"), required("minijepa"))
    return python


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """The interpreter that has the wheel of the course and its requirements, without the repository."""
    pytest.importorskip("hatchling", reason="it builds the wheel; `make test` installs it where it can be had")
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=REPO, check=True)
    others = [each for each in required("minijepa") if each.name != "minijepa"]
    python, site = new_environment(folder / "environment", others)
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(site)
    return python


def run(python, *words, cwd, **more):
    """Run a command of that environment, without the paths and settings of this process."""
    hidden = ("PYTHONPATH", "VIRTUAL_ENV", "MINIJEPA_DATA", "PYTEST_XDIST_WORKER")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment.update({"MINIJEPA_OFFLINE": "1", **more})
    return subprocess.run([python, *words], cwd=cwd, env=environment, capture_output=True, text=True, encoding="utf-8")


def failures(done):
    return [line for line in done.stdout.splitlines() if line.startswith("[FAIL]")]


# --- what `make lab` installs -----------------------------------------------------------------------------


def test_the_bare_environment_is_bare(bare):
    """The tests below need this: packages that only tests compare with are not in it."""
    extras = [Requirement(line) for line in importlib.metadata.requires("minijepa") if "extra ==" in line]
    assert extras
    code = "import importlib.util, sys; print([m for m in sys.argv[1:] if importlib.util.find_spec(m)])"
    done = run(bare, "-c", code, *(each.name for each in extras), "pip", cwd=REPO)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_the_checker_finds_no_failure(bare):
    done = run(bare, "-m", "minijepa.check", cwd=REPO)
    assert failures(done) == [] and done.returncode == 0, done.stdout + done.stderr
    assert "training step on cpu" in done.stdout


def test_the_first_cell_of_the_course_prints_what_is_committed(bare, tmp_path):
    """In a kernel of that environment, as JupyterLab starts it."""
    notebook = nbformat.read(REPO / "notebooks" / "00_start_here.ipynb", as_version=4)
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    expected = "".join(output.text for output in first.outputs)
    cells = [nbformat.v4.new_code_cell(source) for source in (first.source, "import sys; print(sys.executable)")]
    page = nbformat.v4.new_notebook(cells=cells, metadata=notebook.metadata)
    (tmp_path / "first.ipynb").write_text(nbformat.writes(page), encoding="utf-8")
    execute = "from nbclient.cli import main; main()"  # what `jupyter execute` calls
    done = run(bare, "-c", execute, "first.ipynb", "--inplace", cwd=tmp_path, JUPYTER_PREFER_ENV_PATH="1")
    assert done.returncode == 0, done.stdout + done.stderr
    ran, where = nbformat.read(tmp_path / "first.ipynb", as_version=4).cells
    assert where.outputs[0].text.strip() == str(bare)  # not a kernel of another environment
    assert "".join(output.get("text", str(output)) for output in ran.outputs) == expected


# --- the wheel --------------------------------------------------------------------------------------------


def test_the_wheel_is_used_and_not_the_repository(elsewhere, tmp_path):
    done = run(elsewhere, "-c", "import minijepa; print(minijepa.__file__)", cwd=tmp_path)
    assert Path(done.stdout.strip()).is_relative_to(Path(elsewhere).parents[1]), done.stdout + done.stderr


def test_the_wheels_checker_fails_nothing_and_names_no_file_that_is_not_there(elsewhere, tmp_path):
    done = run(elsewhere, "-m", "minijepa.check", cwd=tmp_path)
    assert failures(done) == [] and done.returncode == 0, done.stdout + done.stderr
    assert "course.py" not in done.stdout and "make lab" not in done.stdout


def test_the_wheel_trains(elsewhere, tmp_path):
    drawn = minijepa.shapeworld(100, seed=0)
    for number, (image, label) in enumerate(zip(drawn.images, drawn.labels, strict=True)):
        (tmp_path / "mine" / f"kind {label % 2}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(tmp_path / "mine" / f"kind {label % 2}" / f"{number}.png")
    words = ["--data", "mine", "--steps", "2", "--out", "run", "--device", "cpu"]
    done = run(elsewhere, "-m", "minijepa.train", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["steps"] == 2 and (tmp_path / "run" / "encoder.safetensors").is_file()


def test_the_wheel_holds_the_shipped_encoders(elsewhere, tmp_path):
    names = pretrained_names()
    code = "import sys, minijepa; print([minijepa.load_pretrained(name).encoder.dim for name in sys.argv[1:]])"
    done = run(elsewhere, "-c", code, *names, cwd=tmp_path)
    expected = [minijepa.load_pretrained(name).encoder.dim for name in names]
    assert names and done.stdout.strip() == str(expected), done.stdout + done.stderr


def test_the_wheels_grader_marks_with_solutions_from_a_folder(elsewhere, tmp_path):
    (solution,) = (REPO / "solutions" / "03_masks").glob("*.ipynb")
    shutil.copytree(REPO / "solutions" / "03_masks", tmp_path / "sources" / "03_masks")
    shutil.copy(solution, tmp_path / solution.name)
    words = [solution.name, "--solutions", "sources", "--json", "marks.json"]
    done = run(elsewhere, "-m", "minijepa.grade", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    (result,) = json.loads((tmp_path / "marks.json").read_text(encoding="utf-8"))
    assert result["points"] == result["of"] > 0, done.stdout + done.stderr
