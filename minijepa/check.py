"""`python -m minijepa.check`: does this computer have all that the course needs? One line per fact, with a remedy.

A bug report should contain the output. Nothing that must be installed is imported at the top, so that a broken
installation is described line by line instead of ending in a traceback.
"""

import importlib.metadata
import os
import platform
import re
import shutil
import sys
from pathlib import Path

from minijepa.machine.hardware import best_device

OK, WARN, FAIL = "[OK]", "[WARN]", "[FAIL]"
REPO = Path(__file__).resolve().parents[1]
OLDEST_PYTHON = (3, 10)
PEAK_MEMORY = 3  # GB, the most that a notebook takes
CIFAR_DISK = 0.6  # GB, archive and unpacked files together
IN_COURSE = (REPO / "tools" / "course.py").is_file()  # else the package was installed without the course around it
INSTALL = (
    "run `python tools/course.py setup`, or with conda `conda env update -f environment.yml`"
    if IN_COURSE
    else "run `pip install .` again in the folder of the course"
)
REPORT = "please report this error together with all the lines above"


def check(brief=False):
    """Print a line per fact to stdout: [OK], or [WARN] (the course runs all the same) and [FAIL] with a remedy.

    It takes a few seconds, most of them to import torch.

    brief: if nothing failed, print only "minijepa is ready", the same on every machine; else only the failures and
        the warnings.
    """
    report(brief)


def report(brief=False):
    """Do what `check` does, and return whether nothing failed."""
    lines = []
    for level, fact, remedy in examine():
        lines.append((level, f"{level:6} {fact}" + (f": {remedy}" if remedy else "")))
        if not brief:
            print(lines[-1][1], flush=True)
    failed = any(level == FAIL for level, _ in lines)
    if brief:
        print("\n".join(text for level, text in lines if level != OK) if failed else "minijepa is ready")
    return not failed


def examine():
    """Yield every fact as (level, fact, remedy or ""). An error while a fact is examined becomes a [FAIL]."""
    for subject in (interpreter, packages, mixture, machine, data, training_step):
        try:
            yield from subject()
        except Exception as error:  # any error: the reader needs it in one line, and the other facts as well
            fact = f"{subject.__name__.replace('_', ' ')}: {type(error).__name__}: {one_line(error)}"
            yield FAIL, fact, INSTALL if isinstance(error, ImportError | OSError) else REPORT


def one_line(error):
    """The message of an error on a single line."""
    return " ".join(str(error).split())


def interpreter():
    """Which Python this is. A wrong one is the usual reason why a command works in the terminal, not in a notebook."""
    fact = f"Python {platform.python_version()} at {sys.executable}"
    if sys.version_info < OLDEST_PYTHON:
        yield FAIL, fact, f"the course needs Python 3.10 or newer; {INSTALL}"
    elif (REPO / ".venv").exists() and Path(sys.prefix).resolve() != (REPO / ".venv").resolve():
        yield WARN, fact, f"the course has its own Python in {REPO / '.venv'}; start it with `make lab`"
    else:
        yield OK, fact, ""
    yield OK, platform.platform(), ""


def packages():
    """Compare each requirement of the installed package with its lower bound; optional extras are left out."""
    try:
        requirements = importlib.metadata.requires("minijepa") or []
    except importlib.metadata.PackageNotFoundError:
        yield FAIL, "minijepa is not installed in this Python", INSTALL
        return
    yield OK, f"minijepa {importlib.metadata.version('minijepa')} at {Path(__file__).parent}", ""
    for requirement in requirements:
        name, bound, condition = re.match(r"([\w.-]+)>=([\w.]+)\s*;?\s*(.*)", requirement).groups()
        if "extra" in condition:  # the course does not need it, so its absence is no failure
            continue
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield FAIL, f"{name} is missing; the course needs {bound} or newer", INSTALL
            continue
        if release(version) < release(bound):
            yield FAIL, f"{name} {version} is too old; the course needs {bound} or newer", INSTALL
        else:
            yield OK, f"{name} {version} ({bound} or newer)", ""


