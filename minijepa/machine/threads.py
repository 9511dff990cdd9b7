"""How many threads the course computes with, and how long they wait awake: what keeps it fast on a busy laptop.

PyTorch splits each operation into pieces, one per thread, and the operation ends with the slowest piece. This happens
thousands of times a second. It has two consequences when other programs (a browser, a video call) need the same cores:

- The thread that finishes first waits for the others *awake*, for about 15 ms on Linux and 200 ms on macOS and Windows.
  This wait uses processor time that the other threads need. `wait_briefly` makes the wait shorter.
- An operation lasts until *every* thread has been given a core. A single thread waits for no other thread, and is then
  faster than two. `Threads` gives the course as many threads as there are cores that no other program keeps busy.

Both must work however a notebook was started (`make lab`, conda, a hub, VS Code). They therefore happen when `minijepa`
is imported, which every notebook does before it imports torch. Your own choice (OMP_NUM_THREADS and similar variables,
or torch.set_num_threads) is left alone. `tools/bench/busy.py` measures how much time both save.
"""

import os
import sys
import time
from pathlib import Path

OWN_NUMBER = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_THREAD_LIMIT", "OMP_DYNAMIC")
OWN_WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY")
ROUNDS = 100_000  # of waiting awake, some 5 ms: bridges the gaps inside a training step, not others' turns
MILLISECONDS = 1  # the same for the other runtimes; their older versions count in whole milliseconds
WINDOW = (2.0, 20.0)  # seconds over which the load is averaged; older readings say nothing about the present load
SAMPLE = 0.15  # seconds of measuring where there is no such reading
CGROUP = Path("/sys/fs/cgroup")  # where a container finds its own quota and its use of it
in_time = True  # whether the OpenMP runtimes could still be told how long to wait
current = None  # the `Threads` of this process; None if the reader has chosen a number


def wait_briefly(environment=os.environ, modules=sys.modules):
    """Tell the OpenMP runtimes to let waiting threads sleep sooner. Returns whether this came in time.

    A runtime reads its variable once, when it is loaded, so this must be called before torch is imported.
    GOMP_SPINCOUNT is for GNU's runtime (torch from pip on Linux), KMP_BLOCKTIME for those of LLVM and Intel (macOS,
    Windows, conda).
    """
    if any(name in environment for name in OWN_WAITING):
        return True  # the reader's own setting
    environment.update(GOMP_SPINCOUNT=str(ROUNDS), KMP_BLOCKTIME=str(MILLISECONDS))
    return "torch" not in modules


def allowed():
    """How many cores this process may use, given its affinity and the quota of its container (cgroup)."""
    from joblib import cpu_count

    return cpu_count()


class Threads:
    """The number of threads that suits the load of the machine: its cores minus those that other programs keep busy.

    `fit()` measures the load and sets the number; it is called before each cell of a notebook.

    ceiling: the most threads that are ever used.
    number: how many torch uses now. If torch later uses another number, the reader chose it, and it stays.
    """

    def __init__(self, ceiling, number):
        self.ceiling, self.number = ceiling, number
        self.last = None  # the last reading

    def fit(self):
        """Let torch use as many threads as there are free cores, at least 1, at most the ceiling. Returns the number.

        The load is the average since the last call. If that is more than 20 s ago, the load is measured for 0.15 s.
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
    """One look at the load: (time, processor seconds of all programs, of this one with its children, number of cores).

    All programs and cores are those of this container if it has a quota, else those of the cores that this process may
    use.
    """
    import psutil

    own = psutil.Process().cpu_times()
    children = getattr(own, "children_user", 0) + getattr(own, "children_system", 0)
    everyone, cores = of_container() or of_cores()
    return time.monotonic(), everyone, own.user + own.system + children, cores


def of_container():
    """(processor seconds that all programs of this container have used, cores of its quota), None without a quota."""
    try:
        quota, period = (CGROUP / "cpu.max").read_text(encoding="ascii").split()
        used = (CGROUP / "cpu.stat").read_text(encoding="ascii").split()
        return None if quota == "max" else (int(used[used.index("usage_usec") + 1]) / 1e6, int(quota) / int(period))
    except (OSError, ValueError):  # no container, or one of the older kind
        return None


def of_cores():
    """(processor seconds that all programs have used on the cores that this process may use, number of these cores)."""
    import psutil

    each = psutil.cpu_times(percpu=True)
    if hasattr(os, "sched_getaffinity"):  # Linux
        each = [times for core, times in enumerate(each) if core in os.sched_getaffinity(0)] or each
    names = ("user", "system", "nice", "steal")  # steal: what a virtual machine's host gave to others
    return sum(getattr(times, name, 0) for times in each for name in names), len(each)


def pause():
    """Take a reading, then do nothing for a moment, so that a second reading can follow."""
    before = reading()
    time.sleep(SAMPLE)
    return before


def busy_cores_now():
    """How many cores other programs keep busy at this moment."""
    before = pause()
    return busy_cores(before, reading())


def busy_cores(before, after):
    """How many cores other programs kept busy between two readings, on average; 0 or more."""
    seconds, everyone, own = (new - old for new, old in zip(after[:3], before[:3], strict=True))
    return max(0.0, everyone - own) / max(seconds, 1e-3)


def settle(environment=os.environ):
    """Limit torch's threads to the allowed cores; in a notebook, measure the load again before each cell.

    Returns the `Threads` that do so, None if the reader has chosen a number.
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
