"""Two workers that exchange tensors: played in this process, move by move, and then for real, in two of their own.

The play finds every mistake at once, deadlocks included, and never waits. The real run confirms it in two processes.
"""

import inspect
import os
import secrets
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import torch

from minijepa.checks.report import call, fail
from minijepa.checks.values import describe

WORKER = Path(__file__).with_name("worker.py")
LONGEST = 50.0  # seconds to wait for two processes; they need two or three


class Waiting(BaseException):
    """A worker waits for a message that has not been sent yet. Not an Exception, so that no `except` stops it."""


def play(name, student, gradients):
    """What two workers return that send and receive in turn: [answer of worker 0, answer of worker 1].

    gradients: two lists of tensors. A worker that must wait is started anew once there is a new message: a function
    without randomness repeats its steps up to there. Raises CheckFailed for errors, deadlocks and messages left.
    """
    sent, answers = [[], []], [None, None]
    while True:
        before = [len(messages) for messages in sent]
        done = [False, False]
        for rank in (0, 1):
            inbox, outbox = list(sent[1 - rank]), []
            try:
                answers[rank] = turn(name, student, gradients[rank], rank, inbox, outbox)
                done[rank] = True
            except Waiting:
                pass
            sent[rank] = outbox
            if all(done) and inbox:
                hint = "a message left over would be received in place of the next one: use as many receives as sends"
                fail(name, "two workers", f"{len(inbox)} messages left for worker {rank}", "none", hint)
        if all(done):
            return answers
        if [len(messages) for messages in sent] == before:
            waits = " and ".join(str(rank) for rank in (0, 1) if not done[rank])
            hint = "a deadlock: receive() waits until the other has sent. Send one tensor for each that you receive"
            fail(name, "two workers", f"worker {waits} waits forever", "both return", hint)


def turn(name, student, gradients, rank, inbox, outbox):
    """The student's answer as worker `rank`, from a list of messages and into another; Waiting where one is missing."""

    def send(tensor):
        if not isinstance(tensor, torch.Tensor):
            raise TypeError(f"send() takes one tensor, not a {type(tensor).__name__}")
        outbox.append(tensor.detach().clone())

    def receive():
        if not inbox:
            raise Waiting
        return inbox.pop(0)

    answer = call(name, student, (gradients, rank, send, receive), f"worker {rank} of two")
    if not isinstance(answer, list) or not all(isinstance(part, torch.Tensor) for part in answer):
        hint = "the function returns nothing: is there a `return`?" if answer is None else "one tensor per parameter"
        fail(name, f"worker {rank} of two", describe(answer), "a list of tensors", hint)
    return answer


def run(name, student, gradients):
    """The answers of two real processes as `play` gives them, and ''; or None and the reason why there are none.

    The processes get the source of the function, since functions of a notebook cannot be sent to another process.
    Raises CheckFailed if the function fails there.
    """
    try:
        source = textwrap.dedent(inspect.getsource(student))
    except (OSError, TypeError):
        return None, "the source of your function cannot be read"
    with tempfile.TemporaryDirectory() as folder:
        folder, key = Path(folder), secrets.token_hex(16)
        task = {"source": source, "name": student.__name__, "gradients": gradients, "key": key}
        torch.save(task, folder / "task.pt")
        results, problem = start(folder)
    if problem:
        return None, problem
    for rank, result in enumerate(results):
        if "error" in result:
            hint = "a separate process knows torch, math and your function, and nothing else of the notebook"
            fail(name, f"worker {rank}, in a process of its own", result["error"], "no error", hint)
    if len({result["process"] for result in results} | {os.getpid()}) < 3:
        return None, "the two were not processes of their own"
    return [result["answer"] for result in results], ""


def start(folder):
    """Start both workers, wait for their files. Returns (two dictionaries, ''), or (None, what went wrong)."""
    environment = dict(os.environ, OMP_NUM_THREADS="1")
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    commands = [[sys.executable, str(WORKER), str(folder), str(rank)] for rank in (0, 1)]
    processes, files = [], [folder / f"answer-{rank}.pt" for rank in (0, 1)]
    try:
        processes = [subprocess.Popen(command, env=environment, **quiet) for command in commands]
        end = time.monotonic() + LONGEST
        while time.monotonic() < end and any(process.poll() is None for process in processes):
            if any(process.poll() not in (None, 0) for process in processes):
                break  # one has died, the other would wait for it
            time.sleep(0.05)
        if not all(file.exists() for file in files):
            return None, "two processes could not connect on this machine"
        return [torch.load(file) for file in files], ""
    except (OSError, TypeError) as error:  # TypeError where sys.executable is None
        return None, f"no process can be started here ({type(error).__name__})"
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
            process.wait()
