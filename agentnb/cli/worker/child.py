"""One worker process, as its supervisor sees it."""

from __future__ import annotations

import os
import subprocess
from time import monotonic
from typing import TYPE_CHECKING

from agentnb.cli.worker.heartbeat import read_lines
from agentnb.core.launch import python

if TYPE_CHECKING:
    import argparse

__all__ = ["Child"]

_READ = 65536


class Child:
    """A process that processes one job of a queue at a time.

    It is a fresh interpreter, not a fork: what locks the one here holds would be held in a fork
    for ever. It has a session of its own, so that Ctrl-C reaches it only through us.

    Parameters
    ----------
    queue
        The queue's name.
    options
        Those of the command line.

    Attributes
    ----------
    pipe
        Its heartbeats and lines are read from here.
    has_written
        Whether the process has written anything.
    killed
        Whether the process was ended with `kill`.
    """

    def __init__(self, queue: str, options: argparse.Namespace) -> None:
        self.queue = queue
        self.has_written = False
        self.killed = False
        self._last = monotonic()
        self._rest = b""
        self.pipe, theirs = os.pipe()
        os.set_blocking(self.pipe, False)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter, and words of our own
                _command(queue, options, theirs),
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs],
                start_new_session=True,
            )
        finally:
            os.close(theirs)

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self._process.pid

    @property
    def code(self) -> int | None:
        """Return its exit code, None while it runs."""
        return self._process.poll()

    @property
    def silent_for(self) -> float:
        """Return the seconds since its last heartbeat."""
        return monotonic() - self._last

    def read(self) -> list[tuple[str, str]]:
        """Return what it wrote: the outcome of an attempt, or nothing, and a line."""
        text = self._rest
        try:
            while piece := os.read(self.pipe, _READ):
                self.has_written = True
                self._last = monotonic()
                text += piece
        except BlockingIOError:
            pass
        lines, self._rest = read_lines(text)
        return lines

    def terminate(self) -> None:
        """Tell it to stop."""
        self._process.terminate()

    def kill(self) -> None:
        """End it at once."""
        self.killed = True
        self._process.kill()

    def close(self) -> None:
        """Let go of it, once it has ended."""
        self._process.wait()
        os.close(self.pipe)


def _command(queue: str, options: argparse.Namespace, pipe: int) -> list[str]:
    command = python("-m", "agentnb.cli", "worker", "--concurrency", "1")
    command += ["--heartbeat", str(pipe), "--grace", str(options.grace)]
    if options.log is not None:
        command += ["--log", options.log]
    if options.timeout is not None:
        command += ["--timeout", str(options.timeout)]
    if options.processor:
        command += ["--processor", options.processor]
    for app in options.app:
        command += ["--app", app]
    return [*command, "--", queue]
