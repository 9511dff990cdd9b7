"""How an answer is compared with a slow, obvious specification, and how a failure is told to the student.

The hint comes from known mistakes: wrong functions that students write. If the student's answer is that of one of them,
its hint is shown; else a general one.
"""

import _thread
import signal
import textwrap
import threading
import time
import traceback
import warnings
from contextlib import contextmanager
from pathlib import Path

import torch

from minijepa.checks.values import describe, describe_call, difference, general_hint

PATIENCE = 5.0  # seconds of computing for all cases of one check; right answers take a small fraction
PACKAGE = str(Path(__file__).parents[1])


class CheckFailed(AssertionError):
    """An answer that is not right yet. Its text has the case, the answer, the expected answer and a hint."""

    def _render_traceback_(self):
        """IPython's hook: show the text alone, since the lines of the checker would only distract."""
        return [str(self)]


def fail(name, case="", got="", expected="", hint=""):
    """Raise CheckFailed with these four facts, those that are empty left out."""
    lines = [f"{name}: not right yet"]
    facts = {"case": case, "got": got, "expected": expected, "hint": hint}
    for label, text in facts.items():
        if text:
            text = textwrap.fill(text, 78, subsequent_indent=" " * 12) if label == "hint" else text
            lines.append(f"  {label + ':':<10}{text}")
    raise CheckFailed("\n".join(lines))


def passed(name, what):
    """The one line of a right answer."""
    print(f"{name}: right, {what}.")


def compare(name, student, spec, cases, mistakes=(), advice="", quiet=False):
    """Call the student's function on every case, and compare its answers with those of the specification.

    cases: tuples of arguments; tensors among them are copied, and must not be changed in place. mistakes: pairs
    (wrong function, hint); if the failing answer is that of a wrong function, its hint is shown, else `advice`. Of
    several, the wrong function that explains most cases wins. quiet: print nothing if all is right.
    Raises CheckFailed.
    """
    expected = [spec(*copies(case)) for case in cases]
    with patience(name):
        got = [call(name, student, case) for case in cases]
    for case, mine, right in zip(cases, got, expected, strict=True):
        where = difference(mine, right)
        if where:
            hint = known_mistake(mistakes, cases, got, case, mine) or general_hint(mine, right) or advice
            shown = describe(mine), describe(right)
            fail(name, describe_call(name, spec, case), shown[0], shown[1] + where, hint)
    if not quiet:
        passed(name, f"all {len(cases)} cases")


def call(name, student, arguments, words=""):
    """The student's answer for these arguments; any error in it becomes a CheckFailed."""
    arguments = copies(arguments)
    before = copies(arguments)
    case = words or describe_call(name, student, arguments)
    if not callable(student):
        fail(name, got=describe(student), expected="a function")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a warning on stderr would cost all points in nbgrader
            answer = student(*arguments)
    except CheckFailed:
        raise
    except NotImplementedError:
        fail(name, hint="the function is still empty: write your answer in place of `raise NotImplementedError()`")
    except RecursionError:
        fail(name, case, got="RecursionError", hint="the function calls itself without end")
    except (Exception, SystemExit) as error:
        fail(name, case, f"{type(error).__name__}: {error}", "no error", where_in(error, student))
    for old, new in zip(before, arguments, strict=True):
        if isinstance(old, (torch.Tensor, list)) and difference(new, old):
            hint = "work on a copy: operations whose names end in _, and x[...] = y, change the tensor itself"
            fail(name, case, "an argument was changed in place", "arguments are left as they are", hint)
    return answer


@contextmanager
def patience(name, hint="does every loop end? What if no try ever succeeds?", seconds=None):
    """Interrupt the student's code after so many seconds of computing, so that an endless loop gets an answer too.

    Processor time, not wall time: a busy machine must not fail a right answer. Only in the main thread, which alone can
    be interrupted; elsewhere nothing is watched. Raises CheckFailed when the time is up.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    seconds = PATIENCE if seconds is None else seconds
    state, lock, start = {"over": False, "late": False}, threading.Lock(), time.process_time()

    def watch():
        while not state["over"]:
            time.sleep(0.5 if state["late"] else 0.05)
            with lock:
                if not state["over"] and time.process_time() - start > seconds:
                    state["late"] = True
                    _thread.interrupt_main()  # again and again: code that swallows one interrupt gets the next

    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # started in the background, a process ignores it
    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
        with lock:
            state["over"] = True
        if state["late"]:
            time.sleep(0.2)  # let the interrupt that is on its way arrive here
    except KeyboardInterrupt:
        state["over"] = True
        if not state["late"]:
            raise
    finally:
        state["over"] = True
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)
    if state["late"]:
        fail(name, got=f"nothing within {seconds:.0f} s", expected="an answer in a fraction of a second", hint=hint)


def known_mistake(mistakes, cases, got, case, mine):
    """The hint of the wrong function that gives `mine` for `case`, and as many other answers of `got` as possible."""
    best, hint = 0, ""
    for wrong, words in mistakes:
        if not same_as(wrong, case, mine):
            continue
        agrees = sum(same_as(wrong, other, answer) for other, answer in zip(cases, got, strict=True))
        if agrees > best:
            best, hint = agrees, words
    return hint


def same_as(wrong, case, answer):
    """Whether a wrong function gives this answer; False where it cannot be computed."""
    try:
        return not difference(answer, wrong(*copies(case)))
    except Exception:
        return False


def where_in(error, student):
    """The line of the student's own code in which an error arose."""
    file = getattr(getattr(student, "__code__", None), "co_filename", None)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(PACKAGE)]
    own = [frame for frame in frames if frame.filename == file] or frames
    where = f"it came from line {own[-1].lineno} of your cell: {own[-1].line}" if own else "see the message"
    if "stack expects each tensor to be equal size" in str(error):
        where = f"rows of different lengths do not stack, so all images must keep equally many; {where}"
    return where


def copies(arguments):
    """The arguments with tensors cloned and generators copied, so that every call starts from the same."""
    return [copy_of(argument) for argument in arguments]


def copy_of(value):
    """One argument, independent of the original."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone().requires_grad_(value.requires_grad)
    if isinstance(value, torch.Generator):
        return torch.Generator().set_state(value.get_state())
    if isinstance(value, (list, tuple)):
        return type(value)(copy_of(item) for item in value)
    return value
