"""From the first use of the embedded server to its first answer."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from time import perf_counter

from rounds import Row, await_end, scratch, spelt

# Each runs in a process of its own, and goes on until its input ends.
USER = """
import sys
from time import perf_counter
import agentnb
import agentnb.core.redis.client
hub = agentnb.connect()
started = perf_counter()
hub.redis.ping()
print(perf_counter() - started, flush=True)
sys.stdin.read()
hub.close()
"""


@contextlib.contextmanager
def user():
    """Run a process that uses the server, and yield the seconds to its first answer."""
    command = [sys.executable, "-c", USER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield float(process.stdout.readline())
        finally:
            process.stdin.close()
            process.wait(30)


def bare(folder):
    """Return the seconds in which the server's program alone starts and answers."""
    from agentnb.core.redis.binary import find_binary

    folder.mkdir()
    options = ["--port", "0", "--unixsocket", "s", "--appendonly", "yes", "--save", ""]
    path = folder / "s"
    started = perf_counter()
    with subprocess.Popen(
        [find_binary(), *options], cwd=folder, stdout=subprocess.DEVNULL
    ) as process:
        try:
            while not answers(path) and perf_counter() < started + 10:
                time.sleep(0.001)
            return perf_counter() - started
        finally:
            process.terminate()


def answers(path):
    """Return whether a server answers at a socket."""
    with socket.socket(socket.AF_UNIX) as link, contextlib.suppress(OSError):
        link.connect(os.fspath(path))
        link.sendall(b"PING\r\n")
        return link.recv(64).startswith(b"+PONG")
    return False


def measure(*, quick):
    """Return the rows of this subject."""
    first, second, alone = [], [], []
    with scratch() as folder:
        home = Path(os.environ["AGENTNB_HOME"])
        for turn in range(3 if quick else 16):
            with user() as one, user() as two:
                spent = one, two
            await_end(home)
            shutil.rmtree(home)
            other = bare(folder / "bare")
            shutil.rmtree(folder / "bare")
            if turn:  # the first compiles
                first.append(spent[0])
                second.append(spent[1])
                alone.append(other)
    peer = f"the server's program by itself {spelt(alone)}"
    return [
        row("the embedded server, first use to first answer", first, peer, 300),
        row("the same in a second process", second, "", 50),
    ]


def row(what, seconds, peer, target):
    """Return a row of milliseconds."""
    return Row(what, spelt(seconds), peer, statistics.median(seconds) * 1000, target, "ms")
