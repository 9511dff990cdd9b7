"""A study refuses what makes small studies lie; its interval is scipy's paired one."""

import json

import pytest
from helpers import planted
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from minijepa import study as module
from minijepa.plots import recorded
from minijepa.study import Claim, Study, interval

FORM = dict(
    question="Does it help?", conditions=("random-init", "plain", "new"), score="knn",
    claim=Claim("new", "plain", more_than=0.02),
)  # fmt: skip


def finished(path, plain=(0.30, 0.31, 0.32), new=(0.40, 0.41, 0.43), **other):
    study = Study(path, **{**FORM, **other})
    for seed in range(3):
        study.record("random-init", seed, knn=0.2, loss=1.0)
        study.record("plain", seed, knn=plain[seed], loss=1.0)
        study.record("new", seed, knn=new[seed], loss=1.0)
    return study


def test_the_prediction_is_in_the_file_before_any_result(tmp_path):
    path = tmp_path / "deep" / "study.json"
    Study(path, **FORM)
    table = json.loads(path.read_text())
    assert table["claim"] == {"better": "new", "than": "plain", "more_than": 0.02} and table["rows"] == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"claim": Claim("new", "plain", more_than=0.0)}, "another claim"),
        ({"score": "linear"}, "another score"),
        ({"seeds": (0, 1, 2, 3)}, "another seeds"),
        ({"conditions": ("plain", "new")}, "another conditions"),
    ],
)
def test_a_registration_is_not_changed_afterwards(tmp_path, change, named):
    finished(tmp_path / "study.json")
    with pytest.raises(ValueError, match=f"{named}.*choose another file"):
        Study(tmp_path / "study.json", **{**FORM, **change})


def test_results_are_not_replaced_invented_or_left_out(tmp_path):
    study = Study(tmp_path / "study.json", **FORM)
    assert study.missing()[:4] == [("random-init", 0), ("plain", 0), ("new", 0), ("random-init", 1)]
    study.record("new", 0, knn=0.4)
    for arguments, scores, named in [
        (("new", 0), {"knn": 0.5}, "already recorded"),
        (("new", 7), {"knn": 0.5}, "seed 7 was not registered"),
        (("other", 1), {"knn": 0.5}, "'other' with seed 1 was not registered"),
        (("new", 1), {"linear": 0.5}, "the score that decides is 'knn', got linear"),
        (("new", 1), {"knn": float("nan")}, "knn is nan"),
    ]:
        with pytest.raises(ValueError, match=named):
            study.record(*arguments, **scores)
    with pytest.raises(ValueError, match="8 of the registered runs are missing"):
        study.verdict()
    with pytest.raises(ValueError, match="no results for seed 1, 2"):
        study.scores("new")


def test_a_study_goes_on_in_another_process(tmp_path):
    Study(tmp_path / "study.json", **FORM).record("new", 0, knn=0.4)
    again = Study(tmp_path / "study.json", **FORM)
    assert ("new", 0) not in again.missing() and len(again.missing()) == 8


@pytest.mark.parametrize(
    ("new", "answer"),
    [
        ((0.40, 0.41, 0.43), "supported"),
        ((0.30, 0.312, 0.321), "refuted"),
        ((0.30, 0.41, 0.33), "not decided"),
    ],
)
def test_verdicts(tmp_path, new, answer):
    verdict = finished(tmp_path / "study.json", new=new).verdict()
    assert verdict.answer == answer
    expected = stats.ttest_rel(new, (0.30, 0.31, 0.32)).confidence_interval(0.95)
    assert (verdict.low, verdict.high) == pytest.approx((expected.low, expected.high))
    assert verdict.lead == pytest.approx(sum(new) / 3 - 0.31)


def test_an_interval_of_the_standard_error_alone_would_be_noticed():
    """Two standard errors are Student's interval for many seeds, not for three."""
    values = [0.1, 0.12, 0.15]
    wrong = planted(module, "t.ppf(0.975, len(values) - 1)", "1.96")
    low, high = interval(values)
    assert (high - low) / (wrong.interval(values)[1] - wrong.interval(values)[0]) == pytest.approx(
        4.303 / 1.96, rel=1e-3
    )


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=8))
def test_the_interval_holds_the_mean(values):
    low, high = interval(values)
    assert low - 1e-9 <= sum(values) / len(values) <= high + 1e-9


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"claim": Claim("best", "plain")}, "about 'best'; the conditions are random-init, plain, new"),
        ({"seeds": (0,)}, "at least 2 seeds"),
        ({"seeds": (0, 0, 1)}, "each seed and condition once"),
        ({"claim": Claim("new", "plain", more_than=-0.1)}, "0 or more, got -0.1"),
    ],
)
def test_impossible_registrations(tmp_path, change, named):
    with pytest.raises(ValueError, match=named):
        Study(tmp_path / "study.json", **{**FORM, **change})
    assert not (tmp_path / "study.json").exists()


def test_recorded_figures_and_summaries_read_the_table(tmp_path):
    table = finished(tmp_path / "study.json").table
    assert recorded.summary(table, "knn")["plain"] == pytest.approx((0.31, 0.01, 3))
