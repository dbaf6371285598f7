"""A real JupyterLab in a real browser: the fixture ``lab``."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from contextlib import ExitStack
from importlib.util import find_spec

import pytest

from .page import SECONDS, Lab
from .server import Server

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# anywidget gives up a widget whose script was not read within two seconds. A machine that runs six
# processes of tests may take longer, and no test is about that.
PATIENCE = """
const timeout = AbortSignal.timeout.bind(AbortSignal);
AbortSignal.timeout = milliseconds => timeout(60 * milliseconds);
"""


@pytest.fixture(scope="session")
def chromium(require):
    """Return the path of the machine's own Chromium."""
    found = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    require("browser", bool(find_spec("playwright")), "the package playwright is not installed")
    require("browser", found is not None, f"none of {', '.join(CHROMIUMS)} is on PATH")
    return found


@pytest.fixture(scope="session")
def lab_server(tmp_path_factory):
    """Start one JupyterLab for all browser tests."""
    server = Server(tmp_path_factory.mktemp("lab"))
    try:
        yield server.start()
    finally:
        server.stop()


class Browser:
    """One browser with one page for all browser tests of a process, and its driver.

    To load JupyterLab takes longer than most tests, and the page keeps it from file to file.
    Compiled scripts are kept in the browser's folder, for when JupyterLab is loaded again. The
    driver keeps an event loop in the main thread, where the other tests expect none.
    """

    def __init__(self):
        self._open = ExitStack()
        self._context = None
        self._page = None

    def page(self, program):
        """Return the page; open it, and start the browser, if there is none."""
        if self._context is None:
            self._context = self._start(program)
        if self._page is None:
            self._page = self._context.new_page()
        return self._page

    def _start(self, program):
        from playwright.sync_api import expect, sync_playwright

        expect.set_options(timeout=60 * SECONDS)
        folder = self._open.enter_context(tempfile.TemporaryDirectory(prefix="agentnb-browser-"))
        playwright = self._open.enter_context(sync_playwright())
        context = playwright.chromium.launch_persistent_context(
            folder,
            executable_path=program,
            args=CHROMIUM_OPTIONS,
            viewport={"width": 1280, "height": 900},
            reduced_motion="reduce",
        )
        self._open.callback(context.close)
        context.add_init_script(PATIENCE)
        return context

    def leave_page(self):
        """Close the page, which a test left in a state that nobody knows."""
        self._page.close()
        self._page = None

    def close(self):
        """End the browser and the driver."""
        self._context = self._page = None
        self._open.close()


_browser = Browser()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item, nextitem):
    """End the browser before a test that needs none."""
    found = yield
    if nextitem is None or nextitem.path.parent != item.path.parent:
        _browser.close()
    return found


@pytest.fixture
def page(chromium):
    """Return the page of the browser, which stays until a test follows that needs none."""
    return _browser.page(chromium)


@pytest.fixture
def lab(page, lab_server, request):
    """Return a page of JupyterLab; the test fails on script errors and on stray requests."""
    lab, failed = Lab(lab_server, page), request.session.testsfailed
    yield lab
    try:
        lab.leave(keep=request.session.testsfailed == failed)
    except BaseException:
        _browser.leave_page()
        lab_server.kept = None
        raise
    assert lab.errors == []
    assert lab.strays == []


@pytest.fixture(scope="session")
def axe(require, tmp_path_factory):
    """Return the script of axe-core, which judges whether everybody can use a page."""
    folder = tmp_path_factory.mktemp("axe")
    npm = shutil.which("npm") if shutil.which("node") else None
    require("node", npm is not None, "no node and npm on PATH")
    command = [npm, "install", "--no-fund", "--no-audit", "--no-save", "--silent", "axe-core@4"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    require("node", done.returncode == 0, f"npm cannot install axe-core: {done.stderr.strip()}")
    script = folder / "node_modules" / "axe-core" / "axe.min.js"
    # JupyterLab's body has no height and hides what exceeds it: to axe all of the page would be
    # hidden, and no contrast be looked at.
    with script.open("a", encoding="utf-8") as file:
        file.write("\ndocument.body.style.height = '100vh';\n")
    return script
