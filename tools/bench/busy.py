"""What a busy machine costs: notebooks run on a quiet machine, and while two other programs compute without pause.

    python tools/bench/busy.py                                  notebook 01, once each way
    python tools/bench/busy.py notebooks/0*.ipynb --rounds 3
    python tools/bench/busy.py --before                         also with PyTorch's own defaults

Aims: while two other programs compute, at most 2.5 times the quiet time; and a quiet time at most 3 % above the one
without machine/threads.py. The conditions take turns within each round, so that a machine that becomes slower does so
for all of them; medians are printed.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from minijepa.machine import threads

REPO = Path(__file__).resolve().parents[2]
BUSY = "x = 1\nwhile True:\n    x = (x * 7 + 1) % 1000003"
EXECUTE = "from nbclient.cli import main; main()"  # what `jupyter execute` calls
# PyTorch's own defaults: as many threads as cores, and the 300,000 rounds of waiting of GNU's runtime
DEFAULTS = {"OMP_NUM_THREADS": str(os.cpu_count()), "GOMP_SPINCOUNT": "300000"}


@contextmanager
def busy(programs):
    """A context in which this many other programs each keep a core busy."""
    running = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(programs)]
    try:
        yield
    finally:
        for each in running:
            each.kill()
            each.wait()


def seconds(notebook, programs, settings, limit):
    """How many seconds a run of the notebook takes, `limit` if it has not ended by then."""
    hidden = threads.OWN_NUMBER + threads.OWN_WAITING  # each of these variables would switch off what is measured
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment.update(settings, JUPYTER_PREFER_ENV_PATH="1")
    with tempfile.TemporaryDirectory() as folder, busy(programs):
        copy = Path(folder) / notebook.name
        copy.write_bytes(notebook.read_bytes())
        command = [sys.executable, "-c", EXECUTE, copy.name, "--inplace", "--timeout", str(int(limit))]
        start = time.perf_counter()
        try:
            done = subprocess.run(command, cwd=folder, env=environment, timeout=limit, capture_output=True, text=True)
        except subprocess.TimeoutExpired:
            return limit
        if done.returncode:
            sys.exit(f"{notebook.name} ended with an error:\n{done.stderr[-2000:]}")
        return time.perf_counter() - start


def table(times, limit):
    """A line per notebook and condition: quiet and busy seconds and their ratio; > where a run was stopped."""
    lines = [f"{'notebook':<28}{'threads':<12}{'quiet s':>9}{'busy s':>9}{'ratio':>8}"]
    for (name, way), found in times.items():
        quiet, busy = (statistics.median(found[programs]) for programs in (0, 2))
        given_up = ">" if busy >= limit else ""
        lines.append(f"{name:<28}{way:<12}{quiet:>9.1f}{given_up:>3}{busy:>6.1f}{given_up:>2}{busy / quiet:>6.2f}")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("notebooks", nargs="*", type=Path, default=[REPO / "notebooks" / "01_what_to_predict.ipynb"])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--before", action="store_true", help="also with PyTorch's own defaults")
    parser.add_argument("--limit", type=float, default=600, help="seconds after which a run is stopped (default 600)")
    arguments = parser.parse_args()
    ways = {"the course": {}, **({"PyTorch": DEFAULTS} if arguments.before else {})}
    times = {(path.stem, way): {0: [], 2: []} for path in arguments.notebooks for way in ways}
    for _ in range(arguments.rounds):
        for path in arguments.notebooks:
            for way, settings in ways.items():
                for programs in (0, 2):
                    found = seconds(path.resolve(), programs, settings, arguments.limit)
                    times[path.stem, way][programs].append(found)
                    print(f"{path.stem}, {way}, {programs} other programs: {found:.1f} s", flush=True)
    print(table(times, arguments.limit))


if __name__ == "__main__":
    main()
