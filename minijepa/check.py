"""`python -m minijepa.check`: is everything here that the course needs? One line per fact, with the remedy.

The output is what a bug report asks for. Only the standard library is imported at the top, so that a broken
installation is described line by line instead of ending in a trace.
"""

import importlib.metadata
import os
import platform
import re
import shutil
import sys
from pathlib import Path

OK, WARN, FAIL = "[OK]", "[WARN]", "[FAIL]"
REPO = Path(__file__).resolve().parents[1]
OLDEST_PYTHON = (3, 10)
PEAK_MEMORY = 3  # GB, the most that a notebook takes
CIFAR_DISK = 0.6  # GB, archive and unpacked files together
IN_COURSE = (REPO / "tools" / "course.py").is_file()  # else this package was installed somewhere else, without it
INSTALL = (
    "run `python tools/course.py setup`, or with conda `conda env update -f environment.yml`"
    if IN_COURSE
    else "run `pip install .` again in the folder of the course"
)
REPORT = "please report this, with all the lines above"


def check(brief=False):
    """Print a line per fact: [OK], [WARN] (the course runs, but) or [FAIL], those two with a remedy.

    brief: where nothing failed print only "minijepa is ready", the same on every machine, else what
    failed and the warnings. All to stdout. Takes a few seconds, most of them to import torch.
    """
    report(brief)


def report(brief=False):
    """`check`, but returns whether nothing failed."""
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
    """Every fact as (level, fact, remedy or ""). What goes wrong on the way becomes a [FAIL] of its own."""
    for subject in (interpreter, packages, mixture, machine, data, training_step):
        try:
            yield from subject()
        except Exception as error:  # any at all: the reader needs it in one line, and the other facts as well
            fact = f"{subject.__name__.replace('_', ' ')}: {type(error).__name__}: {one_line(error)}"
            yield FAIL, fact, INSTALL if isinstance(error, ImportError | OSError) else REPORT


def one_line(error):
    """The words of an error without its line breaks."""
    return " ".join(str(error).split())


def interpreter():
    """Which Python this is. The wrong one is the usual reason for "works there, not in the notebook"."""
    fact = f"Python {platform.python_version()} at {sys.executable}"
    if sys.version_info < OLDEST_PYTHON:
        yield FAIL, fact, f"3.10 or newer is needed, {INSTALL}"
    elif (REPO / ".venv").exists() and Path(sys.prefix).resolve() != (REPO / ".venv").resolve():
        yield WARN, fact, f"this is not the course's own in {REPO / '.venv'}, start with `make lab`"
    else:
        yield OK, fact, ""
    yield OK, platform.platform(), ""


def packages():
    """Each requirement of the installed package against its lower bound; optional extras are none."""
    try:
        requirements = importlib.metadata.requires("minijepa") or []
    except importlib.metadata.PackageNotFoundError:
        yield FAIL, "minijepa is not installed in this Python", INSTALL
        return
    yield OK, f"minijepa {importlib.metadata.version('minijepa')} at {Path(__file__).parent}", ""
    for requirement in requirements:
        name, bound, condition = re.match(r"([\w.-]+)>=([\w.]+)\s*;?\s*(.*)", requirement).groups()
        if "extra" in condition:  # nothing that the course needs, so nothing that may fail here
            continue
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield FAIL, f"{name} is missing, {bound} or newer is needed", INSTALL
            continue
        if release(version) < release(bound):
            yield FAIL, f"{name} {version} is too old, {bound} or newer is needed", INSTALL
        else:
            yield OK, f"{name} {version} ({bound} or newer)", ""


