"""Threads: waiting is set in time, busy cores are left to other programs, and the reader's own choice is kept."""

import os
import subprocess
import sys
import time
from types import SimpleNamespace

import psutil
import pytest
import torch

from minijepa.machine import threads


def run(code, **environment):
    """What a new interpreter prints, without the settings of this one."""
    own = (*threads.OWN_NUMBER, *threads.OWN_WAITING)
    kept = {name: value for name, value in os.environ.items() if name not in own}
    done = subprocess.run([sys.executable, "-c", code], env={**kept, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# --- waiting ----------------------------------------------------------------------------------------------


def test_runtimes_are_told_before_torch_is_loaded():
    """The variables are set when torch begins to load (os.environ sets those of the C library)."""
    code = """
import importlib.abc, os, sys
class Watch(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            print(os.environ.get("GOMP_SPINCOUNT"), os.environ.get("KMP_BLOCKTIME"))
            sys.meta_path.remove(self)
sys.meta_path.insert(0, Watch())
import minijepa
print(minijepa.threads.in_time)
"""
    assert run(code).splitlines() == [f"{threads.ROUNDS} {threads.MILLISECONDS}", "True"]
    assert run("import torch, minijepa; print(minijepa.threads.in_time)") == "False"


@pytest.mark.parametrize("own", threads.OWN_WAITING)
def test_a_readers_way_of_waiting_stays(own):
    environment = {own: "7"}
    assert threads.wait_briefly(environment, {"torch": None}) and environment == {own: "7"}


# --- cores ------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux lets a program choose its cores")
def test_no_more_threads_than_this_process_may_use():
    core = min(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, [{core}]); import minijepa, torch; print(torch.get_num_threads())"
    assert run(code) == "1"
    late = f"import os, torch; torch.set_num_threads(2); os.sched_setaffinity(0, [{core}]); import minijepa"
    assert run(late + "; print(torch.get_num_threads())") == "1"


def test_a_containers_quota_counts(monkeypatch):
    """joblib's count respects the quota of a cgroup; here its own variable replaces such a quota."""
    assert run("import minijepa, torch; print(torch.get_num_threads())", LOKY_MAX_CPU_COUNT="1") == "1"


@pytest.mark.parametrize("name", threads.OWN_NUMBER)
def test_a_readers_number_of_threads_stays(name):
    before = torch.get_num_threads()
    assert threads.settle({name: "3"}) is None and torch.get_num_threads() == before


# --- load -------------------------------------------------------------------------------------------------


class Machine:
    """A machine whose clock and load the test controls; this process computes on `own` of its cores."""

    def __init__(self, monkeypatch, cores=2, number=2):
        self.now, self.everyone, self.mine, self.others, self.own, self.number = 0.0, 0.0, 0.0, 0.0, 0.0, number
        fake = SimpleNamespace(
            get_num_threads=lambda: self.number, set_num_threads=lambda n: setattr(self, "number", n)
        )
        monkeypatch.setitem(sys.modules, "torch", fake)
        monkeypatch.setattr(threads, "reading", lambda: (self.now, self.everyone, self.mine, cores))
        monkeypatch.setattr(threads.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(threads.time, "sleep", self.wait)
        self.count = threads.Threads(ceiling=number, number=number)

    def wait(self, seconds):
        self.now += seconds
        self.mine += self.own * seconds
        self.everyone += (self.own + self.others) * seconds


@pytest.mark.parametrize(
    ("others", "expected"), [(0.0, 2), (0.3, 2), (0.6, 1), (1.0, 1), (2.0, 1), (5.0, 1)]
)  # 5: the numbers of a reading are not taken at the same moment
def test_cores_that_others_keep_busy_are_left_to_them(monkeypatch, others, expected):
    machine = Machine(monkeypatch)
    machine.others = others
    assert machine.count.fit() == machine.number == expected


def test_own_work_is_no_reason_for_fewer_threads(monkeypatch):
    machine = Machine(monkeypatch)
    machine.own = 2.0
    assert machine.count.fit() == 2


def test_threads_follow_the_load_both_ways_and_not_its_blinks(monkeypatch):
    machine = Machine(monkeypatch, cores=8, number=8)
    assert machine.count.fit() == 8
    machine.others = 3.0
    machine.wait(1.0)
    assert machine.count.fit() == 8  # the last look is too recent
    machine.wait(5.0)
    assert machine.count.fit() == 5
    machine.others = 0.0
    machine.wait(10.0)
    assert machine.count.fit() == 8


def test_what_was_long_ago_does_not_count(monkeypatch):
    """The reader reads for an hour, then a video call begins: the average over the hour would hide it."""
    machine = Machine(monkeypatch)
    machine.count.fit()
    machine.wait(3600.0)
    machine.others = 2.0
    assert machine.count.fit() == 1


@pytest.mark.parametrize("looked", [False, True])
@pytest.mark.parametrize("chosen", [1, 4])
def test_someone_elses_number_is_left_alone(monkeypatch, looked, chosen):
    """torch.set_num_threads in a cell, before or after the first look, to fewer or to more."""
    machine = Machine(monkeypatch)
    if looked:
        machine.count.fit()
    machine.number, machine.others = chosen, 0.0 if chosen == 1 else 2.0
    machine.wait(5.0)
    assert machine.count.fit() == machine.number == chosen


@pytest.mark.parametrize(("others", "expected"), [(0.0, 2), (2.0, 1)])
def test_in_a_container_its_quota_and_its_programs_count(monkeypatch, tmp_path, others, expected):
    """Two cores of 64: a second kernel in the same container keeps them busy; other work of the host does not."""
    machine = Machine(monkeypatch)
    monkeypatch.undo()
    monkeypatch.setattr(threads, "CGROUP", tmp_path)
    (tmp_path / "cpu.max").write_text("200000 100000\n")

    def stat(used):
        (tmp_path / "cpu.stat").write_text(f"usage_usec {int(used * 1e6)}\nuser_usec 0\n")

    stat(100)
    before = threads.reading()
    assert before[3] == 2.0
    stat(100 + 3 * others)
    after = (before[0] + 3, *threads.reading()[1:])
    assert threads.busy_cores(before, after) == pytest.approx(others, abs=0.1)
    free = after[3] - threads.busy_cores(before, after)
    assert min(machine.count.ceiling, max(1, int(free + 0.5))) == expected


@pytest.mark.parametrize("content", ["max 100000", "", "nonsense"])
def test_without_a_quota_the_cores_of_this_process_count(monkeypatch, tmp_path, content):
    monkeypatch.setattr(threads, "CGROUP", tmp_path)
    (tmp_path / "cpu.max").write_text(content)
    (tmp_path / "cpu.stat").write_text("usage_usec 5\n")
    assert threads.of_container() is None
    assert threads.reading()[3] == threads.of_cores()[1] >= 1


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux lets a program choose its cores")
def test_what_happens_on_other_cores_does_not_count():
    core = min(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, [{core}]); from minijepa import threads; print(threads.of_cores()[1])"
    assert run(code) == "1"


def test_a_real_busy_program_is_seen():
    """On this machine: the time of other programs contains the processor time of a program that was started."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            clock = psutil.Process(busy.pid)
            before, start = threads.reading(), clock.cpu_times().user
            while clock.cpu_times().user < start + 0.5:
                time.sleep(0.05)
            its_own, after = clock.cpu_times().user - start, threads.reading()
        finally:
            busy.kill()
    seen = threads.busy_cores(before, after) * (after[0] - before[0])
    assert seen > its_own - 0.1  # clocks tick in hundredths of a second, one for each core


def test_a_notebook_looks_before_each_cell(monkeypatch):
    """IPython's own events, in a new shell; a plain program has no shell."""
    from IPython.core.interactiveshell import InteractiveShell

    looks = []
    monkeypatch.setattr(threads.Threads, "fit", lambda self: looks.append(self.ceiling))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(threads, "allowed", lambda: 2)
    monkeypatch.setattr("IPython.get_ipython", lambda: None)
    assert threads.settle({}).ceiling == 2
    shell = InteractiveShell()
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    assert threads.settle({}).ceiling == 2 and looks == []
    shell.run_cell("x = 1")
    shell.run_cell("x = 2")
    assert looks == [2, 2]
