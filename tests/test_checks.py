"""How the checks speak: what went wrong, where, and nothing on stderr."""

import signal
import time
import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minijepa.checks import CheckFailed, processes
from minijepa.checks.report import call, compare, patience
from minijepa.checks.values import describe, difference

CASES = [(torch.tensor([1.0, 2.0]), 3), (torch.tensor([0.5, -1.0]), 2)]
MISTAKES = [(lambda x, n: x + n, "multiply, do not add"), (lambda x, n: x, "n is not used")]


def times(x, n):
    return x * n


def failure(student):
    with pytest.raises(CheckFailed) as caught:
        compare("times", student, times, CASES, MISTAKES, "x times n")
    return str(caught.value)


def test_a_right_answer_prints_one_line(capfd):
    compare("times", lambda x, n: n * x, times, CASES, MISTAKES)
    assert capfd.readouterr() == ("times: right, all 2 cases.\n", "")


def test_a_mistake_whose_answer_is_a_single_nan_gets_its_own_hint():
    def overflow(x):
        return x.exp().sum() / x.exp().sum()

    for wrong, hint in ((overflow, "subtract the largest first"), (lambda x: x.exp().sum(), "it is infinite")):
        with pytest.raises(CheckFailed) as caught:
            compare("one", wrong, lambda x: x.sum() * 0 + 1, [(torch.tensor([100.0]),)], [(wrong, hint)])
        assert hint in str(caught.value)


def test_a_failure_has_case_got_expected_and_hint():
    text = failure(lambda x, n: x + n)
    assert "case:     times(x=[1, 2], n=3)" in text and "got:      [4, 5]" in text
    assert "expected: [3, 6]" in text and "hint:     multiply, do not add" in text
    assert "0 got 4, expected 3" in text.replace("[0]", "0")


@pytest.mark.parametrize(
    "student, words",
    [
        (lambda x, n: x - 7, "x times n"),
        (lambda x, n: None, "is there a `return`?"),
        (lambda x, n: (x * n).tolist(), "return a tensor"),
        (lambda x, n: (x * n).double(), "must be torch.float32"),
        (lambda x, n: (x * n)[None], "must have the shape [2]"),
        (lambda x, n: x / 0 * 0, "NaN"),
        (lambda x, n: x.mul_(n), "work on a copy"),
        (lambda x, n: x.nope, "AttributeError"),
        (lambda x: x, "TypeError"),
        (lambda x, n: exit(), "SystemExit"),
        (lambda x, n: (_ for _ in ()).throw(NotImplementedError()), "still empty"),
        (None, "a function"),
    ],
)
def test_whatever_comes_is_told_kindly(student, words):
    assert words in failure(student)


def test_an_error_names_the_line_of_the_student():
    def student(x, n):
        return x @ n  # the line

    assert "x @ n" in failure(student)


def test_warnings_stay_quiet(capfd):
    def student(x, n):
        warnings.warn("old", stacklevel=1)
        return x * n

    compare("times", student, times, CASES)
    assert capfd.readouterr().err == ""


def test_an_endless_loop_is_interrupted_and_an_idle_wait_is_not():
    def endless(x, n):
        while True:
            pass

    with pytest.raises(CheckFailed, match="does every loop end"):
        with patience("endless", seconds=0.3):
            endless(None, None)

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in a process that was started in the background
    with pytest.raises(CheckFailed, match="does every loop end"):
        with patience("endless", seconds=0.1):
            endless(None, None)
    assert signal.signal(signal.SIGINT, before) == signal.SIG_IGN

    def stubborn():
        end = time.process_time() + 20
        while time.process_time() < end:
            try:
                sum(range(1000))
            except KeyboardInterrupt:
                end = time.process_time() + 1  # swallows the first

    with pytest.raises(CheckFailed, match="does every loop end"):
        with patience("stubborn", seconds=0.1):
            stubborn()
    with patience("idle", seconds=0.1):
        time.sleep(0.3)  # a busy machine looks like this


