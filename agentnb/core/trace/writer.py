"""A background thread that writes lines, so that no caller waits for a disk."""

from __future__ import annotations

import logging
import os
import weakref
from collections import deque
from time import time
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from agentnb.core.background import BackgroundThread
from agentnb.core.forking import new_lock, new_rlock

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.trace.files import LinesFile

__all__ = ["Writer"]

T = TypeVar("T")

_logger = logging.getLogger("agentnb.trace")
_writers: weakref.WeakSet[Writer[Any]] = weakref.WeakSet()


class Writer(Generic[T]):
    """Writes things in batches from a daemon thread that the first one starts.

    Parameters
    ----------
    file
        Where to.
    line
        Makes the line of a thing, in the writer's thread; must not raise. An empty one is not
        written.
    lost
        Called with the lines that the folder did not take; their things are counted as dropped.
    waiting
        How many may wait to be written; what comes on top is dropped and counted.
    pause
        Seconds between two batches.
    gap
        Makes the line that tells how many were dropped, from and until which time.
    """

    def __init__(
        self,
        file: LinesFile,
        line: Callable[[T], bytes],
        *,
        lost: Callable[[list[bytes]], object] | None = None,
        waiting: int = 10_000,
        pause: float = 0.2,
        gap: Callable[[int, float, float], bytes] | None = None,
    ) -> None:
        self._file = file
        self._line = line
        self._lost = lost
        self._waiting = waiting
        self._pause = pause
        self._gap = gap
        self._warned = False
        self._closed = False
        self._reset()
        _writers.add(self)

    def _reset(self) -> None:
        """Begin anew, at first and in a forked child: locks may be held, the thread is gone."""
        self.dropped = self._reported = 0
        self._dropped_since = self._dropped_until = 0.0
        self._queue: deque[T] = deque()
        # The garbage collector may run while it is held, and what it finalises may log.
        self._lock = new_rlock()
        self._draining = new_lock()
        self._thread = BackgroundThread(self.flush, name=self._file.stem, delay=self._pause)

    @property
    def failed(self) -> str | None:
        """Return the reason why nothing is written, or None."""
        return self._file.failed

    @property
    def closed(self) -> bool:
        """Return whether `close` was called."""
        return self._closed

    def submit(self, thing: T) -> bool:
        """Queue an item without waiting; return False if it is dropped."""
        queue = self._queue
        if self._closed or self._file.is_given_up or len(queue) >= self._waiting:
            self._drop(1)
            return False
        queue.append(thing)
        self._thread.wake()
        return True

    def submit_always(self, thing: T) -> bool:
        """Queue an item though many are waiting; return False if nothing is written at all."""
        if self._closed or self._file.is_given_up:
            self._drop(1)
            return False
        self._queue.append(thing)
        self._thread.wake()
        return True

    def write_now(self, thing: T) -> bool:
        """Write an item at once, also after `close`; return False if that fails."""
        written = self._file.write([self._line(thing)])
        if not written:
            self._drop(1)
        elif self._closed:
            self._file.close()
        return written

    def _drop(self, number: int) -> None:
        with self._lock:
            now = time()
            if self._reported == self.dropped:
                self._dropped_since = now
            self._dropped_until = now
            self.dropped += number

    def _gap_lines(self) -> list[bytes]:
        """Return the line of what was dropped since the last one."""
        with self._lock:
            number, self._reported = self.dropped - self._reported, self.dropped
        if not number or self._gap is None:
            return []
        return [self._gap(number, self._dropped_since, self._dropped_until)]

    def flush(self) -> None:
        """Write all that is waiting, now, in the calling thread."""
        with self._draining:
            while self._queue:
                batch = [self._queue.popleft() for _ in range(min(len(self._queue), 500))]
                lines = [line for thing in batch if (line := self._line(thing))]
                if self._reported != self.dropped:
                    lines += self._gap_lines()
                if not self._file.write(lines):
                    lines += [self._line(thing) for thing in self._queue]
                    self._queue.clear()
                    self._drop(len(lines))
                    if self._lost is not None:
                        self._lost(lines)
        self._say()

    def _say(self) -> None:
        """Log that the folder failed, and that it takes lines again."""
        file, failed = self._file, self._file.failed
        if failed is not None and not self._warned:
            _logger.warning("%s are no longer written to %s: %s", file.stem, file.directory, failed)
        elif failed is None and self._warned:
            _logger.warning("%s are written to %s again", file.stem, file.directory)
        self._warned = failed is not None

    def close(self) -> None:
        """Write what is waiting, stop the thread and close the file."""
        self._closed = True
        if self._thread.is_current:
            self._thread.stop()
            return  # the garbage collector ran here; the loop ends by itself
        self.flush()
        self._thread.stop()
        self._file.close()


def _reset_inherited() -> None:
    for writer in list(_writers):
        writer._reset()  # noqa: SLF001 - its own module's class


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_reset_inherited)
