"""Set up the course, open it, test it. The same commands work on Linux, macOS and Windows:

    python tools/course.py setup           create .venv and install everything that the course needs
    python tools/course.py lab             open JupyterLab on the first notebook; further flags go to JupyterLab
    python tools/course.py test            run every test and every notebook
    python tools/course.py test-browser    test the explorers in a real browser (needs playwright and a Chromium)
    python tools/course.py lint            run ruff over code and notebooks
    python tools/course.py notebooks       run the notebooks whose code changed, and normalise them
    python tools/course.py exercises       write exercises/ from solutions/
    python tools/course.py bench           time training steps and their parts, several processes, clips
    python tools/course.py bench-gpu       make the two measurements that need a GPU
    python tools/course.py results         draw the recorded results into docs/results
    python tools/course.py slides          write slides of the notebooks into slides/
    python tools/course.py book            build the book, a static site of notebooks and package, in book/_build/html

Each command begins with setup, which takes no time if everything is installed; `test` also installs the packages that
only its tests compare with, and `book` those that build the book. If a set-up was interrupted, moved or damaged, run
the command again to repair it. Setup uses `uv` if it is installed, else `venv` and `pip`.
"""

# Only the standard library, and nothing newer than Python 3.6: an old interpreter must get far enough to find a
# newer one, or to say that there is none.

import argparse
import csv
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
VENV = REPO / ".venv"
STAMP = VENV / "minijepa-setup.json"
FIRST_NOTEBOOK = "notebooks/00_start_here.ipynb"
OLDEST = (3, 10)
ON_PATH = ["python3.13", "python3.12", "python3.11", "python3.10", "python3", "python"]


def venv_python():
    """The path of .venv's interpreter, whether it exists or not."""
    return str(VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))


def version_of(python):
    """[major, minor] of this interpreter; None if it does not run or is a 32-bit one."""
    code = "import sys; print(*(sys.version_info[:2] if sys.maxsize > 2**32 else ()))"
    try:
        out = subprocess.check_output([python, "-I", "-S", "-c", code], stderr=subprocess.DEVNULL, timeout=60)
        return [int(number) for number in out.split()] or None
    except (OSError, ValueError, subprocess.SubprocessError):
        return None  # a shim without a Python, a placeholder of an app store, a broken link


def find_python():
    """The interpreter to create .venv with: the running one if it is new enough, else one from the PATH."""
    # not sys.executable: it may be .venv's own interpreter, which is about to be replaced
    running = getattr(sys, "_base_executable", None) or sys.executable
    too_old = []
    for python in [running] + ON_PATH:
        version = version_of(python)
        if version and tuple(version) >= OLDEST:
            return python
        if version:
            too_old.append(f"{python} is {version[0]}.{version[1]}")
    sys.exit(
        f"The course needs a 64-bit Python 3.10 or newer; {', '.join(too_old) or 'none was found'}.\n"
        "Install one from your system's packages, from python.org, or with uv: uv python install 3.12\n"
        "Then run the same command again. With conda instead: conda env create -f environment.yml"
    )


# --- what is installed ----------------------------------------------------------------------------------------


def fingerprint():
    """A hash of the requirements in pyproject.toml, without the settings of linter and tests that follow them."""
    project = (REPO / "pyproject.toml").read_text(encoding="utf-8").split("\n[tool.")[0]
    return hashlib.sha256(project.encode("utf-8")).hexdigest()


def entries(site):
    """The names in the folder of installed packages, from which a deleted package shows.

    *.dist-info is left out: its names contain versions, and a reader may upgrade a package.
    """
    return sorted(name for name in os.listdir(site) if not name.endswith((".dist-info", "__pycache__")))


def read_stamp():
    """The stamp that the last set-up wrote, {} if there is none that can be read."""
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
        return stamp if isinstance(stamp, dict) else {}
    except (OSError, ValueError):
        return {}


