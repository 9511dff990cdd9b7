"""`python -m minijepa.check`: each fact is true, each failure is one line with a remedy, never a traceback."""

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from minijepa import check
from minijepa.machine import threads

REPO = Path(__file__).parents[1]


@pytest.fixture
def installed(monkeypatch):
    """An installed minijepa that requires two packages; the test may change the installed versions."""
    versions = {"minijepa": "0.1.0", "torch": "2.4.0+cpu", "tqdm": "4.66"}

    def version(name):
        if name not in versions:
            raise importlib.metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(check.importlib.metadata, "requires", lambda name: ["torch>=2.4", "tqdm>=4.66"])
    monkeypatch.setattr(check.importlib.metadata, "version", version)
    return versions


def levels(facts):
    return [level for level, _, _ in facts]


# --- packages ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("older", "newer"), [("2.9", "2.10"), ("2.9.1", "2.10"), ("0.29", "1"), ("8.1.9", "8.1.10")])
def test_versions_compare_as_numbers(older, newer):
    assert check.release(older) < check.release(newer)


def test_versions_of_one_release_are_equal():
    assert check.release("2.4") == check.release("2.4.0") == check.release("2.4.0+cu124")
    assert check.release("2.9rc1") == check.release("2.9.0.dev20260101") == (2, 9)


def test_packages_at_their_lower_bound_are_fine(installed):
    assert levels(check.packages()) == ["[OK]"] * 3


def test_an_old_package_fails_with_a_remedy(installed):
    installed["torch"] = "2.3.1"
    facts = list(check.packages())
    assert levels(facts) == ["[OK]", "[FAIL]", "[OK]"]
    assert facts[1][1:] == ("torch 2.3.1 is too old; the course needs 2.4 or newer", check.INSTALL)


def test_a_missing_package_fails_with_a_remedy(installed):
    del installed["tqdm"]
    facts = list(check.packages())
    assert levels(facts) == ["[OK]", "[OK]", "[FAIL]"]
    assert facts[2][1:] == ("tqdm is missing; the course needs 4.66 or newer", check.INSTALL)


@pytest.mark.parametrize("extra", ["av>=12; extra == 'oracles'", 'av>=12 ; extra=="oracles"', "av>=12;extra=='x'"])
def test_an_optional_extra_that_is_missing_is_no_failure(installed, monkeypatch, extra):
    monkeypatch.setattr(check.importlib.metadata, "requires", lambda name: ["torch>=2.4", extra])
    assert levels(check.packages()) == ["[OK]"] * 2


def test_the_real_requirements_are_all_understood():
    try:
        requirements = importlib.metadata.requires("minijepa")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("minijepa is imported from the folder, not installed")
    needed = [each for each in requirements if "extra ==" not in each]
    assert len(needed) < len(requirements)  # the package has extras
    assert len(list(check.packages())) == len(needed) + 1


def test_pip_and_conda_mixed_is_a_warning(monkeypatch):
    class Distribution:
        def __init__(self, name):
            self.name = name

        def read_text(self, file):
            return {"torch": "pip\n", "numpy": "conda\n"}[self.name]

    monkeypatch.setattr(check.importlib.metadata, "distribution", Distribution)
    assert levels(check.mixture()) == ["[WARN]"]


# --- the machine ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cores", "most", "others", "level"),
    [(16, 8, 1.0, "[OK]"), (16, 8, 8.4, "[OK]"), (16, 8, 8.6, "[WARN]"), (2, 2, 0.4, "[OK]"), (2, 2, 1.0, "[WARN]")],
)
def test_other_programs_are_a_warning_where_they_take_cores_that_are_ours(cores, most, others, level, monkeypatch):
    for name in threads.OWN_NUMBER:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(threads, "reading", lambda: (0.0, 0.0, 0.0, cores))
    monkeypatch.setattr(threads, "busy_cores_now", lambda: others)
    for current, allowed in ((None, most), (threads.Threads(most, most), cores)):
        monkeypatch.setattr(threads, "current", current)
        monkeypatch.setattr(threads, "allowed", lambda allowed=allowed: allowed)
        level_now, fact, remedy = next(check.computing_threads())
        assert level_now == level and f"{others:.1f} cores busy" in fact and bool(remedy) == (level == "[WARN]")


# --- the report -------------------------------------------------------------------------------------------


def facts_are(monkeypatch, *facts):
    monkeypatch.setattr(check, "examine", lambda: iter(facts))


def test_report_prints_each_fact_with_its_remedy(monkeypatch, capsys):
    facts_are(monkeypatch, ("[OK]", "a", ""), ("[WARN]", "b", "do c"))
    assert check.report() is True
    assert capsys.readouterr().out == "[OK]   a\n[WARN] b: do c\n"


def test_brief_is_one_line_on_every_machine_where_nothing_failed(monkeypatch, capsys):
    facts_are(monkeypatch, ("[OK]", "a", ""), ("[WARN]", "b", "do c"))
    assert check.check(brief=True) is None
    assert capsys.readouterr().out == "minijepa is ready\n"


