"""Groups of tests, each of which runs in one process when there are several (``-n 4``).

A file is a group. So are all files that use the Docker engine, which is one for all processes, and
all browser tests, which share a JupyterLab and a browser. The browser's driver keeps an event loop
in the main thread, where the other tests expect none: these tests have a process of their own from
the start, or run last if there is only one.

The longest groups run first, so that all processes end at about the same time: ``seconds.json`` has
their durations, and ``pytest -n 4 --write-seconds`` measures them again.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from fnmatch import fnmatch
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling

DOCKER = ("*/test_docker*", "*/07_docker.ipynb", "*/test_log_lines.py", "*/test_correlation.py")
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


def group_of(nodeid):
    """Return the group of a test."""
    file = nodeid.partition("::")[0]
    if file.startswith("tests/browser/"):
        return "browser"
    return "docker" if any(fnmatch(file, one) for one in DOCKER) else file


def order_of(nodeid):
    """Return the sort key of a test: Docker first, then the longest groups, and browsers last."""
    group = group_of(nodeid)
    return group == "browser", group != "docker", -SECONDS.get(group, 0)


class Groups(LoadScopeScheduling):
    """A scheduler that gives whole groups to a process, in the order of collection.

    If there are several processes, the first one runs the browser tests and nothing else.
    """

    def __init__(self, config, log=None):
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid):
        return group_of(nodeid)

    def _assign_work_unit(self, node):
        alone = len(self.nodes) > 1 and not self.assigned_work[node] and "browser" in self.workqueue
        if alone:
            self.workqueue.move_to_end("browser", last=False)
        super()._assign_work_unit(node)
        if alone:
            node.shutdown()


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
