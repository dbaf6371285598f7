"""A worker process and the one that looks after it, on the two ends of a pipe.

The process writes a line for each thing that it shows, and an empty one as a sign of life. When
nobody reads them any more it stops, as if it had been told to.
"""

from __future__ import annotations

import os
import select
import signal
import threading
from contextlib import suppress

__all__ = ["Life", "read_lines"]

# What a pipe takes whole or not at all, so that lines of several threads do not mix.
_WHOLE = select.PIPE_BUF


class Life:
    """A worker process's end of the pipe.

    Parameters
    ----------
    pipe
        Its number.
    every
        Seconds between two signs of life.
    """

    def __init__(self, pipe: int, every: float) -> None:
        self._pipe = pipe
        self._every = every
        os.set_blocking(pipe, False)
        os.set_inheritable(pipe, False)  # noqa: FBT003 - what a job starts holds no end of it
        threading.Thread(target=self._beat, name="agentnb-life", daemon=True).start()

    def _beat(self) -> None:
        pause = threading.Event()
        while self._write(b"\n"):
            pause.wait(self._every)
        with suppress(ProcessLookupError):
            os.kill(os.getpid(), signal.SIGTERM)

    def tell(self, outcome: str, line: str) -> None:
        """Say how a job ended, or nothing, and a line."""
        text = f"{outcome}\t{line}".encode("utf-8", "replace")
        self._write(text[: _WHOLE - 1] + b"\n")

    def _write(self, text: bytes) -> bool:
        """Return whether somebody is there to read it."""
        try:
            os.write(self._pipe, text)
        except BlockingIOError:
            return True  # the reader is asleep: a line is lost, and nothing waits for it
        except OSError:
            return False
        return True


def read_lines(text: bytes) -> tuple[list[tuple[str, str]], bytes]:
    r"""Return the lines of a text, without the signs of life, and what is behind the last one.

    >>> read_lines(b"\n\ncompleted\tmail  k3\nhal")
    ([('completed', 'mail  k3')], b'hal')
    """
    *lines, rest = text.split(b"\n")
    split = [line.decode("utf-8", "replace").partition("\t") for line in lines if line]
    return [(outcome, line) for outcome, _, line in split], rest
