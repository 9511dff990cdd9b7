"""tools/course.py: a set-up that is new, interrupted, moved or damaged. Nothing is really installed."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from helpers import REPO, load_tool

PYTHON = [3, 12]


@pytest.fixture
def course(tmp_path, monkeypatch):
    """tools/course.py with an empty project, an interpreter that is always `PYTHON`, and no uv."""
    module = load_tool("course")
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    module.REPO, module.VENV = tmp_path, tmp_path / ".venv"
    module.STAMP = module.VENV / "minijepa-setup.json"
    monkeypatch.setattr(module, "version_of", lambda python: PYTHON if module.VENV.exists() else None)
    monkeypatch.setattr(module, "packages_folder", lambda python: str(module.VENV / "site"))
    monkeypatch.setattr(module, "find_python", lambda: "base-python")
    monkeypatch.setattr(module, "works", lambda command: True)
    monkeypatch.setattr(module, "call", lambda command, env=None: 0)
    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    return module


@pytest.fixture
def log(course, monkeypatch):
    """Replace the two slow parts; returns the list of what was done."""
    done = []

    def create(base, uv):
        shutil.rmtree(course.VENV, ignore_errors=True)
        (course.VENV / "site").mkdir(parents=True)
        done.append("create")

    def install(python, uv, extras=()):
        for name in ("torch", "torch-2.9.0.dist-info", "jupyterlab"):
            (course.VENV / "site" / name).mkdir(exist_ok=True)
        done.append(" ".join(["install", *sorted(extras)]))
        return True

    monkeypatch.setattr(course, "create", create)
    monkeypatch.setattr(course, "install", install)
    monkeypatch.setattr(course, "forget_broken", lambda site: done.append("look"))
    return done


# --- the stamp --------------------------------------------------------------------------------------------


def test_a_complete_set_up_is_left_alone(course, log):
    python = course.setup()
    assert log == ["create", "look", "install"]
    assert course.setup() == python and course.setup() == python
    assert log == ["create", "look", "install"]


@pytest.mark.parametrize("end", [KeyboardInterrupt, False])
def test_an_interrupted_or_failed_set_up_goes_on(course, log, monkeypatch, end):
    install = course.install

    def stops(python, uv, extras):
        if end is KeyboardInterrupt:
            raise KeyboardInterrupt
        return False

    monkeypatch.setattr(course, "install", stops)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        course.setup()
    monkeypatch.setattr(course, "install", install)
    course.setup()
    assert log == ["create", "look", "look", "install"]  # the second run kept the environment
    course.setup()
    assert log == ["create", "look", "look", "install"]


def test_an_interrupted_repair_is_not_taken_for_complete(course, log, monkeypatch):
    course.setup()
    (course.VENV / "site" / "torch").rmdir()

    def stops_half_way(python, uv, extras):
        (course.VENV / "site" / "torch").mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr(course, "install", stops_half_way)
    with pytest.raises(KeyboardInterrupt):
        course.setup()
    assert course.diagnose(PYTHON, course.read_stamp()) == ("install", "the last set-up did not finish")
    monkeypatch.setattr(course, "REPO", course.REPO / "elsewhere")
    assert course.diagnose(PYTHON, course.read_stamp()) == ("rebuild", "the folder was moved")


def test_packages_that_do_not_import_leave_no_stamp(course, log, monkeypatch):
    monkeypatch.setattr(course, "call", lambda command, env=None: 1)
    with pytest.raises(SystemExit, match="did not finish"):
        course.setup()
    assert course.diagnose(PYTHON, course.read_stamp())[0] == "install"


def test_a_deleted_package_is_noticed_and_brought_back(course, log):
    course.setup()
    (course.VENV / "site" / "torch").rmdir()
    assert course.diagnose(PYTHON, course.read_stamp()) == ("install", "these packages are missing: torch")
    course.setup()
    assert log == ["create", "look", "install", "look", "install"]
    assert (course.VENV / "site" / "torch").exists()


def test_what_the_reader_adds_to_the_environment_is_no_damage(course, log):
    course.setup()
    (course.VENV / "site" / "another_package").mkdir()
    (course.VENV / "site" / "__pycache__").mkdir()
    (course.VENV / "site" / "torch-2.9.0.dist-info").rename(course.VENV / "site" / "torch-2.9.1.dist-info")
    assert course.diagnose(PYTHON, course.read_stamp()) == (None, "")


def test_new_requirements_are_installed_without_starting_over(course, log):
    course.setup()
    (course.REPO / "pyproject.toml").write_text("[project]\ndependencies = ['new']\n")
    course.setup()
    assert log == ["create", "look", "install", "look", "install"]
    (course.REPO / "pyproject.toml").write_text("[project]\ndependencies = ['new']\n\n[tool.ruff]\n")
    course.setup()  # a setting of the linter requires no installation
    assert log == ["create", "look", "install", "look", "install"]


def test_a_moved_folder_or_another_python_starts_over(course, log, monkeypatch):
    course.setup()
    stamp = json.loads(course.STAMP.read_text())
    course.STAMP.write_text(json.dumps({**stamp, "repo": str(course.REPO / "elsewhere")}))
    course.setup()
    monkeypatch.setattr(course, "version_of", lambda python: [3, 13])
    course.setup()
    assert log == ["create", "look", "install"] * 3
    assert course.read_stamp()["python"] == [3, 13]


@pytest.mark.parametrize("version", [None, [3, 9]])
def test_a_broken_or_old_interpreter_starts_over(course, log, version):
    course.setup()
    assert course.diagnose(version, course.read_stamp())[0] == "rebuild"


def test_an_environment_without_pip_starts_over_unless_uv_is_there(course, log, monkeypatch):
    course.setup()
    course.STAMP.unlink()
    monkeypatch.setattr(course, "works", lambda command: False)
    course.setup()
    assert log[3:] == ["create", "look", "install"]
    course.STAMP.unlink()
    monkeypatch.setattr(course.shutil, "which", lambda name: "uv")
    course.setup()
    assert log[6:] == ["look", "install"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"repo"'])
def test_an_unreadable_stamp_is_no_stamp(course, log, content):
    course.setup()
    course.STAMP.write_text(content)
    assert course.read_stamp() == {}
    assert course.diagnose(PYTHON, {}) == ("install", "the last set-up did not finish")


# --- what tests compare with -------------------------------------------------------------------------------


def test_the_tests_bring_what_they_compare_with_and_the_lab_does_not(course, log):
    course.setup()
    assert log == ["create", "look", "install"]
    course.setup(extras=["oracles"])
    assert log[3:] == ["look", "install oracles"]
    course.setup(extras=["oracles"])
    course.setup()
    assert log[5:] == []


def test_what_tests_compare_with_comes_back_after_a_change(course, log):
    course.setup(extras=["oracles"])
    (course.REPO / "pyproject.toml").write_text("[project]\ndependencies = ['new']\n")
    course.setup()
    course.setup(extras=["oracles"])
    assert log == ["create", "look", "install oracles"] * 1 + ["look", "install oracles"]


@pytest.mark.parametrize("before", [True, False])
def test_without_what_tests_compare_with_the_course_is_complete_all_the_same(course, log, monkeypatch, before, capsys):
    """No network after `make lab`, or a Python for which one of these packages does not exist."""
    whole = course.install
    if before:
        course.setup()
    monkeypatch.setattr(course, "install", lambda python, uv, extras=(): not extras and whole(python, uv))
    del log[:]
    course.setup(extras=["oracles"])
    assert log == (["look"] if before else ["create", "look", "install"])  # nothing that worked is installed again
    assert "will be skipped" in capsys.readouterr().out
    assert course.diagnose(PYTHON, course.read_stamp()) == (None, "")
    action, _ = course.diagnose(PYTHON, course.read_stamp(), extras=["oracles"])
    assert action == "install"  # the next `make test` tries again


def test_the_book_adds_its_packages_to_those_of_the_tests(course, log, monkeypatch):
    course.setup(extras=["oracles"])
    calls = []
    monkeypatch.setattr(course, "call", lambda command, env=None: calls.append(command) or 0)
    assert course.book(["--strict"]) == 0
    assert log[3:] == ["look", "install book oracles"]
    assert calls[-1][1:] == [str(course.REPO / "tools" / "build_book.py"), "--strict"]
    course.setup()
    course.setup(extras=["book", "oracles"])
    assert log[5:] == []


def test_without_its_packages_no_book_is_built(course, log, monkeypatch):
    course.setup()
    monkeypatch.setattr(course, "install", lambda python, uv, extras=(): not extras)
    with pytest.raises(SystemExit, match="The book needs"):
        course.book([])
    assert course.diagnose(PYTHON, course.read_stamp()) == (None, "")  # the course is as complete as before


def test_an_interrupted_addition_takes_nothing_from_a_complete_course(course, log, monkeypatch):
    """Ctrl-C in `make test`, then `make lab` without a network."""
    course.setup()

    def interrupted(python, uv, extras=()):
        raise KeyboardInterrupt

    monkeypatch.setattr(course, "install", interrupted)
    with pytest.raises(KeyboardInterrupt):
        course.setup(extras=["oracles"])
    assert course.diagnose(PYTHON, course.read_stamp()) == (None, "")
    assert course.setup() == course.venv_python()


# --- half-written packages --------------------------------------------------------------------------------


def distribution(site, name, damage=None):
    """A package and its script as an installer leaves them, with RECORD; damage: what happened to it afterwards."""
    (site / name).mkdir(parents=True)
    (site / name / "__init__.py").write_text("x = 1\n")
    (site / "bin").mkdir(exist_ok=True)
    (site / "bin" / name).write_text("#!python\n")
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    record = [f"{name}/__init__.py,sha256=abc,6", f"{name}/__pycache__/__init__.pyc,,", f"bin/{name},,"]
    (info / "RECORD").write_text("\n".join([*record, f"{name}-1.0.dist-info/RECORD,,", ""]))
    if damage == "missing":
        (site / name / "__init__.py").unlink()
    elif damage == "cut":
        (site / name / "__init__.py").write_text("x")
    elif damage == "no record":
        (info / "RECORD").unlink()
    elif damage == "empty record":
        (info / "RECORD").write_text("")
    elif damage == "script":
        (site / "bin" / name).unlink()
    return info


def test_half_written_packages_are_forgotten_and_whole_ones_kept(tmp_path, capsys):
    whole = distribution(tmp_path, "whole")
    damages = ["missing", "cut", "no record", "empty record", "script"]
    broken = [distribution(tmp_path, "broken_" + d.replace(" ", "_"), d) for d in damages]
    load_tool("course").forget_broken(tmp_path)
    assert whole.exists()
    assert [info.name for info in broken if info.exists()] == []
    assert capsys.readouterr().out.count("Incomplete") == len(damages)


# --- installers and interpreters --------------------------------------------------------------------------


def test_uv_falls_back_to_the_ordinary_build_of_pytorch(course, monkeypatch):
    calls = []

    def call(command, env=None):
        calls.append(command)
        return "--torch-backend" in command

    monkeypatch.setattr(course, "call", call)
    assert course.install("python", "uv")
    assert [command[:3] for command in calls] == [["uv", "pip", "install"]] * 2
    assert calls[0][-2:] == ["--torch-backend", "auto"] and "--torch-backend" not in calls[1]


def test_pip_is_used_without_uv(course, monkeypatch):
    calls = []
    monkeypatch.setattr(course, "call", lambda command, env=None: calls.append(command) or 1)
    assert not course.install("python", None)
    assert not course.install("python", None, extras={"oracles", "book"})
    assert [command[:4] for command in calls] == [["python", "-m", "pip", "install"]] * 2
    assert [command[-1] for command in calls] == [str(course.REPO), f"{course.REPO}[book,oracles]"]


def test_an_old_python_finds_a_newer_one_or_says_what_to_do(monkeypatch):
    course = load_tool("course")
    versions = {"python3.11": [3, 11], "python3": [3, 9]}
    monkeypatch.setattr(course, "version_of", lambda python: versions.get(python))
    assert course.find_python() == "python3.11"
    versions.pop("python3.11")
    with pytest.raises(SystemExit, match=r"3\.10 or newer; python3 is 3\.9\.(.|\n)*uv python install"):
        course.find_python()


def test_version_of_asks_the_interpreter_itself(tmp_path):
    course = load_tool("course")
    assert course.version_of(sys.executable) == list(sys.version_info[:2])
    assert course.version_of(str(tmp_path / "python")) is None


def test_a_python_without_venv_is_told_which_package_to_install(monkeypatch, tmp_path):
    course = load_tool("course")
    course.VENV = tmp_path / ".venv"
    monkeypatch.setattr(course, "works", lambda command: False)
    monkeypatch.setattr(course, "version_of", lambda python: [3, 12])
    with pytest.raises(SystemExit, match="apt install python3.12-venv"):
        course.create("/usr/bin/python3", None)


def test_the_script_parses_on_python_3_6_and_needs_only_the_standard_library():
    tree = ast.parse((REPO / "tools" / "course.py").read_text(encoding="utf-8"), feature_version=(3, 6))
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in modules} <= sys.stdlib_module_names


# --- the commands -----------------------------------------------------------------------------------------


def test_the_superuser_flag_is_given_to_the_superuser_alone():
    course = load_tool("course")
    assert "--allow-root" in course.lab_flags(root=True, screen=True)
    assert "--allow-root" not in course.lab_flags(root=False, screen=False)


def test_no_browser_without_a_display():
    course = load_tool("course")
    assert not course.has_screen("Linux", {})
    assert not course.has_screen("Linux", {"DISPLAY": ""})
    assert course.has_screen("Linux", {"DISPLAY": ":0"})
    assert course.has_screen("Linux", {"WAYLAND_DISPLAY": "wayland-0"})
    assert course.has_screen("Darwin", {}) and course.has_screen("Windows", {})
    assert "--no-browser" in course.lab_flags(root=False, screen=False)
    assert "--no-browser" not in course.lab_flags(root=False, screen=True)


@pytest.mark.parametrize(("failing", "code"), [(None, 0), ("minijepa.datasets", 1), ("pytest", 1)])
def test_all_tests_and_notebooks_run_also_if_the_data_are_damaged(course, monkeypatch, failing, code):
    calls = []
    monkeypatch.setattr(course, "setup", lambda extras=(): f"python with {extras}")
    monkeypatch.setattr(course, "call", lambda command, env=None: calls.append(command) or int(failing in command))
    assert course.test() == code
    data, tests = calls
    assert "minijepa.datasets" in data
    assert tests[0] == "python with ('oracles', 'book')" and {"tests", "notebooks", "solutions", "--nbval"} <= set(
        tests
    )


@pytest.mark.parametrize(("own", "threads"), [(None, "1"), ("3", "3")])
def test_each_worker_has_one_thread_unless_the_reader_chose(course, monkeypatch, own, threads):
    seen = []
    monkeypatch.setattr(course, "setup", lambda extras=(): "python")
    monkeypatch.setattr(course, "call", lambda command, env=None: seen.append(env) or 0)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if own:
        monkeypatch.setenv("OMP_NUM_THREADS", own)
    course.test()
    assert seen[-1]["OMP_NUM_THREADS"] == threads


def test_ci_does_what_the_readme_says_and_nothing_more():
    """CI must not install or set more than the README's commands do, or it would hide what fails for a reader."""
    lines = (REPO / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    lines = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    bookkeeping = {
        "set -euo pipefail",
        'cd "$(dirname "${BASH_SOURCE[0]}")/.."',
        "if [ -d ../shared/data ]; then",
        'MINIJEPA_DATA="$(cd ../shared/data && pwd)"',
        "export MINIJEPA_DATA",
        "fi",
        "status=0",
        'exit "$status"',
    }
    assert [line for line in lines if line not in bookkeeping] == ["make lint || status=1", "make test || status=1"]
    for workflow in (REPO / ".github" / "workflows").glob("*.yml"):
        runs = re.findall(r"run: (.*)", workflow.read_text(encoding="utf-8"))
        allowed = r"python (tools/course\.py (lint|test|book --strict)|-m minijepa\.check|-m pytest -m unit)"
        assert runs and all(re.fullmatch(allowed, run) for run in runs)


@pytest.mark.parametrize("arguments", [[], ["bogus"], ["setup", "more"], ["test", "-x"]])
def test_bad_arguments_get_a_usage_message(arguments):
    script = str(REPO / "tools" / "course.py")
    done = subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True)
    assert done.returncode == 2 and "usage:" in done.stderr and "Traceback" not in done.stderr


