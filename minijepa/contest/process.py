"""The parent's side: start the process that trains, read its messages, stop it when it takes too long or too much."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue

import psutil
from safetensors.torch import load, save

from minijepa.contest.submission import Refused
from minijepa.contest.tracks import seed_for

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
LARGEST = 200 * 2**20  # bytes of one message
PACKAGE = Path(__file__).parents[2]


@dataclass
class Limits:
    """What one process may use: minutes of wall time, megabytes of memory for itself and all below it."""

    minutes: float = 30.0
    megabytes: int = 4096


@dataclass
class Run:
    """What a process answered. plan, done: its messages; quarter, final: weights by name; cpu_seconds: as measured
    from outside."""

    plan: dict = field(default_factory=dict)
    done: dict = field(default_factory=dict)
    quarter: dict | None = None
    final: dict | None = None
    cpu_seconds: float = 0.0


def train(text, track, seed, salt, limits, until="done"):
    """Train the text of a submission in a process of its own. Returns Run.

    track: of `tracks`, with its budget. seed: the lecturer's, from which the images follow, and the number that the
    process is told. salt: of the false labels. until: "quarter" stops after a quarter of the steps.
    Raises Refused if the submission fails, does what is not allowed, or exceeds a limit.
    """
    budget, content = track.budget, save(track.handout(seed, salt))
    order = {
        "track": track.name,
        "seed": seed_for("run", seed),
        "text": text,
        "bytes": len(content),
        "megabytes": limits.megabytes,
        "budget": {"samples": budget.samples, "operations": budget.operations},
    }
    run = Run()
    with tempfile.TemporaryDirectory(prefix="challenge-", ignore_cleanup_errors=True) as folder:
        process = start(folder)
        messages = Queue()
        threads = [
            threading.Thread(target=write, args=(process, json.dumps(order).encode() + b"\n" + content), daemon=True),
            threading.Thread(target=read, args=(process, messages), daemon=True),
        ]
        for thread in threads:
            thread.start()
        try:
            watch(process, messages, run, limits, until)
        finally:
            kill(process)
    return run


def start(folder):
    """The process, in an empty folder, with one thread, without the places of the course's data."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MINIJEPA")}
    environment.update(dict.fromkeys(THREADS, "1"), PYTHONHASHSEED="0", PYTHONDONTWRITEBYTECODE="1")
    paths = [str(PACKAGE), *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    command = [sys.executable, "-m", "minijepa.contest.child"]
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )


def write(process, content):
    """Hand the order over; a process that has ended does not read it."""
    try:
        process.stdin.write(content)
        process.stdin.close()
    except OSError:
        pass


def read(process, messages):
    """Put each message of the process into the queue as (dict, bytes), then None, at the end or after a bad one."""
    try:
        while line := process.stdout.readline(2**20):
            words = json.loads(line)
            size = int(words["bytes"])
            if not 0 <= size <= LARGEST:
                break
            messages.put((words, process.stdout.read(size)))
    except (OSError, ValueError, KeyError, TypeError):
        pass
    messages.put(None)


def watch(process, messages, run, limits, until):
    """Fill `run` from the messages. Raises Refused after a refusal, an error, or past a limit."""
    end = time.monotonic() + 60 * limits.minutes
    while True:
        used = usage(process)
        run.cpu_seconds = max(run.cpu_seconds, used["seconds"])
        if time.monotonic() > end:
            raise Refused(f"stopped after {limits.minutes:g} minutes: let it do less, or raise --minutes")
        if used["megabytes"] > limits.megabytes:
            raise Refused(f"stopped above {limits.megabytes:g} MB: take smaller batches, or raise --megabytes")
        try:
            message = messages.get(timeout=0.2)
        except Empty:
            continue
        if message is None:
            raise Refused("the process ended without an answer: a crash, or no memory left")
        words, payload = message
        kind = words.get("kind")
        if kind == "refused":
            raise Refused(str(words.get("reason")))
        if kind == "error":
            raise Refused(f"the submission failed:\n{words.get('reason')}")
        if kind == "plan":
            run.plan = words
        if kind == "quarter":
            run.quarter = weights(payload)
        if kind == "done":
            run.done, run.final = words, weights(payload)
        if kind == until:
            return


def weights(payload):
    """The tensors of a message, read by safetensors, which runs no code. Raises Refused for anything else."""
    try:
        return load(payload)
    except Exception as error:  # whatever the bytes are
        raise Refused(f"the weights cannot be read ({type(error).__name__}): leave the channel alone") from error


def usage(process):
    """Processor seconds and megabytes of a process and all below it: {"seconds", "megabytes"}."""
    seconds = size = 0.0
    try:
        first = psutil.Process(process.pid)
        for each in [first, *first.children(recursive=True)]:
            times = each.cpu_times()
            seconds, size = seconds + times.user + times.system, size + each.memory_info().rss / 2**20
    except psutil.Error:
        pass
    return {"seconds": seconds, "megabytes": size}


def kill(process):
    """End the process and all below it."""
    try:
        family = psutil.Process(process.pid).children(recursive=True)
    except psutil.Error:
        family = []
    process.kill()
    for each in family:
        try:
            each.kill()
        except psutil.Error:
            pass
    process.wait()
    for stream in (process.stdin, process.stdout):
        try:
            stream.close()
        except (OSError, ValueError):
            pass
