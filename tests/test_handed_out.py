"""Assignments that were handed out before the package was put in order still run, and their checks still check.

`before/handed_out/` has the code cells of the solutions of that day, separated by `# %%`. Each sheet runs in a fresh
IPython shell: this file, started as a program, runs all of them in one process of its own.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.assignments
REPO = Path(__file__).parents[1]
SHEETS = {
    path.stem: re.split(r"(?m)^# %%\n", path.read_text(encoding="utf-8"))[1:]
    for path in sorted((REPO / "tests" / "before" / "handed_out").glob("*.txt"))
}
SOLUTION = re.compile(r"(?ms)^ *### BEGIN SOLUTION.*?### END SOLUTION$")


def run(sheets):
    """Name -> cells; returns name -> {first line of a cell that fails: its error}."""
    environment = dict(os.environ, MPLBACKEND="Agg", PYTHONPATH=str(REPO))
    command = [sys.executable, __file__]
    options = {"input": json.dumps(sheets), "capture_output": True, "encoding": "utf-8", "env": environment}
    done = subprocess.run(command, **options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def checks_in(cells):
    """The first lines of the cells that check an answer."""
    firsts = [cell.strip().split("\n")[0] for cell in cells]
    return [line for line in firsts if re.match(r"check\.(?!show_)\w+\(", line)]


def test_every_assignment_has_its_sheet():
    assert len(SHEETS) == 9 and all(len(checks_in(cells)) >= 4 for cells in SHEETS.values())


def test_every_cell_of_every_sheet_runs():
    assert run(SHEETS) == {name: {} for name in SHEETS}


def test_a_blank_sheet_fails_every_check():
    stub = "    raise NotImplementedError()"
    blanks = {name: [SOLUTION.sub(stub, cell) for cell in cells if "check.show_" not in cell]
              for name, cells in SHEETS.items()}  # fmt: skip
    failed = run(blanks)
    for name, cells in blanks.items():
        assert set(checks_in(cells)) <= set(failed[name])
        assert all("still empty" in failed[name][check] for check in checks_in(cells))


def test_a_renamed_check_is_found():
    rename = "import minijepa.checks.masks as m\nm.size_of_block = vars(m).pop('block_size')"
    failed = run({"masks": [rename, *SHEETS["masks"]]})["masks"]
    assert list(failed) == ["check.block_size(block_size)"] and "no attribute" in failed["check.block_size(block_size)"]


def main():
    """Read sheets from standard input, and write which cells failed as the last line."""
    import contextlib
    import io

    from IPython.core.interactiveshell import InteractiveShell

    found = {}
    for name, cells in json.load(sys.stdin).items():
        shell, found[name] = InteractiveShell(), {}
        for cell in cells:
            with contextlib.redirect_stdout(io.StringIO()):
                result = shell.run_cell(cell)
            if not result.success:
                error = result.error_before_exec or result.error_in_exec
                found[name][cell.strip().split("\n")[0]] = f"{type(error).__name__}: {error}"
    print(json.dumps(found))


if __name__ == "__main__":
    main()