def write_stamp(version, site=None, extras=()):
    """Write down that a set-up began, where, and with which Python; with `site`, that it is complete.

    site: the folder of installed packages.
    extras: the names of the optional requirements in pyproject.toml that are installed too.
    """
    stamp = {"repo": str(REPO), "python": version, "extras": sorted(extras)}
    if site is not None:
        stamp.update(fingerprint=fingerprint(), site=site, entries=entries(site))
    STAMP.write_text(json.dumps(stamp), encoding="utf-8")


def diagnose(version, stamp, extras=()):
    """What .venv needs: (action, reason), the action "rebuild" or "install", or (None, "") if it is complete.

    version: of its interpreter, None if that does not run.
    stamp: what `read_stamp` returned.
    extras: the names of the optional requirements that are needed too.
    """
    if not VENV.exists():
        return "rebuild", "first set-up"
    if version is None or tuple(version) < OLDEST:
        return "rebuild", "its Python is older than 3.10 or does not run"
    if stamp.get("repo", str(REPO)) != str(REPO):
        return "rebuild", "the folder was moved"  # its scripts contain absolute paths
    if stamp.get("python", version) != version:
        return "rebuild", "its Python has changed"
    if "fingerprint" not in stamp:
        return "install", "the last set-up did not finish"
    if stamp["fingerprint"] != fingerprint():
        return "install", "pyproject.toml has changed"
    try:
        gone = sorted(set(stamp["entries"]) - set(entries(stamp["site"])))
    except OSError:
        return "rebuild", "its packages are gone"
    if gone:
        return "install", "these packages are missing: " + ", ".join(gone[:3])
    if set(extras) - set(stamp.get("extras", [])):
        return "install", "this needs packages that the course itself does not need"
    return None, ""


# --- installing -------------------------------------------------------------------------------------------


def setup(extras=()):
    """Make .venv complete and return its interpreter; exit with a message if that is not possible.

    extras: names of optional requirements to install too; if that fails, say so and go on.
    """
    python = venv_python()
    version, stamp = version_of(python), read_stamp()
    action, why = diagnose(version, stamp, extras)
    if action is None:
        return python
    enough = diagnose(version, stamp)[0] is None  # for everything except the extras
    uv = shutil.which("uv")
    if action == "install" and not uv and not works([python, "-m", "pip", "--version"]):
        action, why, enough = "rebuild", "it has no working pip", False
    say(f"Set-up of .venv: {why}.")
    if action == "rebuild":
        create(find_python(), uv)
        version = version_of(python)
    extras = set(extras) | set(stamp.get("extras", []))  # what was installed before is installed again
    if not enough:  # else an interruption must not spoil the complete course
        write_stamp(version)
    site = packages_folder(python)
    forget_broken(Path(site))
    if enough:
        say("Installing the packages that the course itself does not need.")
    else:
        say("Installing PyTorch, JupyterLab and the other requirements; the first time this takes minutes.")
    if not install(python, uv, extras):
        if not extras or not (enough or install(python, uv)):
            sys.exit(failure())
        names = " and ".join(sorted(extras))
        say(f"The course is complete. What needs the packages of {names} will be skipped: they could not be installed.")
        extras = set(stamp.get("extras", [])) if enough else set()
    if call([python, "-c", "import torch, torchvision, jupyterlab"]):
        sys.exit(failure())
    write_stamp(version, site, extras)
    say(f"Set-up complete. To check it: {os.path.relpath(python)} -m minijepa.check")
    return python