def test_a_notebook_shows_the_text_alone():
    with pytest.raises(CheckFailed) as caught:
        call("f", None, ())
    assert caught.value._render_traceback_() == [str(caught.value)]


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=6), st.integers(0, 5))
def test_a_difference_is_found_wherever_it_is(numbers, place):
    right = torch.tensor(numbers)
    wrong = right.clone()
    wrong[place % len(numbers)] += 1 + right.abs().max()
    assert difference(right.clone(), right) == "" and difference(wrong, right) != ""


@pytest.mark.parametrize(
    "got, right, same",
    [
        (1, 1, True), (1.0, 1, False), (True, 1, False), (1.0 + 1e-9, 1.0, True), (1.01, 1.0, False),
        (torch.tensor(2.0), 2.0, True), (float("inf"), float("inf"), True), (float("nan"), 1.0, False),
        ((1, 2), (1, 2), True), ([1, 2], (1, 2), False), ((1,), (1, 2), False), ("a", "b", False), (None, None, True),
        (torch.tensor(1.0), torch.tensor(2.0), False), (torch.tensor([]), torch.tensor([]), True),
        (torch.tensor([1]), torch.tensor([2]), False), (torch.tensor([True]), torch.tensor([True]), True),
    ],
)  # fmt: skip
def test_same_or_not(got, right, same):
    assert (difference(got, right) == "") == same


def test_values_are_described_in_a_few_words():
    assert describe(torch.zeros(3, 40)) == "float32 tensor [3, 40]"
    assert describe(torch.tensor([1, 2])) == "[1, 2] (int64 [2])"
    assert len(describe("x" * 500)) <= 80


# --- two processes ----------------------------------------------------------------------------------------


def halves(gradients, rank, send, receive):
    means = []
    for mine in gradients:
        send(mine)
        means.append((mine + receive()) / 2)
    return means


def knows_too_much(gradients, rank, send, receive):
    return halves(gradients, rank, send, receive)


def ends_one(gradients, rank, send, receive):
    import os

    os._exit(3)


PAIR = (
    [torch.tensor([1.0, 2.0], dtype=torch.float64), torch.ones(2, 1)],
    [torch.tensor([3.0, 6.0]).double(), torch.zeros(2, 1)],
)


def test_a_play_and_two_processes_give_the_same(monkeypatch):
    right = [[torch.tensor([2.0, 4.0], dtype=torch.float64), torch.full((2, 1), 0.5)]] * 2
    assert difference(processes.play("halves", halves, PAIR), right) == ""
    answers, problem = processes.run("halves", halves, PAIR)
    assert problem == "" and difference(answers, right) == ""


def test_processes_that_fail_are_told_kindly(monkeypatch):
    with pytest.raises(CheckFailed, match="knows torch, math and your function"):
        processes.run("knows_too_much", knows_too_much, PAIR)
    assert processes.run("ends_one", ends_one, PAIR) == (
        None,
        "two processes could not connect on this machine",
    )
    space = {}
    exec("def hidden(gradients, rank, send, receive): return gradients", space)
    assert processes.run("hidden", space["hidden"], PAIR)[0] is None
    monkeypatch.setattr(processes.sys, "executable", "no-such-python")
    assert "no process can be started" in processes.run("halves", halves, PAIR)[1]


@pytest.mark.parametrize(
    "student, words",
    [
        (lambda g, r, send, receive: [receive() for _ in g], "a deadlock"),
        (lambda g, r, send, receive: [send(x) or x for x in g], "as many receives as sends"),
        (lambda g, r, send, receive: [send(g) for _ in g], "one tensor, not a list"),
        (lambda g, r, send, receive: None, "is there a `return`?"),
        (lambda g, r, send, receive: g[0], "one tensor per parameter"),
        (lambda g, r, send, receive: [x.add_(1) for x in g], "work on a copy"),
    ],
)
def test_a_play_names_the_mistake(student, words):
    with pytest.raises(CheckFailed) as caught:
        processes.play("f", student, PAIR)
    assert words in " ".join(str(caught.value).split())
