"""Processes of a test's own that use the embedded server, and are gone when it is over."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

_BEGIN = """
import os, signal, sys, time
from pathlib import Path
from agentnb.core.redis import RedisClient
home = Path(sys.argv[1])
def say(*words):
    print(*words, flush=True)
"""


class Person:
    """A process that runs a script; what it says is read line by line."""

    def __init__(self, source, home, *words):
        self.process = subprocess.Popen(
            [sys.executable, "-c", _BEGIN + source, str(home), *map(str, words)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    @property
    def pid(self):
        return self.process.pid

    def hear(self):
        return self.process.stdout.readline().strip()

    def go(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.stdout.read()
        return self.process.wait(20)


@pytest.fixture
def person():
    """Return what starts a `Person`."""
    people = []

    def start(source, home, *words):
        people.append(Person(source, home, *words))
        return people[-1]

    yield start
    for one in people:
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait(10)
        one.process.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            one.process.stdin.close()


@pytest.fixture
def running():
    """Return what reads the ids of the supervisor and the server of a home."""

    def read(home):
        text = (Path(home) / "redis" / "running").read_text()
        fields = dict(line.split("=", 1) for line in text.splitlines())
        return int(fields["supervisor"]), int(fields["server"])

    return read


@pytest.fixture
def gone():
    """Return what waits for the end of processes, and tells whether it came."""

    def wait(*pids, seconds=10):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if not any(_runs(pid) for pid in pids):
                return True
            time.sleep(0.02)
        return False

    return wait


def _runs(pid):
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"  # nobody may be there to look after the dead
