"""Cancel statements that run past their timeout, on one thread for a database."""

from __future__ import annotations

import heapq
import itertools
import logging
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from agentnb.core.background import BackgroundThread
from agentnb.core.forking import new_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentnb.core.db.backend import Watch

__all__ = ["StatementTimeouts"]

# Finished statements stay in the heap until their timeout, or until there are this many.
_FINISHED_KEPT = 256


class _Entry:
    """A running statement, and the actions that follow its timeout."""

    __slots__ = ("actions", "done", "lock")

    def __init__(self, actions: list[Callable[[], None]]) -> None:
        self.actions = actions
        self.done = False
        self.lock = new_lock()

    def act(self) -> bool:
        """Run the next action; return whether another one follows."""
        with self.lock:
            if self.done or not self.actions:
                return False
            self.actions.pop(0)()
            return bool(self.actions)


class StatementTimeouts:
    """Runs actions, such as cancel and disconnect, on a statement whose timeout is over.

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
        self._lock = new_lock()
        self._thread = BackgroundThread(self._act, name="db", log=logging.getLogger("agentnb.db"))

    @contextmanager
    def watch(self, watch: Watch, *actions: Callable[[], None]) -> Iterator[None]:
        """Run the actions in turn if the watch is over before the block ends."""
        entry = _Entry(list(actions))
        left = watch.deadline.remaining()
        if left is not None:
            self._schedule(entry, left)
        watch.started(lambda: self._schedule(entry, 0))
        try:
            yield
        finally:
            watch.ended()
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