def test_each_make_target_is_a_command_of_the_script():
    makefile = (REPO / "Makefile").read_text(encoding="utf-8")
    phony = set(re.search(r"^\.PHONY: (.*)$", makefile, re.M)[1].split())
    rules = {t for line in re.findall(r"^([a-z][a-z -]*):", makefile, re.M) for t in line.split()}
    assert rules == phony
    script = (REPO / "tools" / "course.py").read_text(encoding="utf-8")
    offered = set(re.search(r"commands = \[([^\]]*)\]", script)[1].split('"'))
    assert phony - {"help", "clean"} <= offered
    assert all(f"make {target} " in makefile for target in phony - {"help"})  # `make` lists them all


@pytest.mark.skipif(not shutil.which("make") or os.name == "nt", reason="needs make and a POSIX shell")
@pytest.mark.parametrize("name", ["python3", "python"])
def test_make_takes_whichever_python_exists(tmp_path, name):
    stub = tmp_path / name
    stub.write_text("#!/bin/sh\n")
    stub.chmod(0o755)
    # without the variables of an outer `make test`
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHON", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    command = [shutil.which("make"), "-n", "--no-print-directory", "lab", "ARGS=--port=9"]
    done = subprocess.run(command, cwd=REPO, env={**environment, "PATH": str(tmp_path)}, capture_output=True, text=True)
    assert done.stdout.strip() == f"{stub} tools/course.py lab --port=9", done.stderr


def test_jupyterlab_is_told_not_to_ask_about_news(course, monkeypatch):
    course.quiet_lab()
    course.quiet_lab()  # a second time without an error
    (path,) = course.VENV.rglob("overrides.json")
    assert path.parent == course.VENV / "share" / "jupyter" / "lab" / "settings"
    settings = json.loads(path.read_text(encoding="utf-8"))["@jupyterlab/apputils-extension:notification"]
    assert settings == {"fetchNews": "false", "checkForUpdates": False}
