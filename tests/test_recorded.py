"""What is computed and drawn from the recorded tables, on tables small enough to be checked by hand."""

import math

import pytest

from minijepa.plots import recorded
from minijepa.plots.recorded import ablations, as_text, choices, choose, curves, dots, note, summary


def table(*rows, **scores):
    """A table of one seed for each (condition, score): every probe scores the same, validation too."""
    keys = [by + probe for probe in recorded.SCORES for by in ("", "validation_")]
    return {
        "question": "?",
        "steps": 10,
        "reproduce": "python make.py run NAME",
        "rows": [{"arm": arm, "steps": 10, "scores": dict.fromkeys(keys, score) | scores} for arm, score in rows],
    }


UNTRAINED = {f"untrained_{probe}": 0.1 for probe in recorded.SCORES}


def marks(ax):
    """The points of an axis that are drawn with a marker and have data."""
    return [line for line in ax.lines if line.get_marker() not in ("None", "") and len(line.get_xdata())]


def test_summary_is_mean_standard_deviation_and_count():
    found = summary(table(("a", 0.1), ("a", 0.3), ("b", 0.5)), "knn")
    assert found["a"] == (pytest.approx(0.2), pytest.approx(0.02**0.5), 2)
    assert found["b"][0] == 0.5 and math.isnan(found["b"][1])


def test_gains_are_counted_from_each_seeds_own_start():
    kept = table(("a", 0.4), ("a", 0.5))
    for row, start in zip(kept["rows"], (0.1, 0.3), strict=True):
        row["scores"]["untrained_knn"] = start
    assert recorded.gains(kept, "a", "knn") == pytest.approx([0.3, 0.2])
    assert recorded.seeds(kept, "b", "knn") == []


def test_a_condition_is_compared_with_the_mean_of_the_recipe():
    kept = table(("x (recipe)", 0.4), ("x (recipe)", 0.2), ("y", 0.5))
    assert recorded.against_recipe(kept, "y", "linear") == pytest.approx(0.2)
    assert recorded.against_recipe(kept, "x (recipe)", "linear") == pytest.approx(0)


def test_as_text_has_a_line_for_each_condition_and_a_column_for_each_probe():
    head, first, second = as_text(table(("term alone", 0.25), ("b", 0.5), ("b", 0.75)), recorded.seeds).split("\n")
    assert head.split() == ["?", "kNN", "linear", "all", "layers"]
    assert first.split() == ["regulariser", "alone", *["0.250"] * 3], "the plain name, not the file's key"
    assert second.split() == ["b", *["0.500", "0.750"] * 3]
    kept = table(("x (recipe)", 0.4), ("y", 0.5), ("z", 0.3999))
    signed = as_text(kept, recorded.against_recipe, "+.3f").split("\n")
    assert signed[2].split() == ["y", *["+0.100"] * 3] and signed[3].split() == ["z", *["+0.000"] * 3], "not -0.000"


def test_the_plain_names_are_names_that_the_files_use():
    """A key that no file has would never be replaced; two names may not become one."""
    names = set()
    for name in ("parts", "peers", "two_minutes", "ten_minutes", "momentum", "targets", "regulariser"):
        kept = recorded.load(name)
        names |= {kept["question"], *(row["arm"] for row in kept["rows"])}
    assert set(recorded.PLAIN) <= names
    assert len(set(recorded.PLAIN.values())) == len(recorded.PLAIN) and not names & set(recorded.PLAIN.values())


def test_the_note_says_steps_seeds_and_how_to_run_it_again():
    one, other = table(("a", 0.1), ("a", 0.2), ("b", 0.3)), table(("a", 0.1))
    other["rows"][0]["steps"] = 2000
    assert note(one) == "recorded: 10 steps, 1-2 seeds · again: python make.py run NAME"
    assert note(other).startswith("recorded: 2,000 steps, 1 seed ·")
    assert note(one, other) == "recorded: 10 / 2,000 steps, 1-2 seeds · again: python make.py run NAME"
    one["rows"][0]["steps"] = 20
    assert note(one).startswith("recorded: equal time,"), "one table of runs with different steps"


