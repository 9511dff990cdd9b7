"""Assignment 06, exercise 4: a setting chosen on the validation set, scored once on the test set."""

import math

from minijepa.checks.curves import line_and_yours
from minijepa.checks.report import call, fail, passed
from minijepa.checks.values import describe, normal


def spec_choose(settings, score):
    """The setting that is best on the validation set, and its accuracy on the test set, which is asked for once."""
    best, highest = None, -math.inf
    for setting in settings:
        accuracy = score(setting, "validation")
        if accuracy > highest:
            best, highest = setting, accuracy
    return best, score(best, "test")


def experiment(seed):
    """A `score(setting, on)` for settings 0 to 7 that differ by chance alone."""
    table = {"validation": 0.5 + 0.05 * normal(8, seed=seed), "test": 0.5 + 0.05 * normal(8, seed=seed + 100)}
    return lambda setting, on: float(table[on][setting])


def show_choose(student):
    """Draw the accuracy that is reported in ten experiments of eight settings each: target and answer."""
    cases = {"ten experiments": [(str(number), (list(range(8)), experiment(number))) for number in range(1, 11)]}
    see = "crosses above the rings show a choice made on the TEST set, which reports too high an accuracy."
    labels = ("experiment", "reported accuracy")
    line_and_yours("choose", student, spec_choose, cases, labels, see, number=lambda answer: answer[1])


def choose(student):
    """Check exercise 4, `choose(settings, score)`, by what it looks at. Raises CheckFailed."""
    name = "choose"
    settings = [0.01, 0.1, 1.0, 10.0]
    validation = {0.01: 0.41, 0.1: 0.47, 1.0: 0.46, 10.0: 0.30}
    test = {0.01: 0.40, 0.1: 0.43, 1.0: 0.49, 10.0: 0.35}  # the best setting on the test set is another one
    case = "four settings; 0.1 is best on the validation set, 1.0 on the test set"
    asked = []

    def score(setting, on):
        if on not in ("validation", "test"):
            raise ValueError(f"on must be 'validation' or 'test', got {on!r}")
        asked.append((setting, on))
        return {"validation": validation, "test": test}[on][setting]

    got = call(name, student, (settings, score), case)
    looks = [setting for setting, on in asked if on == "test"]
    if got == (1.0, 0.49):
        hint = "the setting was chosen on the TEST set: choose on the validation set, then look at the test set once"
        fail(name, case, describe(got), "(0.1, 0.43)", hint)
    if got == (0.1, 0.47):
        hint = "this is the score on the validation set, on which you chose: it is too high. Report the test score"
        fail(name, case, describe(got), "(0.1, 0.43)", hint)
    if got == (10.0, 0.35):
        fail(name, case, describe(got), "(0.1, 0.43)", "this is the worst setting: a high score is good")
    if got != (0.1, 0.43):
        fail(name, case, describe(got), "(0.1, 0.43)", "return the pair (setting, its test score)")
    if looks != [0.1]:
        hint = "each look at the test set is a chance to choose by it: ask for the test score once, at the end"
        fail(name, case, f"{len(looks)} looks at the test set", "one", hint)
    passed(name, "chosen on validation, and one look at the test set")
