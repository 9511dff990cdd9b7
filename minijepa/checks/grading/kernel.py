"""A kernel for code that may do anything: each cell has limits, and the next cell runs even after a crash."""

import os
import tempfile
import time
from dataclasses import dataclass
from queue import Empty

import psutil
from jupyter_client import KernelManager

KEEP = 4_000  # characters of a cell's output
# Runs first in every kernel: quit() and exit() have no effect; memory and file size are limited where the system can
SET_LIMITS = """
get_ipython().ask_exit = lambda: None
try:
    import resource as _r
    _r.setrlimit(_r.RLIMIT_DATA, ({bytes}, {bytes}))
    _r.setrlimit(_r.RLIMIT_FSIZE, ({file}, {file}))
    _r.setrlimit(_r.RLIMIT_CORE, (0, 0))
except (ImportError, ValueError, OSError):
    pass
"""


@dataclass
class Limits:
    """What one cell may use: seconds of wall time, and megabytes of memory for the kernel and its processes."""

    seconds: float = 60.0
    megabytes: float = 4096.0


class Sandbox:
    """One submission's kernel, in an empty temporary folder. A context manager: `with Sandbox(limits) as kernel`.

    It protects the marking from accidents and pranks, but not your machine from an attack: see `minijepa.grade`.
    """

    def __init__(self, limits):
        self.limits, self.manager, self.client, self.before, self.folder = limits, None, None, [], None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stop()
        if self.folder is not None:
            self.folder.cleanup()

    def start(self):
        """Start a new kernel with its limits, in a new folder, and run the earlier cells again that ran before."""
        if self.folder is not None:
            self.folder.cleanup()  # a file torch.py in it would be imported
        self.folder = tempfile.TemporaryDirectory(prefix="grade-", ignore_cleanup_errors=True)
        self.manager = KernelManager(kernel_name="python3")
        environment = dict(os.environ, IPYTHONDIR=self.folder.name, JUPYTER_PREFER_ENV_PATH="1")
        quiet = {"stdout": open(os.devnull, "w"), "stderr": open(os.devnull, "w")}
        self.manager.start_kernel(cwd=self.folder.name, env=environment, **quiet)
        for stream in quiet.values():
            stream.close()
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=120)
        size = int(self.limits.megabytes * 2**20)
        self.execute(SET_LIMITS.format(bytes=size, file=100 * 2**20))
        for code in self.before:
            if self.execute(code)[0] not in ("ok", "error"):
                self.stop()  # these cells ran the first time; do not try forever
                self.before = []
                return self.start()

    def stop(self):
        """Kill the kernel and all processes that it started."""
        if self.manager is None:
            return
        for process in self.processes():
            try:
                process.kill()
            except psutil.Error:
                pass
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()
        self.manager = self.client = None

    def run(self, code, replay=True):
        """Run one cell. replay: run it again when a later crash needs a new kernel.

        Returns (status, words): "ok" or "error" with the text of the error, or "time", "memory", "died" for a cell that
        had to be stopped.
        """
        if self.manager is None:
            self.start()
        status, words = self.execute(code)
        if status in ("ok", "error"):
            if not self.manager.is_alive():
                self.stop()
            if replay:
                self.before.append(code)
            return status, words
        if status == "time" and self.interrupt():
            return status, words
        self.stop()
        return status, words

    def execute(self, code):
        """Send a cell to the kernel and watch it: status and words as in `run`."""
        message, deadline = self.client.execute(code, allow_stdin=False), time.monotonic() + self.limits.seconds
        status, error, next_look = None, "", 0.0
        while status is None:
            now = time.monotonic()
            if now > next_look:
                next_look = now + 0.2
                if now > deadline:
                    return "time", f"stopped after {self.limits.seconds:g} s"
                if self.megabytes() > self.limits.megabytes:
                    return "memory", f"stopped above {self.limits.megabytes:g} MB"
                if not self.manager.is_alive():
                    return "died", "the kernel ended: exit, or a crash"
            try:
                reply = self.client.get_iopub_msg(timeout=0.2)
            except Empty:
                continue
            if reply["parent_header"].get("msg_id") != message:
                continue
            if reply["msg_type"] == "error":
                error = plain(reply["content"])
            elif reply["msg_type"] == "status" and reply["content"]["execution_state"] == "idle":
                status = "error" if error else "ok"
        try:  # the reply also reports errors without output
            while True:
                reply = self.client.get_shell_msg(timeout=5)
                if reply["parent_header"].get("msg_id") == message:
                    break
            if reply["content"]["status"] != "ok":
                return "error", error or "stopped"
        except Empty:
            return "died", "the kernel ended: exit, or a crash"
        return status, error

    def interrupt(self):
        """Stop a running cell as Ctrl-C does. Returns whether the kernel responds again, its variables kept."""
        self.manager.interrupt_kernel()
        seconds, self.limits = self.limits, Limits(10, self.limits.megabytes)
        try:
            return self.execute("pass")[0] == "ok"
        finally:
            self.limits = seconds

    def processes(self):
        """The kernel's process and all below it."""
        try:
            kernel = psutil.Process(self.manager.provisioner.pid)
            return [kernel, *kernel.children(recursive=True)]
        except (psutil.Error, AttributeError, TypeError):
            return []

    def megabytes(self):
        """Memory in use by the kernel and its processes."""
        total = 0
        for process in self.processes():
            try:
                total += process.memory_info().rss
            except psutil.Error:
                pass
        return total / 2**20


def plain(content):
    """The text of an error, without colours; the text of a failed check stands alone."""
    text = f"{content.get('ename', 'Error')}: {content.get('evalue', '')}"
    return text.removeprefix("CheckFailed: ")[:KEEP]
