"""The speed of one I-JEPA training step, compared with a plain textbook loop, and where its time goes.

    python tools/bench/run.py [--seconds 1.5] [--quick] [--compile] [--out runs/bench.json]     (or: make bench)
    python tools/bench/run.py --figure runs/bench.json                            draw the figure again from the numbers

Our step, the textbook's and, if it is installed, torch_world's do the same arithmetic (steps.py). "compiled" is our
step under torch.compile, as `fit(..., compile=True)` runs it. The benchmark also times the models of the course, clips
(V-JEPA) against images, one process against two, the world model of notebook 15, the parts of `fit` (split.py), and the
operations of a small step beside what the machine allows (roofline.py).

Each condition ("arm") has its own process; the arms of a stage take turns, and the best of three rounds counts. "of
peak" is the arithmetic of target encoder, context encoder and predictor per second, divided by that of a large matrix
product. The benchmark names each arm when it is ready, and prints and writes each stage when it is done: a run that is
stopped leaves the stages before. --compile (with make: ARGS=--compile) adds the compiled arms, which take minutes to
compile on a slow machine; the compiled code is kept on the disk. --quick makes a tenth of the repetitions: it shows
that the benchmark works, its numbers are too noisy to compare.
"""

import argparse
import importlib.util
import json
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

import roofline
import torch
from figure import draw
from steps import BATCH
from worker import Worker

from minijepa.machine.files import whole_file
from minijepa.machine.hardware import hardware

PRECISIONS = ("float32", "bfloat16")
ROUNDS = 3


def in_turns(arms, seconds):
    """Time all things of the arms, round by round. Returns a row for each: arm, name, and the fastest round's numbers.

    arms: {name: arguments of Worker}.
    seconds: for each thing, over all rounds.
    """
    workers, found = {}, {}
    try:
        for name, arguments in arms.items():  # one after the other: together, each would be slowed down by the others
            begin = time.perf_counter()
            workers[name] = Worker(**arguments)
            try:
                found[name] = workers[name].answer()
                print(f"  {name} is ready after {time.perf_counter() - begin:.0f} s", flush=True)
            except RuntimeError as error:
                if not name.startswith("compiled"):  # without a working compiler the other results are still useful
                    raise
                print(f"left out: {error}")
        best = {}
        for _ in range(ROUNDS):
            for name in found:
                for thing in found[name]:
                    turn = workers[name].turn(thing, seconds / ROUNDS)
                    best[name, thing] = min(turn, best.get((name, thing), turn), key=lambda each: each["seconds"])
    finally:
        for worker in workers.values():
            worker.close()
    return [{"arm": name, "name": thing, **found[name][thing], **best[name, thing]} for name, thing in best]


def with_rates(rows):
    """Add images_per_s, tokens_per_s and share_of_peak to the rows of a stage; "_cpu": by the processor's clock."""
    peaks = {row["name"]: row for row in rows if row["arm"] == "peak"}
    for row in rows:
        for clock, end in (("seconds", ""), ("cpu_seconds", "_cpu")):
            row["flops_per_s" + end] = row["flops"] / row[clock]
        row["images_per_s"], row["tokens_per_s"] = (row[each] / row["seconds"] for each in ("images", "tokens"))
        precision = row["arm"].split("-")[-1]
        if precision in peaks and row["flops"]:
            for end in ("", "_cpu"):
                of = peaks[precision]["flops"] / peaks[precision]["seconds" if not end else "cpu_seconds"]
                row["share_of_peak" + end] = row["flops_per_s" + end] / of
    return rows


def measure(seconds, compiled):
    """Measure stage after stage: yield dicts, to be merged and written as JSON."""
    both = [f"{{}}-{precision}" for precision in PRECISIONS]
    threads = torch.get_num_threads()
    other = importlib.util.find_spec("torch_world") is not None
    loops, models = ("textbook", *["torch_world"] * other, "ours", *["compiled"] * compiled), ("nano", "tiny")
    first = {name: {"arm": name} for name in ["peak", *(arm.format(loop) for loop in loops for arm in both)]}
    yield {"threads": threads, "steps": with_rates(in_turns(first, seconds))}
    second = ["peak", *(arm.format(model) for model in models for arm in both), "clips-float32", "world-float32"]
    yield {"models": with_rates(in_turns({name: {"arm": name} for name in second}, seconds))}
    shared = {"1 process, 1 thread": (1, 1), f"1 process, {max(2, threads)} threads": (1, max(2, threads))}
    shared["2 processes"] = (2, max(1, threads // 2))
    arms = {name: dict(arm="processes-float32", processes=p, threads=t) for name, (p, t) in shared.items()}
    yield {"processes": with_rates(in_turns(arms, seconds))}
    command = [sys.executable, str(Path(__file__).with_name("split.py")), str(max(3, round(3 * seconds)))]
    yield {"fit": json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)}
    command = [sys.executable, str(Path(__file__).with_name("roofline.py")), str(max(2, round(20 * seconds)))]
    yield {"roofline": json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)}


# --- in words ---