def packages_folder(python):
    """The folder of this interpreter's packages."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return subprocess.check_output([python, "-I", "-c", code]).decode().strip()


def create(base, uv):
    """Create a new .venv with pip alone; it replaces what is there."""
    try:
        if VENV.is_symlink() or VENV.is_file():
            VENV.unlink()
        elif VENV.exists():
            shutil.rmtree(str(VENV))
    except OSError as error:
        sys.exit(f"{error}\nClose what uses .venv (terminals, JupyterLab, an editor) and run the command again.")
    if uv:
        command = [uv, "venv", "--quiet", "--seed", "--prompt", "minijepa", "--python", base, str(VENV)]
    elif works([base, "-c", "import venv, ensurepip"]):
        command = [base, "-m", "venv", "--prompt", "minijepa", str(VENV)]
    else:
        package = "python{}.{}-venv".format(*version_of(base))
        sys.exit(
            f"{base} was installed without its `venv` module. On Debian and Ubuntu, install it with\n"
            f"    sudo apt install {package}\nThen run the same command again."
        )
    if call(command):
        sys.exit(failure())


def forget_broken(site):
    """Remove the *.dist-info of each package with a missing or truncated file, so that it is installed again.

    Installers trust this folder and do not look at the files, so a half-written package would stay.
    """
    for info in site.glob("*.dist-info"):
        try:
            with open(str(info / "RECORD"), encoding="utf-8", newline="") as record:
                rows = [row for row in csv.reader(record) if not row[0].endswith(".pyc")]
            sizes = [((site / name).stat().st_size, size) for name, _, size in rows]
            whole = bool(rows) and all(size in ("", str(found)) for found, size in sizes)
        except (OSError, ValueError, IndexError):
            whole = False
        if not whole:
            say(f"Incomplete, will be installed again: {info.name.split('-')[0]}")
            shutil.rmtree(str(info))


def install(python, uv, extras=()):
    """Install the course, editable, with its requirements and those of the extras. Returns whether this worked."""
    package = str(REPO) + ("[" + ",".join(sorted(extras)) + "]" if extras else "")
    if not uv:
        pip = [python, "-m", "pip", "install", "--disable-pip-version-check"]
        return call(pip + ["-e", package]) == 0
    command = [uv, "pip", "install", "--python", python, "-e", package]
    # "auto" downloads PyTorch from its own server, and without a GPU a build of a tenth of the size. If that
    # server cannot be reached, give up soon: the ordinary build works too.
    impatient = dict(os.environ, UV_HTTP_RETRIES="2", UV_HTTP_CONNECT_TIMEOUT="5")
    if call(command + ["--torch-backend", "auto"], env=impatient) == 0:
        return True
    say("This did not work; trying again with PyTorch's ordinary build.")
    return call(command) == 0


def failure():
    """The message after an installer failed."""
    advice = (
        "The set-up did not finish; the lines above say why. Often the network failed or the disk is full: the\n"
        "course takes 2 GB, on Linux without uv 7 GB. Run the same command again to continue."
    )
    if platform.system() == "Darwin" and platform.machine() == "x86_64":
        advice += "\nOn a Mac with an Intel processor, use conda: conda env create -f environment.yml"
    return advice


# --- the commands -----------------------------------------------------------------------------------------


def lab(extra):
    """Run JupyterLab on the first notebook until Ctrl-C."""
    python = setup()
    quiet_lab()
    screen = has_screen(platform.system(), os.environ)
    if not screen:
        say(
            "There is no display here, so no browser opens. Open the address with `token=` that is printed below.\n"
            "  If this machine is remote, first run on your own: ssh -L 8888:localhost:8888 USER@THIS-MACHINE\n"
            "  In a container, publish port 8888 and start with: make lab ARGS=--ip=0.0.0.0"
        )
    say("Ctrl-C stops JupyterLab.")
    command = [python, "-m", "jupyterlab"] + lab_flags(is_root(), screen) + extra
    # a kernel named python3 that another project left in the user's folder must not replace ours
    environment = dict(os.environ, JUPYTER_PREFER_ENV_PATH="1")
    process = subprocess.Popen(command, env=environment)
    try:
        return process.wait()
    except KeyboardInterrupt:
        return stopped(process)


def stopped(process):
    """Wait for a server that received the terminal's Ctrl-C too. Returns 0 when it has ended.

    Jupyter closes its kernels and ends within a second or two, but it can hang if it was serving a request.
    """
    for nudge in (lambda: None, process.terminate, process.kill):
        nudge()
        try:
            process.wait(timeout=10)
            break
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            pass
    return 0


def quiet_lab():
    """Keep JupyterLab from asking a student about news, and from looking for updates on the network."""
    folder = VENV / "share" / "jupyter" / "lab" / "settings"
    folder.mkdir(parents=True, exist_ok=True)
    defaults = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}
    (folder / "overrides.json").write_text(json.dumps(defaults), encoding="utf-8")


def lab_flags(root, screen):
    """JupyterLab's flags. root: run as root, which it refuses by default. screen: a browser can open."""
    flags = [f"--ServerApp.root_dir={REPO}", f"--LabApp.default_url=/lab/tree/{FIRST_NOTEBOOK}"]
    flags += ["--ServerApp.answer_yes=True"]  # one Ctrl-C is enough
    return flags + ["--allow-root"] * root + ["--no-browser"] * (not screen)


