"""Groups of tests, each of which runs in one process when there are several (``-n 6``).

A file is a group. So are all files that use the Docker engine, which is one for all processes. The
browser tests are two, each of which shares a JupyterLab and a browser: those of panels, and the
others.

The longest groups run first, so that all processes end at about the same time: ``seconds.json`` has
their durations, and ``pytest -n 6 --write-seconds`` measures them again.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections import Counter
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

DOCKER = (
    "*/test_docker*",
    "*/07_docker.ipynb",
    "*/test_log_lines.py",
    "*/test_correlation.py",
    "*/test_project_image.py",
)
FILE = Path(__file__).with_name("seconds.json")
SECONDS = json.loads(FILE.read_text())
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def stable_id(value):
    """Return the id of a parameter: without addresses in memory, and with sets in order.

    Both differ between processes.
    """
    if isinstance(value, set) and value:
        return f"{{{', '.join(sorted(map(stable_id, value)))}}}"
    return _ADDRESS.sub("", repr(value))


def check_stable(items):
    """Refuse ids of tests that differ between processes, which could not share them."""
    odd = [item.nodeid for item in items if _ADDRESS.search(item.nodeid)]
    if odd:
        raise pytest.UsageError(f"ids=stable_id gives an id without an address: {odd[0]}")


def uses_engine(nodeid):
    """Return whether a test uses the Docker engine."""
    return "[07_docker]" in nodeid or _is_of_docker(nodeid.partition("::")[0])


@cache  # it is asked for each test, and files are few
def _is_of_docker(file):
    return any(fnmatch(file, one) for one in DOCKER)


def group_of(nodeid):
    """Return the group of a test."""
    file = nodeid.partition("::")[0]
    if file.startswith("tests/browser/"):
        return "browser-panels" if file.endswith("_panel.py") else "browser"
    return "docker" if uses_engine(nodeid) else file


def order_of(nodeid):
    """Return the sort key of a test: Docker first, then the longest groups.

    Of the browser tests those of Docker are last: by then the others of Docker are over.
    """
    group, engine = group_of(nodeid), uses_engine(nodeid)
    browser = group if group.startswith("browser") else ""
    return group != "docker", -SECONDS.get(group, 0), browser, engine


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable():
    """Escape what the reports of several processes cannot be sent with: lone surrogates.

    Else one test that logs such a text ends the whole run.
    """
    return encodable((yield))


def encodable(value):
    """Return texts, also those in lists and dicts, with lone surrogates escaped."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {encodable(name): encodable(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(encodable, value))
    return value


class EngineLock:
    """A plugin that lets one process at a time use the Docker engine, from test to test.

    Names of containers, tags of images and their shared layers are the engine's, so that processes
    would meet there: also those of another run on this machine.
    """

    def __init__(self, folder):
        self._path, self._file = Path(folder) / f"agentnb-tests-engine-{os.getuid()}", None

    @pytest.hookimpl(wrapper=True, tryfirst=True)  # to wait is not the test's time
    def pytest_runtest_protocol(self, item, nextitem):
        """Hold the lock until a test follows that does not use the engine."""
        if uses_engine(item.nodeid) and self._file is None:
            self._file = self._path.open("w")
            fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            return (yield)
        finally:
            if self._file and not (nextitem and uses_engine(nextitem.nodeid)):
                self._file.close()
                self._file = None


class Groups(LoadScopeScheduling):
    """A scheduler that gives whole groups to a process, in the order of collection."""

    def __init__(self, config, log=None):
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid):
        return group_of(nodeid)


class Stopwatch:
    """A plugin that writes the durations of the groups of which each takes some seconds."""

    def __init__(self, file=FILE):
        self._file, self._seconds = file, Counter()

    def pytest_runtest_logreport(self, report):
        """Add up setups, calls and teardowns."""
        self._seconds[group_of(report.nodeid)] += report.duration

    def pytest_sessionfinish(self):
        """Write them, the longest first."""
        found = [(group, round(seconds)) for group, seconds in self._seconds.most_common()]
        long = {group: seconds for group, seconds in found if seconds >= 5}
        self._file.write_text(json.dumps(long, indent=2) + "\n")
