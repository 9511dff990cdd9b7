"""How long a reader waits between moving a control of an explorer and its new picture; and what the monitors cost.

    python tools/bench/ticks.py [--out ticks.json]

Every control of every explorer is moved to 100 random values, on data of the course's sizes. Aim: 95 of 100 moves take
at most 100 ms on two cores. The processor's time is printed next to the clock's, since other programs do not lengthen
it. On a quiet machine the two agree. The last line names the control with the longest processor time.
The monitors: what `DiagnoseDuring` adds to a step of the course's recipe at its default settings. Aim: at most 5 %.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

from minijepa.datasets.shapes import shapeworld
from minijepa.diagnosis import DiagnoseDuring
from minijepa.plots.widgets import CollapseExplorer, EnergyExplorer, MaskExplorer, PredictionExplorer, Snapshot
from minijepa.training import recipe
from minijepa.training.fit import fit


def explorers():
    """{name: explorer}, one of each, as large as in the notebooks."""
    data = shapeworld(310, seed=0)
    z = torch.randn(256, 64, generator=torch.Generator().manual_seed(0))
    run = [Snapshot(step, z / (1 + step), {"position std": 1 / (1 + step), "RankMe": 0.5}, 0.2) for step in range(13)]
    energy = np.random.default_rng(0).random((8, 3, 13, 13))
    sliders, pair = {"question": range(8), "seen": range(3)}, [("asked", data.images[0]), ("answer", data.images[1])]
    return {
        "masks": MaskExplorer(data.images[:16]),
        "prediction": PredictionExplorer(recipe.build(), data.subset(slice(0, 10)), data.subset(slice(10, 310))),
        "collapse": CollapseExplorer(dict.fromkeys("abcd", run), labels=torch.arange(256) % 4),
        "energy": EnergyExplorer(energy, sliders, ("v", range(13)), ("u", range(13)), lambda *point: pair),
    }


def places(control):
    """All values that a control can be moved to."""
    if hasattr(control, "options"):
        return [option[1] if isinstance(option, tuple) else option for option in control.options]
    return np.arange(control.min, control.max + control.step / 2, control.step).tolist()


def tick_times(control, ticks, rng):
    """Milliseconds of the clock and of the processor for each move of a control: [ticks, 2]."""
    values, times = places(control), []
    while len(times) < ticks:
        value = values[rng.integers(len(values))]
        if value != control.value:
            clock, processor = time.perf_counter(), time.process_time()
            control.value = value  # the picture has been drawn when this returns
            times.append((time.perf_counter() - clock, time.process_time() - processor))
    return 1000 * np.array(times)


def monitor_cost():
    """Seconds of the processor: (a training step, a diagnosis, steps between two diagnoses)."""
    data, jepa, steps = shapeworld(512, seed=0), recipe.build(), 20
    watch = DiagnoseDuring(data.batch(slice(0, 128)))
    fit(jepa, data, recipe.masks, **recipe.TRAINING, steps=3, callbacks=[watch])  # the first steps are slower
    start = time.process_time()
    fit(jepa, data, recipe.masks, **recipe.TRAINING, steps=steps)
    middle = time.process_time()
    watch(watch.every, jepa, {})
    return (middle - start) / steps, time.process_time() - middle, watch.every


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="also write the numbers as JSON")
    arguments = parser.parse_args()
    names, table = ("clock_p50", "clock_p95", "processor_p50", "processor_p95"), {}
    print("explorer    control            p50     p95   processor p50     p95   ms")
    for name, explorer in explorers().items():
        for control, widget in explorer.controls.items():
            times = np.percentile(tick_times(widget, 100, np.random.default_rng(0)), [50, 95], axis=0).T.flatten()
            print(f"{name:<12}{control:<14}{times[0]:8.1f}{times[1]:8.1f}{times[2]:16.1f}{times[3]:8.1f}")
            table[f"{name}: {control}"] = dict(zip(names, times.tolist(), strict=True))
    slowest = max(table, key=lambda control: table[control]["processor_p95"])
    step, diagnosis, every = monitor_cost()
    print(f"monitors: step {1e3 * step:.0f} ms, diagnosis {1e3 * diagnosis:.0f} ms: {diagnosis / (every * step):.1%}")
    print(f"slowest control, {slowest}: 95 of 100 ticks within {table[slowest]['processor_p95']:.0f} ms (aim: 100)")
    if arguments.out:
        report = {"threads": torch.get_num_threads(), "ticks_ms": table, "monitors_share": diagnosis / (every * step)}
        arguments.out.write_text(json.dumps(report, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
