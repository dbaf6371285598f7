"""The heartbeat of a worker process, over a pipe to the process that supervises it.

The process writes a line for each thing that it shows, and an empty one as a heartbeat. When
nobody reads them it stops, as if it had been told to.
"""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress

from agentnb.core.background import BackgroundThread

__all__ = ["LONGEST", "HeartbeatPipe", "read_lines"]

# A pipe takes up to this size whole or not at all: the lines of several threads do not mix.
_WHOLE = select.PIPE_BUF
LONGEST = _WHOLE - 2
"""The most bytes of an outcome and a line together."""


class HeartbeatPipe:
    """A worker process's end of the pipe.

    Parameters
    ----------
    pipe
        The number of the pipe.
    every
        Seconds between two heartbeats.
    """

    def __init__(self, pipe: int, every: float) -> None:
        self._pipe = pipe
        self._every = every
        os.set_blocking(pipe, False)
        os.set_inheritable(pipe, False)  # noqa: FBT003 - what a job starts holds no end of it
        self._thread = BackgroundThread(self._beat, name="heartbeat")
        self._thread.start()

    def _beat(self) -> float | None:
        if self._write(b"\n"):
            return self._every
        with suppress(ProcessLookupError):
            os.kill(os.getpid(), signal.SIGTERM)
        return None

    def send(self, outcome: str, line: str) -> None:
        """Send the outcome of an attempt, or nothing, and a line."""
        text = f"{outcome}\t{line}".encode("utf-8", "replace")
        self._write(text[: _WHOLE - 1] + b"\n")

    def _write(self, text: bytes) -> bool:
        """Return whether there is a reader."""
        try:
            os.write(self._pipe, text)
        except BlockingIOError:
            return True  # the reader is asleep: a line is lost, and nothing waits for it
        except OSError:
            return False
        return True


def read_lines(text: bytes) -> tuple[list[tuple[str, str]], bytes]:
    r"""Return the lines of a text, without heartbeats, and the rest behind the last one.

    >>> read_lines(b"\n\ncompleted\tmail  k3\nhal")
    ([('completed', 'mail  k3')], b'hal')
    """
    *lines, rest = text.split(b"\n")
    split = [line.decode("utf-8", "replace").partition("\t") for line in lines if line]
    return [(outcome, line) for outcome, _, line in split], rest
