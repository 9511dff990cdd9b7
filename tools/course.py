"""Set the course up, open it, test it. The same commands work on Linux, macOS and Windows:

    python tools/course.py setup        make .venv and install all that the course needs
    python tools/course.py lab          JupyterLab on the first notebook; further flags go to JupyterLab
    python tools/course.py test         every test and every notebook
    python tools/course.py test-browser    drive the explorers in a real browser (needs playwright and a Chromium)
    python tools/course.py lint         ruff over code and notebooks
    python tools/course.py notebooks    run again and normalise the notebooks that changed
    python tools/course.py exercises    write exercises/ from solutions/
    python tools/course.py bench        time training steps, in parts, with processes, with clips
    python tools/course.py bench-gpu    the two records that need a GPU
    python tools/course.py results      draw the recorded results into docs/results

Each begins with setup, which takes a blink when there is nothing to do; `test` also installs what its tests compare
with. Where a set-up was interrupted, moved or damaged, running the command again repairs it. `uv` is used where it
is installed, else `venv` and `pip`.
"""

# Standard library only, and nothing newer than Python 3.6: an old interpreter must get as far as finding a
# newer one, or saying that there is none.

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
    """[major, minor] as this interpreter says itself, None if it does not run or is a 32-bit one."""
    code = "import sys; print(*(sys.version_info[:2] if sys.maxsize > 2**32 else ()))"
    try:
        out = subprocess.check_output([python, "-I", "-S", "-c", code], stderr=subprocess.DEVNULL, timeout=60)
        return [int(number) for number in out.split()] or None
    except (OSError, ValueError, subprocess.SubprocessError):
        return None  # a shim without a version behind it, a store placeholder, a link into nothing


def find_python():
    """The interpreter to build .venv from: the running one if it is new enough, else one from the PATH."""
    # not sys.executable: that may be .venv's own, which is about to be rebuilt
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
        "Get one from your system's packages or python.org, or with uv: uv python install 3.12\n"
        "Then run the same command again. With conda instead: conda env create -f environment.yml"
    )


# --- what is there ----------------------------------------------------------------------------------------


def fingerprint():
    """Changes with what is to be installed, not with the settings of the linter and the tests below that."""
    project = (REPO / "pyproject.toml").read_text(encoding="utf-8").split("\n[tool.")[0]
    return hashlib.sha256(project.encode("utf-8")).hexdigest()


def entries(site):
    """The names in the folder where packages live: one look at it tells that none was deleted.

    Without *.dist-info, whose names hold versions: a reader may upgrade a package by hand.
    """
    return sorted(name for name in os.listdir(site) if not name.endswith((".dist-info", "__pycache__")))


def read_stamp():
    """What the last set-up wrote down, {} if there is nothing readable."""
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
        return stamp if isinstance(stamp, dict) else {}
    except (OSError, ValueError):
        return {}


def write_stamp(version, site=None, oracles=False):
    """Begun, so that a later run knows where and with which Python; given the packages' folder, complete.

    oracles: what some tests compare with is there, too.
    """
    stamp = {"repo": str(REPO), "python": version, "oracles": oracles}
    if site is not None:
        stamp.update(fingerprint=fingerprint(), site=site, entries=entries(site))
    STAMP.write_text(json.dumps(stamp), encoding="utf-8")


def diagnose(version, stamp, oracles=False):
    """What .venv lacks: (what to do, why) with "rebuild" or "install" to do, or (None, "") if it is complete.

    version: of its interpreter, None if that does not run. stamp: what `read_stamp` returned. oracles: what some tests
    compare with is wanted as well.
    """
    if not VENV.exists():
        return "rebuild", "first set-up"
    if version is None or tuple(version) < OLDEST:
        return "rebuild", "its Python is older than 3.10 or does not run"
    if stamp.get("repo", str(REPO)) != str(REPO):
        return "rebuild", "the folder was moved"  # its scripts hold absolute paths
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
        return "install", "no longer there: " + ", ".join(gone[:3])
    if oracles and not stamp.get("oracles"):
        return "install", "some tests compare with packages that the course itself does not need"
    return None, ""


# --- making it so -----------------------------------------------------------------------------------------


