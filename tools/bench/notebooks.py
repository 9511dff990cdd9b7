"""What each notebook costs a student's share of a machine: minutes, processor minutes and memory (for docs/hub.md).

    python tools/bench/notebooks.py                                    every notebook, alone, on one core and on two
    python tools/bench/notebooks.py notebooks/0*.ipynb --cores 1
    python tools/bench/notebooks.py notebooks/05*.ipynb --share 4       four kernels on the same cores
    python tools/bench/notebooks.py --table                            print both tables of docs/hub.md

A run executes a notebook as `jupyter execute` does, in a process that may use only some cores (its affinity, as under
a hub's limit). "minutes" is the time on the clock, from the start of the kernel to its end. "processor" is the time
that all cores together spent on it: on one free core the two agree, so that it says what a quiet core would need even
if other programs were running. "memory" is the highest resident memory of the kernel and its children, five looks a
second; "own" is the part of it that no file backs: each kernel needs that for itself, while the code of libraries is in
memory once for all kernels of a machine. Jupyter's server and the browser come on top. Rows go into a JSON file as they
are ready, so a run that is stopped loses one row. A row already there for the same notebook, cores and number of
kernels is replaced.

Affinity needs Linux.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
import torch

from minijepa.machine import threads
from minijepa.machine.files import whole_file
from minijepa.machine.hardware import hardware

REPO = Path(__file__).resolve().parents[2]
RESULTS = REPO / "docs" / "results" / "notebooks.json"
EXECUTE = "import os; os.sched_setaffinity(0, {cores}); from nbclient.cli import main; main()"  # `jupyter execute`
MEASURED = ("minutes", "processor", "memory", "own")
LOOK = 0.2  # seconds between two looks at the memory


def resident(process):
    """Bytes of memory of all descendants of a process (here the kernel and what it starts): resident, and own.

    What files back, the code of libraries above all, is the same in each of them and counts once.
    """
    own = shared = 0
    for child in process.children(recursive=True):
        try:
            info = child.memory_info()
        except psutil.NoSuchProcess:  # it has ended since it was listed
            continue
        own, shared = own + info.rss - info.shared, max(shared, info.shared)
    return own + shared, own


def run(notebook, cores, limit=3600):
    """Execute a copy of a notebook on these cores. Returns a dict: minutes, processor (minutes), memory and own (GB).

    notebook: path. cores: a set of numbers of cores.
    limit: seconds; a run that takes longer is killed. Raises RuntimeError for a notebook that fails or takes longer.
    """
    hidden = threads.OWN_NUMBER + threads.OWN_WAITING  # each of these variables would switch off what is measured
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment["JUPYTER_PREFER_ENV_PATH"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / notebook.name
        copy.write_bytes(notebook.read_bytes())
        command = [sys.executable, "-c", EXECUTE.format(cores=cores), copy.name, "--inplace", f"--timeout={limit}"]
        with open(Path(folder) / "log", "w+") as log:
            start = time.perf_counter()
            process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
            watched, highest = psutil.Process(process.pid), (0, 0)
            while (ended := os.wait4(process.pid, os.WNOHANG))[0] == 0:
                highest = tuple(map(max, highest, resident(watched)))
                if time.perf_counter() - start > limit:
                    for each in (*watched.children(recursive=True), watched):
                        each.kill()
                time.sleep(LOOK)
            seconds = time.perf_counter() - start
            _, status, usage = ended  # of the process and of all its descendants
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                log.seek(0)
                raise RuntimeError(f"{notebook.name} ended with an error after {seconds:.0f} s:\n{log.read()[-2000:]}")
    return {
        "minutes": round(seconds / 60, 2),
        "processor": round((usage.ru_utime + usage.ru_stime) / 60, 2),
        "memory": round(highest[0] / 1e9, 2),
        "own": round(highest[1] / 1e9, 2),
    }


def together(notebook, cores, kernels):
    """The same notebook in several kernels at once, all on these cores: the row of the slowest."""
    rows = []
    runs = [threading.Thread(target=lambda: rows.append(run(notebook, cores))) for _ in range(kernels)]
    for each in runs:
        each.start()
    for each in runs:
        each.join()
    if len(rows) < kernels:
        raise RuntimeError(f"{kernels - len(rows)} of {kernels} kernels with {notebook.name} failed, see above")
    return max(rows, key=lambda row: row["minutes"])


def store(path, row):
    """Write a row into the file of results, in the place of an older one of the same notebook and limits."""
    content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"rows": []}
    key = ("notebook", "cores", "sharing")
    rows = [each for each in content["rows"] if any(each[name] != row[name] for name in key)]
    content["rows"] = sorted([*rows, row], key=lambda each: tuple(each[name] for name in key))
    with whole_file(path) as file:
        file.write((json.dumps(content, indent=1) + "\n").encode())


def table(rows):
    """The lines of a Markdown table, a line for each notebook: minutes on one core and on two, and memory.

    On one core those are the processor's minutes, which other programs hardly change; on two cores the clock's.

    rows: those of the file of results in which a kernel had cores of its own.
    """
    alone = {(row["notebook"], row["cores"]): row for row in rows if row["sharing"] == 1}
    lines = [
        "| notebook | minutes, one core | minutes, two cores | memory, GB | of which its own |",
        "|---|---|---|---|---|",
    ]
    for name in sorted({name for name, _ in alone}):
        one, two = (alone.get((name, cores)) for cores in (1, 2))
        of = [row for row in (one, two) if row]
        cells = [f"{one['processor']:.1f}" if one else "–", f"{two['minutes']:.1f}" if two else "–"]
        cells += [f"{max(row[each] for row in of):.1f}" for each in ("memory", "own")]
        lines.append(f"| {name[:2]} | " + " | ".join(cells) + " |")
    return lines


def crowd(rows):
    """The lines of a Markdown table: what happened when several kernels shared cores, and what sharing alone predicts.

    The prediction divides the processor minutes of all kernels, taken from the row of one core, by the cores.
    """
    alone = {row["notebook"]: row["processor"] for row in rows if (row["sharing"], row["cores"]) == (1, 1)}
    heads = ("notebook", "cores", "kernels", "minutes until the last is done", "kernels × minutes of one core ÷ cores")
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for row in rows:
        if row["sharing"] > 1 and row["notebook"] in alone:
            expected = row["sharing"] * alone[row["notebook"]] / row["cores"]
            cells = (row["notebook"][:2], row["cores"], row["sharing"], f"{row['minutes']:.1f}", f"{expected:.1f}")
            lines.append("| " + " | ".join(map(str, cells)) + " |")
    return lines


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all of the course")
    parser.add_argument("--cores", type=int, nargs="+", default=[1, 2], help="cores of a kernel (default 1, then 2)")
    parser.add_argument("--share", type=int, default=1, help="kernels at a time on the same cores")
    parser.add_argument("--out", type=Path, default=RESULTS, help=f"default {RESULTS.relative_to(REPO)}")
    parser.add_argument("--table", action="store_true", help="measure nothing; print the tables of docs/hub.md")
    arguments = parser.parse_args(argv)
    if arguments.table:
        rows = json.loads(arguments.out.read_text(encoding="utf-8"))["rows"]
        print("\n".join([*table(rows), "", *crowd(rows)]))
        return
    if not hasattr(os, "sched_setaffinity"):
        parser.error("only Linux lets a program choose its cores")
    allowed = sorted(os.sched_getaffinity(0))
    for number in arguments.cores:
        if number > len(allowed):
            parser.error(f"this machine gives {len(allowed)} cores, not {number}: lower --cores")
    paths = [path.resolve() for path in arguments.notebooks] or sorted((REPO / "notebooks").glob("*.ipynb"))
    heads = ("cores", "kernels", "minutes", "processor", "GB", "own")
    print(f"{'notebook':<28}" + "".join(f"{head:>11}" for head in heads))
    for path in paths:
        for number in arguments.cores:
            row = {
                "notebook": path.stem,
                "cores": number,
                "sharing": arguments.share,
                **together(path, set(allowed[:number]), arguments.share),
                "date": time.strftime("%Y-%m-%d"),
                "hardware": hardware(torch.device("cpu")),
                "torch": torch.__version__,
            }
            store(arguments.out, row)
            numbers = (number, arguments.share, *(row[name] for name in MEASURED))
            print(f"{path.stem:<28}" + "".join(f"{each:>11}" for each in numbers), flush=True)


if __name__ == "__main__":
    main()