def is_root():
    """Whether the user is root, as is usual in a container. Windows has no root."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def has_screen(system, environment):
    """Whether a browser can open: on Linux these variables tell it; macOS and Windows always have a display."""
    signs = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    return system != "Linux" or any(environment.get(name) for name in signs)


def test():
    """Run every test, and every notebook against its committed outputs, one file per worker and a worker per core.

    Each worker has one thread, since more threads than cores wait for each other. A number of threads that you have
    set is kept. conftest.py decides which files come first.
    """
    python = setup(extras=("oracles", "book"))
    data = call([python, "-m", "minijepa.datasets"])  # downloads CIFAR-10 if possible; fails if it is damaged
    pytest = [python, "-m", "pytest", "-n", "auto", "--dist", "loadfile", "--no-loadscope-reorder"]
    pytest += ["--durations=10", "-rs", "--nbval", "tests", "notebooks", "solutions"]
    one_thread = dict({"OMP_NUM_THREADS": "1"}, **os.environ)
    return int(any([data, call(pytest, env=one_thread)]))


def book(extra):
    """Build the book. extra: arguments for tools/build_book.py."""
    python = setup(extras=("book",))
    if "book" not in read_stamp().get("extras", []):
        sys.exit("The book needs the packages that could not be installed. Run the same command again to continue.")
    return call([python, str(REPO / "tools" / "build_book.py")] + extra)


def lint():
    """Check code and notebooks with ruff, its rules and its formatting."""
    ruff = [setup(), "-m", "ruff"]
    return int(any([call(ruff + ["check", "."]), call(ruff + ["format", "--check", "."])]))


def call(command, env=None):
    """Run a command and show its output. Returns its exit code, 127 if it cannot be started."""
    try:
        return subprocess.call(command, env=env)
    except OSError as error:
        say(f"{command[0]}: {error}")
        return 127


def works(command):
    """Whether a command succeeds; its output is not shown."""
    try:
        return subprocess.call(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def say(text):
    """Print immediately, before the output of programs that are started later."""
    print(text, flush=True)


def main():
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=as_written)
    commands = ["setup", "lab", "test", "test-browser", "lint", "notebooks", "exercises", "bench", "bench-gpu",
                "results", "slides", "book"]  # fmt: skip
    parser.add_argument("command", choices=commands)
    arguments, extra = parser.parse_known_args()
    command = arguments.command
    if extra and command in ("setup", "test", "lint"):
        parser.error(f"{command} takes no further arguments, got: {' '.join(extra)}")
    if os.environ.get("MINIJEPA_DATA"):  # kernels run in another folder, where a relative path would break
        os.environ["MINIJEPA_DATA"] = os.path.abspath(os.environ["MINIJEPA_DATA"])
    os.chdir(str(REPO))
    if command == "setup":
        setup()
        return 0
    scripts = {"notebooks": "build_notebooks", "exercises": "make_exercises", "bench": "bench/run"}
    scripts.update({"bench-gpu": "bench/gpu", "results": "record/results", "slides": "slides/build"})
    if command in scripts:
        return call([setup(), str(REPO / "tools" / f"{scripts[command]}.py")] + extra)
    if command == "test-browser":
        return call([setup(), "-m", "pytest", "tests/browser", "-rs"] + extra)
    if command in ("lab", "book"):
        return lab(extra) if command == "lab" else book(extra)
    return test() if command == "test" else lint()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. Run the same command again to continue.")