def setup(oracles=False):
    """Make .venv complete. Returns its interpreter; exits with a message where that is not possible.

    oracles: also install what some tests compare with; where that cannot be had, say so and go on.
    """
    python = venv_python()
    version, stamp = version_of(python), read_stamp()
    action, why = diagnose(version, stamp, oracles)
    if action is None:
        return python
    enough = diagnose(version, stamp)[0] is None  # for everything but some tests
    uv = shutil.which("uv")
    if action == "install" and not uv and not works([python, "-m", "pip", "--version"]):
        action, why, enough = "rebuild", "it has no working pip", False
    say(f"Set-up of .venv: {why}.")
    if action == "rebuild":
        create(find_python(), uv)
        version = version_of(python)
    oracles = oracles or bool(stamp.get("oracles"))  # what was there comes back
    if not enough:  # else an interruption takes nothing from what is complete
        write_stamp(version)
    site = packages_folder(python)
    forget_broken(Path(site))
    if enough:
        say("Installing what some tests compare with.")
    else:
        say("Installing PyTorch, JupyterLab and what else the course needs; the first time takes minutes.")
    if not install(python, uv, oracles):
        if not oracles or not (enough or install(python, uv)):
            sys.exit(failure())
        oracles = False
        say("The course is complete, but what some tests compare with could not be installed: they will be skipped.")
    if call([python, "-c", "import torch, torchvision, jupyterlab"]):
        sys.exit(failure())
    write_stamp(version, site, oracles)
    say(f"Set-up complete. What is there: {os.path.relpath(python)} -m minijepa.check")
    return python


def packages_folder(python):
    """Where this interpreter keeps its packages."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return subprocess.check_output([python, "-I", "-c", code]).decode().strip()


def create(base, uv):
    """A new .venv with nothing but pip, in place of whatever is there."""
    try:
        if VENV.is_symlink() or VENV.is_file():
            VENV.unlink()
        elif VENV.exists():
            shutil.rmtree(str(VENV))
    except OSError as error:
        sys.exit(f"{error}\nClose what uses .venv (terminals, JupyterLab, an editor) and run it again.")
    if uv:
        command = [uv, "venv", "--quiet", "--seed", "--prompt", "minijepa", "--python", base, str(VENV)]
    elif works([base, "-c", "import venv, ensurepip"]):
        command = [base, "-m", "venv", "--prompt", "minijepa", str(VENV)]
    else:
        package = "python{}.{}-venv".format(*version_of(base))
        sys.exit(
            f"{base} was installed without its `venv` module. On Debian and Ubuntu:\n"
            f"    sudo apt install {package}\nThen run the same command again."
        )
    if call(command):
        sys.exit(failure())


def forget_broken(site):
    """Take each distribution with a missing or cut file off the books, so that the installer brings it anew.

    Installers trust a *.dist-info folder and do not look at the files, so a half-written package would stay.
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
            say(f"Not whole, will be installed again: {info.name.split('-')[0]}")
            shutil.rmtree(str(info))


def install(python, uv, oracles=False):
    """Install the package, editable, and all that it requires; oracles: that extra, too. Returns whether it worked."""
    package = str(REPO) + ("[oracles]" if oracles else "")
    if not uv:
        pip = [python, "-m", "pip", "install", "--disable-pip-version-check"]
        return call(pip + ["-e", package]) == 0
    command = [uv, "pip", "install", "--python", python, "-e", package]
    # "auto" fetches PyTorch from its own server, and where there is no GPU a build of a tenth of the size. If
    # that server cannot be reached, do not insist: the ordinary build works too.
    impatient = dict(os.environ, UV_HTTP_RETRIES="2", UV_HTTP_CONNECT_TIMEOUT="5")
    if call(command + ["--torch-backend", "auto"], env=impatient) == 0:
        return True
    say("That did not work; once more with PyTorch's ordinary build.")
    return call(command) == 0


def failure():
    """What to tell the reader when an installer gave up."""
    advice = (
        "The set-up did not finish; the lines above say why. Often it is the network, or the disk: it takes\n"
        "2 GB, on Linux without uv 7 GB. Running the same command again goes on from here."
    )
    if platform.system() == "Darwin" and platform.machine() == "x86_64":
        advice += "\nFor a Mac with an Intel processor, take conda: conda env create -f environment.yml"
    return advice


# --- the commands -----------------------------------------------------------------------------------------


