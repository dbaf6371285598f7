"""A real JupyterLab in a real browser: the fixture ``lab``."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import ExitStack
from importlib.util import find_spec

import pytest

from .page import Lab
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


@pytest.fixture(scope="module")
def browser_context(chromium):
    """Return the context of a browser that stays until a test follows that needs none."""
    return _browser.context(chromium)


class Browser:
    """One browser for all browser tests of a process, and its driver.

    The driver keeps an event loop in the main thread, where the other tests expect none.
    """

    def __init__(self):
        self._open = ExitStack()
        self._context = None

    def context(self, program):
        """Return the context; start the browser if there is none."""
        from playwright.sync_api import sync_playwright

        if self._context is None:
            playwright = self._open.enter_context(sync_playwright())
            found = playwright.chromium.launch(executable_path=program, args=CHROMIUM_OPTIONS)
            self._open.callback(found.close)
            self._context = found.new_context(viewport={"width": 1280, "height": 900})
        return self._context

    def close(self):
        """End the browser and the driver."""
        self._context = None
        self._open.close()


_browser = Browser()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item, nextitem):
    """End the browser before a test that needs none."""
    found = yield
    if nextitem is None or nextitem.path.parent != item.path.parent:
        _browser.close()
    return found


@pytest.fixture(scope="module")
def page(browser_context):
    """Open one page for the browser tests of a file."""
    page = browser_context.new_page()
    yield page
    page.close()


@pytest.fixture
def lab(page, lab_server):
    """Return a page of JupyterLab; the test fails on script errors and on stray requests."""
    lab = Lab(lab_server, page)
    yield lab
    lab.leave()
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