def test_the_dots_are_the_seeds_with_a_bar_at_their_mean():
    kept = table(("term alone", 0.2), ("term alone", 0.4), ("b", 0.5), **UNTRAINED)
    fig = dots(kept)
    assert len(fig.axes) == 3 and fig.get_figwidth() < 9.5, "not wider than a notebook"
    points = [line for line in marks(fig.axes[0]) if line.get_marker() == "o"]
    bars = [line.get_xdata()[0] for line in marks(fig.axes[0]) if line.get_marker() == "|"]
    assert [list(line.get_xdata()) for line in points] == [[0.2, 0.4], [0.5]] and bars == pytest.approx([0.3, 0.5])
    assert [text.get_text() for text in fig.axes[0].get_yticklabels()] == ["regulariser alone", "b"]


def test_curves_count_images_not_steps():
    kept = table(("a", 0.3), ("a", 0.3))
    for row, curve in zip(kept["rows"], ([[0, 0.1], [10, 0.3]], [[0, 0.2], [10, 0.5]]), strict=True):
        row.update(images=640, knn_curve=curve)
    line = curves(kept).axes[0].lines[0]
    assert list(line.get_xdata()) == pytest.approx([0, 0.64]) and list(line.get_ydata()) == pytest.approx([0.15, 0.4])


def test_what_the_layers_know_is_a_line_for_each_encoder_and_one_for_their_start():
    kept = table(("term alone", 0.2), ("b", 0.5), ("c", 0.5))
    for i, row in enumerate(kept["rows"]):
        row["seed"] = 0
        if i < 2:  # the third was not looked into
            know = {key: [0.1 + i, 0.2 + i] for key in recorded.KNOWN}
            row["layers"] = {"trained": know, "untrained": {key: [0.0, 0.0] for key in recorded.KNOWN}}
    assert list(recorded.looked_into(kept)) == ["term alone", "b", "random-init"]
    fig = recorded.layers(kept)
    assert len(fig.axes) == 3 and fig.get_figwidth() < 9.5
    for ax in fig.axes:
        drawn = {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in ax.lines}
        assert drawn == {
            "regulariser alone": ([1, 2], [0.1, 0.2]), "b": ([1, 2], [1.1, 1.2]), "random-init": ([1, 2], [0, 0])
        }  # fmt: skip


def test_the_ablations_show_every_probe_and_mark_the_recipe():
    kept = table(("x (recipe)", 0.4), ("x (recipe)", 0.5), ("y", 0.3))
    for row in kept["rows"]:
        row["scores"].update(linear=row["scores"]["knn"] + 0.1, linear_all=row["scores"]["knn"] + 0.2)
    fig = ablations([kept] * 3)
    shown = [ax for ax in fig.axes if ax.axison]
    assert len(shown) == 3 and fig.get_figwidth() < 9.5
    drawn = {line.get_label(): list(line.get_xdata()) for line in marks(shown[0]) if line.get_ydata()[0] == 1}
    assert list(drawn) == list(recorded.SCORES.values()) and list(drawn.values()) == [[0.3], [0.4], [0.5]]
    levels = [line.get_xdata()[0] for line in shown[0].lines if line not in marks(shown[0])]
    assert sorted(levels) == pytest.approx([0.45, 0.55, 0.65])


def test_the_choice_is_made_without_the_heldout_images():
    def row(arm, heldout, validation):
        scores = {by + probe: s for probe in recorded.SCORES for by, s in (("", heldout), ("validation_", validation))}
        return {"arm": arm, "steps": 10, "scores": scores}

    rows = [row("x (recipe)", 0.4, 0.5), row("x (recipe)", 0.4, 0.1), row("y", 0.5, 0.2), row("z", 0.3, 0.4)]
    kept = {**table(), "rows": rows}
    assert choose(kept, "knn") == "z", "y is better on the held-out images, x in one of its seeds"
    fig = choices([kept])
    assert len(fig.axes) == 3
    for ax in fig.axes:
        found = {(round(x.get_xdata()[0], 6), round(x.get_ydata()[0], 6)): x.get_markeredgecolor() for x in marks(ax)}
        assert found == {(0.3, 0.4): "none", (0.2, 0.5): "none", (0.4, 0.3): "black"}


def test_an_unknown_table_is_named_with_those_there_are():
    with pytest.raises(ValueError, match="'nothing'.*parts"):
        recorded.load("nothing")
