"""A study of your own: register a claim, run all conditions with all seeds, then read the verdict.

    question, conditions, seeds, score, "A is ahead of B by more than m"  --> registered, in a file, with the date
    one row of scores per condition and seed                              --> the same file; none replaced or left out
    mean difference A - B over seeds, 95 % interval                       --> supported, refuted or not decided

What the file refuses is what makes small studies lie to their authors: another claim after the first result, a
seed that nobody had named, a second try of a run that came out badly, a verdict before all runs are there.
The interval is Student's, paired by seed: d +- t(n - 1) s / sqrt(n), with d and s the mean and standard deviation of
the n differences. Its source: Student (1908); that so few seeds need it: Henderson et al. (arXiv:1709.06560).

    study = Study("runs/studies/lag.json", question="Does a slow target encoder help?", score="knn",
                  conditions=("random-init", "no lag", "lag"), claim=Claim("lag", "no lag", more_than=0.02))
    for condition, seed in study.missing():
        study.record(condition, seed, knn=train_and_probe(condition, seed))
    print(study.verdict())
"""

import json
import math
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from statistics import mean, stdev

import torch

from minijepa.machine.files import whole_file
from minijepa.machine.hardware import best_device, hardware


@dataclass(frozen=True)
class Claim:
    """The score of condition `better` is ahead of that of `than` by more than `more_than`, in the mean over seeds.

    more_than: in the units of the score, 0 or more; choose the smallest lead that would change what you do.
    """

    better: str
    than: str
    more_than: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """What the runs say about a claim.

    answer: "supported" if the whole 95 % interval of the lead lies above `more_than`, "refuted" if it lies below, else
    "not decided". lead: mean over seeds; low, high: the interval; leads: one number for each seed.
    """

    answer: str
    lead: float
    low: float
    high: float
    leads: tuple[float, ...]


class Study:
    """A registered claim and the table of its runs, in one JSON file.

    path: the file; a study that it already holds is continued. question: in words. conditions: names, of which some are
    controls (a random-init encoder, raw input). claim: Claim about two of them. score: the name of the score
    that decides, higher is better. seeds: all seeds of each condition, at least 2.
    Raises ValueError if the file holds another registration, or if a part of this one is impossible.
    """

    def __init__(self, path, *, question, conditions, claim, score, seeds=(0, 1, 2)):
        self.path = Path(path)
        self.conditions, self.seeds, self.score, self.claim = tuple(conditions), tuple(seeds), score, claim
        for name in (claim.better, claim.than):
            if name not in self.conditions:
                raise ValueError(f"the claim is about {name!r}; the conditions are {', '.join(self.conditions)}")
        if len(set(self.seeds)) < max(2, len(self.seeds)) or len(set(self.conditions)) < len(self.conditions):
            raise ValueError(f"give at least 2 seeds, and each seed and condition once, got {seeds} and {conditions}")
        if not claim.more_than >= 0:
            raise ValueError(f"more_than is a lead, 0 or more, got {claim.more_than}: exchange better and than")
        registered = dict(
            question=question, conditions=list(self.conditions), seeds=list(self.seeds), score=score,
            claim=asdict(claim),
        )  # fmt: skip
        if self.path.exists():
            self.table = json.loads(self.path.read_text(encoding="utf-8"))
            changed = [name for name, value in registered.items() if self.table.get(name) != value]
            if changed:
                raise ValueError(
                    f"{self.path} holds a study registered on {self.table.get('registered')} with another "
                    f"{' and '.join(changed)}. A registration is not changed afterwards: choose another file"
                )
        else:
            self.table = {**registered, "registered": date.today().isoformat(), "rows": []}
            self.save()

    def missing(self):
        """The runs that are not recorded yet, a list of (condition, seed); all conditions of a seed in a row."""
        done = {(row["arm"], row["seed"]) for row in self.table["rows"]}
        runs = [(condition, seed) for seed in self.seeds for condition in self.conditions]
        return [run for run in runs if run not in done]

    def record(self, condition, seed, **scores):
        """Write the scores of one run into the file, with date, versions and hardware.

        scores: numbers by name, among them the one that decides. Raises ValueError for a run that was not registered or
        is already recorded, a missing score, or a score that is not a finite number.
        """
        if condition not in self.conditions or seed not in self.seeds:
            raise ValueError(
                f"{condition!r} with seed {seed} was not registered: conditions {', '.join(self.conditions)}, "
                f"seeds {', '.join(map(str, self.seeds))}"
            )
        if (condition, seed) not in self.missing():
            raise ValueError(f"{condition!r} with seed {seed} is already recorded, and a result is not replaced")
        if self.score not in scores:
            raise ValueError(f"the score that decides is {self.score!r}, got {', '.join(scores) or 'none'}")
        for name, value in scores.items():
            if not math.isfinite(value):
                raise ValueError(
                    f"{name} is {value}, expected a finite number: a failed run is a result, score it as one"
                )
        self.table["rows"].append(
            {
                "arm": condition,
                "seed": seed,
                "scores": {name: float(value) for name, value in scores.items()},
                "date": date.today().isoformat(),
                "versions": {"torch": torch.__version__},
                "hardware": hardware(torch.device(best_device())),
            }
        )
        self.save()

    def scores(self, condition, score=None):
        """One number per registered seed, in their order, of the score that decides or of another recorded one.

        Raises ValueError while runs of the condition are missing.
        """
        rows = {row["seed"]: row["scores"] for row in self.table["rows"] if row["arm"] == condition}
        absent = [str(seed) for seed in self.seeds if seed not in rows]
        if absent:
            raise ValueError(f"{condition!r} has no results for seed {', '.join(absent)} yet: run what missing() lists")
        return [rows[seed][score or self.score] for seed in self.seeds]

    def verdict(self, claim=None):
        """The Verdict on the registered claim, or on another one, which then is an exploration, not a test.

        Raises ValueError while any registered run is missing.
        """
        if self.missing():
            count = len(self.missing())
            raise ValueError(f"{count} of the registered runs are missing: no verdict before all are there")
        claim = claim or self.claim
        pairs = zip(self.scores(claim.better), self.scores(claim.than), strict=True)
        leads = [a - b for a, b in pairs]
        low, high = interval(leads)
        answer = "not decided"
        if low > claim.more_than:
            answer = "supported"
        elif high < claim.more_than:
            answer = "refuted"
        return Verdict(answer, mean(leads), low, high, tuple(leads))

    def save(self):
        """Write the file, completely or not at all."""
        with whole_file(self.path) as file:
            file.write(json.dumps(self.table, indent=1, ensure_ascii=False).encode())


def interval(values):
    """Student's 95 % interval of a mean: mean -+ t(n - 1) s / sqrt(n). values: n >= 2 numbers. Returns (low, high)."""
    from scipy.stats import t  # scikit-learn brings it; late, as it takes half a second

    half = t.ppf(0.975, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return mean(values) - half, mean(values) + half
