"""The thread that writes spans, so that no caller waits for a disk."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections import deque
from typing import TYPE_CHECKING

from agentnb.core.trace.files import LinesFile, encode

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agentnb.core.trace.spans import Span

__all__ = ["SpanWriter"]

_logger = logging.getLogger("agentnb.trace")
_writers: weakref.WeakSet[SpanWriter] = weakref.WeakSet()


class SpanWriter:
    """Writes spans in batches from a daemon thread that the first span starts.

    Parameters
    ----------
    directory, stem, max_bytes
        As for `LinesFile`.
    redactor
        Masks secrets, in the writer's thread.
    waiting
        How many spans may wait to be written; what comes on top is dropped and counted.
    pause
        Seconds between two batches.
    """

    def __init__(
        self,
        directory: Path,
        stem: str,
        *,
        max_bytes: int,
        redactor: Callable[[str], str],
        waiting: int = 10_000,
        pause: float = 0.2,
    ) -> None:
        self._file = LinesFile(directory, stem, max_bytes=max_bytes)
        self._redactor = redactor
        self._waiting = waiting
        self._pause = pause
        self._warned = False
        self._closed = False
        self._reset()
        _writers.add(self)

    def _reset(self) -> None:
        """Begin anew, at first and in a forked child: locks may be held, the thread is gone."""
        self.dropped = 0
        self._queue: deque[Span] = deque()
        self._thread: threading.Thread | None = None
        self._idle = True
        self._lock = threading.Lock()
        self._draining = threading.Lock()
        self._wake = threading.Event()
        self._stop = threading.Event()

    @property
    def failed(self) -> str | None:
        """Why nothing is written any more, or None."""
        return self._file.failed

    def submit(self, span: Span) -> None:
        """Queue a span; never waits, never raises."""
        queue = self._queue
        if self._closed or self._file.failed is not None or len(queue) >= self._waiting:
            with self._lock:
                self.dropped += 1
            return
        queue.append(span)
        if self._idle:
            self._rouse()

    def _rouse(self) -> None:
        with self._lock:
            if self._thread is None and not self._closed:
                thread = threading.Thread(target=self._run, name="agentnb-spans", daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    return  # no more threads, or the interpreter is ending: close() writes it
                self._thread = thread
        self._wake.set()

    def _run(self) -> None:
        wake, stop = self._wake, self._stop
        while not stop.is_set():
            self._idle = False
            stop.wait(self._pause)
            self.flush()
            # Idle is announced before the last look at the queue, so that a span that comes in
            # between is either seen here or rings the bell.
            wake.clear()
            self._idle = True
            if not self._queue and not stop.is_set():
                wake.wait()

    def flush(self) -> None:
        """Write all that is waiting, now, in the calling thread."""
        with self._draining:
            while self._queue:
                batch = [self._queue.popleft() for _ in range(min(len(self._queue), 500))]
                if not self._file.write([self._line(span) for span in batch]):
                    with self._lock:
                        self.dropped += len(batch) + len(self._queue)
                    self._queue.clear()
        if self._file.failed is not None and not self._warned:
            self._warned = True
            _logger.warning(
                "spans are no longer written to %s: %s", self._file.directory, self._file.failed
            )

    def _line(self, span: Span) -> bytes:
        try:
            return encode(span.to_dict(self._redactor))
        except Exception as error:  # noqa: BLE001 - an odd attribute must not stop the writer
            span.attributes = {"unwritable": type(error).__name__}
            return encode(span.to_dict(self._redactor))

    def close(self) -> None:
        """Write what is waiting, stop the thread and close the file."""
        self._closed = True
        self._stop.set()
        self._wake.set()
        thread = self._thread
        if thread is threading.current_thread():
            return  # the garbage collector ran here; the loop ends by itself
        self.flush()
        if thread is not None:
            thread.join(timeout=5)
        self._file.close()


def _reset_inherited() -> None:
    for writer in list(_writers):
        writer._reset()  # noqa: SLF001 - its own module's class


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_reset_inherited)