def release(version):
    """The numbers of a version, without trailing zeros: "2.10.0+cpu" -> (2, 10), "2.9rc1" -> (2, 9)."""
    numbers = [int(part) for part in re.match(r"\d+(?:\.\d+)*", version)[0].split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def mixture():
    """conda's and pip's builds each bring an OpenMP runtime, and two in one process can crash it."""
    sources = {}
    for name in ("torch", "numpy"):
        try:
            source = (importlib.metadata.distribution(name).read_text("INSTALLER") or "").strip()
        except importlib.metadata.PackageNotFoundError:
            return  # said above
        sources[name] = "conda" if source == "conda" else "pip"
    if len(set(sources.values())) > 1:
        fact = f"torch comes from {sources['torch']}, numpy from {sources['numpy']}"
        yield WARN, fact, "the two can crash each other, make a fresh environment from one source"


def machine():
    """Device, threads, memory and room on the disk."""
    import torch

    name = best_device()
    label = f" ({torch.cuda.get_device_name()})" if name == "cuda" else ""
    yield OK, f"device {name}{label}", ""
    yield from computing_threads()

    import psutil

    free = psutil.virtual_memory().available / 1e9
    remedy = f"a notebook takes up to {PEAK_MEMORY} GB, close other programs and other notebooks' kernels"
    enough = free >= PEAK_MEMORY
    yield OK if enough else WARN, f"{free:.1f} GB of memory free", "" if enough else remedy


def computing_threads():
    """How many threads compute, of how many cores, beside what; and how long they wait (machine.threads)."""
    import torch

    from minijepa.machine import threads

    chosen = [f"{name}={os.environ[name]}" for name in threads.OWN_NUMBER if os.environ.get(name)]
    number = torch.get_num_threads()
    fact = f"{number} threads of {threads.allowed()} cores that may be used here, of {os.cpu_count()} in all"
    if chosen:
        enough = number <= threads.allowed()
        remedy = "" if enough else "more threads than cores wait for each other, unset it or take fewer"
        yield OK if enough else WARN, f"{fact}, as {', '.join(chosen)} asks for", remedy
    else:
        others = threads.busy_cores_now()
        most = threads.current.ceiling if threads.current else threads.allowed()  # often half the cores, one of a pair
        busy = others > threads.reading()[3] - most + 0.5  # then one thread is left out
        remedy = "close what is not needed; the course computes with the cores that are free" if busy else ""
        yield WARN if busy else OK, f"{fact}; other programs keep {others:.1f} cores busy", remedy
    if threads.in_time:
        waits = [f"{name}={os.environ[name]}" for name in threads.OWN_WAITING if os.environ.get(name)]
        yield OK, f"waiting threads: {', '.join(waits)}", ""
    else:
        remedy = "beside busy programs that is slow, import minijepa before torch"
        yield WARN, "torch was loaded before minijepa, so its waiting threads stay awake for long", remedy


def best_device():
    """cuda, mps or cpu, whichever is the fastest that PyTorch finds here."""
    import torch

    return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"


def data():
    """Which images are there. CIFAR-10 is read in full, so that a damaged copy is found here first."""
    from minijepa.datasets import DataCorrupt, cifar10, find_cifar10
    from minijepa.datasets.cifar import places
    from minijepa.datasets.shapes import shapeworld

    folder = find_cifar10()
    if folder is None:
        place = places()[0].absolute()
        free = shutil.disk_usage(next(p for p in (place, *place.parents) if p.exists())).free / 1e9
        remedy = f"to fetch it run `python -m minijepa.datasets` ({free:.1f} GB free, {CIFAR_DISK} needed)"
        yield WARN, "CIFAR-10 is not there, the notebooks will use ShapeWorld in its place", remedy
    else:
        try:
            images = sum(len(cifar10(split, download=False)) for split in ("train", "heldout", "test"))
            yield OK, f"CIFAR-10: {images:,} images in {folder}", ""
        except DataCorrupt as error:
            yield FAIL, f"CIFAR-10: {one_line(error)}", ""
    yield OK, f"ShapeWorld: {len(shapeworld(16, seed=0).images)} images drawn", ""


def training_step():
    """One real step of I-JEPA on the CPU and, where there is one, on the accelerator."""
    for device in dict.fromkeys(["cpu", best_device()]):
        try:
            loss = one_step(device)
        except Exception as error:
            if device == "cpu":
                raise
            remedy = "the course runs on the CPU, update the driver or PyTorch to use the accelerator"
            yield WARN, f"training step on {device}: {one_line(error)}", remedy
            continue
        yield OK, f"training step on {device}: loss {loss:.3f}", ""


def one_step(device):
    """Train a small encoder for one step on eight images; the caller's random numbers are left as they were.

    device: "cpu", "cuda" or "mps". Returns the loss. Raises RuntimeError if that is not finite or the step
    changed no weight.
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
