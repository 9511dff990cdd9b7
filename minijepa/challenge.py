"""The challenge: train your own method within a fixed budget, and see how it does on hidden data.

    python -m minijepa.challenge submission.py
    python -m minijepa.challenge planning.py --track planning --seed 20261129
    python -m minijepa.challenge submitted/*/submission.py --seed 20261129 --out runs/course

A submission is one file with the names of a file of minijepa/family (docs/challenge.md). It is trained in a process of
its own, on images without labels, until the budget of samples and operations is spent; then twice more, with other
labels and with another seed, to see that it used neither labels nor stored weights. Its weights are scored here, on
data that are drawn only then, next to the baselines, and go into leaderboard.json and leaderboard.html.

What this does NOT protect against: the submission's code runs with your rights, and inside the process that counts.
The doors that it finds closed are those of Python; compiled code, or code that patches the counter in a way that nobody
has thought of, gets through. So read what you score, and for marks that matter run this as a user without rights, in a
container without network.
"""

import argparse
import hashlib
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path

import torch

from minijepa.commands.arguments import number
from minijepa.commands.run_folder import claim
from minijepa.contest import checks, leaderboard, process, submission
from minijepa.contest.tracks import TRACKS
from minijepa.machine.console import each_file, print_any_name
from minijepa.machine.hardware import hardware
from minijepa.training.distributed import Team


def row_of(track, seed, **more):
    """A row of the leaderboard, as far as all rows are alike."""
    budget = {"samples": track.budget.samples, "operations": track.budget.operations}
    empty = {"file": "", "name": "", "baseline": False, "scores": {}, "monitors": {}, "used": {}, "refused": ""}
    found = {"date": date.today().isoformat(), "torch": torch.__version__, "hardware": hardware(torch.device("cpu"))}
    return {"track": track.name, "seed": seed, "budget": budget, "main": track.main, **empty, **found, **more}


def used(run):
    """What a run used: samples and operations as it counted them, processor seconds as measured from outside."""
    return {**{name: run.done[name] for name in ("samples", "operations", "steps")}, "cpu_seconds": run.cpu_seconds}


def scored(run, track, seed):
    """The part of a row that is known after scoring."""
    scores, monitors = track.score(checks.rebuilt(run, track, seed), seed)
    return {"scores": scores, "monitors": monitors, "used": used(run), "name": run.plan["name"]}


def mark(path, track, seed, limits):
    """Train, check and score one submission. Returns its row; one that is refused says why and has no scores."""
    words = {"file": str(path), "name": Path(path).stem}
    try:
        text = submission.read(path)
        words["sha256"] = hashlib.sha256(text.encode()).hexdigest()
        run = process.train(text, track, seed, "first", limits)
        words |= {"name": run.plan["name"], "used": used(run)}
        with ThreadPoolExecutor() as pool:  # two processes side by side
            asked = [
                pool.submit(check, run, text, track, seed, "second", limits)
                for check in (checks.check_labels, checks.check_seed)
            ]
        for each in asked:
            each.result()
        return row_of(track, seed, **words, **{k: v for k, v in scored(run, track, seed).items() if k not in words})
    except submission.Refused as error:
        return row_of(track, seed, **words, refused=error.reason)
    except (RuntimeError, ValueError) as error:  # a probe that does not converge on these features, say
        return row_of(track, seed, **words, refused=f"its weights cannot be scored: {error}")


def baselines(track, seed, limits, known):
    """The rows of the baselines of a board; those among `known` are not made again."""
    here = leaderboard.board(row_of(track, seed))
    rows = [row for row in known if row["baseline"] and leaderboard.board(row) == here]
    have = {row["file"] for row in rows}
    for name, file in track.trained().items():
        if f"baseline: {name}" not in have:
            print(f"baseline: {name} ...", flush=True)
            run = process.train(submission.read(file), track, seed, "first", limits)
            rows.append(row_of(track, seed, **{**scored(run, track, seed), "name": name},
                               file=f"baseline: {name}", baseline=True))  # fmt: skip
    if not have:
        for name, (scores, monitors) in track.baselines(seed).items():
            words = {"name": name, "file": f"baseline: {name}", "baseline": True}
            rows.append(row_of(track, seed, **words, scores=scores, monitors=monitors))
    return rows


def scaled(track, fraction):
    """The track with its budget times `fraction`; below 1, with less hidden data as well, to try a submission out."""
    less = min(1.0, max(fraction, 0.05))
    sizes = {name: max(20, int(getattr(track, name) * less)) for name in track.scaled_with_budget}
    return replace(track, budget=track.budget.scaled(fraction), **sizes)


def main(argv=None):
    """The command line. The exit code is 0 when every submission was scored, 1 when one was refused."""
    print_any_name()
    parser = argparse.ArgumentParser(
        prog="python -m minijepa.challenge", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("submissions", nargs="+", type=Path)
    parser.add_argument("--track", choices=TRACKS, default="representation", help="(default representation)")
    parser.add_argument("--seed", type=number(int, 0, 2**62), default=0, help="the lecturer's choice (default 0)")
    positive = number(float, 0, 1000, above=True)
    parser.add_argument("--budget", type=positive, default=1.0, help="fraction of the budget (default 1)")
    parser.add_argument("--out", type=Path, default=Path("runs/challenge"), help="folder of the leaderboard")
    parser.add_argument("--minutes", type=positive, default=30.0, help="limit of a run (default 30)")
    parser.add_argument("--megabytes", type=number(int, 1, 2**20), default=4096, help="limit of a run (default 4096)")
    arguments = parser.parse_args(argv)
    limits = process.Limits(arguments.minutes, arguments.megabytes)
    try:
        track = scaled(TRACKS[arguments.track](), arguments.budget)
        with claim(arguments.out, Team.current()):
            return run(arguments, track, limits)
    except (ValueError, OSError, submission.Refused) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def run(arguments, track, limits):
    """All submissions one after the other; the leaderboard is written after each. Returns the exit code."""
    seed, rows = arguments.seed, leaderboard.read(arguments.out)
    print(f"{track.name}: {track.budget.samples:,} {track.unit}, {track.budget.operations:.3g} operations, seed {seed}")
    base = baselines(track, seed, limits, rows)
    for row in base:
        rows = leaderboard.added(rows, row)
    leaderboard.write(arguments.out, rows)  # the baselines take long, and are not lost if what follows is stopped
    refused = []
    for path in each_file(arguments.submissions):
        print(f"{path} ...", flush=True)
        row = mark(path, track, seed, limits)
        rows = leaderboard.added(rows, row)
        leaderboard.write(arguments.out, rows)
        if row["refused"]:
            refused.append(path)
            print(f"refused: {row['refused']}")
    here = [row for row in rows if leaderboard.board(row) == leaderboard.board(base[0])]
    print(leaderboard.as_text(here))
    print(f"written to {arguments.out}: {leaderboard.JSON}, {leaderboard.PAGE}")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