def test_brief_says_what_failed_and_what_might_be_why(monkeypatch, capsys):
    facts_are(monkeypatch, ("[OK]", "a", ""), ("[WARN]", "b", "do c"), ("[FAIL]", "d", "do e"))
    check.check(brief=True)
    captured = capsys.readouterr()
    assert captured.out == "[WARN] b: do c\n[FAIL] d: do e\n" and captured.err == ""
    assert check.report() is False


def test_an_unforeseen_error_is_one_line_and_the_rest_is_still_examined(monkeypatch):
    def machine():
        yield "[OK]", "before", ""
        raise OSError("driver\n  missing")

    monkeypatch.setattr(check, "machine", machine)
    monkeypatch.setattr(check, "data", lambda: iter([("[OK]", "after", "")]))
    monkeypatch.setattr(check, "training_step", lambda: 1 / 0)
    before, failed, after, last = list(check.examine())[-4:]
    assert before[1] == "before" and after[1] == "after"
    assert failed == ("[FAIL]", "machine: OSError: driver missing", check.INSTALL)
    assert last == ("[FAIL]", "<lambda>: ZeroDivisionError: division by zero", check.REPORT)


def run_check(tmp_path, **environment):
    command = [sys.executable, "-m", "minijepa.check"]
    environment = {**os.environ, "MINIJEPA_DATA": str(tmp_path), **environment}
    return subprocess.run(command, cwd=REPO, env=environment, capture_output=True, text=True)


def test_without_pytorch_there_are_lines_and_no_trace(tmp_path):
    """A torch that cannot be imported, as after a broken installation, in its own process."""
    (tmp_path / "torch.py").write_text("raise ImportError('libtorch is broken')\n")
    done = run_check(tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert sys.executable in done.stdout  # the facts that need no PyTorch are printed
    failed = [line for line in done.stdout.splitlines() if line.startswith("[FAIL]")]
    assert any("libtorch is broken" in line and "course.py setup" in line for line in failed)


def test_a_name_that_the_console_lacks_is_written_as_its_number(tmp_path):
    """As every command of the course does, on both streams."""
    (folder := tmp_path / "猫").mkdir()
    (folder / "cifar-10-batches-bin").mkdir()
    done = run_check(folder, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert r"\u732b" in done.stdout and "Traceback" not in done.stderr


def test_the_exit_code_tells_whether_something_failed(tmp_path):
    done = run_check(tmp_path)
    failed = [line for line in done.stdout.splitlines() if line.startswith("[FAIL]")]
    assert done.returncode == bool(failed), done.stdout + done.stderr
    assert "training step on cpu" in done.stdout
    assert all(line.startswith(("[OK]   ", "[WARN] ", "[FAIL] ")) for line in done.stdout.splitlines())


# --- data -------------------------------------------------------------------------------------------------


def test_missing_cifar10_is_a_warning_with_a_remedy(monkeypatch):
    monkeypatch.setattr("minijepa.datasets.find_cifar10", lambda: None)
    facts = list(check.data())
    assert levels(facts) == ["[WARN]", "[OK]"] and "python -m minijepa.datasets" in facts[0][2]


def test_damaged_cifar10_is_a_failure_that_names_the_file(monkeypatch, tmp_path):
    (tmp_path / "cifar-10-batches-bin").mkdir()
    monkeypatch.setenv("MINIJEPA_DATA", str(tmp_path))
    facts = list(check.data())
    assert levels(facts) == ["[FAIL]", "[OK]"] and "data_batch_1.bin" in facts[0][1]


# --- one training step ------------------------------------------------------------------------------------


def test_one_step_is_finite_and_leaves_the_random_numbers_of_the_caller_alone():
    before = torch.get_rng_state()
    loss = check.one_step("cpu")
    assert 0 < loss < 100
    assert torch.equal(before, torch.get_rng_state())


def test_a_step_that_moves_nothing_is_noticed(monkeypatch):
    monkeypatch.setattr(torch.optim.SGD, "step", lambda self: None)
    with pytest.raises(RuntimeError, match="changed no weight"):
        check.one_step("cpu")


def test_a_loss_that_is_not_finite_is_noticed(monkeypatch):
    huge = torch.full((8, 3, 32, 32), 1e38)
    monkeypatch.setattr("minijepa.datasets.ImageData.batch", lambda self, device: huge)
    with pytest.raises(RuntimeError, match="finite"):
        check.one_step("cpu")


def test_an_accelerator_that_fails_is_a_warning(monkeypatch):
    def one_step(device):
        if device != "cpu":
            raise RuntimeError("no kernel image")
        return 0.5

    monkeypatch.setattr(check, "best_device", lambda: "cuda")
    monkeypatch.setattr(check, "one_step", one_step)
    assert levels(check.training_step()) == ["[OK]", "[WARN]"]