def show_steps(result):
    """Print the comparison with the textbook's step."""
    rows = {(row["arm"], row["name"]): row for row in result["steps"]}
    peak = [rows["peak", precision]["flops_per_s"] / 1e9 for precision in PRECISIONS]
    print(f"{result['threads']} threads, torch {result['versions']['torch']}")
    print(f"matmul peak {peak[0]:.0f} GFLOP/s float32, {peak[1]:.0f} bfloat16\n")
    arms = list(dict.fromkeys(arm for arm, _ in rows if arm != "peak"))
    print(f"{'batch 64':<20}{'images/s':>10}{'tokens/s':>12}{'of peak':>10}{'masks/s':>12}")
    for arm in arms:
        row = rows[arm, str(BATCH)]
        masks = rows[arm, "masks"]["images_per_s"]
        print(f"{arm:<20}{line(row)}{masks:>12,.0f}")
    for loop in ("textbook", "torch_world"):
        if (f"{loop}-float32", "masks") not in rows:
            continue
        base = {name: rows[f"{loop}-float32", name]["images_per_s"] for name in (str(BATCH), "masks")}
        for arm in (each for each in arms if each.startswith(("ours", "compiled"))):
            faster = {name: rows[arm, name]["images_per_s"] / rate for name, rate in base.items()}
            print(f"{arm}: {faster[str(BATCH)]:.2f}x the images/s of {loop} in float32, {faster['masks']:.0f}x its "
                  "mask rate")  # fmt: skip


def show_models(result):
    """Print every model and batch size, where bfloat16 is faster, and clips against images."""
    print(f"\n{'model':<20}{'batch':>6}{'images/s':>10}{'tokens/s':>12}{'of peak':>10}{'memory MB':>11}")
    every = [row for stage in ("steps", "models") for row in result[stage] if row["name"].isdigit()]
    for row in every:
        print(f"{row['arm']:<20}{row['name']:>6}{line(row)}{row['peak_memory_mb'] or float('nan'):>11.0f}")
    print()
    rows = {(row["arm"], row["name"]): row for row in every}
    for (arm, batch), row in rows.items():
        half = rows.get((arm.replace("float32", "bfloat16"), batch))
        if half and arm.endswith("-float32"):
            factor = half["images_per_s"] / row["images_per_s"]
            verdict = "is faster" if factor > 1.05 else "is slower" if factor < 0.95 else "changes little"
            print(f"bfloat16 autocast {verdict}: {arm.split('-')[0]}, batch {batch}: {factor:.2f}x")
    for row in every:
        if row["arm"].startswith("world"):
            print(f"the world model: {row['images_per_s']:,.0f} frames/s, {row['share_of_peak']:.0%} of the peak")
    for batch in (row["name"] for row in every if row["arm"] == "clips-float32"):
        shares = [rows[f"{model}-float32", batch]["share_of_peak"] for model in ("clips", "nano")]
        print(f"clips reach {shares[0]:.0%} of the peak, images {shares[1]:.0%}, batch {batch}: "
              f"ratio {shares[0] / shares[1]:.2f} (aim: 0.80)")  # fmt: skip


def show_processes(result):
    """Print one process and two."""
    alone = result["processes"][0]
    for row in result["processes"]:
        factor = row["images_per_s"] / alone["images_per_s"]
        print(f"{row['arm']:<24}{row['images_per_s']:>8.0f} images/s, {factor:.2f}x those of one thread")


def show_fit(result):
    """Print the parts of a step of fit."""
    for name, table in result["fit"].items():
        for clock, each in (("wall", table["wall"]), ("processor", table["cpu"])):
            parts = ", ".join(f"{k} {1e3 * v:.1f}" for k, v in each.items() if not k.startswith("over"))
            print(f"\n{name}, batch {table['batch']}, {clock} ms: {parts}")
            print(f"overhead of fit: {each['overhead_all']:.1%} in all, {each['overhead_loop']:.1%} without optimiser "
                  f"and EMA, {each['overhead_rest']:.1%} in none of the parts")  # fmt: skip


def show_roofline(result):
    """Print where the time of a step of nano goes, operation by operation, and what the machine allows."""
    roofline.show(result["roofline"])


def line(row):
    """The columns that the first two tables have in common."""
    return f"{row['images_per_s']:>10.0f}{row['tokens_per_s']:>12,.0f}{row['share_of_peak']:>10.0%}"


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.5, help="seconds per measurement (default 1.5)")
    parser.add_argument("--quick", action="store_true", help="take a tenth of that time")
    parser.add_argument("--compile", action="store_true", help="also time the compiled step, which starts slowly")
    parser.add_argument("--out", type=Path, default=Path("runs/bench.json"), help="where to write numbers and figure")
    parser.add_argument("--figure", type=Path, metavar="JSON", help="measure nothing; draw the figure of these numbers")
    arguments = parser.parse_args(argv)
    if arguments.figure:
        draw(json.loads(arguments.figure.read_text(encoding="utf-8")), arguments.figure.with_suffix(".png"))
        return
    compiled = arguments.compile and bool(shutil.which("g++") or shutil.which("clang++"))
    if arguments.compile and not compiled:
        print("the compiled step (fit(..., compile=True)) is left out: there is no C++ compiler")
    start = time.perf_counter()
    result = {
        "command": "python tools/bench/run.py " + " ".join(sys.argv[1:] if argv is None else argv),
        "date": time.strftime("%Y-%m-%d"),
        "hardware": hardware(torch.device("cpu")),
        "versions": {"torch": torch.__version__, "python": platform.python_version()},
    }
    stages = measure(arguments.seconds / (10 if arguments.quick else 1), compiled)
    for show in (show_steps, show_models, show_processes, show_fit, show_roofline):
        result |= next(stages)
        show(result)
        result["minutes"] = round((time.perf_counter() - start) / 60, 1)
        with whole_file(arguments.out) as file:
            file.write(json.dumps(result, indent=1).encode())
        print(f"\n[after {time.perf_counter() - start:.0f} s, written to {arguments.out}]\n", flush=True)
    picture = arguments.out.with_suffix(".png")
    draw(result, picture)
    print(f"\n{result['minutes']} minutes; written: {arguments.out}, {picture}")


if __name__ == "__main__":
    main()
