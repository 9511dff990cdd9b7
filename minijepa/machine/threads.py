"""How many threads the course computes with, and how long they wait awake: what keeps it going on a busy laptop.

PyTorch cuts each operation in pieces, one to a thread, and the operation ends with the slowest piece. That happens
thousands of times a second. Two facts follow when other programs (a browser, a call) want the same cores:

- The thread that is done first waits for the others *awake*, for about 15 ms on Linux and 200 ms on macOS and Windows,
  and so uses up the turns on the processor that the others need. `wait_briefly` shortens that.
- Each operation takes as long as it takes until *every* thread has had its turn. One thread has no one to wait for,
  and is then faster than two. `Threads` gives the course as many as there are cores that nobody else uses.

Both must work however a notebook was started (`make lab`, conda, a hub, VS Code), so both happen when `minijepa` is
imported, which every notebook does before it imports torch. A choice of your own (OMP_NUM_THREADS and its like, or
torch.set_num_threads) is left alone. `tools/bench/busy.py` measures what it is worth.
"""

import os
import sys
import time
from pathlib import Path

OWN_NUMBER = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_THREAD_LIMIT", "OMP_DYNAMIC")
OWN_WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY")
ROUNDS = 100_000  # of waiting awake, some 5 ms: bridges the gaps inside a training step, not long turns of others
MILLISECONDS = 1  # the same for the other runtimes, whose older versions count in whole milliseconds
WINDOW = (2.0, 20.0)  # seconds over which the load is averaged; older readings say nothing about now
SAMPLE = 0.15  # seconds of looking where there is no such reading
CGROUP = Path("/sys/fs/cgroup")  # where a container finds its own quota and use
in_time = True  # whether the runtimes could still be told how long to wait
current = None  # the `Threads` of this process; None where the reader has chosen a number


def wait_briefly(environment=os.environ, modules=sys.modules):
    """Tell the OpenMP runtimes to let waiting threads sleep sooner. Returns whether they will hear it.

    They read it once, when they are loaded, so this must come before torch. GOMP_SPINCOUNT is for GNU's runtime (torch
    from pip on Linux), KMP_BLOCKTIME for LLVM's and Intel's (macOS, Windows, conda).
    """
    if any(name in environment for name in OWN_WAITING):
        return True  # the reader's own setting
    environment.update(GOMP_SPINCOUNT=str(ROUNDS), KMP_BLOCKTIME=str(MILLISECONDS))
    return "torch" not in modules


def allowed():
    """How many cores this process may use: what its affinity and the quota of its container (cgroup) leave."""
    from joblib import cpu_count

    return cpu_count()


class Threads:
    """The number of threads that fits the load of the machine: the cores here minus those that others keep busy.

    ceiling: the most that is ever used. number: how many torch has now; where it has another number, someone else
    chose that. `fit()` looks and sets; it is called before each cell of a notebook.
    """

    def __init__(self, ceiling, number):
        self.ceiling, self.number = ceiling, number
        self.last = None  # the last reading

    def fit(self):
        """Ask torch for as many threads as there are free cores, at least 1, at most the ceiling. Returns the number.

        Between two looks the load is the average since the last; where that is too long ago, 0.15 s are looked at.
        """
        import torch

        now = torch.get_num_threads()
        age = time.monotonic() - self.last[0] if self.last else WINDOW[1]
        if now != self.number or age < WINDOW[0]:
            return now
        before = self.last if age < WINDOW[1] else pause()
        self.last = reading()
        free = self.last[3] - busy_cores(before, self.last)
        self.number = min(self.ceiling, max(1, int(free + 0.5)))
        if self.number != now:
            torch.set_num_threads(self.number)
        return self.number


def reading():
    """(the time, processor seconds of all programs here, of this one with its children, how many cores are "here").

    Here: in this container if it has a quota, else on the cores that this process may use.
    """
    import psutil

    own = psutil.Process().cpu_times()
    children = getattr(own, "children_user", 0) + getattr(own, "children_system", 0)
    everyone, cores = of_container() or of_cores()
    return time.monotonic(), everyone, own.user + own.system + children, cores


def of_container():
    """(processor seconds that all programs of this container have had, how many cores its quota is), or None."""
    try:
        quota, period = (CGROUP / "cpu.max").read_text(encoding="ascii").split()
        used = (CGROUP / "cpu.stat").read_text(encoding="ascii").split()
        return None if quota == "max" else (int(used[used.index("usage_usec") + 1]) / 1e6, int(quota) / int(period))
    except (OSError, ValueError):  # no container, or one of the older kind
        return None


def of_cores():
    """(processor seconds that all programs have had on the cores that this process may use, how many these are)."""
    import psutil

    each = psutil.cpu_times(percpu=True)
    if hasattr(os, "sched_getaffinity"):  # Linux
        each = [times for core, times in enumerate(each) if core in os.sched_getaffinity(0)] or each
    names = ("user", "system", "nice", "steal")  # steal: what a virtual machine's host gave to others
    return sum(getattr(times, name, 0) for times in each for name in names), len(each)


def pause():
    """A reading, and after it a moment in which nothing is done here."""
    before = reading()
    time.sleep(SAMPLE)
    return before


def busy_cores_now():
    """How many cores others keep busy in this moment."""
    before = pause()
    return busy_cores(before, reading())


def busy_cores(before, after):
    """How many cores others kept busy between two readings, on average; 0 or more."""
    seconds, everyone, own = (new - old for new, old in zip(after[:3], before[:3], strict=True))
    return max(0.0, everyone - own) / max(seconds, 1e-3)


def settle(environment=os.environ):
    """Cap torch's threads at the allowed cores; in a notebook, look again before each cell.

    Returns the `Threads` that do so, None where the reader has chosen a number.
    """
    import torch

    if any(environment.get(name) for name in OWN_NUMBER):
        return None
    number = min(torch.get_num_threads(), allowed())
    if number < torch.get_num_threads():
        torch.set_num_threads(number)
    threads = Threads(ceiling=number, number=number)
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is not None and threads.ceiling > 1:
        shell.events.register("pre_run_cell", lambda *_: threads.fit())
    return threads
