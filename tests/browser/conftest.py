"""A real JupyterLab and a real browser for the tests in this folder; skipped, with the reason, where one is missing.

Needs playwright (`pip install playwright`) and a Chromium: the system's, or `playwright install chromium`.
"""

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]


def pytest_configure(config):
    config.addinivalue_line("markers", "browser: drives a notebook in a browser, as a student does")


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


def tool(name, folder="tools"):
    """A module of tools/, or of another folder that is no package."""
    spec = importlib.util.spec_from_file_location(name, REPO / folder / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def normalise():
    """What tools/build_notebooks.py does to a notebook before it is committed."""
    return tool("build_notebooks").normalise


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is missing: pip install playwright")
    with api.sync_playwright() as play:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        found = [shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")]
        for path in [None, *filter(None, found)]:  # None: playwright's own
            try:
                chromium = play.chromium.launch(executable_path=path, args=flags)
                break
            except api.Error:
                continue
        else:
            pytest.skip("no Chromium can be started: playwright install chromium")
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def book(browser, tmp_path_factory):
    """The folder of the built book. Depends on the browser: without one nothing is built."""
    for name in ("sphinx", "myst_nb", "furo", "latex2mathml", "ziamath"):
        pytest.importorskip(name, reason="it builds the book: pip install -e '.[book]'")
    return tool("helpers", "tests").built_book(tmp_path_factory)


@pytest.fixture(scope="session")
def lab(browser, tmp_path_factory):
    """JupyterLab, started with the flags and the environment of `make lab`, on an empty folder.

    Gives a namespace with `folder`, `url(path)` and `log()`. Depends on the browser: without one nothing is started.
    """
    course = tool("course")
    folder, home = tmp_path_factory.mktemp("notebooks"), tmp_path_factory.mktemp("jupyter")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    flags = [flag for flag in course.lab_flags(course.is_root(), screen=False) if "root_dir" not in flag]
    flags += [f"--ServerApp.root_dir={folder}", f"--port={port}", "--IdentityProvider.token=test"]
    flags += ["--LabApp.expose_app_in_browser=True", "--LabApp.news_url=None"]
    places = [str(REPO), os.environ.get("PYTHONPATH")]
    environment = dict(os.environ, JUPYTER_PREFER_ENV_PATH="1", PYTHONPATH=os.pathsep.join(filter(None, places)))
    environment.update(JUPYTER_CONFIG_DIR=str(home), JUPYTER_RUNTIME_DIR=str(home))  # not the reader's own
    if os.environ.get("MINIJEPA_DATA"):
        environment["MINIJEPA_DATA"] = os.path.abspath(os.environ["MINIJEPA_DATA"])
    log = home / "lab.log"
    with open(log, "w") as out:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *flags], stdout=out, stderr=out, env=environment, cwd=folder
        )
    try:
        for _ in range(1500):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api", timeout=1)
                break
            except OSError:
                assert server.poll() is None, f"JupyterLab ended:\n{log.read_text()[-2000:]}"
                time.sleep(0.2)
        else:
            raise AssertionError(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")
        yield Lab(folder, f"http://127.0.0.1:{port}", log)
    finally:
        server.terminate()
        try:
            server.wait(15)
        except subprocess.TimeoutExpired:
            server.kill()


class Lab:
    """A running JupyterLab: its folder, its addresses, what it has written so far."""

    def __init__(self, folder, base, log):
        self.folder, self.base, self.log_file = folder, base, log

    def url(self, path):
        return f"{self.base}/doc/tree/{path}?token=test&reset"

    def log(self):
        return self.log_file.read_text(errors="replace")


@pytest.fixture(scope="module")
def new_page(browser):
    """A function that opens a page, high enough that JupyterLab keeps all cells of a small notebook in it.

    `errors` of the page: what the browser's console and uncaught exceptions say.
    """
    pages = []

    def make():
        page = browser.new_page(viewport={"width": 1200, "height": 2600})
        page.set_default_timeout(300_000)  # a busy machine is no fault of ours
        page.errors = []
        page.on("console", lambda m: page.errors.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        pages.append(page)
        return page

    yield make
    for page in pages:
        page.close()
