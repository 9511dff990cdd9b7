"""Start a program on several processes of this machine, from a notebook or a script."""

import os
import subprocess
import sys


def launch(program, *arguments, processes=1, seconds=600):
    """Run a Python file, with torchrun if `processes` > 1, each process with one thread; return when all have ended.

    program: path of the file. arguments: words for its command line. Raises RuntimeError with what the processes
    printed if one of them fails, or if they have not ended after `seconds`.
    """
    # --local-addr: by its own name a laptop that has left its network cannot find itself
    torchrun = f"-m torch.distributed.run --standalone --local-addr=127.0.0.1 --nproc-per-node={processes}".split()
    command = [sys.executable, *(torchrun if processes > 1 else ()), str(program), *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if sys.platform == "win32":
        environment["USE_LIBUV"] = "0"  # PyTorch for Windows comes without it
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired as late:
        raise RuntimeError(f"the processes had not ended after {seconds} s; they printed: {late.stderr}") from None
    if done.returncode:
        raise RuntimeError(f"{program} ended with code {done.returncode}; it printed: {done.stderr[-3000:]}")