def lab(extra):
    """JupyterLab on the first notebook, until Ctrl-C."""
    python = setup()
    quiet_lab()
    screen = has_screen(platform.system(), os.environ)
    if not screen:
        say(
            "There is no display here, so no browser opens. Open the address with `token=` printed below.\n"
            "  On a remote machine, first run on your own: ssh -L 8888:localhost:8888 USER@THIS-MACHINE\n"
            "  In a container, publish port 8888 and start with: make lab ARGS=--ip=0.0.0.0"
        )
    say("Ctrl-C stops JupyterLab.")
    command = [python, "-m", "jupyterlab"] + lab_flags(is_root(), screen) + extra
    # a kernel named python3 that another project left in the user's folder must not take the place of ours
    environment = dict(os.environ, JUPYTER_PREFER_ENV_PATH="1")
    process = subprocess.Popen(command, env=environment)
    try:
        return process.wait()
    except KeyboardInterrupt:
        return stopped(process)


def stopped(process):
    """Wait for a server that got the terminal's Ctrl-C as well. Returns 0 once it is gone.

    Jupyter closes its kernels and ends within a second or two, but it can hang if a request was under way.
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
    """Keep JupyterLab from greeting a student with a question about news, and from asking the network for updates."""
    folder = VENV / "share" / "jupyter" / "lab" / "settings"
    folder.mkdir(parents=True, exist_ok=True)
    defaults = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}
    (folder / "overrides.json").write_text(json.dumps(defaults), encoding="utf-8")


def lab_flags(root, screen):
    """JupyterLab's flags. root: it refuses to run as root unless told to. screen: a browser can open."""
    flags = [f"--ServerApp.root_dir={REPO}", f"--LabApp.default_url=/lab/tree/{FIRST_NOTEBOOK}"]
    flags += ["--ServerApp.answer_yes=True"]  # one Ctrl-C is enough
    return flags + ["--allow-root"] * root + ["--no-browser"] * (not screen)


def is_root():
    """Whether this is the superuser, as is usual in a container. Windows has none."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def has_screen(system, environment):
    """Whether a browser can open: on Linux these variables tell, macOS and Windows always have one."""
    signs = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    return system != "Linux" or any(environment.get(name) for name in signs)


def test():
    """Every test, and every notebook against its committed outputs: a file to a worker, as many as there are cores.

    One thread each: two that share two cores spend their time waiting for each other. A number of threads that you
    have chosen stays. Which files come first, conftest.py decides.
    """
    python = setup(oracles=True)
    data = call([python, "-m", "minijepa.datasets"])  # fetches CIFAR-10 if it can; fails if it is damaged
    pytest = [python, "-m", "pytest", "-n", "auto", "--dist", "loadfile", "--no-loadscope-reorder"]
    pytest += ["--durations=10", "-rs", "--nbval", "tests", "notebooks", "solutions"]
    one_thread = dict({"OMP_NUM_THREADS": "1"}, **os.environ)
    return int(any([data, call(pytest, env=one_thread)]))


def lint():
    """ruff's findings and its formatting, notebooks included."""
    ruff = [setup(), "-m", "ruff"]
    return int(any([call(ruff + ["check", "."]), call(ruff + ["format", "--check", "."])]))


def call(command, env=None):
    """Run a command, its output shown. Returns its exit code, 127 if it cannot be started."""
    try:
        return subprocess.call(command, env=env)
    except OSError as error:
        say(f"{command[0]}: {error}")
        return 127


def works(command):
    """Whether a command ends well; its output is not shown."""
    try:
        return subprocess.call(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def say(text):
    """Print at once, ahead of what a program started later prints."""
    print(text, flush=True)


def main():
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=as_written)
    commands = ["setup", "lab", "test", "test-browser", "lint", "notebooks", "exercises", "bench", "bench-gpu",
                "results"]  # fmt: skip
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
    scripts.update({"bench-gpu": "bench/gpu", "results": "record/results"})
    if command in scripts:
        return call([setup(), str(REPO / "tools" / f"{scripts[command]}.py")] + extra)
    if command == "test-browser":
        return call([setup(), "-m", "pytest", "tests/browser", "-rs"] + extra)
    return lab(extra) if command == "lab" else test() if command == "test" else lint()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. Running the same command again goes on from here.")
