"""Groups of tests, each of which runs in one process when there are several (``-n 2``).

A file is a group. So are all files that use the Docker engine, which is one for all processes.
Browser tests run last: the browser's driver keeps an event loop in the main thread, where the
other tests expect none.
"""

from __future__ import annotations

import re
from fnmatch import fnmatch

from xdist.scheduler import LoadScopeScheduling

DOCKER = ("*/test_docker*", "*/07_docker.ipynb", "*/test_log_lines.py", "*/test_correlation.py")
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def stable_id(value):
    """Return the id of a parameter: without addresses in memory, and with sets in order.

    Both differ between processes.
    """
    if isinstance(value, set) and value:
        return f"{{{', '.join(sorted(map(stable_id, value)))}}}"
    return _ADDRESS.sub("", repr(value))


def group_of(nodeid):
    """Return the group of a test."""
    file = nodeid.partition("::")[0]
    in_browser = file.startswith("tests/browser/")
    return "docker" if not in_browser and any(fnmatch(file, one) for one in DOCKER) else file


def order_of(nodeid):
    """Return the sort key of a test: the long group of Docker first, browsers last."""
    return nodeid.startswith("tests/browser/"), group_of(nodeid) != "docker"


class Groups(LoadScopeScheduling):
    """A scheduler that gives whole groups to a process, in the order of collection."""

    def __init__(self, config, log=None):
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid):
        return group_of(nodeid)