def release(version):
    """The numbers of a version, without trailing zeros: "2.10.0+cpu" -> (2, 10), "2.9rc1" -> (2, 9)."""
    numbers = [int(part) for part in re.match(r"\d+(?:\.\d+)*", version)[0].split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def mixture():
    """Whether torch and numpy come from one source: with conda's and pip's, two OpenMP runtimes meet and can crash."""
    sources = {}
    for name in ("torch", "numpy"):
        try:
            source = (importlib.metadata.distribution(name).read_text("INSTALLER") or "").strip()
        except importlib.metadata.PackageNotFoundError:
            return  # `packages` has reported it
        sources[name] = "conda" if source == "conda" else "pip"
    if len(set(sources.values())) > 1:
        fact = f"torch comes from {sources['torch']}, numpy from {sources['numpy']}"
        yield WARN, fact, "together the two can crash; make a new environment in which both have one source"


def machine():
    """Device, threads, memory and room on the disk."""
    import torch

    name = best_device()
    label = f" ({torch.cuda.get_device_name()})" if name == "cuda" else ""
    yield OK, f"device {name}{label}", ""
    yield from computing_threads()

    import psutil

    free = psutil.virtual_memory().available / 1e9
    remedy = f"a notebook takes up to {PEAK_MEMORY} GB; close other programs and the kernels of other notebooks"
    enough = free >= PEAK_MEMORY
    yield OK if enough else WARN, f"{free:.1f} GB of memory free", "" if enough else remedy


def computing_threads():
    """How many threads compute on how many cores, how busy those are, and how long threads wait (machine.threads)."""
    import torch

    from minijepa.machine import threads

    chosen = [f"{name}={os.environ[name]}" for name in threads.OWN_NUMBER if os.environ.get(name)]
    number = torch.get_num_threads()
    fact = f"threads: {number}; this process may use {threads.allowed()} of {os.cpu_count()} cores"
    if chosen:
        enough = number <= threads.allowed()
        remedy = "" if enough else "more threads than cores wait for each other; unset the variable or lower it"
        yield OK if enough else WARN, f"{fact}; {', '.join(chosen)} sets the number", remedy
    else:
        others = threads.busy_cores_now()
        most = threads.current.ceiling if threads.current else threads.allowed()  # often half: one core of a pair
        busy = others > threads.reading()[3] - most + 0.5  # then one thread is left out
        remedy = "close programs that you do not need; the course uses only the cores that are free" if busy else ""
        yield WARN if busy else OK, f"{fact}; other programs keep {others:.1f} cores busy", remedy
    if threads.in_time:
        waits = [f"{name}={os.environ[name]}" for name in threads.OWN_WAITING if os.environ.get(name)]
        yield OK, f"waiting threads: {', '.join(waits)}", ""
    else:
        remedy = "this is slow while other programs are busy; import minijepa before torch"
        yield WARN, "torch was imported before minijepa, so waiting threads stay awake for long", remedy


def data():
    """Which images are on the disk. CIFAR-10 is read completely, so that a damaged copy is found here first."""
    from minijepa.datasets import DataCorrupt, cifar10, find_cifar10
    from minijepa.datasets.cifar import places
    from minijepa.datasets.shapes import shapeworld

    folder = find_cifar10()
    if folder is None:
        place = places()[0].absolute()
        free = shutil.disk_usage(next(p for p in (place, *place.parents) if p.exists())).free / 1e9
        remedy = f"run `python -m minijepa.datasets` to download it (needs {CIFAR_DISK} GB, {free:.1f} GB are free)"
        yield WARN, "CIFAR-10 is not on this disk, so the notebooks will use ShapeWorld instead", remedy
    else:
        try:
            images = sum(len(cifar10(split, download=False)) for split in ("train", "heldout", "test"))
            yield OK, f"CIFAR-10: {images:,} images in {folder}", ""
        except DataCorrupt as error:
            yield FAIL, f"CIFAR-10: {one_line(error)}", ""
    yield OK, f"ShapeWorld: {len(shapeworld(16, seed=0).images)} images drawn", ""


def training_step():
    """Make one real training step of I-JEPA on the CPU and, if there is one, on the accelerator."""
    for device in dict.fromkeys(["cpu", best_device()]):
        try:
            loss = one_step(device)
        except Exception as error:
            if device == "cpu":
                raise
            remedy = "the course runs on the CPU; to use the accelerator, update its driver or PyTorch"
            yield WARN, f"training step on {device}: {one_line(error)}", remedy
            continue
        yield OK, f"training step on {device}: loss {loss:.3f}", ""


def one_step(device):
    """Train a small encoder for one step on eight images and return the loss.

    The state of the global random generator is left as it was.

    device: "cpu", "cuda" or "mps".
    Raises RuntimeError if the loss is not finite or if the step changed no weight.
    """
    import torch

    from minijepa import JEPA, Predictor, ViT, block_masks
    from minijepa.datasets.shapes import shapeworld

    images = shapeworld(8, seed=0).batch(device=device)  # [8, 3, 32, 32]
    with torch.random.fork_rng(devices=[]):
        encoder = ViT.nano(img_size=32, patch_size=4)
        model = JEPA(encoder, Predictor(encoder.dim, encoder.grid, width=48, depth=2, heads=3)).to(device)
    masks = block_masks(8, encoder.grid, generator=torch.Generator().manual_seed(0)).to(device)
    before = [p.detach().clone() for p in encoder.parameters()]
    loss = model(images, masks).loss
    loss.backward()
    torch.optim.SGD(encoder.parameters(), lr=0.1).step()
    if not torch.isfinite(loss):
        raise RuntimeError(f"the loss of the first step is {loss.item()}, a finite number was expected")
    if all(torch.equal(old, new) for old, new in zip(before, encoder.parameters(), strict=True)):
        raise RuntimeError("one step of gradient descent changed no weight of the encoder")
    return loss.item()


if __name__ == "__main__":
    from minijepa.machine.console import print_any_name

    print_any_name()
    sys.exit(0 if report() else 1)
