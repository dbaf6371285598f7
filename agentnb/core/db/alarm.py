"""One thread that looks after the statements which run too long on servers."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from agentnb.core.background import BackgroundThread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentnb.core.db.backend import Watch

__all__ = ["Alarm"]

# Finished statements stay in the heap until their time comes, or until there are this many.
_FINISHED_KEPT = 256


class _Entry:
    """A running statement and what to do to it, step by step, when its time is over."""

    __slots__ = ("actions", "done", "lock")

    def __init__(self, actions: list[Callable[[], None]]) -> None:
        self.actions = actions
        self.done = False
        self.lock = threading.Lock()

    def act(self) -> bool:
        """Take the next step; return whether there is another one after it."""
        with self.lock:
            if self.done or not self.actions:
                return False
            self.actions.pop(0)()
            return bool(self.actions)


class Alarm:
    """Takes one action after another on a statement whose watch is over.

    Parameters
    ----------
    grace
        Seconds between one action and the next.
    """

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._heap: list[tuple[float, int, _Entry]] = []
        self._count = itertools.count()
        self._finished = 0
        self._lock = threading.Lock()
        self._thread = BackgroundThread(self._act, name="db", log=logging.getLogger("agentnb.db"))

    @contextmanager
    def set(self, watch: Watch, *actions: Callable[[], None]) -> Iterator[None]:
        """Take the actions in turn once the watch is over and the block is not left."""
        entry = _Entry(list(actions))
        left = watch.deadline.remaining()
        if left is not None:
            self._schedule(entry, left)
        watch.alert = lambda: self._schedule(entry, 0)
        if watch.cancelled:  # before there was anybody to alert
            self._schedule(entry, 0)
        try:
            yield
        finally:
            watch.alert = None
            # Waits for an action under way: a late cancel would hit the next statement.
            with entry.lock:
                entry.done = True
            self._finish()

    def _schedule(self, entry: _Entry, seconds: float) -> None:
        with self._lock:
            due = time.monotonic() + seconds
            heapq.heappush(self._heap, (due, next(self._count), entry))
            first = self._heap[0][2] is entry
        if first:
            self._thread.start()

    def _finish(self) -> None:
        with self._lock:
            self._finished += 1
            if self._finished > _FINISHED_KEPT:
                self._heap = [item for item in self._heap if not item[2].done]
                heapq.heapify(self._heap)
                self._finished = 0

    def _act(self) -> float | None:
        """Act on the statement whose time has come, and return the seconds until the next one."""
        with self._lock:
            if not self._heap:
                return None
            left = self._heap[0][0] - time.monotonic()
            if left > 0:
                return left
            entry = heapq.heappop(self._heap)[2]
        if entry.act():
            self._schedule(entry, self._grace)
        return 0.0

    def close(self) -> None:
        """Stop the thread; the next statement starts another."""
        with self._lock:
            self._heap.clear()
        self._thread.stop(0.0)
