"""The page of recorded results: the question of each table, its figure, its numbers, and the command for it."""

from minijepa.plots import recorded

PLACE = "docs/results"
# figures that are not drawn from a table of their own: title, alternative text
OTHERS = {
    "ablations": (
        "One setting changed at a time",
        "Eleven panels, one for each setting of the recipe: a dot for the accuracy of each value of the setting under "
        "the kNN probe, the linear probe, and the linear probe on all layers. Vertical lines are the recipe's scores.",
    ),
    "choices": (
        "Was the recipe chosen on the images that score it?",
        "Three panels, one for each probe: held-out accuracy against accuracy on validation images, a point for each "
        "run with one changed setting. The points lie along the diagonal, and the recipe lies among the best.",
    ),
    "parts_curves": (
        "Which part of the recipe does the work? The curves",
        "The accuracy of the kNN probe against the images seen, for the recipe, prediction alone, the regulariser "
        "alone, pixel targets, and the published settings.",
    ),
    "budgets_curves": (
        "What does more time buy?",
        "The accuracy of the kNN probe against the images seen, for seven runs of 1,700 to 10,000 steps: the recipe "
        "and the longer recipe, each also with prediction alone and with the regulariser alone.",
    ),
    "bench": (
        "What a step costs on two cores",
        "Four panels: images per second against the images of a step, for three loops in two precisions; the fraction "
        "of the measured peak that each reaches; the parts of a step; and the rate of one and of two processes.",
    ),
}
INTRODUCTION = """# Recorded results

These runs are too long for a notebook. Each is kept with its command, commit, seed and hardware in
`minijepa/plots/recorded_results/`, and `make results` draws the figures again. Notebook
[10 What matters](notebooks/10_what_matters.ipynb) reads the tables and asserts what it says about them. A table here
gives the mean accuracy over the seeds, and behind it the lowest and the highest where there is more than one seed.
"""


def page(repo):
    """The text of the page. repo: the folder of the repository."""
    text = [INTRODUCTION]
    for path in sorted((repo / PLACE).glob("*.png"), key=lambda path: (path.stem not in OTHERS, path.stem)):
        if (repo / "minijepa" / "plots" / "recorded_results" / f"{path.stem}.json").is_file():
            text += of_table(path.stem)
        else:
            title, alt = OTHERS.get(path.stem, (path.stem.replace("_", " "), f"Recorded figure: {path.stem}."))
            text += part(path.stem, title, alt)
    return "\n".join(text)


def part(name, title, alt):
    """The lines of a section with its figure."""
    return ["", f"({name})=", "", f"## {title}", "", f"![{alt}]({PLACE}/{name}.png)", ""]


def of_table(name):
    """The lines of the section of one table, its numbers included."""
    table = recorded.load(name)
    conditions = list(recorded.summary(table, "knn"))
    alt = (
        f"Dots: the accuracy of each seed under {len(recorded.SCORES)} probes, for {len(conditions)} conditions; "
        "vertical lines: a randomly initialised encoder and raw pixels. The table below has the numbers."
    )
    lines = [
        *part(name, recorded.plain(table["question"]), alt),
        f"| condition | {' | '.join(recorded.SCORES.values())} |",
    ]
    lines.append("|---" * (1 + len(recorded.SCORES)) + "|")
    for arm in conditions:
        cells = [written(recorded.seeds(table, arm, score)) for score in recorded.SCORES]
        lines.append(f"| {recorded.plain(arm)} | {' | '.join(cells)} |")
    first = table["rows"][0]["scores"]
    for key, label in (("untrained", "randomly initialised encoder"), ("raw", "raw pixels")):
        values = [recorded.baseline(table, f"{key}_{score}") for score in recorded.SCORES if f"{key}_{score}" in first]
        if values:
            cells = [f"{value:.3f}" for value in values] + [""] * (len(recorded.SCORES) - len(values))
            lines.append(f"| *{label}* | {' | '.join(cells)} |")
    probe = table["probe"]
    return [*lines, "", f"Probe: {probe}. Again: `{table['reproduce']}`."]


def written(values):
    """The mean of some accuracies, and their range."""
    mean = f"{sum(values) / len(values):.3f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.3f} to {max(values):.3f})"
