"""How many steps of each relative take as long as the recipe's: the steps of the tables of equal time.

    python tools/record/peers_time.py [--table family] [--rounds 3]

All train on one thread, in turns, a few steps each; the processor's clock, the median step of the fastest round.
"""

import argparse
import time

import torch
from results import supervised
from tables import TABLES, make

from minijepa import ViT, fit
from minijepa.datasets import cifar10


class Silent:
    """Stands in for the probe during training."""

    def score(self, encoder):
        return 0.0


def seconds_per_step(changes, train, steps=10):
    """Of the processor, median over the steps after the first three."""
    model, masks, settings = make(
        0, **{key: value for key, value in changes.items() if key not in ("steps", "teacher_steps")}
    )
    ends = []
    if isinstance(model, ViT):  # supervised
        for some in (2, 2 + steps):  # the same beginning and end, some steps more
            start = time.process_time()
            supervised(model, train, train, some, 0, Silent(), settings)
            ends.append(time.process_time() - start)
        return (ends[1] - ends[0]) / steps
    settings["steps"] = steps + 3
    fit(model, train, masks, **settings, precision="bfloat16", callbacks=[lambda *_: ends.append(time.process_time())])
    return torch.tensor(ends[2:]).diff().median().item()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", choices=("peers", "family", "levers", "levers_longer"), default="peers")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    train, table, best = cifar10("train"), TABLES[arguments.table], {}
    for _ in range(arguments.rounds):
        for arm, changes in table["arms"].items():
            took = seconds_per_step(changes, train)
            best[arm] = min(took, best.get(arm, took))
    recipe = next(iter(best.values())) * table["steps"]
    for arm, changes in table["arms"].items():
        steps = changes.get("steps", table["steps"])
        share = steps * best[arm] / recipe
        print(f"{arm:<24}{1e3 * best[arm]:7.0f} ms a step; {recipe / best[arm]:5.0f} steps take as long as "
              f"{table['steps']:,} of the recipe; the table gives it {steps} ({share:.2f} of the time)")  # fmt: skip


if __name__ == "__main__":
    main()
